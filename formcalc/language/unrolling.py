"""A page at given sizes: its layers written out, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from formcalc.algebra import Expression, Letter, Sum, Symbol, fold
from formcalc.errors import FormcalcError, listing, suggestion
from formcalc.language.indices import numbered
from formcalc.language.names import canonical
from formcalc.language.statements import Coefficient, Declared, Defined, Layers, Page, Statement, layer_sums

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
    """A page with its layers written out.

    Attributes:
        declared: the declared letters by name.
        definitions: the letters that abbreviate expressions, each after those it uses.
        loss: the scalar that is minimised.
        written_as: what the page calls a declared letter, and at which index.
        cotangents: the definitions of the form, if the page has one.
        coefficients: of every weight that the form has one of, by name.
    """

    declared: Mapping[str, Letter]
    definitions: tuple[Letter, ...]
    loss: Expression
    written_as: Mapping[str, tuple[Letter, Mapping[str, int]]]
    cotangents: tuple[Letter, ...]
    coefficients: Mapping[str, Expression]


def unroll(page: Page, sizes: Mapping[str, int], name: str) -> Unrolled:
    """Write out the layers of a page.

    Raises:
        FormcalcError: a range of layers that is empty or too long.
    """
    writer = _Writer(page, sizes, name)
    for statement in page.statements:
        writer.statement(statement, {})
    loss = writer.expression(page.loss, {})
    forward = tuple(writer.definitions)
    for statement in page.backward:
        writer.statement(statement, {})
    cotangents = tuple(writer.definitions[len(forward) :])
    return Unrolled(writer.declared, forward, loss, writer.written_as, cotangents, writer.coefficients)


def layer_range(block: Layers, sizes: Mapping[str, int], name: str) -> range:
    """The indices of a block of layers, in its order."""
    low, high = (end.offset + (sizes[end.dimension] if end.dimension else 0) for end in block.family[1:])
    if not 0 < high - low + 1 <= MAX_LAYERS:
        raise FormcalcError(f"{name} has {high - low + 1} layers, from {low} to {high}: take 1 to {MAX_LAYERS}")
    return range(high, low - 1, -1) if block.is_descending else range(low, high + 1)


class _Writer:
    """Writes a page's letters with numbers for indices, in the order of the page."""

    def __init__(self, page: Page, sizes: Mapping[str, int], name: str) -> None:
        self.sizes, self.page_name = sizes, name
        blocks = [block for block in (*page.statements, *page.backward) if isinstance(block, Layers)]
        depths = {end.dimension for block in blocks for end in (block.first, block.last)}
        self.depths = {name: sizes[name] for name in depths if name is not None}
        #: The indices of the layers written last, by the name of the index.
        self.ranges: dict[str, range] = {}
        self.coefficients: dict[str, Expression] = {}
        self.scope: dict[str, Letter] = {}
        self.declared: dict[str, Letter] = {}
        self.definitions: list[Letter] = []
        self.written_as: dict[str, tuple[Letter, Mapping[str, int]]] = {}
        #: What the page calls the letters written so far.
        self.origins: dict[str, Letter] = {}

    def statement(self, statement: Statement, index: Mapping[str, int]) -> None:
        match statement:
            case Declared():
                for letter in statement.letters:
                    name = self.new(letter, index)
                    symbol = Symbol(name, letter.symbol.shape, letter.role, layout=letter.symbol.layout)
                    self.scope[name] = self.declared[name] = Letter(symbol)
                    self.written_as[name] = (letter, index)
            case Defined():
                self.definitions.append(self.define(statement.letter, index))
            case Coefficient():
                name = self.name(statement.letter.name, index)
                self.coefficients[name] = self.expression(statement.value, index)
            case Layers():
                self.ranges[statement.index] = layer_range(statement, self.sizes, self.page_name)
                for value in self.ranges[statement.index]:
                    for inner in statement.body:
                        self.statement(inner, {statement.index: value})

    def define(self, letter: Letter, index: Mapping[str, int]) -> Letter:
        """Write a definition of the page with numbers for its indices."""
        assert letter.definition is not None
        body = self.expression(letter.definition, index)
        name = self.new(letter, index)
        self.scope[name] = Letter(Symbol(name, body.shape, "defined", body))
        return self.scope[name]

    def expression(self, expression: Expression, index: Mapping[str, int]) -> Expression:
        """An expression of the page with numbers for its indices, over the letters written so far."""

        def visit(node: Expression, children: tuple[Expression, ...]) -> Expression:
            if not isinstance(node, Letter):
                return node.rebuild(children)
            written = self.scope.get(self.name(node.name, index), node.plain)
            return written.transposed if node.is_transposed else written

        # A sum over layers is the sum of what stands under it, layer by layer.
        written: dict[Expression, Expression] = {
            node: Sum(*(self.expression(node[0], {**index, node.index: value}) for value in self.ranges[node.index]))
            for node in layer_sums(expression)
        }
        return fold(expression, visit, written)

    def new(self, letter: Letter, index: Mapping[str, int]) -> str:
        """The name of a letter with numbers for its indices, which no other letter of the page has."""
        name = self.name(letter.name, index)
        if self.origins.setdefault(name, letter) is not letter:
            both = f"{self.origins[name]} and {letter} of {self.page_name}"
            raise FormcalcError(
                f"{both} are both {name} when its layers are written out: give one of them another name"
            )
        return name

    def name(self, name: str, index: Mapping[str, int]) -> str:
        """A name with numbers for its indices: ``X_{i+1}`` is ``X_3`` in layer 2."""
        return numbered(name, {**self.depths, **index})
