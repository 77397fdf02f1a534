"""Scalars: exact rationals, and rational powers of dimensions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from formcalc.algebra.dimension import SCALAR, Dimension
from formcalc.algebra.expression import Expression, as_fraction


class Number(Expression):
    """An exact rational scalar.

    >>> Number(1) is Number(Fraction(2, 2)), str(Number(Fraction(-1, 2)))
    (True, '-1/2')
    """

    __slots__ = ("value",)
    value: Fraction

    def __new__(cls, value: int | Fraction) -> Number:
        exact = as_fraction(value)
        key = (cls, exact.numerator, exact.denominator)
        return cls._intern(key, value=exact, shape=SCALAR, axes=(), degree=0, children=())

    def _recipe(self) -> tuple[Callable[..., Expression], tuple]:
        return (Number, (self.value,))


#: The base of a power that is neither a dimension nor an integer.
PI = "pi"


class Power(Expression):
    """A scalar ``base^exponent``: the base a dimension, a positive integer or ``pi``, the exponent rational.

    >>> str(Power(Dimension("n_0"), Fraction(-1, 2)))
    'n_0^{-1/2}'
    """

    __slots__ = ("base", "exponent")
    base: Dimension
    exponent: Fraction

    def __new__(cls, base: Dimension | str | int, exponent: int | Fraction = 1) -> Power:
        dimension, exact = Dimension(base), as_fraction(exponent)
        key = (cls, dimension, exact.numerator, exact.denominator)
        return cls._intern(key, base=dimension, exponent=exact, shape=SCALAR, axes=(), degree=0, children=())

    def _recipe(self) -> tuple[Callable[..., Expression], tuple]:
        return (Power, (self.base, self.exponent))
