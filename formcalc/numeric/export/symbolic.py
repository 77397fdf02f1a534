"""Sizes that remember their dimensions, so that a program that is lowered for some sizes is written for all.

A program decides by numbers, as for which order of multiplication is cheapest, and says what it does by names: of
4 heads of width 2 there are ``h * k`` columns, and the scores are times ``k**-0.5``. Two sizes are the same if they
have the same name, whatever the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Size(int):
    """A positive integer with the name of the dimension, or the product of dimensions, that it is the size of.

    >>> T, d = Size.named("T", 3), Size.named("d", 3)
    >>> print(T * d, T == d, T == 3, 2 * T + 1)
    T * d False True 7
    >>> print(0.5 * d**-0.5)
    0.5 * d**-0.5
    """

    names: tuple[str, ...]

    def __new__(cls, value: int, names: tuple[str, ...]) -> Size:
        made = super().__new__(cls, value)
        made.names = names
        return made

    @classmethod
    def named(cls, name: str, value: int) -> Size:
        """The size of a dimension."""
        return cls(value, (name,))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Size):
            return sorted(self.names) == sorted(other.names)
        return int(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Size):
            return Size(int(self) * int(other), (*self.names, *other.names))
        if isinstance(other, float):
            return Magnitude.of(self) * other
        return self if other == 1 else Size(int(self) * other, (str(other), *self.names))

    def __rmul__(self, other: Any) -> Any:
        return self * other

    def __pow__(self, exponent: Any, modulus: None = None) -> Any:  # type: ignore[override]  # always by name
        return Magnitude(1.0, {name: float(exponent) for name in self.names}, int(self) ** float(exponent))

    def __str__(self) -> str:
        return " * ".join(self.names)

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class Magnitude(float):
    """A number times powers of dimensions."""

    number: float
    powers: Mapping[str, float]

    def __new__(cls, number: float, powers: Mapping[str, float], value: float) -> Magnitude:
        made = super().__new__(cls, value)
        made.number = number
        made.powers = {name: exponent for name, exponent in powers.items() if exponent}
        return made

    @classmethod
    def of(cls, value: float) -> Magnitude:
        """A number of any kind as one that remembers."""
        if isinstance(value, Magnitude):
            return value
        if isinstance(value, Size):
            powers: dict[str, float] = {}
            for name in value.names:
                powers[name] = powers.get(name, 0.0) + 1
            return cls(1.0, powers, float(int(value)))
        return cls(float(value), {}, float(value))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (int, float)):
            return NotImplemented
        theirs = Magnitude.of(other)
        return self.number == theirs.number and self.powers == theirs.powers

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return float.__hash__(self)

    def __mul__(self, other: Any) -> Any:
        theirs = Magnitude.of(other)
        powers = dict(self.powers)
        for name, exponent in theirs.powers.items():
            powers[name] = powers.get(name, 0.0) + exponent
        return Magnitude(self.number * theirs.number, powers, float.__mul__(self, float(theirs)))

    def __rmul__(self, other: Any) -> Any:
        return self * other

    def __truediv__(self, other: Any) -> Any:
        theirs = Magnitude.of(other)
        powers = {name: -exponent for name, exponent in theirs.powers.items()}
        return self * Magnitude(1 / theirs.number, powers, 1 / float(theirs))

    def __rtruediv__(self, other: Any) -> Any:
        return Magnitude.of(other) / self

    def __neg__(self) -> Magnitude:
        return Magnitude(-self.number, self.powers, float.__neg__(self))

    def __abs__(self) -> Magnitude:
        return Magnitude(abs(self.number), self.powers, float.__abs__(self))

    def __repr__(self) -> str:
        powers = [name if exponent == 1 else f"{name}**{exponent:g}" for name, exponent in self.powers.items()]
        shown = [] if self.number == 1 and powers else [repr(self.number)]
        return " * ".join([*shown, *powers])

    __str__ = __repr__
