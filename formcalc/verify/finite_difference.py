"""Central differences of the loss: the oracle that needs nothing but its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from formcalc.algebra import Expression, Letter, postorder
from formcalc.errors import EvaluationError
from formcalc.language import Model
from formcalc.language.model import below
from formcalc.numeric.engine import Evaluation
from formcalc.numeric.kinks import kinked_arguments
from formcalc.numeric.reference import evaluation

#: The largest and the smallest step.
_LARGEST, _SMALLEST = 0.1, 1e-9

#: Weights of ``f(x + kh) - f(x - kh)``, k = 1, 2, 3, in central differences of sixth and of fourth order.
_SIXTH = (45 / 60, -9 / 60, 1 / 60)
_FOURTH = (8 / 12, -1 / 12, 0)

#: The rounding of a loss, relative to its size: a few units in the last place of its sums.
_ROUNDING = 4 * float(np.finfo(np.float64).eps)


def gradients(
    model: Model,
    weights: list[str],
    arrays: Mapping[str, np.ndarray],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """The derivative of the loss in every entry of every weight, by central differences of sixth order in float64.

    A step is as large as rounding asks for and no larger than truncation allows: the first, going down, at which the
    orders six and four agree to the rounding of the loss, and at which no argument of relu changes its sign.

    Args:
        progress: called with the entries done and all entries.

    Raises:
        EvaluationError: an entry that cannot move without crossing a kink.
    """
    prepared = evaluation([model.loss], arrays, model.sizes, np.float64)
    total, done = sum(arrays[name].size for name in weights), 0
    result = {}
    for name in weights:
        gradient = result[name] = np.zeros(arrays[name].shape)
        line = _Line(model, prepared, name) if name in prepared.arrays else None
        for place in np.ndindex(gradient.shape):
            if line is not None:  # else the loss does not use it
                gradient[place] = line.derivative(place)
            done += 1
            if progress is not None:
                progress(done, total)
    return result


class _Line:
    """The loss as a function of one entry of one weight; what does not depend on the weight is computed once."""

    def __init__(self, model: Model, prepared: Evaluation, name: str) -> None:
        self.loss = model.loss
        self.name = name
        self.array = prepared.arrays[name].copy()
        self.arrays = {**prepared.arrays, name: self.array}
        self.engine, self.sizes = prepared.engine, prepared.sizes
        self.kinked = kinked_arguments(model.loss)
        base = self.run({})
        self.value = float(base.of(self.loss))
        self.sides = self.sides_of(base)
        moving = _depending(model.loss, name)
        self.constant = {node: value for node, value in base.values.items() if node not in moving}
        self.step = _LARGEST

    def run(self, known: Mapping[Expression, Any]) -> Evaluation:
        run = Evaluation(self.engine, self.arrays, self.sizes)
        run.values.update(known)
        return run

    def sides_of(self, run: Evaluation) -> list[np.ndarray]:
        """On which side of its kinks every argument lies."""
        return [run.of(argument) > kink for argument, kink in self.kinked]

    def derivative(self, place: tuple[int, ...]) -> float:
        step = min(_LARGEST, 4 * self.step)  # neighbouring entries take similar steps
        best, smallest_error = None, float("inf")
        while step >= _SMALLEST:
            differences = self.differences(place, step)
            if differences is not None:
                sixth, fourth = (
                    sum(w * x for w, x in zip(order, differences, strict=True)) / step for order in (_SIXTH, _FOURTH)
                )
                truncation, rounding = abs(sixth - fourth), _ROUNDING * max(abs(self.value), 1e-300) / step
                if truncation + rounding < smallest_error:
                    best, smallest_error, self.step = sixth, truncation + rounding, step
                if truncation <= rounding or rounding > smallest_error:
                    break
            step /= 2
        if best is None:
            raise EvaluationError(
                f"{self.name}{list(place)} lies on a kink: any step across it changes the sign of an argument of relu, "
                "where no derivative exists; take other arrays"
            )
        return best

    def differences(self, place: tuple[int, ...], step: float) -> list[float] | None:
        """``f(x + kh) - f(x - kh)`` for k = 1, 2, 3; None if a kink lies between. The widest comes first."""
        origin = self.array[place]
        found = []
        try:
            for k in (3, 2, 1):
                sides = []
                for sign in (1, -1):
                    self.array[place] = origin + sign * k * step
                    run = self.run(self.constant)
                    sides.append(float(run.of(self.loss)))
                    if any((a != b).any() for a, b in zip(self.sides_of(run), self.sides, strict=True)):
                        return None
                found.append(sides[0] - sides[1])
        finally:
            self.array[place] = origin
        return found[::-1]


def _depending(loss: Expression, name: str) -> set[Expression]:
    """The nodes below the loss whose value a letter changes."""
    moving: set[Expression] = set()
    for node in postorder(loss, below):
        is_letter = isinstance(node, Letter) and node.name == name
        if is_letter or any(part in moving for part in below(node)):
            moving.add(node)
    return moving
