"""The sign of a program: gradients are minus the transposed coefficients of ``-d loss``, without a pass to turn them.

A form is linear in its cotangents. So its sign is turned where cotangents begin, in the words that have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from formcalc.algebra import (
    Apply,
    AxisSum,
    Expression,
    Hadamard,
    LayerSum,
    Letter,
    Number,
    Product,
    Sum,
    Trace,
    postorder,
)
from formcalc.calculus import Form
from formcalc.calculus.expansion import factors
from formcalc.language.statements import Coefficient, Defined, Layers, Statement
from formcalc.operators import Differential


@dataclass
class Turned:
    """The backward page of a loss that is to fall, ``+d loss``.

    Attributes:
        definitions: of the letters of the backward page, and `coefficients` of the weights.
        cotangents: the names of the letters that have changed their sign.
    """

    definitions: dict[Letter, Expression] = field(default_factory=dict)
    coefficients: dict[Letter, Expression] = field(default_factory=dict)
    cotangents: set[str] = field(default_factory=set)


def turned(form: Form) -> Turned | None:
    """The backward page with the sign of the gradient; none if it is not linear, as a page may state a form.

    >>> from formcalc.calculus import derive
    >>> from formcalc.models import load
    >>> found = turned(derive(load("encoder")))
    >>> [f"{letter} = {value}" for letter, value in found.definitions.items()][0]
    'G_L = -E^t'
    """
    if form.model.source.backward:
        return None
    found = Turned()
    starts = {
        state.start.name for block in form.backward.statements if isinstance(block, Layers) for state in block.states
    }
    try:
        for statement in form.backward.statements:
            _statement(statement, found, starts)
    except _NotLinearError:
        return None
    return found


class _NotLinearError(Exception):
    """A word with cotangents in more than one place."""


def _statement(statement: Statement, found: Turned, starts: set[str]) -> None:
    match statement:
        case Defined(letter=letter):
            assert letter.definition is not None
            if letter.name in starts or _names(letter.definition) & found.cotangents:
                found.definitions[letter] = _minus(letter.definition, found.cotangents)
                found.cotangents.add(letter.name)
            else:
                found.definitions[letter] = letter.definition
        case Coefficient():
            found.coefficients[statement.letter] = _minus(statement.value, found.cotangents)
        case Layers():
            for state in statement.states:
                if state.start.name not in found.cotangents:
                    raise _NotLinearError
            found.cotangents |= {name for s in statement.states for name in (s.letter.name, s.next.name, s.end.name)}
            for inner in statement.body:
                _statement(inner, found, starts)


def _names(expression: Expression) -> set[str]:
    return {node.name for node in postorder(expression) if isinstance(node, Letter)}


def _minus(node: Expression, cotangents: set[str]) -> Expression:
    """Minus an expression of the form, where its cotangents have changed their sign."""
    if not _names(node) & cotangents:
        return Product(Number(-1), *factors(node))
    match node:
        case Letter():
            return node
        case Sum():
            return Sum(*(_minus(term, cotangents) for term in node))
        case AxisSum() | LayerSum() | Trace():
            return node.rebuild((_minus(node[0], cotangents),))
        case Product() | Hadamard():
            return node.rebuild(tuple(_inside(node.children, cotangents)))
        case Apply() if isinstance(node.operator, Differential):
            *arguments, direction = node.children
            if any(_names(argument) & cotangents for argument in arguments):
                raise _NotLinearError
            return node.rebuild((*arguments, _minus(direction, cotangents)))
    raise _NotLinearError


def _inside(parts: tuple[Expression, ...], cotangents: set[str]) -> Iterator[Expression]:
    """The factors of a word, with the sign turned in the one that has cotangents."""
    if sum(bool(_names(part) & cotangents) for part in parts) > 1:
        raise _NotLinearError
    for part in parts:
        yield _minus(part, cotangents) if _names(part) & cotangents else part
