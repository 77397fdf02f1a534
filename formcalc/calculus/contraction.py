"""The form of a page along a direction: a scalar, hence the loss of a page that can be derived again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from formcalc.algebra import (
    Expression,
    LayerSum,
    Letter,
    Number,
    Product,
    Sum,
    Symbol,
    Trace,
    ones,
)
from formcalc.language.lines import page_text
from formcalc.language.model import Model
from formcalc.language.page import read_page
from formcalc.language.statements import Coefficient, Declared, Defined, Layers, Statement, layer_sums


def contracted(model: Model, backward: Iterable[Statement]) -> Model:
    """The model whose loss is ``ω(t) = Σ trace(C_W tW)``, for data letters ``tW``, one for each weight `W` of the form.

    Its form, ``-dω(t)``, is the Hessian of the loss along `t`, for ``ω = -d loss``.
    """
    page = model.source
    taken = {*page.letter_names(), *(dimension.name for dimension in page.dimensions)}
    mark = "t"
    while any(f"{mark}{weight.name}" in taken for weight in page.weights()):
        mark += "t"
    backward = [*backward]
    weights = {part.letter for part in _parts(backward) if isinstance(part, Coefficient)}
    statements: list[Statement] = []
    for statement in page.statements:
        statements += _with_directions(statement, weights, mark)
    words: list[Expression] = []
    families = {(block.index, block.family) for block in backward if isinstance(block, Layers)}
    for statement in backward:
        if isinstance(statement, Layers):
            inner = [_along(part, mark) for part in statement.body if isinstance(part, Coefficient)]
            body = tuple(part for part in statement.body if not isinstance(part, Coefficient))
            statements += [replace(statement, body=body)] if body else []
            summed: list[Expression] = [LayerSum(Sum(*inner), statement.index)] if inner else []
            if sum(index == statement.index for index, _ in families) > 1:
                # The index means other layers later on: the sum gets a name here, as a matrix of one entry.
                name = f"{mark}{mark}_{len(statements)}"
                entries = [LayerSum(Product(Sum(*inner), ones(1, 1)), statement.index)] if inner else []
                made = [Letter(Symbol(name, entry.shape, "defined", entry)) for entry in entries]
                statements += map(Defined, made)
                summed = [Trace(letter) for letter in made]
            words += summed
        elif isinstance(statement, Coefficient):
            if layer_sums(statement.value):  # which stand in no trace: the sum gets a name
                value = statement.value
                named = Letter(Symbol(f"{mark}{mark}_{len(statements)}", value.shape, "defined", value))
                statements.append(Defined(named))
                statement = replace(statement, value=named)
            words.append(_along(statement, mark))
        else:
            statements.append(statement)
    title = f"the form of {model.name} along a direction"
    text = page_text(title, page.dimensions, statements, Sum(*words) if words else Number(0))
    return Model(f"{model.name}, along a direction", read_page(text), model.sizes)


def _parts(statements: Iterable[Statement]) -> Iterable[Statement]:
    for statement in statements:
        yield from statement.body if isinstance(statement, Layers) else (statement,)


def _direction(weight: Letter, mark: str) -> Letter:
    return Letter(Symbol(mark + weight.name, weight.shape, "data", layout=weight.symbol.layout))


def _along(coefficient: Coefficient, mark: str) -> Expression:
    return Trace(Product(coefficient.value, _direction(coefficient.letter, mark)))


def _with_directions(statement: Statement, weights: Collection[Letter], mark: str) -> list[Statement]:
    """A statement, and after a declaration of weights that of their directions."""
    if isinstance(statement, Layers):
        body = [inner for part in statement.body for inner in _with_directions(part, weights, mark)]
        return [replace(statement, body=tuple(body))]
    if isinstance(statement, Declared):
        directions = tuple(_direction(letter, mark) for letter in statement.letters if letter in weights)
        return [statement, Declared(directions)] if directions else [statement]
    return [statement]
