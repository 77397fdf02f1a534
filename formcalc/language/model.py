"""A model: a page at given sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from formcalc.algebra import (
    PI,
    Dimension,
    Expression,
    Letter,
    Number,
    Power,
    Product,
    Symbol,
    Trace,
    excerpt,
    postorder,
    shape_text,
)
from formcalc.errors import ArrayError, FormError
from formcalc.language.page import ROLES
from formcalc.language.statements import Declared, Defined, Page, PageDimension
from formcalc.language.unrolling import Unrolled, sizes_of, unroll


def below(node: Expression) -> tuple[Expression, ...]:
    """What a node is built from, reading through definitions; for `postorder`."""
    if isinstance(node, Letter):
        return () if node.definition is None else (node.definition,)
    return node.children


@dataclass(frozen=True)
class Model:
    """A page at given sizes. Its layers are written out only when their letters are asked for.

    Attributes:
        name: how it was loaded.
        source: the page as it was read.
        sizes: the size of every dimension that has one.
    """

    name: str
    source: Page
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, page: Page, name: str, dimensions: Mapping[str, int]) -> Model:
        """The model of a page, with the page's default for every dimension that is not given.

        Raises:
            FormcalcError: an unknown dimension, or a size that is not a positive integer, or none at all.
        """
        return cls(name, page, sizes_of(page, dimensions, name))

    @property
    def page(self) -> str:
        """The text of the page."""
        return self.source.text

    @property
    def title(self) -> str:
        """One line that says what it is."""
        return self.source.title

    @cached_property
    def unrolled(self) -> Unrolled:
        """The letters, definitions and loss with all layers written out."""
        return unroll(self.source, self.sizes, self.name)

    @property
    def letters(self) -> Mapping[str, Letter]:
        """The declared letters by name: weights, data, ones."""
        return self.unrolled.declared

    @property
    def definitions(self) -> tuple[Letter, ...]:
        """The letters that abbreviate expressions, each after those it uses."""
        return self.unrolled.definitions

    @property
    def loss(self) -> Expression:
        """The scalar that is minimised."""
        return self.unrolled.loss

    @property
    def weights(self) -> list[str]:
        """The names of the weights, in order of declaration."""
        return [name for name, letter in self.letters.items() if letter.role == "weight"]

    @property
    def inputs(self) -> list[str]:
        """The names of the letters that need numbers: weights and data."""
        return [name for name, letter in self.letters.items() if not letter.symbol.is_constant]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every declared letter's array: its axes, rows and columns; of tokens, without columns.

        Raises:
            ArrayError: a dimension without a size.
        """
        return {name: self.shape_of(letter) for name, letter in self.letters.items()}

    def shape_of(self, letter: Letter) -> tuple[int, ...]:
        """The shape of one letter's array, in numbers."""
        rows, columns = letter.symbol.shape
        matrix = (rows,) if letter.role == "tokens" else (rows, columns)
        return tuple(self.size_of(dimension) for dimension in (*letter.symbol.layout, *matrix))

    def size_of(self, dimension: Dimension) -> int:
        if not dimension.is_symbolic:
            return int(dimension.value)
        if dimension.value not in self.sizes:
            raise ArrayError(f"dimension {dimension} of {self.name} has no size: give it one, {dimension}=...")
        return self.sizes[str(dimension)]

    @property
    def dimensions(self) -> list[str]:
        """The names of the dimensions, in order of declaration."""
        return [dimension.name for dimension in self.source.dimensions]

    def __str__(self) -> str:
        return self.page


def linear_model(answer: Expression, sizes: Mapping[str, int] | None = None, name: str = "expression") -> Model:
    """The model of a bare expression `F`: given an error `E`, the form ``trace(E^t dF)``, the loss ``-trace(E^t F)``.

    Raises:
        FormError: the expression is a scalar or a form, or uses the letter E itself.
    """
    if len(answer.shape) != 2 or answer.degree:
        raise FormError(
            f"{excerpt(answer)} is no matrix expression: a form is derived from a matrix without differentials"
        )
    used: dict[str, Letter] = {}
    dimensions: dict[str, None] = {}
    for node in postorder(answer, below):
        if isinstance(node, Letter):
            used.setdefault(node.name, node.plain)
        for dimension in (node.base,) if isinstance(node, Power) else (*node.axes, *node.shape):
            if dimension.is_symbolic and dimension.value != PI:
                dimensions.setdefault(str(dimension))
    if "E" in used:
        raise FormError(
            "the letter E names the error of the form trace(E^t dF): give the expression's own E another name"
        )
    error = Letter(Symbol("E", answer.shape, "data", layout=answer.axes))
    declared = (*(letter for letter in used.values() if letter.definition is None), error)
    defined = tuple(Defined(letter) for letter in used.values() if letter.definition is not None)
    loss = Product(Number(-1), Trace(Product(error.transposed, answer)))
    page = Page(
        _text(tuple(dimensions), declared, defined, loss),
        "a single expression",
        tuple(PageDimension(dimension, "", None) for dimension in dimensions),
        (Declared(declared), *defined),
        loss,
    )
    return Model(name, page, dict(sizes or {}))


def _text(
    dimensions: tuple[str, ...], declared: tuple[Letter, ...], defined: tuple[Defined, ...], loss: Expression
) -> str:
    lines = [f"dims     {', '.join(dimensions)}"] if dimensions else []
    for word, role in ROLES.items():
        group = [f"{letter}: {shape_text(letter.shape)}" for letter in declared if letter.role == role]
        lines += [f"{word:8} {', '.join(group)}"] if group else []
    lines += [f"{statement.letter.name} = {statement.letter.definition}" for statement in defined]
    return "\n".join([*lines, f"loss = {loss}", ""])
