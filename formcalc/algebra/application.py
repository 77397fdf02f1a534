"""Operator applications: letters whose argument is a polynomial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from formcalc.algebra.compound import Compound, excerpt
from formcalc.algebra.dimension import Shape, union
from formcalc.algebra.expression import Expression
from formcalc.errors import ShapeError


class OperatorLike(Protocol):
    """What an application needs to know of its operator; the rows are in ``formcalc.operators``."""

    @property
    def name(self) -> str:
        """The spelling that plain text prints."""

    @property
    def is_elementwise(self) -> bool:
        """Whether it acts entry by entry, so that transposes pass through it."""

    @property
    def is_linear(self) -> bool:
        """Whether it is linear in its last argument."""

    def result_shape(self, arguments: tuple[Expression, ...]) -> Shape:
        """The shape of the result.

        Raises:
            ShapeError: wrong number of arguments, or arguments whose shapes do not fit.
        """


class Apply(Compound):
    """An operator applied to arguments: ``m(P)``, or linear in the last one: ``mm(P, R)``.

    `by_columns` marks the transpose of an operator that acts row by row: ``φ^t(P) = φ(P^t)^t``.
    So ``a^t`` is softmax down the columns, and ``a(S)^t`` is the same object as ``a^t(S^t)``.

    Raises:
        ShapeError: shapes do not fit, or a differential stands in an argument that is not linear.
    """

    __slots__ = ("by_columns", "operator")
    operator: OperatorLike
    by_columns: bool

    def __new__(cls, operator: OperatorLike, *arguments: Expression, by_columns: bool = False) -> Apply:
        by_columns = bool(by_columns) and not operator.is_elementwise
        key = (cls, operator, by_columns, *arguments)
        known = cls._known(key)
        if known is not None:
            return known
        shape = operator.result_shape(arguments)
        nonlinear = arguments[:-1] if operator.is_linear else arguments
        for argument in nonlinear:
            if argument.degree:
                raise ShapeError(
                    f"{operator.name}({excerpt(argument)}): a differential stands in an argument "
                    f"that {operator.name} is not linear in; differentiate {operator.name}(...) as a whole with d"
                )
        degree = arguments[-1].degree if operator.is_linear else 0
        return cls._intern(
            key,
            operator=operator,
            by_columns=by_columns,
            children=arguments,
            shape=shape,
            axes=union(argument.axes for argument in arguments),
            degree=degree,
        )

    @property
    def is_linear(self) -> bool:
        """Whether this is a linear operator letter."""
        return self.operator.is_linear

    @property
    def direction(self) -> Expression:
        """The argument that a linear operator letter is linear in."""
        return self.children[-1]

    def with_direction(self, direction: Expression) -> Apply:
        """The same linear operator letter on another argument."""
        return Apply(self.operator, *self.children[:-1], direction, by_columns=self.by_columns)

    def _over(self, children: tuple[Expression, ...]) -> Expression:
        return Apply(self.operator, *children, by_columns=self.by_columns)

    def _recipe(self) -> tuple[Callable[..., Expression], tuple]:
        return (_apply, (self.operator, self.by_columns))


def _apply(operator: OperatorLike, by_columns: bool, *arguments: Expression) -> Apply:
    return Apply(operator, *arguments, by_columns=by_columns)
