"""Dimensions: the nodes of the path algebra in which words are paths."""

from __future__ import annotations

from collections.abc import Iterable
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

#: The axes of a family of matrices, in the order of their names; ``()`` of a single matrix.
Axes: TypeAlias = tuple[Dimension, ...]


def union(families: Iterable[Axes]) -> Axes:
    """The axes of what is built from families: an operation is carried out for every index, and broadcasts over others.

    >>> union([(Dimension("h"),), (), (Dimension("b"), Dimension("h"))])
    (Dimension('b'), Dimension('h'))
    """
    kept = [axes for axes in families if axes]
    if not kept:
        return ()
    if all(axes == kept[0] for axes in kept):
        return kept[0]
    return ordered({axis for axes in kept for axis in axes})


def ordered(axes: Iterable[Dimension]) -> Axes:
    """Axes in the order of their names."""
    return tuple(sorted(axes, key=str))


def axes_text(axes: Axes) -> str:
    """Axes as they stand after the name of a letter: ``[b,h]``, or nothing."""
    return f"[{','.join(map(str, axes))}]" if axes else ""


def shape_text(shape: Shape) -> str:
    """A shape as people write it.

    >>> shape_text((Dimension("T"), Dimension(4)))
    'T×4'
    """
    return "×".join(map(str, shape)) if shape else "scalar"
