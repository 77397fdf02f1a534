"""Central differences of the loss: the oracle that needs nothing but its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from formcalc.algebra import Expression
from formcalc.errors import EvaluationError
from formcalc.language import Model
from formcalc.numeric.kinks import kinked_arguments
from formcalc.numeric.reference import evaluation

#: Arguments of operators, and the values where they bend.
Kinked: TypeAlias = list[tuple[Expression, float]]

#: Steps to try, relative to the size of the weight; smaller ones only where a larger one would cross a kink.
_STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)

#: The five-point central difference, exact for polynomials of degree four.
_STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))


def gradients(
    model: Model,
    weights: list[str],
    arrays: Mapping[str, np.ndarray],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """The derivative of the loss in every entry of every weight, by five-point central differences in float64.

    Args:
        progress: called with the entries done and all entries.

    Raises:
        EvaluationError: an entry that cannot move without crossing a kink.
    """
    kinked = kinked_arguments(model.loss)
    moved = {name: np.array(array, dtype=np.float64) for name, array in arrays.items()}
    base_pattern = _loss(model, kinked, moved)[1]
    total, done = sum(moved[name].size for name in weights), 0
    result = {}
    for name in weights:
        gradient = result[name] = np.empty_like(moved[name])
        for place in np.ndindex(gradient.shape):
            gradient[place] = _derivative(model, kinked, moved, name, place, base_pattern)
            done += 1
            if progress is not None:
                progress(done, total)
    return result


def _derivative(model: Model, kinked: Kinked, moved: dict, name: str, place: tuple, base_pattern: bytes) -> float:
    array = moved[name]
    origin = float(array[place])
    try:
        for relative in _STEPS:
            step = relative * max(abs(origin), 0.1)
            slope, is_smooth = 0.0, True
            for offset, factor in _STENCIL:
                array[place] = origin + offset * step
                value, pattern = _loss(model, kinked, moved)
                slope += factor * value
                is_smooth &= pattern == base_pattern
            if is_smooth:
                return slope / step
    finally:
        array[place] = origin
    raise EvaluationError(
        f"{name}{list(place)} lies on a kink: any step across it changes the sign of an argument of relu, "
        "where no derivative exists; take other arrays"
    )


def _loss(model: Model, kinked: Kinked, arrays: Mapping[str, np.ndarray]) -> tuple[float, bytes]:
    """The loss, and on which side of its kinks every argument lies."""
    run = evaluation([model.loss], arrays, model.sizes, np.float64)
    value = float(run.of(model.loss))
    sides = [run.of(argument) > kink for argument, kink in kinked]
    return value, b"".join(side.tobytes() for side in sides)
