"""The pull-back of a loss to its weights, definition by definition: the shared normal form.

Every definition ``X = f(...)`` of a page is differentiated once, with the other definitions as letters; the pipeline
turns ``trace(G dX)`` into contributions to the cotangents of what `X` uses. A layer is pulled back once, with its index
as a symbol: the cotangent ``G_{i+1}`` comes in, ``G_i`` goes out. So the result is as long as the page, whatever the
number of layers.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from formcalc.algebra import Expression, Letter, Number, OneForm, Product, Symbol, postorder
from formcalc.calculus.cyclic import coefficients, total, under_trace, zero
from formcalc.calculus.differential import d
from formcalc.calculus.expansion import expand_all, expand_mm, factors, flatten, terms
from formcalc.calculus.pipeline import Stage, stages
from formcalc.language.page import Declared, Defined, Layers, Page

#: What was found to add to the cotangent, or to the coefficient, of a letter.
Contributions: TypeAlias = dict[Letter, list[Expression]]

#: Names for cotangents, in the order in which the pull-back meets definitions: of X, of Z and of S in an encoder.
_COTANGENT_NAMES = ("G", "M", "U", "H", "N", "R", "P", "J", "B", "D")


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


@dataclass(frozen=True)
class BackwardLayers:
    """The backward pass through a block of layers, from the last to the first, in the symbolic index.

    Attributes:
        block: the layers.
        cotangents: those of one layer, in order.
        outgoing: the cotangents ``G_i`` that a layer hands to the one before.
        coefficients: of the letters of one layer.
        shared: letters that gather over the layers what each adds to the cotangent of a letter outside.
    """

    block: Layers
    cotangents: tuple[Letter, ...]
    outgoing: tuple[Letter, ...]
    coefficients: dict[Letter, Expression]
    shared: dict[Letter, Expression]


@dataclass
class PullBack:
    """The backward page: cotangents and layers in order, then one coefficient per weight outside of layers.

    Attributes:
        steps: the cotangents (letters with definitions) and blocks of layers, in the order of the backward pass.
        coefficients: ``C`` of ``trace(C dW)`` by the page's letter `W`; without what layers add.
        passages: how each was derived.
    """

    steps: list[Letter | BackwardLayers] = field(default_factory=list)
    coefficients: dict[Letter, Expression] = field(default_factory=dict)
    passages: list[Passage] = field(default_factory=list)


def pull_back(page: Page, weights: Collection[Letter]) -> PullBack:
    """Pull ``ω = -d loss`` back to weights, letters of the page."""
    return _PullBack(page, weights).run()


class _PullBack:
    def __init__(self, page: Page, weights: Collection[Letter]) -> None:
        self.page = page
        self.weights = list(weights)
        self.active = _active(page, frozenset(weights))
        self.variables = frozenset(letter.name for letter in self.active)
        # Letters of the loss itself, such as the error, carry the form in and need no cotangent of their own.
        self.seeds = {node.plain for node in postorder(page.loss) if isinstance(node, Letter)}
        self.names = _CotangentNames(page)
        self.result = PullBack()

    def run(self) -> PullBack:
        found: Contributions = {}
        one_form = Product(Number(-1), d(self.page.loss, wrt=self.variables))
        if one_form.degree:
            words = terms(under_trace(flatten(expand_mm(expand_all(one_form)))))
            self.passage(None, OneForm(*(total([word]) for word in words)), found)
        for statement in reversed(self.page.statements):
            if isinstance(statement, Layers):
                self.layers(statement, found)
            elif isinstance(statement, Defined):
                self.definition(statement.letter, found, self.result.steps)
        self.result.coefficients = {w: total(found[w]) for w in self.weights if w in found}
        return self.result

    def passage(self, of: Letter | None, one_form: Expression, found: Contributions) -> None:
        recorded = tuple(stages(one_form, record=False))
        contributions = coefficients(recorded[-1].after)
        self.result.passages.append(Passage(of, recorded, contributions))
        for letter, coefficient in contributions.items():
            found.setdefault(letter, []).append(coefficient)

    def definition(self, letter: Letter, found: Contributions, steps: list, block: Layers | None = None) -> None:
        """Pull the cotangent of a definition back through it, under a name of its own if it needs one."""
        if letter not in found:
            return
        cotangent = total(found[letter])
        # What a layer hands on has its name already, where it comes in.
        is_state = block is not None and any(letter is state.next for state in block.states)
        if letter not in self.seeds:
            name = self.names.of(letter, block)
            if not is_state and not _is_short(cotangent):
                cotangent = Letter(Symbol(name, cotangent.shape, "defined", cotangent))
                steps.append(cotangent)
        assert letter.definition is not None
        inner = d(letter.definition, wrt=self.variables)
        if inner.degree:
            self.passage(letter, Product(cotangent, inner), found)

    def layers(self, block: Layers, found: Contributions) -> None:
        """Pull back through one layer, its index a symbol."""
        states = [state for state in block.states if state.letter in self.active]
        within: Contributions = {}
        for state in states:
            self.result.steps.append(self.cotangent(state.end, block, found))
            within[state.next] = [self.unknown(state.next, block)]
        cotangents: list[Letter] = []
        for statement in reversed(block.body):
            if isinstance(statement, Defined):
                self.definition(statement.letter, within, cotangents, block)
        outgoing = []
        for state in states:
            outgoing.append(self.cotangent(state.letter, block, within))
            if state.start in self.active:
                found.setdefault(state.start, []).append(self.unknown(state.start, block))
        own = [letter for statement in block.body if isinstance(statement, Declared) for letter in statement.letters]
        local = {*own, *(statement.letter for statement in block.body if isinstance(statement, Defined))}
        coefficients_of = {letter: total(within[letter]) for letter in own if letter in within}
        shared = {}
        for letter, parts in within.items():
            if letter not in local:
                gathered = self.names.gathered(letter)
                part = total(parts)
                sum_over_layers = Letter(Symbol(gathered, part.shape, "data"))
                shared[sum_over_layers] = part
                found.setdefault(letter, []).append(sum_over_layers)
        self.result.steps.append(BackwardLayers(block, tuple(cotangents), tuple(outgoing), coefficients_of, shared))

    def cotangent(self, letter: Letter, block: Layers, found: Contributions) -> Letter:
        """The cotangent of a state, under its name; zero if nothing depends on it."""
        value = total(found.pop(letter)) if letter in found else zero(letter.shape[::-1])
        return Letter(Symbol(self.names.of(letter, block), value.shape, "defined", value))

    def unknown(self, letter: Letter, block: Layers) -> Letter:
        """The cotangent of a state where it comes from another layer."""
        return Letter(Symbol(self.names.of(letter, block), letter.shape[::-1], "data"))


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


def _is_short(cotangent: Expression) -> bool:
    """Whether a cotangent is a letter up to a scalar, so that a name would say nothing."""
    matrices = [factor for factor in factors(cotangent) if factor.shape]
    return len(matrices) == 1 and isinstance(matrices[0], Letter)


class _CotangentNames:
    """Names that never collide with the page's own: ``G_i`` for ``X_i``, ``M_i`` for ``Z_i``, ``U_i`` for ``S_i``.

    Each block of layers has names of its own, for what comes out of one block and goes into the next has two
    cotangents: what the later block hands back, and the sum of that and of all other uses.
    """

    def __init__(self, page: Page) -> None:
        self.taken = {_base(name) for name in (*page.letter_names(), *(x.name for x in page.dimensions))}
        self.free = [name for name in _COTANGENT_NAMES if name not in self.taken and f"d{name}" not in self.taken]
        self.bases: dict[tuple[Layers | None, str], str] = {}

    def of(self, letter: Letter, block: Layers | None) -> str:
        base = _base(letter.name)
        key = (block, base)
        if key not in self.bases:
            self.bases[key] = self.free.pop(0) if self.free else self.fresh(f"G{base}")
            self.taken.add(self.bases[key])
        return self.bases[key] + letter.name[len(base) :]

    def gathered(self, letter: Letter) -> str:
        """A name for what layers add to the coefficient of a letter outside."""
        base = self.fresh("A")
        self.taken.add(base)
        return base + letter.name[len(_base(letter.name)) :]

    def fresh(self, name: str) -> str:
        while name in self.taken or f"d{name}" in self.taken:
            name = f"G{name}"
        return name


def _base(name: str) -> str:
    return re.split(r"_", name, maxsplit=1)[0]
