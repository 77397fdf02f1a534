"""What an expression needs of the numbers it is evaluated in, and the evaluation itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, Protocol

import numpy as np

from formcalc.algebra import (
    Apply,
    Axes,
    AxisSum,
    Dimension,
    Expression,
    Hadamard,
    Letter,
    Number,
    OneForm,
    Power,
    Product,
    Sum,
    Trace,
    excerpt,
    postorder,
)
from formcalc.errors import EvaluationError
from formcalc.numeric.constants import constant
from formcalc.numeric.selection import dense


class Engine(Protocol):
    """The arithmetic of one kind of number. Arrays know ``@ + * .mT``, sums and slices; the rest is here.

    The value of a family of matrices has its axes first, in the order of their names.
    """

    def constant(self, array: np.ndarray) -> Any:
        """A known matrix, such as ones, in this kind of number."""

    def number(self, number: Number) -> Any:
        """An exact rational as a scalar."""

    def power(self, base: int | None, power: Power) -> Any:
        """A power of a size; of pi, if the base is None."""

    def apply(self, node: Apply, arguments: list[Any]) -> Any:
        """An operator at given arguments, row by row."""

    def total(self, array: Any) -> Any:
        """The sum of all entries, a scalar."""

    def reordered(self, array: Any, order: tuple[int, ...]) -> Any:
        """The array with its axes in another order."""

    def check(self, node: Expression, value: Any) -> None:
        """Refuse a value that is not finite, naming the node where it arose."""


class Evaluation:
    """Evaluates expressions that share letters, each distinct node once."""

    def __init__(self, engine: Engine, arrays: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
        self.engine = engine
        self.arrays = arrays
        self.sizes = sizes
        self.values: dict[Expression, Any] = {}

    def of(self, root: Expression) -> Any:
        """The value of an expression: a matrix, or a scalar."""
        # numpy's warnings say less than `check`, which names the node at fault
        with np.errstate(all="ignore"):
            for node in postorder(root, self._below):
                if node not in self.values:
                    value = self._value(node)
                    self.engine.check(node, value)
                    self.values[node] = value
        return self.values[root]

    def _below(self, node: Expression) -> Iterable[Expression]:
        if node in self.values:
            return ()
        if isinstance(node, Letter):
            return () if node.name in self.arrays or node.definition is None else (node.definition,)
        if isinstance(node, Trace) and isinstance(node[0], Product):
            return node[0].children
        return node.children

    def _value(self, node: Expression) -> Any:
        if node.degree or isinstance(node, OneForm):
            raise EvaluationError(
                f"{excerpt(node)} carries a differential and has no number: "
                "evaluate a coefficient, the factor before it"
            )
        match node:
            case Letter():
                return self._letter(node)
            case Number():
                return self.engine.number(node)
            case Power():
                return self.engine.power(None if node.base.value == "pi" else self.size(node.base), node)
            case Product():
                return self._product(node)
            case Sum():
                return reduce(lambda a, b: a + b, map(dense, self._aligned(node)))
            case Hadamard():
                return reduce(lambda a, b: a * b, map(dense, self._aligned(node)))
            case Trace():
                return self._trace(node[0])
            case AxisSum():
                places = tuple(node.direction.axes.index(axis) for axis in node.over)
                return dense(self.values[node.direction]).sum(places)
            case Apply():
                parts = [dense(part) for part in self._aligned(node)]
                if node.by_columns:  # φ^t(P) = φ(P^t)^t
                    turned = [part.mT if child.shape else part for child, part in zip(node, parts, strict=True)]
                    return self.engine.apply(node, turned).mT
                return self.engine.apply(node, parts)
        raise EvaluationError(f"{excerpt(node)} has no number")

    def _aligned(self, node: Expression) -> list[Any]:
        """The values of the operands, each with a place for every axis of the node."""
        return [self._over(self.values[child], child.axes, node.axes, bool(child.shape)) for child in node.children]

    def _over(self, value: Any, axes: Axes, wanted: Axes, is_matrix: bool) -> Any:
        if axes == wanted or not is_matrix or not wanted:
            return value
        return value[tuple(slice(None) if axis in axes else None for axis in wanted)]

    def _trace(self, operand: Expression) -> Any:
        """The trace of a product is taken without the product: trace(A B) is the sum of the entries of A ∘ B^t."""
        if not isinstance(operand, Product):
            return self.engine.total(dense(self.values[operand]).diagonal(0, -2, -1))
        parts = [*zip(operand, self._aligned(operand), strict=True)]
        *values, last = [value for factor, value in parts if factor.shape]
        if values:
            first = reduce(lambda a, b: a @ b, values)
            found = self.engine.total(dense(first) * dense(last.mT))
        else:
            found = self.engine.total(dense(last).diagonal(0, -2, -1))
        return reduce(lambda a, b: a * b, (value for factor, value in parts if not factor.shape), found)

    def _product(self, node: Product) -> Any:
        parts = self._aligned(node)
        scalars = [part for factor, part in zip(node, parts, strict=True) if not factor.shape]
        matrices = [part for factor, part in zip(node, parts, strict=True) if factor.shape]
        scalar = reduce(lambda a, b: a * b, scalars) if scalars else None
        if not matrices:
            return scalar
        matrix = reduce(lambda a, b: a @ b, matrices)
        return matrix if scalar is None else dense(matrix) * scalar

    def _letter(self, letter: Letter) -> Any:
        if letter.name in self.arrays:
            value = self.arrays[letter.name]
        elif letter.definition is not None:
            value = self.values[letter.definition]
        elif letter.symbol.is_constant:
            value = self.engine.constant(constant(letter, self.size))
        else:
            raise EvaluationError(f"no array for {letter.name}")
        if letter.symbol.layout != letter.axes and letter.definition is None:
            places = [letter.symbol.layout.index(axis) for axis in letter.axes]
            value = self.engine.reordered(value, (*places, len(places), len(places) + 1))
        return value.mT if letter.is_transposed else value

    def size(self, dimension: Dimension) -> int:
        """The size of a dimension, in numbers."""
        if not dimension.is_symbolic:
            return int(dimension.value)
        if dimension.value not in self.sizes:
            raise EvaluationError(
                f"the size of dimension {dimension} is unknown: no array has it as a shape; give {dimension}=..."
            )
        return self.sizes[str(dimension)]
