"""Expressions as SymPy matrix expressions: symbolic, and explicit where the dimensions are numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp
from sympy.matrices.expressions.hadamard import hadamard_product
from sympy.matrices.expressions.matexpr import MatrixElement

from formcalc.algebra import (
    PI,
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
    fold,
)
from formcalc.errors import EvaluationError
from formcalc.operators import Differential, Operator, operator_named


def _position(i: Any, j: Any, width: Any) -> Any:
    even = sp.sin((i + 1) / sp.Integer(10000) ** ((j + 1) / width))
    return sp.Piecewise((even, sp.Eq(sp.Mod(j, 2), 1)), (sp.cos((i + 1) / sp.Integer(10000) ** (j / width)), True))


#: The entries of constants, counted from 0, given the number of columns.
_ENTRIES: dict[str, Callable[..., Any]] = {
    "causal": lambda i, j, _: sp.Piecewise((1, j <= i), (0, True)),
    "sinusoidal": _position,
    "distance": lambda i, j, _: j - i,
    "positions": lambda i, j, _: sp.Piecewise((1, sp.Eq(i, j)), (0, True)),
    "cosines": lambda i, j, n: sp.cos(i * 10000 ** (-2 * sp.Mod(j, n / 2) / n)),
    "sines": lambda i, j, n: sp.sin(i * 10000 ** (-2 * sp.Mod(j, n / 2) / n)),
    "quarterturn": lambda i, j, n: sp.Piecewise((1, sp.Eq(j, i + n / 2)), (-1, sp.Eq(j, i - n / 2)), (0, True)),
}


class Applied(sp.MatrixExpr):  # type: ignore[misc]  # sympy is untyped
    """An operator of the table as a SymPy matrix: its name, whether it acts by columns, and its arguments."""

    def __new__(cls, name: Any, by_columns: Any, *arguments: Any) -> Any:
        return super().__new__(cls, sp.Symbol(str(name)), sp.true if by_columns else sp.false, *arguments)

    @property
    def shape(self) -> Any:
        return self.args[2].shape

    def _entry(self, i: Any, j: Any, **_: Any) -> Any:
        by_columns = self.args[1] == sp.true
        arguments = [arg.T if by_columns and arg.is_Matrix else arg for arg in self.args[2:]]
        place, (row, column) = (i, j), (j, i) if by_columns else (i, j)
        operator = operator_named(str(self.args[0]))
        table_row = operator.of if isinstance(operator, Differential) else operator
        assert table_row is not None
        if not table_row.is_elementwise and not all(sp.sympify(index).is_Integer for index in place):
            return _Entry(self, *place)  # inside a product SymPy sums over an index; later it is a number
        columns = [column] if table_row.is_elementwise else [*_columns(arguments[0])]

        fixed = arguments[1:-1] if isinstance(operator, Differential) else arguments[1:]
        constants = [[c[row, k] for k in columns] if c.is_Matrix else c for c in fixed]

        def value(entries: list[Any]) -> Any:
            if table_row.is_elementwise:
                return table_row.sympy(sp, entries[0])
            return table_row.sympy(sp, entries, *constants)[int(column)]

        at = [arguments[0][row, k] for k in columns]
        if isinstance(operator, Operator):
            return value(at)
        # Dφ(P)[R]: every partial derivative, by SymPy, times the direction
        entries = [sp.Dummy(f"x{k}", real=True) for k in range(len(at))]
        slopes = [sp.diff(value(entries), entry).subs(dict(zip(entries, at, strict=True))) for entry in entries]
        return sum(slope * arguments[-1][row, k] for slope, k in zip(slopes, columns, strict=True))


class _Entry(MatrixElement):  # type: ignore[misc]  # sympy is untyped
    """An entry at symbolic indices, computed as soon as they are numbers."""

    def __new__(cls, matrix: Any, i: Any, j: Any) -> Any:
        if all(sp.sympify(index).is_Integer for index in (i, j)):
            return matrix[i, j]
        return super().__new__(cls, matrix, i, j)


def _columns(matrix: Any) -> range:
    columns = matrix.shape[1]
    if not getattr(columns, "is_Integer", isinstance(columns, int)):
        raise EvaluationError(f"an entry of a row operator needs a number of columns, not {columns}: give sizes")
    return range(int(columns))


def to_sympy(expression: Expression, sizes: Mapping[str, int] | None = None) -> Any:
    """The same expression in SymPy.

    Letters become matrix symbols; ``.as_explicit()`` of the result gives every entry, once all sizes are numbers.

    Args:
        expression: of the exact dialect, without differentials.
        sizes: numbers for the names of dimensions; the others stay symbols.

    Raises:
        EvaluationError: a differential, or the manual's dialect.

    >>> from formcalc.language import parse
    >>> to_sympy(parse("n^{-1/2} X Q^t", {"X": ("T", "n"), "Q": ("d", "n")}))
    1/sqrt(n)*X*Q.T
    """

    def size(dimension: Dimension) -> Any:
        value = (sizes or {}).get(str(dimension), dimension.value)
        return sp.Integer(value) if isinstance(value, int) else sp.Symbol(value, integer=True, positive=True)

    def letter(node: Letter) -> Any:
        if node.is_differential:
            raise EvaluationError(f"{node} is a differential: SymPy gets the coefficient before it")
        if node.axes:
            raise EvaluationError(f"{node} is a family: SymPy has matrices only")
        rows, columns = (size(dimension) for dimension in node.symbol.shape)
        if node.role == "ones":
            made = sp.OneMatrix(rows, columns)
        elif node.role == "identity":
            made = sp.Identity(rows)
        elif node.role in _ENTRIES:
            i, j = sp.symbols("i j", integer=True)
            made = sp.FunctionMatrix(rows, columns, sp.Lambda((i, j), _ENTRIES[node.role](i, j, columns)))
        else:
            made = sp.MatrixSymbol(node.name, rows, columns)
        return made.T if node.is_transposed else made

    def visit(node: Expression, parts: tuple[Any, ...]) -> Any:
        match node:
            case Letter():
                return letter(node)
            case Number():
                return sp.Rational(node.value.numerator, node.value.denominator)
            case Power():
                exponent = sp.Rational(node.exponent.numerator, node.exponent.denominator)
                return (sp.pi if node.base.value == PI else size(node.base)) ** exponent
            case Product():
                return sp.MatMul(*parts) if node.shape else sp.Mul(*parts)
            case Sum():
                return sp.MatAdd(*parts) if node.shape else sp.Add(*parts)
            case Hadamard():
                return hadamard_product(*parts)
            case Trace():
                return sp.Trace(parts[0])
            case Apply():
                operator = node.operator
                if isinstance(operator, Differential) and operator.dialect == "manual":
                    raise EvaluationError(f"{excerpt(node)} is of the manual's dialect: derive in the exact one")
                return Applied(operator.name, node.by_columns, *parts)
            case OneForm():
                raise EvaluationError("a one-form carries differentials: SymPy gets its coefficients")
        raise TypeError(type(node).__name__)

    return fold(expression, visit)
