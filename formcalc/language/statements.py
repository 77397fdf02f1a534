"""What a page consists of: dimensions, declarations, definitions, functions, layers, coefficients, and a loss.

Letters of a layer are read once, with the layer's index in their names: ``X_i``, ``W_{1,i}``, ``X_{i+1}``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from formcalc.algebra import Expression, LayerSum, Letter, postorder
from formcalc.language.source import Excerpt


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

    def plus(self, count: int) -> Bound:
        return Bound(self.dimension, self.offset + count)


@dataclass(frozen=True)
class Declared:
    """Letters declared by one line."""

    letters: tuple[Letter, ...]


@dataclass(frozen=True)
class Defined:
    """A letter that abbreviates an expression."""

    letter: Letter


@dataclass(frozen=True)
class Coefficient:
    """The coefficient ``C`` of ``trace(C dW)`` in the form of the page: a line ``dW : C``."""

    letter: Letter
    value: Expression


@dataclass(frozen=True)
class Function:
    """A part of a page that is written once and used with different arguments: ``LN(X, g, b) = ...``."""

    name: str
    parameters: tuple[str, ...]
    body: Excerpt


@dataclass(frozen=True)
class State:
    """What one layer hands to the next: ``X_i`` comes in and ``X_{i+1}`` goes out; going down, ``G_{i+1}`` and ``G_i``.

    Outside, the letter that comes in first is ``X_0``, and the one that comes out last ``X_L``.
    """

    letter: Letter
    next: Letter
    start: Letter
    end: Letter


#: The index of a block of layers, and its lower and upper bound.
Family: TypeAlias = tuple[str, Bound, Bound]


@dataclass(frozen=True)
class Layers:
    """Lines repeated over an index, and the states that go from one layer to the next.

    Attributes:
        is_descending: whether the index goes down, as in ``i = L-1 .. 0``.
    """

    index: str
    first: Bound
    last: Bound
    is_descending: bool
    states: tuple[State, ...]
    body: tuple[Statement, ...]

    @property
    def family(self) -> Family:
        """Blocks with the same index and range share their letters, whichever way they go."""
        ends = (self.last, self.first) if self.is_descending else (self.first, self.last)
        return (self.index, *ends)


Statement: TypeAlias = Declared | Defined | Coefficient | Function | Layers


@dataclass(frozen=True)
class Page:
    """A page as it was read.

    Attributes:
        text: what was read.
        statements: up to the loss.
        loss: the scalar that is minimised.
        backward: after the loss: the form ``-d loss``, its cotangents, layers and coefficients; empty if not derived.
    """

    text: str
    title: str
    dimensions: tuple[PageDimension, ...]
    statements: tuple[Statement, ...]
    loss: Expression
    backward: tuple[Statement, ...] = ()

    def letter_names(self) -> Iterator[str]:
        """The names of all letters, declared and defined."""
        for statement in inner_statements((*self.statements, *self.backward)):
            if isinstance(statement, Declared):
                yield from (letter.name for letter in statement.letters)
            elif isinstance(statement, Defined):
                yield statement.letter.name
            elif isinstance(statement, Function):
                yield statement.name

    def weights(self) -> Iterator[Letter]:
        """The weights, as the page writes them."""
        for statement in inner_statements(self.statements):
            if isinstance(statement, Declared):
                yield from (letter for letter in statement.letters if letter.role == "weight")


def inner_statements(statements: tuple[Statement, ...]) -> Iterator[Statement]:
    """All statements, those of one layer in the place of layers."""
    for statement in statements:
        if isinstance(statement, Layers):
            yield from statement.body
        else:
            yield statement


def layer_sums(expression: Expression) -> list[LayerSum]:
    """The sums over layers in an expression."""
    return [node for node in postorder(expression) if isinstance(node, LayerSum)]
