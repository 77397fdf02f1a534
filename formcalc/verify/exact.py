"""Exact derivatives by dual numbers over the rationals, for losses without transcendental functions.

A dual number ``a + b ε`` with ``ε² = 0`` carries a value and a derivative; evaluating the loss on duals is forward
differentiation. It shares nothing with the derivation, which works on words, and it has no rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from formcalc.language import Model
from formcalc.numeric.engine import Evaluation
from formcalc.numeric.engines import ExactEngine, fractions
from formcalc.numeric.reference import evaluation
from formcalc.numeric.selection import dense


class Dual:
    """``value + slope ε`` over the rationals; compared by value, so that relu and step know which side they are on."""

    __slots__ = ("slope", "value")

    def __init__(self, value: Fraction, slope: Fraction = Fraction(0)) -> None:
        self.value = value
        self.slope = slope

    @staticmethod
    def _lift(other: Any) -> Dual:
        return other if isinstance(other, Dual) else Dual(Fraction(other))

    def __add__(self, other: Any) -> Dual:
        o = self._lift(other)
        return Dual(self.value + o.value, self.slope + o.slope)

    def __sub__(self, other: Any) -> Dual:
        o = self._lift(other)
        return Dual(self.value - o.value, self.slope - o.slope)

    def __mul__(self, other: Any) -> Dual:
        o = self._lift(other)
        return Dual(self.value * o.value, self.slope * o.value + self.value * o.slope)

    def __rtruediv__(self, other: Any) -> Dual:
        o = self._lift(other)
        return Dual(o.value / self.value, (o.slope * self.value - o.value * self.slope) / self.value**2)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    __radd__ = __add__
    __rmul__ = __mul__

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > self._lift(other).value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Dual, int, Fraction)) and self.value == self._lift(other).value

    __hash__ = None  # type: ignore[assignment]  # compared by value only, so it must not be a key


def gradients(
    model: Model,
    weights: list[str],
    arrays: Mapping[str, np.ndarray],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """The exact derivative of the loss in every entry of every weight.

    Raises:
        EvaluationError: a transcendental operator, or a power of a dimension that is irrational.
    """
    prepared = evaluation([model.loss], arrays, model.sizes, object)
    known = {name: dense(array) for name, array in prepared.arrays.items()}
    total, done = sum(known[name].size for name in weights), 0
    result = {}
    for name in weights:
        gradient = result[name] = np.empty_like(known[name])
        for place in np.ndindex(gradient.shape):
            varied = known[name].copy()
            varied[place] = Dual(varied[place], Fraction(1))
            run = Evaluation(ExactEngine(), {**known, name: varied}, prepared.sizes)
            loss = run.of(model.loss)
            gradient[place] = loss.slope if isinstance(loss, Dual) else Fraction(0)
            done += 1
            if progress is not None:
                progress(done, total)
    return result


def rounded(array: np.ndarray) -> np.ndarray:
    """Nearby rationals with denominator 64, to keep exact arithmetic short."""
    return fractions(np.round(array * 64) / 64)
