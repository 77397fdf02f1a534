"""The pull-back of a loss to its weights, definition by definition: the shared normal form.

Every definition ``X = f(...)`` of a page is differentiated once, with the other definitions as letters; the pipeline
turns ``trace(G dX)`` into contributions to the cotangents of what `X` uses. A layer is pulled back once, with its index
as a symbol: the cotangent ``G_{i+1}`` comes in, ``G_i`` goes out. So the result is as long as the page, whatever the
number of layers. It is written in the statements of a page, and can be read and pulled back again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from formcalc.algebra import (
    Apply,
    AxisSum,
    Expression,
    Hadamard,
    LayerSum,
    Letter,
    Number,
    OneForm,
    Product,
    Sum,
    Symbol,
    contains,
    fold,
    ones,
    postorder,
    transpose,
)
from formcalc.calculus.common import summed
from formcalc.calculus.cyclic import coefficients, total, under_trace, zero
from formcalc.calculus.differential import d
from formcalc.calculus.expansion import expand_all, expand_mm, factors, flatten, repeated, terms
from formcalc.calculus.naming import CotangentNames
from formcalc.calculus.parts import parts_of
from formcalc.calculus.pipeline import Stage, stages
from formcalc.language.statements import (
    Coefficient,
    Declared,
    Defined,
    Family,
    Layers,
    Page,
    State,
    Statement,
    layer_sums,
)

#: What was found to add to the cotangent, or to the coefficient, of a letter.
Contributions: TypeAlias = dict[Letter, list[Expression]]


@dataclass(frozen=True)
class Passage:
    """The derivation at one definition: the one-form ``trace(G dX)``, the stages, and what coefficients it adds to."""

    of: Letter | None
    stages: tuple[Stage, ...]
    contributions: dict[Letter, Expression]

    @property
    def name(self) -> str:
        """The definition that is passed through; ``loss`` for the first."""
        return "loss" if self.of is None else self.of.name


@dataclass
class PullBack:
    """The backward page.

    Attributes:
        statements: cotangents, layers and coefficients, in the order of the backward pass.
        passages: how each was derived.
    """

    statements: list[Statement] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)


def pull_back(page: Page, weights: Collection[Letter]) -> PullBack:
    """Pull ``ω = -d loss`` back to weights, letters of the page."""
    return _PullBack(page, weights).run()


@dataclass
class _Place:
    """Where a pull-back stands: at the top of a page or in a block of layers, and the statements made there."""

    found: Contributions
    made: list[Statement]
    block: Layers | None = None


class _PullBack:
    def __init__(self, page: Page, weights: Collection[Letter]) -> None:
        self.page = page
        self.weights = list(weights)
        self.active = _active(page, frozenset(weights))
        self.variables = frozenset(letter.name for letter in self.active)
        self.names = CotangentNames(page)
        self.result = PullBack()
        blocks = [statement for statement in page.statements if isinstance(statement, Layers)]
        #: The letters of layers, and what later blocks of the same family add to their cotangents.
        self.of_layers = {letter for block in blocks for letter in _local(block)}
        self.carried: dict[tuple[Family, Letter], list[Expression]] = {}
        #: What sums over layers add to the cotangents of their letters, by the family of the layers.
        self.summed: dict[Family, list[tuple[Letter, Expression]]] = {}
        #: The parts of definitions that have names in the form.
        self.forward: set[Letter] = set()
        self.top = _Place({}, self.result.statements)

    def run(self) -> PullBack:
        top = self.top
        self.seed()
        for number, statement in reversed([*enumerate(self.page.statements)]):
            if isinstance(statement, Layers):
                self.layers(statement)
            elif isinstance(statement, Defined):
                self.definition(statement.letter, top, self.page.statements[:number])
        top.made += [self.coefficient(weight, top) for weight in self.weights if weight not in self.of_layers]
        self.result.statements = self.used(self.result.statements, set())
        return self.result

    def used(self, statements: Iterable[Statement], needed: set[str]) -> list[Statement]:
        """The statements without parts that nothing after them uses; `needed` are the names that are used."""
        kept: list[Statement] = []
        for statement in reversed([*statements]):
            match statement:
                case Layers():
                    statement = replace(statement, body=tuple(self.used(statement.body, needed)))
                case Defined(letter=letter) if letter in self.forward and letter.name not in needed:
                    continue
                case Defined(letter=letter) if letter.definition is not None:
                    needed |= _names(letter.definition)
                case Coefficient():
                    needed |= _names(statement.value)
            kept.append(statement)
        return kept[::-1]

    def coefficient(self, weight: Letter, place: _Place) -> Coefficient:
        """The coefficient of a weight; zero if the loss does not depend on it."""
        found = place.found.get(weight)
        return Coefficient(weight, zero(weight.shape[::-1], weight.axes) if found is None else summed(found))

    def seed(self) -> None:
        """Begin with the one-form ``-d loss``, a sum of words under traces."""
        loss, parts = self.parts(None, self.page.loss, self.top)
        one_form = Product(Number(-1), d(loss, wrt=self.variables))
        if one_form.degree:
            words = terms(flatten(expand_mm(expand_all(one_form))))
            rest = [word for word in words if not self.deferred(None, word, self.page.statements)]
            if rest:
                found = [total([word]) for word in terms(under_trace(Sum(*rest)))]
                self.passage(None, OneForm(*(word for word in found if word.degree)), self.top)
        self.through_parts(parts, self.top)

    def deferred(self, of: Letter | None, term: Expression, before: tuple[Statement, ...]) -> bool:
        """Take a word that is summed over layers: what it adds to their letters waits until the pull-back is there."""
        word = factors(term)
        place = next((k for k, factor in enumerate(word) if factor.degree and isinstance(factor, LayerSum)), None)
        if place is None:
            return False
        inner = word[place]
        assert isinstance(inner, LayerSum)
        block = [b for b in before if isinstance(b, Layers) and b.index == inner.index][-1]
        inside = Product(*word[:place], *factors(inner[0]), *word[place + 1 :])
        for letter, part in self.contributions(of, inside if inside.shape else under_trace(inside)).items():
            if letter in self.of_layers:
                self.summed.setdefault(block.family, []).append((letter, part))
            else:
                self.top.made.append(self.gathered(letter, part, block))
        return True

    def gathered(self, letter: Letter, part: Expression, block: Layers) -> Defined:
        """The sum over layers of what each adds to the cotangent of a letter outside, under a name."""
        whole = LayerSum(part, block.index)
        found = Letter(Symbol(self.names.gathered(letter), whole.shape, "defined", whole))
        self.top.found.setdefault(letter, []).append(found)
        return Defined(found)

    def contributions(self, of: Letter | None, one_form: Expression) -> dict[Letter, Expression]:
        """The coefficients of a one-form in its normal form."""
        recorded = tuple(stages(one_form, record=False))
        found = coefficients(recorded[-1].after)
        self.result.passages.append(Passage(of, recorded, found))
        return found

    def passage(
        self, of: Letter | None, one_form: Expression, place: _Place, cotangent: Expression | None = None
    ) -> None:
        """Bring a one-form to its normal form, and hand its coefficients on."""
        found = self.contributions(of, one_form)
        if of is not None and cotangent is not None:
            found = self.with_names(of, cotangent, found, place)
        for letter, coefficient in found.items():
            place.found.setdefault(letter, []).append(coefficient)

    def with_names(
        self, of: Letter, cotangent: Expression, contributions: dict[Letter, Expression], place: _Place
    ) -> dict[Letter, Expression]:
        """Name the factors with the cotangent that several words share, as ``aa^t(S^t, X V G)``."""
        carriers = {node.plain for node in postorder(cotangent) if isinstance(node, Letter)}
        counts: dict[Expression, int] = {}
        for factor in (factor for value in contributions.values() for factor in _composite_factors(value)):
            if not contains(factor, lambda node: isinstance(node, Letter) and node.plain in carriers):
                continue
            turned = transpose(factor)
            known = turned if turned in counts else factor
            counts[known] = counts.get(known, 0) + 1
        written: dict[Expression, Expression] = {}
        for factor, count in counts.items():
            if count > 1:
                letter = Letter(Symbol(self.names.factor(of), factor.shape, "defined", factor))
                place.made.append(Defined(letter))
                written |= {factor: letter, transpose(factor): letter.transposed}
        if not written:
            return contributions
        return {
            letter: fold(value, lambda node, parts: node.rebuild(parts), {**written})
            for letter, value in contributions.items()
        }

    def definition(self, letter: Letter, place: _Place, before: tuple[Statement, ...]) -> None:
        """Pull the cotangent of a definition back through it."""
        if letter not in place.found:
            return
        cotangent = self.cotangent_of(letter, place)
        assert letter.definition is not None
        body, parts = self.parts(letter, letter.definition, place)
        self.through(letter, body, cotangent, place, before)
        self.through_parts(parts, place)

    def parts(self, of: Letter | None, expression: Expression, place: _Place) -> tuple[Expression, tuple[Letter, ...]]:
        """The expression over letters for its parts, which are written down before they are used."""
        body, parts = parts_of(expression, self.active, lambda: self.names.part(of))
        self.active.update(parts)
        self.variables |= {part.name for part in parts}
        self.forward.update(parts)
        place.made += map(Defined, parts)
        return body, parts

    def through_parts(self, parts: tuple[Letter, ...], place: _Place) -> None:
        """Pull back through the parts of a definition, the last one first."""
        for part in reversed(parts):
            if part in place.found:
                cotangent = self.cotangent_of(part, place)
                del place.found[part]
                assert part.definition is not None
                self.through(part, part.definition, cotangent, place, ())

    def through(
        self, letter: Letter, body: Expression, cotangent: Expression, place: _Place, before: tuple[Statement, ...]
    ) -> None:
        """Hand the cotangent of a definition on to what its body uses."""
        inner = d(body, wrt=self.variables)
        if not inner.degree:
            return
        if layer_sums(inner):
            words = [*terms(flatten(expand_mm(expand_all(inner))))]
            rest = [word for word in words if not self.deferred(letter, Product(cotangent, *factors(word)), before)]
        else:
            rest = [inner]
        if rest:
            self.passage(letter, repeated(Product(cotangent, Sum(*rest)), letter.axes), place, cotangent)

    def cotangent_of(self, letter: Letter, place: _Place) -> Expression:
        """The cotangent of a definition, under a name of its own if it needs one."""
        cotangent = summed(place.found[letter])
        if _is_short(cotangent):
            return cotangent
        is_state = place.block is not None and any(letter is state.next for state in place.block.states)
        # what a layer hands on has a name already, where it comes in
        name = self.names.factor(letter) if is_state else self.names.of(letter, place.block)
        named = Letter(Symbol(name, cotangent.shape, "defined", cotangent))
        place.made.append(Defined(named))
        return named

    def layers(self, block: Layers) -> None:
        """Pull back through one layer, its index a symbol."""
        top = self.top
        states = [state for state in block.states if state.letter in self.active]
        handed = []
        local = _local(block)
        within = _Place({}, [], block)
        for state in states:
            top.made.append(Defined(self.cotangent(state.end, block, top.found)))
            within.found[state.next] = [self.unknown(state.next, block)]
        for letter in local:
            if (block.family, letter) in self.carried:
                within.found.setdefault(letter, []).extend(self.carried.pop((block.family, letter)))
        for letter, part in self.summed.pop(block.family, []):
            within.found.setdefault(letter, []).append(part)
        for statement in reversed(block.body):
            if isinstance(statement, Defined):
                self.definition(statement.letter, within, ())
        own = [letter for statement in block.body if isinstance(statement, Declared) for letter in statement.letters]
        within.made += [self.coefficient(letter, within) for letter in own if letter in self.weights]
        for state in states:
            outgoing = self.cotangent(state.letter, block, within.found)
            within.made.append(Defined(outgoing))
            incoming, end = self.unknown(state.next, block), self.unknown(state.start, block)
            handed.append(State(incoming, outgoing, self.unknown(state.end, block), end))
            if state.start in self.active:
                top.found.setdefault(state.start, []).append(self.unknown(state.start, block))
        gathered = []
        for letter, parts in within.found.items():
            if letter in self.of_layers and letter not in local:
                carried = Letter(Symbol(self.names.factor(letter), letter.shape[::-1], "defined", summed(parts)))
                within.made.append(Defined(carried))
                unknown = Letter(carried.symbol.renamed(carried.name))
                self.carried.setdefault((block.family, letter), []).append(unknown)
            elif letter not in local:
                gathered.append(self.gathered(letter, summed(parts), block))
        if within.made:
            goes_down = not block.is_descending
            top.made.append(Layers(block.index, block.last, block.first, goes_down, tuple(handed), tuple(within.made)))
        top.made += gathered

    def cotangent(self, letter: Letter, block: Layers, found: Contributions) -> Letter:
        """The cotangent of a state, under its name; zero if nothing depends on it."""
        shape = letter.shape[::-1]
        value = summed(found.pop(letter)) if letter in found else zero(shape, letter.axes)
        if value.axes != letter.axes:  # it is the same for all of a family
            value = Hadamard(value, ones(shape[0], shape[1], letter.axes))
        return Letter(Symbol(self.names.of(letter, block), value.shape, "defined", value))

    def unknown(self, letter: Letter, block: Layers) -> Letter:
        """The cotangent of a state where it comes from another layer."""
        return Letter(Symbol(self.names.of(letter, block), letter.shape[::-1], "data", layout=letter.axes))


def _local(block: Layers) -> set[Letter]:
    """The letters of a block: declared, defined, and handed in."""
    found = {state.letter for state in block.states}
    for statement in block.body:
        if isinstance(statement, Declared):
            found.update(statement.letters)
        elif isinstance(statement, Defined):
            found.add(statement.letter)
    return found


def _composite_factors(expression: Expression) -> Iterator[Expression]:
    """The factors of words that are worth a name: linear operator letters and Hadamard products."""
    for term in terms(expression):
        for factor in factors(term):
            if isinstance(factor, AxisSum):
                yield from _composite_factors(factor.direction)
            elif (isinstance(factor, Apply) and factor.is_linear) or isinstance(factor, Hadamard):
                yield factor


def _active(page: Page, weights: frozenset[Letter]) -> set[Letter]:
    """The letters of a page that depend on the weights."""
    active: set[Letter] = set(weights)

    def define(letter: Letter) -> None:
        assert letter.definition is not None
        if any(isinstance(node, Letter) and node.plain in active for node in postorder(letter.definition)):
            active.add(letter)

    for statement in page.statements:
        if isinstance(statement, Defined):
            define(statement.letter)
        elif isinstance(statement, Layers):
            active.update(state.letter for state in statement.states if state.start in active)
            # What one layer makes active is active in the next one; each round adds a state, or nothing.
            for _ in range(len(statement.states) + 1):
                for inner in statement.body:
                    if isinstance(inner, Defined):
                        define(inner.letter)
                active.update(state.letter for state in statement.states if state.next in active)
            active.update(state.end for state in statement.states if state.letter in active)
    return active


def _names(expression: Expression) -> set[str]:
    return {node.name for node in postorder(expression) if isinstance(node, Letter)}


def _is_short(cotangent: Expression) -> bool:
    """Whether a cotangent is a letter up to a scalar, so that a name would say nothing."""
    matrices = [factor for factor in factors(cotangent) if factor.shape]
    return len(matrices) == 1 and isinstance(matrices[0], Letter)
