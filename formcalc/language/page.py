"""Reading a page: a model as text, into declarations, definitions, repeated layers, a loss and perhaps its form."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

from lark import Token, Tree

from formcalc.algebra import (
    Axes,
    Expression,
    Letter,
    Number,
    Power,
    Product,
    Role,
    Sum,
    Symbol,
    axes_text,
    ordered,
    shape_text,
)
from formcalc.errors import ParseError, listing, suggestion
from formcalc.language.declaration import declare, size
from formcalc.language.indices import INDEXED, at, shifted, subscripts
from formcalc.language.logical_lines import LogicalLine, logical_lines
from formcalc.language.names import FUNCTIONS, NAME, canonical
from formcalc.language.parser import read
from formcalc.language.scope import Scope, axes_of
from formcalc.language.source import Excerpt, Place
from formcalc.language.statements import (
    Bound,
    Coefficient,
    Declared,
    Defined,
    Family,
    Function,
    Layers,
    Page,
    PageDimension,
    State,
    Statement,
    inner_statements,
    layer_sums,
)
from formcalc.language.syntax import syntax
from formcalc.operators import operator_named

#: The words that begin a declaration, and the role of the letters after them.
ROLES: dict[str, Role] = {
    "data": "data",
    "weights": "weight",
    "tokens": "tokens",
    "mask": "mask",
    "ones": "ones",
    "positions": "positions",
    "causal": "causal",
    "distance": "distance",
    "slopes": "slopes",
    "sinusoidal": "sinusoidal",
    "cosines": "cosines",
    "sines": "sines",
    "quarterturn": "quarterturn",
}

#: What may follow the loss.
_AFTER = "the loss is the last line of a page, but for the lines of its form, dW : C"

_KEYWORDS = ("dims", *ROLES, "layers", "loss")


def read_page(text: str) -> Page:
    """Read a page.

    Raises:
        ParseError: naming line, column and cure.

    >>> page = read_page("# a line\\ndims T = 3, d = 2\\ndata X, Y: T×d\\nweights W: d×d\\nloss = trace(Y^t X W)")
    >>> page.title, str(page.loss)
    ('a line', 'trace(Y^t X W)')
    """
    return _PageReader(text).read()


@dataclass
class _PageReader:
    text: str
    dimensions: dict[str, PageDimension] = field(default_factory=dict)
    scope: dict[str, Letter] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    #: The letters of one layer, by the family of its block; and the family that an index stands for at the moment.
    families: dict[Family, dict[str, Letter]] = field(default_factory=dict)
    indices: dict[str, Family] = field(default_factory=dict)
    #: The weights whose coefficients the page states.
    stated: set[str] = field(default_factory=set)

    def read(self) -> Page:
        lines = list(logical_lines(self.text))
        if not lines:
            raise ParseError("the page is empty: it declares dims and letters and ends in a loss")
        statements: list[Statement] = []
        backward: list[Statement] = []
        loss: Expression | None = None
        position = 0
        while position < len(lines):
            line = lines[position]
            position += 1
            if line.indent:
                raise line.source.place(0).error("unexpected indentation", "only the lines of a layer are indented")
            found = statements if loss is None else backward
            if line.word == "layers":
                block = list(takewhile(lambda other: other.indent, lines[position:]))
                found.append(self.layers(line, block, is_backward=loss is not None))
                position += len(block)
            elif loss is not None and line.word in (*ROLES, "dims", "loss"):
                raise line.source.place(0).error("a line after the loss", _AFTER)
            elif line.word == "dims":
                self.dims(line.source.after(len("dims")))
            elif line.word == "loss":
                loss = self.loss(line)
            else:
                found.append(self.statement(line, is_backward=loss is not None))
        if loss is None:
            raise lines[-1].source.place(0).error("the page has no loss", "end it with a line such as loss = ...")
        if backward and not any(isinstance(inner, Coefficient) for inner in inner_statements(tuple(backward))):
            raise lines[-1].source.place(0).error("a line after the loss", _AFTER)
        title = re.match(r"\s*#([^\n]*)", self.text)
        return Page(
            self.text,
            title[1].strip() if title else "",
            tuple(self.dimensions.values()),
            tuple(statements),
            loss,
            tuple(backward),
        )

    def statement(self, line: LogicalLine, is_backward: bool) -> Declared | Defined | Coefficient | Function:
        if line.word in ROLES:
            return self.letters(line)
        if _COEFFICIENT.match(line.source.text):
            return self.coefficient(line, is_backward)
        if _FUNCTION.match(line.source.text):
            return self.function(line)
        return self.definition(line)

    def expression(self, source: Excerpt) -> Expression:
        """Read an expression; letters of layers may stand in it under a sum over the layers."""
        families = {index: self.families[family] for index, family in self.indices.items()}
        return read(source, Scope(self.scope, self.dimensions, self.functions, families))

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
            cure = (
                suggestion(str(found), self.dimensions) or f"declared dimensions: {listing(self.dimensions) or 'none'}"
            )
            raise place.error(f"unknown dimension {str(token)!r}", cure)
        return found.value

    def axes(self, source: Excerpt, token: Token | None) -> Axes:
        """The axes in brackets after a name, in their order."""
        if token is None:
            return ()
        place = source.place(token.start_pos or 0, len(token))
        found = axes_of(token, place)
        for axis in found:
            if axis.value not in self.dimensions:
                cure = (
                    suggestion(str(axis), self.dimensions)
                    or f"declared dimensions: {listing(self.dimensions) or 'none'}"
                )
                raise place.error(f"unknown axis {str(axis)!r}", cure)
        return found

    def letters(self, line: LogicalLine) -> Declared:
        role = ROLES[line.word]
        source = line.source.after(len(line.word))
        declared = []
        for group in _parts(syntax(source, "letters")):
            *members, rows, columns = _parts(group)
            shape = tuple(self.size(source, _parts(part)[0]) for part in (rows, columns))
            for member in members:
                token, *brackets = _parts(member)
                place = source.place(token.start_pos, len(token))
                name = canonical(token)
                axes = self.axes(source, brackets[0] if brackets else None)
                self.check_new(name, place)
                try:
                    made = declare({name: (*axes, *shape)}, {name: role})[name]
                except ParseError as error:
                    raise place.error(str(error)) from None
                self.scope[name] = made
                declared.append(made)
        return Declared(tuple(declared))

    def check_new(self, name: str, place: Place) -> None:
        if name in self.scope or name in self.functions:
            raise place.error(f"{name} has a meaning already", "every letter is declared or defined once")
        if name in self.dimensions or name in _KEYWORDS:
            raise place.error(f"{name!r} cannot name a letter here", "it is a dimension or begins a line; rename it")
        if name[0] == "d" and name[1:] in self.scope:
            raise place.error(f"{name!r} cannot name a letter", f"it is the differential of {name[1:]}")

    def definition(self, line: LogicalLine) -> Defined:
        match = re.match(r"((?:[^\s=:{\[]|\{[^{}]*\})+)\s*(\[[^\[\]]*\])?\s*=", line.source.text)
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
        body = self.expression(line.source.after(match.end()))
        if len(body.shape) != 2 or body.degree:
            raise place.error(f"{name} is {shape_text(body.shape)}", "a definition abbreviates a matrix")
        self.check_sums(body, place)
        if match[2] is not None:
            self.check_axes(name, axes_of(match[2], place), body.axes, place)
        letter = self.scope[name] = Letter(Symbol(name, body.shape, "defined", body))
        return Defined(letter)

    def check_axes(self, name: str, written: Axes, found: Axes, place: Place) -> None:
        if ordered(written) != found:
            right = f"{name}{axes_text(found)}"
            raise place.error(f"{name}{axes_text(written)} is {right}", f"these are the axes of what follows: {right}")

    def check_sums(self, expression: Expression, place: Place) -> None:
        """A sum over layers is a term of its own, so that the pull-back finds it."""
        terms = expression.children if isinstance(expression, Sum) else (expression,)
        own: set[Expression] = set()
        for term in terms:
            factors = term.children if isinstance(term, Product) else (term,)
            rest = [factor for factor in factors if not isinstance(factor, (Number, Power))]
            own.update(rest if len(rest) == 1 else [])
        for node in layer_sums(expression):
            if node not in own:
                raise place.error(
                    f"Σ_{node.index} stands inside of another expression",
                    f"give the sum a name of its own, S = Σ_{node.index} ..., and write S there",
                )

    def coefficient(self, line: LogicalLine, is_backward: bool) -> Coefficient:
        match = _COEFFICIENT.match(line.source.text)
        assert match is not None
        name, place = canonical(match[1]), line.source.place(0, match.end())
        if not is_backward:
            raise place.error("a coefficient before the loss", "the form of a page comes after its loss")
        letter = self.scope.get(name)
        if letter is None or letter.role != "weight":
            raise place.error(f"{name} is no weight here", "a coefficient line is dW : C, for a weight W of the page")
        value = self.expression(line.source.after(match.end()))
        self.check_sums(value, place)
        due = f"{shape_text(letter.shape[::-1])}{axes_text(letter.axes)}"
        if value.shape != letter.shape[::-1] or not set(value.axes) <= set(letter.axes):
            found = f"{shape_text(value.shape)}{axes_text(value.axes)}"
            raise place.error(f"the coefficient of d{name} is {found}", f"it should be {due}")
        if name in self.stated:
            raise place.error(f"the coefficient of d{name} is stated twice", "every weight has one")
        self.stated.add(name)
        return Coefficient(letter, value)

    def function(self, line: LogicalLine) -> Function:
        match = _FUNCTION.match(line.source.text)
        assert match is not None
        name, place = canonical(match[1]), line.source.place(0, len(match[1]))
        self.check_new(name, place)
        if operator_named(name) is not None or name in FUNCTIONS:
            raise place.error(f"{name!r} cannot name a function", "it is an operator; choose another name")
        parameters = tuple(canonical(part.strip()) for part in match[2].split(","))
        for parameter in parameters:
            if not NAME.fullmatch(parameter) or parameters.count(parameter) > 1:
                raise place.error(f"{name}({match[2]}) has no parameter {parameter!r}", "write names such as X, g, b")
        body = line.source.after(match.end())
        syntax(body, "start")
        made = self.functions[name] = Function(name, parameters, body)
        return made

    def loss(self, line: LogicalLine) -> Expression:
        match = re.match(r"loss\s*=", line.source.text)
        if not match:
            raise line.source.place(0, 4).error("a loss without =", "write loss = 1/2 trace(E^t E)")
        loss = self.expression(line.source.after(match.end()))
        self.check_sums(loss, line.source.place(0, 4))
        if loss.shape or loss.degree:
            raise line.source.place(0, 4).error(
                f"the loss is {shape_text(loss.shape)}", "a loss is a scalar: use trace(...)"
            )
        return loss

    def layers(self, line: LogicalLine, block: list[LogicalLine], is_backward: bool) -> Layers:
        source = line.source.after(len("layers"))
        name, low, high = _parts(syntax(source, "range"))
        if canonical(name) in self.dimensions:
            raise source.place(name.start_pos).error(f"{name} cannot name an index", "it is a dimension; write i or j")
        index, first, last = canonical(name), self.bound(source, low), self.bound(source, high)
        head = Layers(index, first, last, self.goes_down(index, first, last), (), ())
        if not block:
            raise line.source.place(0).error("layers without lines", "indent the lines of one layer below")
        outer = dict(self.scope)
        family = self.families.get(head.family, {})
        starts = self.starts(block, head, family)
        incoming = {name: Letter(start.symbol.renamed(name)) for name, start in starts.items()}
        self.scope |= family | incoming
        body = []
        for inner in block:
            if inner.word in ("dims", "layers", "loss") or _FUNCTION.match(inner.source.text):
                word = inner.word or "a function"
                raise inner.source.place(0, len(word)).error(f"{word} inside a layer", "it stands outside")
            body.append(self.statement(inner, is_backward))
        states = tuple(self.state(line, head, letter, starts[name]) for name, letter in incoming.items())
        own = {name: letter for name, letter in self.scope.items() if name not in outer}
        self.families[head.family] = family | own
        self.indices[head.index] = head.family
        self.scope = outer | {state.end.name: state.end for state in states}
        return replace(head, states=states, body=tuple(body))

    def goes_down(self, index: str, first: Bound, last: Bound) -> bool:
        if first.dimension == last.dimension:
            return first.offset > last.offset
        if first.dimension is None or last.dimension is None:
            return first.dimension is not None
        # Which of two dimensions is larger, the sizes will tell; the form of a page goes through its layers backward.
        return (index, last, first) in self.families

    def state(self, line: LogicalLine, head: Layers, letter: Letter, start: Letter) -> State:
        step = -1 if head.is_descending else 1
        following = shifted(letter.name, head.index, step)
        final = at(following, head.index, head.last)
        handed = self.scope.get(following)
        if handed is None or handed.shape != letter.shape or handed.axes != letter.axes:
            said = f"{shape_text(letter.shape)}{axes_text(letter.axes)}"
            found = "is not defined" if handed is None else f"is {shape_text(handed.shape)}{axes_text(handed.axes)}"
            raise line.source.place(0).error(
                f"{following} {found}", f"a layer that uses {letter.name} hands on the next one, {said}"
            )
        return State(letter, handed, start, Letter(letter.symbol.renamed(final)))

    def bound(self, source: Excerpt, part: Tree) -> Bound:
        base, sign, number = _parts(part)
        token = _parts(base)[0]
        value = 0 if token == "0" else self.size(source, token)
        offset = int(number or 0) * (-1 if sign in ("-", "−") else 1)
        return Bound(value, offset) if isinstance(value, str) else Bound(None, value + offset)

    def starts(self, block: list[LogicalLine], head: Layers, family: dict[str, Letter]) -> dict[str, Letter]:
        """The letters that come into a block from outside: what they are called inside, and what they are at its first.

        Going up these are the letters ``X_i``, going down the letters ``G_{i+1}``.
        """
        found: dict[str, Letter] = {}
        due, step = (f"{head.index}+1", -1) if head.is_descending else (head.index, 1)
        defined = {canonical(match[0]) for line in block if (match := INDEXED.match(line.source.text))}
        declared: set[str] = set()
        for line in block:
            for match in INDEXED.finditer(line.source.text):
                name = canonical(match.group())
                start = at(name, head.index, head.first)
                if due not in subscripts(name) or name in family:
                    continue
                if start in self.scope:
                    found[name] = self.scope[start]
                elif line.word in ROLES:
                    declared.add(name)
                elif name not in declared | defined and shifted(name, head.index, step) in defined:
                    place = line.source.place(match.start(), len(match[0]))
                    raise place.error(f"{name} has no start", f"declare or define {start} above the layers")
        return found


_COEFFICIENT = re.compile(r"d((?:[^\s=:{\[(]|\{[^{}]*\})+)\s*(?:\[[^\[\]]*\])?\s*:")

_FUNCTION = re.compile(r"((?:[^\s=:{(\[]|\{[^{}]*\})+)\s*\(([^()=]*)\)\s*=")


def _parts(tree: Tree) -> list[Any]:
    """What a rule of the grammar holds: tokens, trees, or None for what was left out."""
    return list(tree.children)
