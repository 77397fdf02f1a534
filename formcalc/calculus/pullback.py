"""The pull-back of a loss to its weights, definition by definition: the shared normal form.

Every definition ``X = f(...)`` of the model is differentiated once, with the other definitions as letters; the
pipeline turns ``trace(G dX)`` into contributions to the cotangents of what `X` uses. So each intermediate is written
once, and the size of the result is linear in the size of the model.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from formcalc.algebra import Expression, Letter, Number, OneForm, Product, Symbol, ones, postorder
from formcalc.calculus.cyclic import coefficients, total, under_trace
from formcalc.calculus.differential import d
from formcalc.calculus.expansion import expand_all, expand_mm, factors, flatten, terms
from formcalc.calculus.pipeline import Stage, stages
from formcalc.language import Model
from formcalc.language.model import below

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
class PullBack:
    """One coefficient per weight, over cotangents that are letters with definitions.

    Attributes:
        coefficients: ``C`` of ``trace(C dW)`` by the name of `W`.
        cotangents: the letters ``G, M, U, ...`` in the order of the backward pass.
        passages: how each was derived.
    """

    coefficients: dict[str, Expression]
    cotangents: tuple[Letter, ...]
    passages: tuple[Passage, ...]


def pull_back(model: Model, weights: Collection[str]) -> PullBack:
    """Pull ``ω = -d loss`` back to the weights."""
    active = _active_definitions(model, frozenset(weights))
    variables = frozenset(weights) | {letter.name for letter in active}
    names = _CotangentNames(model)
    # Letters of the loss itself, such as the error, carry the form in and need no cotangent of their own.
    seeds = {node.plain for node in postorder(model.loss) if isinstance(node, Letter)}
    contributions: dict[Letter, list[Expression]] = {}
    cotangents: list[Letter] = []
    passages: list[Passage] = []

    def passage(of: Letter | None, one_form: Expression) -> None:
        recorded = tuple(stages(one_form, record=False))
        found = coefficients(recorded[-1].after)
        passages.append(Passage(of, recorded, found))
        for letter, coefficient in found.items():
            contributions.setdefault(letter, []).append(coefficient)

    if variables:
        one_form = Product(Number(-1), d(model.loss, wrt=variables))
        if not _is_zero(one_form):
            words = terms(under_trace(flatten(expand_mm(expand_all(one_form)))))
            passage(None, OneForm(*(total([word]) for word in words)))
    for letter in reversed(active):
        if letter not in contributions:
            continue
        cotangent = total(contributions[letter])
        if letter not in seeds:
            name = names.of(letter)
            if not _is_short(cotangent):
                cotangent = Letter(Symbol(name, cotangent.shape, "defined", cotangent))
                cotangents.append(cotangent)
        assert letter.definition is not None
        passage(letter, Product(cotangent, d(letter.definition, wrt=variables)))
    result = {}
    for name in weights:
        letter = model.letters[name]
        absent = Product(Number(0), ones(*letter.shape[::-1]))
        result[name] = total(contributions[letter]) if letter in contributions else absent
    return PullBack(result, tuple(cotangents), tuple(passages))


def _active_definitions(model: Model, weights: frozenset[str]) -> list[Letter]:
    """The definitions that the loss reaches and that depend on the weights, each after those it uses."""
    depends: dict[Expression, bool] = {}
    active: list[Letter] = []
    for node in postorder(model.loss, below):
        depends[node] = any(depends[part] for part in below(node))
        if isinstance(node, Letter):
            depends[node] |= node.name in weights
            if node.definition is not None and depends[node] and node.plain not in active:
                active.append(node.plain)
    return active


def _is_zero(one_form: Expression) -> bool:
    return one_form.degree == 0  # the zero form of A is written 0 A


def _is_short(cotangent: Expression) -> bool:
    """Whether a cotangent is a letter up to a scalar, so that a name would say nothing."""
    matrices = [factor for factor in factors(cotangent) if factor.shape]
    return len(matrices) == 1 and isinstance(matrices[0], Letter)


class _CotangentNames:
    """Names that never collide with the model's own: ``G_1`` for ``X_1``, ``M_0`` for ``Z_0``, ``U_0`` for ``S_0``."""

    def __init__(self, model: Model) -> None:
        taken = {_base(name) for name in (*model.letters, *(x.name for x in model.definitions), *model.dimensions)}
        self.free = [name for name in _COTANGENT_NAMES if name not in taken and f"d{name}" not in taken]
        self.taken = taken
        self.bases: dict[str, str] = {}

    def of(self, letter: Letter) -> str:
        base = _base(letter.name)
        if base not in self.bases:
            name = self.free.pop(0) if self.free else f"G{base}"
            while name in self.taken:
                name = f"G{name}"
            self.taken.add(name)
            self.bases[base] = name
        return self.bases[base] + letter.name[len(base) :]


def _base(name: str) -> str:
    return re.split(r"_", name, maxsplit=1)[0]
