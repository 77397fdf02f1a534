"""Sums over an index: over the axis of a family of matrices, and over layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from formcalc.algebra.compound import Compound, Product, excerpt
from formcalc.algebra.dimension import Dimension, ordered
from formcalc.algebra.expression import Expression
from formcalc.algebra.scalars import Power
from formcalc.errors import ShapeError


class AxisSum(Compound):
    """The sum of a family of matrices over some of its axes, ``Σ_h A[h] X V[h] O[h]``.

    What does not depend on an axis is added up as often as the axis is long: ``Σ_h X`` is ``h X``.

    Raises:
        ShapeError: the operand is a scalar, which has no axes.

    >>> from formcalc.algebra import Letter, Symbol
    >>> V = Letter(Symbol("V", ("d", "k"), layout=("h",)))
    >>> str(AxisSum(V, ["h"])), str(AxisSum(V, ["b", "h"]))
    ('Σ_h V[h]', 'b (Σ_h V[h])')
    """

    __slots__ = ("over",)
    over: tuple[Dimension, ...]

    def __new__(cls, operand: Expression, over: Iterable[Dimension | str]) -> Expression:  # type: ignore[misc]
        named = ordered({Dimension(axis) for axis in over})
        if not operand.shape:
            raise ShapeError(f"{excerpt(operand)} is a scalar and has no axes to sum over")
        present = tuple(axis for axis in named if axis in operand.axes)
        repeats = tuple(Power(axis) for axis in named if axis not in operand.axes)
        summed = operand
        if present:
            summed = cls._intern(
                (cls, operand, present),
                over=present,
                children=(operand,),
                shape=operand.shape,
                axes=tuple(axis for axis in operand.axes if axis not in present),
                degree=operand.degree,
            )
        return Product(*repeats, summed)

    #: It is linear in its operand, as a linear operator letter is in its last argument.
    is_linear = True

    @property
    def direction(self) -> Expression:
        """The operand."""
        return self.children[0]

    def with_direction(self, direction: Expression) -> Expression:
        """The sum over the same axes of another operand."""
        return AxisSum(direction, self.over)

    def _over(self, children: tuple[Expression, ...]) -> Expression:
        return AxisSum(children[0], self.over)

    def _recipe(self) -> tuple[Callable[..., Expression], tuple]:
        return (_axis_sum, (self.over,))


def _axis_sum(over: tuple[Dimension, ...], operand: Expression) -> Expression:
    return AxisSum(operand, over)


class LayerSum(Compound):
    """The sum of an expression over the layers of a page, ``Σ_i G_{i+1} X_i``; it stands outside of the layers.

    Its letters are those of one layer, with the index in their names.
    """

    __slots__ = ("index",)
    index: str

    def __new__(cls, operand: Expression, index: str) -> LayerSum:
        return cls._intern(
            (cls, operand, index),
            index=index,
            children=(operand,),
            shape=operand.shape,
            axes=operand.axes,
            degree=operand.degree,
        )

    def _over(self, children: tuple[Expression, ...]) -> Expression:
        return LayerSum(children[0], self.index)

    def _recipe(self) -> tuple[Callable[..., Expression], tuple]:
        return (_layer_sum, (self.index,))


def _layer_sum(index: str, operand: Expression) -> Expression:
    return LayerSum(operand, index)
