"""What an expression needs of the numbers it is evaluated in, and the evaluation itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, Protocol

import numpy as np

from formcalc.algebra import (
    Apply,
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
from formcalc.numeric.constants import CONSTANTS


class Engine(Protocol):
    """The arithmetic of one kind of number. Matrices know ``@ + * .T``; the rest is here."""

    def constant(self, array: np.ndarray) -> Any:
        """A known matrix, such as ones, in this kind of number."""

    def number(self, number: Number) -> Any:
        """An exact rational as a scalar."""

    def power(self, base: int | None, power: Power) -> Any:
        """A power of a size; of pi, if the base is None."""

    def apply(self, node: Apply, arguments: list[Any]) -> Any:
        """An operator at given arguments, row by row."""

    def trace(self, matrix: Any) -> Any:
        """The sum of the diagonal."""

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
        return node.children

    def _value(self, node: Expression) -> Any:
        if node.degree or isinstance(node, OneForm):
            raise EvaluationError(
                f"{excerpt(node)} carries a differential and has no number: "
                "evaluate a coefficient, the factor before it"
            )
        parts = [self.values[child] for child in node.children]
        match node:
            case Letter():
                return self._letter(node)
            case Number():
                return self.engine.number(node)
            case Power():
                return self.engine.power(None if node.base.value == "pi" else self._size(node.base), node)
            case Product():
                return self._product(node, parts)
            case Sum():
                return reduce(lambda a, b: a + b, parts)
            case Hadamard():
                return reduce(lambda a, b: a * b, parts)
            case Trace():
                return self.engine.trace(parts[0])
            case Apply():
                if node.by_columns:  # φ^t(P) = φ(P^t)^t
                    turned = [part.T if child.shape else part for child, part in zip(node, parts, strict=True)]
                    return self.engine.apply(node, turned).T
                return self.engine.apply(node, parts)
        raise EvaluationError(f"{excerpt(node)} has no number")

    def _product(self, node: Product, parts: list[Any]) -> Any:
        scalars = [part for factor, part in zip(node, parts, strict=True) if not factor.shape]
        matrices = [part for factor, part in zip(node, parts, strict=True) if factor.shape]
        scalar = reduce(lambda a, b: a * b, scalars) if scalars else None
        if not matrices:
            return scalar
        matrix = reduce(lambda a, b: a @ b, matrices)
        return matrix if scalar is None else matrix * scalar

    def _letter(self, letter: Letter) -> Any:
        if letter.name in self.arrays:
            value = self.arrays[letter.name]
        elif letter.definition is not None:
            value = self.values[letter.definition]
        elif letter.symbol.is_constant:
            rows, columns = (self._size(size) for size in letter.symbol.shape)
            value = self.engine.constant(CONSTANTS[letter.role](rows, columns))
        else:
            raise EvaluationError(f"no array for {letter.name}")
        return value.T if letter.is_transposed else value

    def _size(self, dimension: Dimension) -> int:
        if not dimension.is_symbolic:
            return int(dimension.value)
        if dimension.value not in self.sizes:
            raise EvaluationError(
                f"the size of dimension {dimension} is unknown: no array has it as a shape; give {dimension}=..."
            )
        return self.sizes[str(dimension)]
