"""Dimensions: the nodes of the path algebra in which words are paths."""

from __future__ import annotations

from typing import TypeAlias

from formcalc.algebra.interning import Interned
from formcalc.errors import ShapeError


class Dimension(Interned):
    """The size of an axis: a name such as ``T`` or an exact positive integer.

    Equal means identical: ``Dimension("T") is Dimension("T")``, and ``Dimension(4)`` never equals ``Dimension("4")``.

    >>> Dimension("T") is Dimension("T"), str(Dimension(4))
    (True, '4')
    """

    __slots__ = ("value",)
    value: str | int

    def __new__(cls, value: str | int | Dimension) -> Dimension:
        if isinstance(value, Dimension):
            return value
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise ShapeError(f"a dimension is a name or a positive integer, not {value!r}")
        if isinstance(value, int) and value < 1:
            raise ShapeError(f"a dimension is at least 1, not {value}")
        if isinstance(value, str) and value.isdecimal():
            raise ShapeError(f"dimension {value!r} is text: write the integer {int(value)}")
        # a subclass, such as numpy's str_ or an IntEnum, is the same name or number
        plain = str.__str__(value) if isinstance(value, str) else int(value)
        return cls._intern((cls, type(plain), plain), value=plain)

    @property
    def is_symbolic(self) -> bool:
        """Whether the size is still a name."""
        return isinstance(self.value, str)

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"Dimension({self.value!r})"

    def __reduce__(self) -> tuple:
        return (Dimension, (self.value,))


#: ``(rows, columns)`` of a matrix, ``()`` of a scalar.
Shape: TypeAlias = tuple[Dimension, ...]

SCALAR: Shape = ()


def shape_text(shape: Shape) -> str:
    """A shape as people write it.

    >>> shape_text((Dimension("T"), Dimension(4)))
    'T×4'
    """
    return "×".join(map(str, shape)) if shape else "scalar"
