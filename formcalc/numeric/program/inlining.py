"""Which definitions are better not computed, because their words multiply in a cheaper order with what they meet.

``S = X Q K^t X^t`` is as large as the square of the length of a text. Where it is only multiplied, ``S X V`` is cheaper
as ``X (Q (K^t (X^t X) V))``, which never makes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from formcalc.algebra import AxisSum, Expression, Letter, Product, postorder
from formcalc.calculus import Form
from formcalc.language import Model
from formcalc.language.statements import Coefficient, Defined, inner_statements
from formcalc.numeric.program.lowering import Lowered, lower
from formcalc.numeric.program.plan import Plan


def cheapest(form: Form, has_fused_softmax: bool = False) -> Lowered:
    """The steps of a form, with those definitions inlined that make it cheaper."""
    chosen: frozenset[Letter] = frozenset()
    best = lower(form, chosen, has_fused_softmax)
    cost = Plan.of(best, "").flops
    for letter in _candidates(form):
        other = lower(form, chosen | {letter}, has_fused_softmax)
        found = Plan.of(other, "").flops
        if found < cost:
            chosen, best, cost = chosen | {letter}, other, found
    return best


def _candidates(form: Form) -> list[Letter]:
    """Letters that are products through a narrow place, and that are used in products only."""
    model = form.model
    statements = tuple(inner_statements((*model.source.statements, *form.backward.statements)))
    defined = [s.letter for s in statements if isinstance(s, Defined)]
    found = [letter for letter in defined if letter.definition is not None and _is_narrow(letter.definition, model)]
    if not found:
        return []
    elsewhere: set[Letter] = set()
    expressions = [
        s.letter.definition for s in statements if isinstance(s, Defined) and s.letter.definition is not None
    ]
    expressions += [s.value for s in statements if isinstance(s, Coefficient)] + [model.source.loss]
    for expression in expressions:
        elsewhere.update(_not_multiplied(expression))
    states = [state for block in (*model.source.statements, *form.backward.statements) for state in _states(block)]
    handed = {letter for state in states for letter in (state.start, state.next)}
    # a cotangent that another loop reads stands there under its name alone
    named = {
        node.name for e in expressions for node in postorder(e) if isinstance(node, Letter) and not node.definition
    }
    return [x for x in found if x not in elsewhere and x not in handed and x.name not in named]


def _states(statement: object) -> tuple:
    return getattr(statement, "states", ())


def _is_narrow(definition: Expression, model: Model) -> bool:
    """Whether a definition is one product that is larger than what it is made of."""
    body = definition.direction if isinstance(definition, AxisSum) else definition
    if not isinstance(body, Product):
        return False
    factors = [factor for factor in body if factor.shape]
    inner = [model.size_of(factor.shape[1]) for factor in factors[:-1]]
    rows, columns = map(model.size_of, definition.shape)
    return bool(inner) and min(inner) < min(rows, columns)


def _not_multiplied(expression: Expression) -> Iterator[Letter]:
    """The letters of an expression that stand elsewhere than among the factors of a word."""
    stack = [(expression, False)]
    seen: set[tuple[Expression, bool]] = set()
    while stack:
        node, is_factor = stack.pop()
        if (node, is_factor) in seen:
            continue
        seen.add((node, is_factor))
        if isinstance(node, Letter):
            if not is_factor:
                yield node.plain
        elif isinstance(node, Product):
            stack += [(factor, sum(bool(other.shape) for other in node) > 1) for factor in node]
        else:
            stack += [(child, False) for child in node.children]
