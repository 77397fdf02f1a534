"""The reference engines: numpy in float64 or float32, and exact rationals."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from formcalc.algebra import Apply, Expression, Letter, Number, Power, excerpt
from formcalc.errors import EvaluationError
from formcalc.operators import Differential, Operator


def refuse_literal(node: Apply) -> None:
    """The manual's dialect is symbolic only; say why."""
    operator = node.operator
    if isinstance(operator, Differential) and operator.dialect == "manual" and not operator.is_literal:
        raise EvaluationError(
            f"{excerpt(node)} has no number: the manual's dialect leaves the mask of a shifted {operator.name} "
            f"untransposed. Derive in the exact dialect, where shiftmm transposes it."
        )
    if isinstance(operator, Differential) and operator.dialect == "manual":
        raise EvaluationError(
            f"{excerpt(node)} has no number: the literal reading writes the differential of softmax as a left factor, "
            "but it is a four-tensor that acts on the square differential after it, and cycle tears that operand "
            "apart. Derive in the exact dialect, where it is a linear operator letter aa(S, R)."
        )


class NumpyEngine:
    """Floating point, with every intermediate checked to be finite."""

    def __init__(self, dtype: Any = np.float64) -> None:
        self.dtype = np.dtype(dtype)

    def constant(self, array: np.ndarray) -> Any:
        return array.astype(self.dtype)

    def number(self, number: Number) -> Any:
        return self.dtype.type(float(number.value))

    def power(self, base: int | None, power: Power) -> Any:
        return self.dtype.type((math.pi if base is None else base) ** float(power.exponent))

    def apply(self, node: Apply, arguments: list[Any]) -> Any:
        refuse_literal(node)
        operator = node.operator
        if isinstance(operator, Differential):
            return operator.of.push(arguments[0], arguments[-1], *arguments[1:-1])
        assert isinstance(operator, Operator)
        return operator.kernel(*arguments)

    def total(self, array: Any) -> Any:
        return np.sum(array)

    def reordered(self, array: Any, order: tuple[int, ...]) -> Any:
        return array.transpose(order)

    def check(self, node: Expression, value: Any) -> None:
        if isinstance(node, Letter) or np.isfinite(value).all():
            return
        cause = "overflows" if not isinstance(node, Apply) else f"is not finite where {node.operator.name} is undefined"
        raise EvaluationError(f"{excerpt(node)} {cause}: some entries are nan or infinite; rescale its letters")


class ExactEngine:
    """Rationals without rounding, for expressions without transcendental functions. Arrays hold `Fraction` objects."""

    def constant(self, array: np.ndarray) -> Any:
        if (array != np.round(array)).any():
            raise EvaluationError("a constant of the page, such as sines of positions, is irrational: use float64")
        return fractions(array)

    def number(self, number: Number) -> Any:
        return number.value

    def power(self, base: int | None, power: Power) -> Any:
        root = None if base is None else exact_root(base, power.exponent.denominator)
        if root is None:
            shown = power if base is None else f"{power} with {power.base} = {base}"
            raise EvaluationError(
                f"{shown} is irrational: exact arithmetic needs a perfect power, such as 4 under a root"
            )
        return Fraction(root) ** power.exponent.numerator

    def apply(self, node: Apply, arguments: list[Any]) -> Any:
        refuse_literal(node)
        operator = node.operator
        row = operator.of if isinstance(operator, Differential) else operator
        assert isinstance(row, Operator)
        if not row.is_rational:
            raise EvaluationError(
                f"{operator.name} is transcendental and has no exact value: use float64, or an expression without it"
            )
        if row.domain == "nonzero" and (arguments[0] == 0).any():
            raise EvaluationError(f"{excerpt(node)} divides by zero")
        if isinstance(operator, Differential):
            return row.push(arguments[0], arguments[-1], *arguments[1:-1])
        return row.kernel(*arguments)

    def total(self, array: Any) -> Any:
        return sum(array.ravel().tolist(), Fraction(0))

    def reordered(self, array: Any, order: tuple[int, ...]) -> Any:
        return array.transpose(order)

    def check(self, node: Expression, value: Any) -> None:
        """Rationals are always finite."""


def exact_root(base: int, degree: int) -> int | None:
    """The integer root of a perfect power, or None.

    >>> exact_root(16, 2), exact_root(15, 2), exact_root(27, 3)
    (4, None, 3)
    """
    guess = round(base ** (1 / degree))
    return next((root for root in (guess - 1, guess, guess + 1) if root > 0 and root**degree == base), None)


def fractions(array: np.ndarray) -> np.ndarray:
    """An array as exact rationals; floating point numbers are dyadic rationals and convert exactly."""
    exact = np.empty(array.shape, dtype=object)
    exact[...] = np.array([Fraction(entry) for entry in array.ravel().tolist()], dtype=object).reshape(array.shape)
    return exact
