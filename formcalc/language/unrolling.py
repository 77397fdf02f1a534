"""A page at given sizes: its layers written out, one after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from formcalc.algebra import Expression, Letter, Symbol, fold
from formcalc.errors import FormcalcError, listing, suggestion
from formcalc.language.names import canonical
from formcalc.language.page import Declared, Defined, Layers, Page

#: More layers than this are a slip of the pen.
MAX_LAYERS = 10_000


def sizes_of(page: Page, given: Mapping[str, int], name: str) -> dict[str, int]:
    """The size of every dimension: as given, else the page's default.

    Raises:
        FormcalcError: an unknown dimension, a size that is not a positive integer, or none at all.
    """
    known = [dimension.name for dimension in page.dimensions]
    for dimension, value in given.items():
        if canonical(dimension) not in known:
            cure = suggestion(dimension, known) or f"its dimensions: {listing(known)}"
            raise FormcalcError(f"{name} has no dimension {dimension!r}; {cure}")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise FormcalcError(f"dimension {dimension} of {name} is a positive integer, not {value!r}")
    chosen = {canonical(dimension): value for dimension, value in given.items()}
    sizes: dict[str, int] = {}
    for declared in page.dimensions:
        default = sizes[declared.default] if isinstance(declared.default, str) else declared.default
        size = chosen.get(declared.name, default)
        if size is None:
            raise FormcalcError(f"dimension {declared.name} of {name} has no size: give it one, {declared.name}=...")
        sizes[declared.name] = size
    return sizes


@dataclass(frozen=True)
class Unrolled:
    """A page with its layers written out: the declared letters, the definitions in order, and the loss.

    `written_as` tells for every declared letter what the page calls it, and at which index.
    """

    declared: Mapping[str, Letter]
    definitions: tuple[Letter, ...]
    loss: Expression
    written_as: Mapping[str, tuple[Letter, Mapping[str, int]]]


def unroll(page: Page, sizes: Mapping[str, int], name: str) -> Unrolled:
    """Write out the layers of a page.

    Raises:
        FormcalcError: a range of layers that is empty or too long.
    """
    writer = Writer(page, sizes)
    for statement in page.statements:
        if isinstance(statement, Layers):
            for value in layer_range(statement, sizes, name):
                for inner in statement.body:
                    writer.statement(inner, {statement.index: value})
        else:
            writer.statement(statement, {})
    return Unrolled(writer.declared, tuple(writer.definitions), writer.expression(page.loss, {}), writer.written_as)


def layer_range(block: Layers, sizes: Mapping[str, int], name: str) -> range:
    """The indices of a block of layers."""
    first, last = (end.offset + (sizes[end.dimension] if end.dimension else 0) for end in (block.first, block.last))
    if not 0 < last - first + 1 <= MAX_LAYERS:
        raise FormcalcError(f"{name} has {last - first + 1} layers, from {first} to {last}: take 1 to {MAX_LAYERS}")
    return range(first, last + 1)


class Writer:
    """Writes a page's letters with numbers for indices, in the order of the page."""

    def __init__(self, page: Page, sizes: Mapping[str, int]) -> None:
        blocks = [statement for statement in page.statements if isinstance(statement, Layers)]
        depths = {end.dimension for block in blocks for end in (block.first, block.last)}
        self.depths = {name: sizes[name] for name in depths if name is not None}
        self.scope: dict[str, Letter] = {}
        self.declared: dict[str, Letter] = {}
        self.definitions: list[Letter] = []
        self.written_as: dict[str, tuple[Letter, Mapping[str, int]]] = {}

    def statement(self, statement: Declared | Defined | Layers, index: Mapping[str, int]) -> None:
        if isinstance(statement, Declared):
            for letter in statement.letters:
                name = self.name(letter.name, index)
                self.scope[name] = self.declared[name] = Letter(Symbol(name, letter.symbol.shape, letter.role))
                self.written_as[name] = (letter, index)
        elif isinstance(statement, Defined):
            self.definitions.append(self.define(statement.letter, index))

    def define(self, letter: Letter, index: Mapping[str, int]) -> Letter:
        """Write a definition of the page with numbers for its indices."""
        assert letter.definition is not None
        body = self.expression(letter.definition, index)
        name = self.name(letter.name, index)
        self.scope[name] = Letter(Symbol(name, body.shape, "defined", body))
        return self.scope[name]

    def expression(self, expression: Expression, index: Mapping[str, int]) -> Expression:
        """An expression of the page with numbers for its indices, over the letters written so far."""

        def visit(node: Expression, children: tuple[Expression, ...]) -> Expression:
            if not isinstance(node, Letter):
                return node.rebuild(children)
            written = self.scope.get(self.name(node.name, index), node.plain)
            return written.transposed if node.is_transposed else written

        return fold(expression, visit)

    def name(self, name: str, index: Mapping[str, int]) -> str:
        """A name with numbers for its indices: ``X_{i+1}`` is ``X_3`` in layer 2."""
        base, separator, subscript = name.partition("_")
        if not separator:
            return name
        known = {**self.depths, **index}

        def value(part: str) -> str:
            match = re.fullmatch(r"([A-Za-z]\w*)([+-]\d+)?", part)
            return str(known[match[1]] + int(match[2] or 0)) if match and match[1] in known else part

        parts = subscript.removeprefix("{").removesuffix("}").split(",")
        return canonical(f"{base}_{{{','.join(map(value, parts))}}}")
