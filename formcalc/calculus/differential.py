"""The exterior derivative d: Leibniz on products, linear on sums, and the chain rule for operators."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from formcalc.algebra import (
    Apply,
    AxisSum,
    Dimension,
    Expression,
    Hadamard,
    LayerSum,
    Letter,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    Trace,
    excerpt,
    fold,
    ones,
    postorder,
    transpose,
)
from formcalc.calculus.expansion import repeated
from formcalc.errors import FormError
from formcalc.language import Declaration, parse
from formcalc.operators import Dialect, Differential, Operator


def unfold(node: Apply) -> Expression:
    """A linear operator letter ``Dφ(P)[R]`` written out in products, Hadamard products, values of operators and ones.

    Raises:
        FormError: the letter is of the manual's dialect, which is symbolic only.

    >>> P = parse("mm(A, B)", {"A": ("T", "d"), "B": ("T", "d")})
    >>> str(unfold(P))
    'step(A) ∘ B'
    """
    operator = node.operator
    assert isinstance(operator, Differential)
    if operator.dialect == "manual":
        raise FormError(f"{node} is of the manual's dialect and cannot be unfolded: use the exact dialect")
    arguments = [transpose(child) if node.by_columns else child for child in node.children]
    unfolded = _unfolded(operator.of, arguments)
    return transpose(unfolded) if node.by_columns else unfolded


def _unfolded(row: Operator, arguments: list[Expression]) -> Expression:
    """``Dφ(P)[R]`` of a row, by rows: the arguments take the places of the letters in its text."""
    at, *constants, direction = arguments
    substitution = {"P": at, "R": direction, "K": constants[0] if constants else at}

    def visit(part: Expression, children: tuple[Expression, ...]) -> Expression:
        if isinstance(part, Letter) and part.name in substitution:
            return transpose(substitution[part.name]) if part.is_transposed else substitution[part.name]
        if isinstance(part, Power) and part.base.value == _SCALAR:
            return substitution["K"]
        return part.rebuild(children)

    return fold(_template(row, *at.shape, bool(constants)), visit)


@lru_cache(maxsize=1024)
def _template(row: Operator, rows: Dimension, columns: Dimension, has_constant: bool) -> Expression:
    """The text of a row, read over the letters ``P``, ``R``, ``J`` and ``K``; once per shape."""
    letters: dict[str, Declaration] = {"P": (rows, columns), "R": (rows, columns), "J": ones(rows, columns)}
    if row.constant == "mask":
        letters["K"] = (rows, columns)
    text = re.sub(r"\{K:([^{}]*)\}", r"\1" if has_constant else "", row.unfolded)
    if row.constant == "scalar":
        text = re.sub(r"\bK\b", f"{_SCALAR}^{{1}}", text)
    text = text.replace("{1×c}", f"{{1×{columns}}}")
    return parse(text.replace("{1/c}", f"{columns}^{{-1}}"), letters)


#: Stands for a scalar constant while the text of a row is read.
_SCALAR = "scalar_constant"


def d(expression: Expression, wrt: Collection[str] | None = None, dialect: Dialect = "exact") -> Expression:
    """The differential of an expression.

    Args:
        expression: a matrix or scalar expression.
        wrt: the names of the letters to differentiate; by default every weight. Other letters are constant, unless they
            have a definition, which is then differentiated.
        dialect: ``"manual"`` writes the differential of softmax as the literal factor ``aa(S)``.

    Returns:
        The one-form, of the same shape; ``0 A`` for an expression `A` that does not depend on the letters.

    >>> letters = {"X": ("T", "d"), "Q": ("d", "n")}
    >>> str(d(parse("m(X Q)", letters), wrt=["Q"]))
    'mm(X Q, X dQ)'
    """
    differentiator = _Differentiator(None if wrt is None else frozenset(wrt), dialect)
    result = differentiator.of(expression)
    return Product(Number(0), expression) if result is None else result


class _Differentiator:
    """Differentiates bottom-up, once per distinct node; None stands for zero."""

    def __init__(self, names: frozenset[str] | None, dialect: Dialect) -> None:
        self.names = names
        self.dialect: Dialect = dialect
        self.memo: dict[Expression, Expression | None] = {}

    def is_variable(self, letter: Letter) -> bool:
        return letter.role == "weight" if self.names is None else letter.name in self.names

    def below(self, node: Expression) -> tuple[Expression, ...]:
        if isinstance(node, Letter):
            return () if node.degree or self.is_variable(node) or node.definition is None else (node.definition,)
        if isinstance(node, Apply) and isinstance(node.operator, Differential) and node.operator.dialect == "exact":
            return (*node.children, unfold(_along_a_letter(node)))
        return node.children

    def of(self, expression: Expression) -> Expression | None:
        for node in postorder(expression, self.below):
            self.memo[node] = self.visit(node)
        return self.memo[expression]

    def visit(self, node: Expression) -> Expression | None:
        match node:
            case Letter():
                return self.letter(node)
            case Product() | Hadamard():
                return self.leibniz(node)
            case Sum():
                terms = [inner for term in node if (inner := self.memo[term]) is not None]
                return Sum(*terms) if terms else None
            case AxisSum():
                inner = self.memo[node.direction]
                return None if inner is None else node.with_direction(inner)
            case LayerSum():
                inner = self.memo[node[0]]
                return None if inner is None else LayerSum(inner, node.index)
            case Trace():
                inner = self.memo[node[0]]
                return None if inner is None else Trace(repeated(inner, node[0].axes))
            case Apply(operator=Operator() as operator):
                return self.chain_rule(node, operator)
            case Apply(operator=Differential() as operator):
                return self.linear_letter(node, operator)
        return None

    def letter(self, node: Letter) -> Expression | None:
        if node.degree:
            return None  # d d = 0
        if self.is_variable(node):
            return node.differential
        inner = None if node.definition is None else self.memo[node.definition]
        return transpose(inner) if inner is not None and node.is_transposed else inner

    def leibniz(self, node: Product | Hadamard) -> Expression | None:
        factors = node.children
        terms = [
            type(node)(*factors[:index], inner, *factors[index + 1 :])
            for index, factor in enumerate(factors)
            if (inner := self.memo[factor]) is not None
        ]
        return Sum(*terms) if terms else None

    def chain_rule(self, node: Apply, operator: Operator) -> Expression | None:
        at = node[0]
        inner = self.memo[at]
        if any(self.memo[constant] is not None for constant in node.children[1:]):
            raise FormError(f"the second argument of {excerpt(node)} is not differentiated, and depends on a weight")
        if inner is None or operator.is_locally_constant:
            return None
        linear = Differential(operator, self.dialect)
        if not linear.is_literal:
            applied = Apply(linear, *node.children, inner, by_columns=node.by_columns)
            return applied if operator.is_symmetric else unfold(applied)
        if node.by_columns:
            raise FormError(f"{node}: the manual's dialect does not differentiate a softmax by columns")
        return Product(Apply(linear, at), inner)

    def linear_letter(self, node: Apply, operator: Differential) -> Expression | None:
        fixed = node.children[:-1] if node.is_linear else node.children
        found: list[Expression] = []
        if any(self.memo[part] is not None for part in fixed):
            if operator.dialect == "manual":
                raise FormError(f"{node} is of the manual's dialect, which has first differentials only: use exact")
            along = _along_a_letter(node)
            inner = self.memo[unfold(along)]
            if inner is not None:
                written = {along.direction: node.direction, transpose(along.direction): transpose(node.direction)}
                found.append(fold(inner, lambda part, children: part.rebuild(children), written))
        inner = self.memo[node.direction] if node.is_linear else None
        if inner is not None:
            applied = node.with_direction(inner)
            found.append(applied if operator.of.is_symmetric else unfold(applied))
        return Sum(*found) if found else None


def _along_a_letter(node: Apply) -> Apply:
    """A linear operator letter with a letter for its direction, which is not differentiated."""
    direction = node.direction
    return node.with_direction(Letter(Symbol("direction", direction.shape, "data", layout=direction.axes)))
