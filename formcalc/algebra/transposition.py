"""Transposition. Transposes live on letters, so this is a function and not a node."""

from __future__ import annotations

from formcalc.algebra.application import Apply
from formcalc.algebra.compound import Product
from formcalc.algebra.constants import is_ones, ones
from formcalc.algebra.expression import Expression, fold
from formcalc.algebra.letters import Letter


def _transposed(node: Expression, children: tuple[Expression, ...]) -> Expression:
    if isinstance(node, Letter):
        if is_ones(node):
            rows, columns = node.shape
            return ones(columns, rows, node.symbol.layout)
        return node.transposed
    if not node.shape:
        return node
    if isinstance(node, Product):
        # (A B)^t = B^t A^t; scalars keep their places, so that transposing twice gives the same object back
        matrices = (child for child in reversed(children) if child.shape)
        return Product(*(next(matrices) if child.shape else child for child in children))
    if isinstance(node, Apply):
        return Apply(node.operator, *children, by_columns=not node.by_columns)  # φ(P)^t = φ^t(P^t)
    return node.rebuild(children)


def transpose(expression: Expression, known: dict[Expression, Expression] | None = None) -> Expression:
    """The transpose, pushed to the letters.

    Args:
        known: transposes of other expressions, to which those that are found here are added.

    >>> from formcalc.algebra import Letter, Product, Symbol
    >>> A, B = Letter(Symbol("A", ("T", "d"))), Letter(Symbol("B", ("d", "n")))
    >>> str(transpose(Product(A, B)))
    'B^t A^t'
    """
    return fold(expression, _transposed, known)
