"""A page: a model as text, read into dimensions, letters, definitions, repeated layers and a loss.

Letters of a layer are read once, with the layer's index in their names: ``X_i``, ``W_{1,i}``, ``X_{i+1}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, TypeAlias

from lark import Token, Tree

from formcalc.algebra import Expression, Letter, Role, Symbol, shape_text
from formcalc.errors import ParseError, listing, suggestion
from formcalc.language.declaration import declare, size
from formcalc.language.names import NAME, canonical
from formcalc.language.parser import read, syntax
from formcalc.language.source import Excerpt, Place

#: The words that begin a declaration, and the role of the letters after them.
ROLES: dict[str, Role] = {
    "data": "data",
    "weights": "weight",
    "ones": "ones",
    "causal": "causal",
    "sinusoidal": "sinusoidal",
    "distance": "distance",
}

_KEYWORDS = ("dims", *ROLES, "layers", "loss")


@dataclass(frozen=True)
class PageDimension:
    """A dimension of a page: its name, what it counts, and its default size, a number or another dimension."""

    name: str
    title: str
    default: int | str | None


@dataclass(frozen=True)
class Bound:
    """An end of a range of layers: an integer, or a dimension plus an integer, as in ``L-1``."""

    dimension: str | None
    offset: int

    def __str__(self) -> str:
        if self.dimension is None:
            return str(self.offset)
        return self.dimension if not self.offset else f"{self.dimension}{self.offset:+d}"

    @property
    def next(self) -> Bound:
        return Bound(self.dimension, self.offset + 1)


@dataclass(frozen=True)
class Declared:
    """Letters declared by one line."""

    letters: tuple[Letter, ...]


@dataclass(frozen=True)
class Defined:
    """A letter that abbreviates an expression."""

    letter: Letter


@dataclass(frozen=True)
class State:
    """What one layer hands to the next: ``X_i`` in a layer, which also defines ``X_{i+1}``.

    Outside, the letter that comes in is ``X_0``, and the one that comes out ``X_L``.
    """

    letter: Letter
    next: Letter
    start: Letter
    end: Letter


@dataclass(frozen=True)
class Layers:
    """Lines repeated over an index, and the states that go from one layer to the next."""

    index: str
    first: Bound
    last: Bound
    states: tuple[State, ...]
    body: tuple[Declared | Defined, ...]


Statement: TypeAlias = Declared | Defined | Layers


@dataclass(frozen=True)
class Page:
    """A page as it was read; `text` is what was read."""

    text: str
    title: str
    dimensions: tuple[PageDimension, ...]
    statements: tuple[Statement, ...]
    loss: Expression

    def letter_names(self) -> Iterator[str]:
        """The names of all letters, declared and defined."""
        for statement in self.statements:
            for inner in statement.body if isinstance(statement, Layers) else (statement,):
                yield from (x.name for x in inner.letters) if isinstance(inner, Declared) else (inner.letter.name,)

    def weights(self) -> Iterator[Letter]:
        """The weights, as the page writes them."""
        for statement in self.statements:
            for inner in statement.body if isinstance(statement, Layers) else (statement,):
                if isinstance(inner, Declared):
                    yield from (letter for letter in inner.letters if letter.role == "weight")


@dataclass(frozen=True)
class _Line:
    """A logical line: where it stands, how deep it is indented, and its first word."""

    source: Excerpt
    indent: int

    @property
    def word(self) -> str:
        match = re.match(r"[A-Za-z]+(?![A-Za-z0-9_{^])", self.source.text)
        return match.group() if match else ""


def read_page(text: str) -> Page:
    """Read a page.

    Raises:
        ParseError: naming line, column and cure.

    >>> page = read_page("# a line\\ndims T = 3, d = 2\\ndata X, Y: T×d\\nweights W: d×d\\nloss = trace(Y^t X W)")
    >>> page.title, str(page.loss)
    ('a line', 'trace(Y^t X W)')
    """
    return _PageReader(text).read()


def _lines(text: str) -> Iterator[_Line]:
    """The logical lines: a line goes on while the next one is indented deeper, except after ``layers``."""
    start = indent = end = -1
    is_block = False
    for match in re.finditer(r"[^\n]*\n?", text):
        content = match.group().split("#", 1)[0].rstrip()
        if not content.strip():
            continue
        depth = len(content) - len(content.lstrip())
        if start >= 0 and depth > indent and not is_block:
            end = match.start() + len(content)
            continue
        if start >= 0:
            yield _Line(Excerpt(text, start, end), indent)
        start, indent, end = match.start() + depth, depth, match.start() + len(content)
        is_block = content.split()[0] == "layers"
    if start >= 0:
        yield _Line(Excerpt(text, start, end), indent)


@dataclass
class _PageReader:
    text: str
    dimensions: dict[str, PageDimension] = field(default_factory=dict)
    scope: dict[str, Letter] = field(default_factory=dict)

    def read(self) -> Page:
        lines = list(_lines(self.text))
        if not lines:
            raise ParseError("the page is empty: it declares dims and letters and ends in a loss")
        statements: list[Statement] = []
        loss: Expression | None = None
        position = 0
        while position < len(lines):
            line = lines[position]
            position += 1
            if loss is not None:
                raise line.source.place(0).error("a line after the loss", "the loss is the last line of a page")
            if line.indent:
                raise line.source.place(0).error("unexpected indentation", "only the lines of a layer are indented")
            if line.word == "layers":
                block = list(takewhile(lambda other: other.indent, lines[position:]))
                statements.append(self.layers(line, block))
                position += len(block)
            elif line.word == "dims":
                self.dims(line.source.after(len("dims")))
            elif line.word == "loss":
                loss = self.loss(line)
            else:
                statements.append(self.statement(line))
        if loss is None:
            raise lines[-1].source.place(0).error("the page has no loss", "end it with a line such as loss = ...")
        title = re.match(r"\s*#([^\n]*)", self.text)
        return Page(
            self.text, title[1].strip() if title else "", tuple(self.dimensions.values()), tuple(statements), loss
        )

    def statement(self, line: _Line) -> Declared | Defined:
        return self.letters(line) if line.word in ROLES else self.definition(line)

    def dims(self, source: Excerpt) -> None:
        for part in _parts(syntax(source, "dims")):
            *words, default = _parts(part)
            name, title = canonical(words[0]), " ".join(words[1:])
            if name in self.dimensions:
                raise source.place(words[0].start_pos).error(f"dimension {name} is declared twice")
            if not NAME.fullmatch(name) or name == "pi":
                raise source.place(words[0].start_pos).error(f"{str(words[0])!r} cannot name a dimension")
            value: int | str | None = None
            if default is not None:
                value = self.size(source, _parts(default)[0])
            self.dimensions[name] = PageDimension(name, title, value)

    def size(self, source: Excerpt, token: Token) -> int | str:
        """A size in a page: an integer, or a declared dimension."""
        place = source.place(token.start_pos or 0, len(token))
        found = size(str(token))
        if found is None:
            raise place.error(f"{str(token)!r} is no size", "write a dimension or a positive integer")
        if found.is_symbolic and found.value not in self.dimensions:
            cure = suggestion(str(found), self.dimensions) or f"declared dimensions: {listing(self.dimensions)}"
            raise place.error(f"unknown dimension {str(token)!r}", cure)
        return found.value

    def letters(self, line: _Line) -> Declared:
        role = ROLES[line.word]
        source = line.source.after(len(line.word))
        declared = []
        for group in _parts(syntax(source, "letters")):
            *names, rows, columns = _parts(group)
            shape = tuple(self.size(source, _parts(part)[0]) for part in (rows, columns))
            for token in names:
                place = source.place(token.start_pos, len(token))
                name = canonical(token)
                self.check_new(name, place)
                try:
                    made = declare({name: shape}, {name: role})[name]
                except ParseError as error:
                    raise place.error(str(error)) from None
                self.scope[name] = made
                declared.append(made)
        return Declared(tuple(declared))

    def check_new(self, name: str, place: Place) -> None:
        if name in self.scope:
            raise place.error(f"{name} has a meaning already", "every letter is declared or defined once")
        if name in self.dimensions or name in _KEYWORDS:
            raise place.error(f"{name!r} cannot name a letter here", "it is a dimension or begins a line; rename it")
        if name[0] == "d" and name[1:] in self.scope:
            raise place.error(f"{name!r} cannot name a letter", f"it is the differential of {name[1:]}")

    def definition(self, line: _Line) -> Defined:
        match = re.match(r"((?:[^\s=:{]|\{[^{}]*\})+)\s*=", line.source.text)
        if not match:
            word = line.word or line.source.text.split()[0]
            cure = (
                suggestion(word, _KEYWORDS) or "a line declares dims, data, weights, ones or layers, or defines X = ..."
            )
            raise line.source.place(0, len(word)).error("a line that says nothing", cure)
        name, place = canonical(match[1]), line.source.place(0, len(match[1]))
        if not NAME.fullmatch(name):
            raise place.error(f"{match[1]!r} cannot name a letter", "write a word such as X, X_0 or X_{i+1}")
        self.check_new(name, place)
        body = read(line.source.after(match.end()), self.scope, self.dimensions)
        if len(body.shape) != 2 or body.degree:
            raise place.error(f"{name} is {shape_text(body.shape)}", "a definition abbreviates a matrix")
        letter = self.scope[name] = Letter(Symbol(name, body.shape, "defined", body))
        return Defined(letter)

    def loss(self, line: _Line) -> Expression:
        match = re.match(r"loss\s*=", line.source.text)
        if not match:
            raise line.source.place(0, 4).error("a loss without =", "write loss = 1/2 trace(E^t E)")
        loss = read(line.source.after(match.end()), self.scope, self.dimensions)
        if loss.shape or loss.degree:
            raise line.source.place(0, 4).error(
                f"the loss is {shape_text(loss.shape)}", "a loss is a scalar: use trace(...)"
            )
        return loss

    def layers(self, line: _Line, block: list[_Line]) -> Layers:
        source = line.source.after(len("layers"))
        name, low, high = _parts(syntax(source, "range"))
        index, first, last = canonical(name), self.bound(source, low), self.bound(source, high)
        if not block:
            raise line.source.place(0).error("layers without lines", "indent the lines of one layer below")
        outer = dict(self.scope)
        starts = self.starts(block, index, first)
        letters = {name: Letter(Symbol(name, start.shape, "data")) for name, start in starts.items()}
        self.scope |= letters
        body = []
        for inner in block:
            if inner.word in ("dims", "layers", "loss"):
                raise inner.source.place(0, len(inner.word)).error(f"{inner.word} inside a layer", "it stands outside")
            body.append(self.statement(inner))
        states = []
        for name, letter in letters.items():
            following, final = _at(name, index, f"{index}+1"), _at(name, index, str(last.next))
            handed = self.scope.get(following)
            if handed is None or handed.shape != letter.shape:
                found = "is not defined" if handed is None else f"is {shape_text(handed.shape)}"
                cure = f"a layer that uses {name} hands on the next one, {shape_text(letter.shape)}"
                raise line.source.place(0).error(f"{following} {found}", cure)
            states.append(State(letter, handed, starts[name], Letter(Symbol(final, letter.shape, "data"))))
        self.scope = outer | {state.end.name: state.end for state in states}
        return Layers(index, first, last, tuple(states), tuple(body))

    def bound(self, source: Excerpt, part: Tree) -> Bound:
        base, sign, number = _parts(part)
        token = _parts(base)[0]
        value = 0 if token == "0" else self.size(source, token)
        offset = int(number or 0) * (-1 if sign in ("-", "−") else 1)
        return Bound(value, offset) if isinstance(value, str) else Bound(None, value + offset)

    def starts(self, block: list[_Line], index: str, first: Bound) -> dict[str, Letter]:
        """The letters that a block uses at its index, and what they are at its first one, where that exists outside."""
        found: dict[str, Letter] = {}
        for line in block:
            for match in _INDEXED.finditer(line.source.text):
                name = canonical(match.group())
                start = _at(name, index, str(first))
                if start != name and start in self.scope:
                    found[name] = self.scope[start]
        return found


#: A name with a subscript, in any spelling that may hold an index.
_INDEXED = re.compile(r"[A-Za-zͰ-Ͽ][A-Za-z0-9Ͱ-Ͽ]*(?:_\{[^{}]*\}|_[A-Za-z0-9]+)+")


def _parts(tree: Tree) -> list[Any]:
    """What a rule of the grammar holds: tokens, trees, or None for what was left out."""
    return list(tree.children)


def _at(name: str, index: str, value: str) -> str:
    """A name with its index replaced by a value, as text.

    >>> _at("W_{1,i}", "i", "0"), _at("X_i", "i", "i+1"), _at("X_{i+1}", "i", "3")
    ('W_{1,0}', 'X_{i+1}', 'X_{i+1}')
    """
    base, separator, subscript = name.partition("_")
    inner = subscript.removeprefix("{").removesuffix("}")
    parts = [value if part == index else part for part in inner.split(",")]
    return canonical(f"{base}_{{{','.join(parts)}}}") if separator else name
