"""A model: declared letters, definitions that abbreviate, and a scalar loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
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


def below(node: Expression) -> tuple[Expression, ...]:
    """What a node is built from, reading through definitions; for `postorder`."""
    if isinstance(node, Letter):
        return () if node.definition is None else (node.definition,)
    return node.children


@dataclass(frozen=True)
class Model:
    """A model whose loss is a closed expression in its letters.

    Attributes:
        name: how it was loaded.
        letters: the declared letters by name: weights, data, ones.
        definitions: the letters that abbreviate expressions, each after those it uses.
        loss: the scalar that is minimised.
        sizes: the size of every symbolic dimension.
        title: one line that says what it is.
    """

    name: str
    letters: Mapping[str, Letter]
    definitions: tuple[Letter, ...]
    loss: Expression
    sizes: Mapping[str, int] = field(default_factory=dict)
    title: str = ""

    @property
    def weights(self) -> list[str]:
        """The names of the weights, in order of declaration."""
        return [name for name, letter in self.letters.items() if letter.role == "weight"]

    @property
    def inputs(self) -> list[str]:
        """The names of the letters that need numbers: weights and data."""
        return [name for name, letter in self.letters.items() if not letter.symbol.is_constant]

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The shape of every declared letter, in numbers.

        Raises:
            ArrayError: a dimension without a size.
        """
        return {name: self.shape_of(letter) for name, letter in self.letters.items()}

    def shape_of(self, letter: Letter) -> tuple[int, int]:
        """The shape of one letter, in numbers."""
        rows, columns = (self.size_of(dimension) for dimension in letter.shape)
        return rows, columns

    def size_of(self, dimension: Dimension) -> int:
        if not dimension.is_symbolic:
            return int(dimension.value)
        if dimension.value not in self.sizes:
            raise ArrayError(f"dimension {dimension} of {self.name} has no size: give it one, {dimension}=...")
        return self.sizes[str(dimension)]

    @cached_property
    def dimensions(self) -> list[str]:
        """The names of the symbolic dimensions, in order of appearance."""
        names: dict[str, None] = {}
        for node in (*self.letters.values(), *postorder(self.loss, below)):
            for dimension in (node.base,) if isinstance(node, Power) else node.shape:
                if dimension.is_symbolic and dimension.value != PI:
                    names.setdefault(str(dimension))
        return list(names)

    def __str__(self) -> str:
        lines = []
        for role in ("data", "ones", "weight"):
            declared = [f"{n}: {shape_text(x.shape)}" for n, x in self.letters.items() if x.role == role]
            if declared:
                lines.append(f"{'weights' if role == 'weight' else role:8} {', '.join(declared)}")
        lines += [f"{letter.name} = {letter.definition}" for letter in self.definitions]
        return "\n".join([*lines, f"loss = {self.loss}"])


def half_squared_error(answer: Expression, target: Letter) -> tuple[Letter, Expression]:
    """The error ``E = Y - F``, a letter with a definition, and the loss ``1/2 trace(E^t E)``."""
    error = Letter(Symbol("E", answer.shape, "defined", target - answer))
    return error, Product(Number(Fraction(1, 2)), Trace(Product(error.transposed, error)))


def linear_model(answer: Expression, sizes: Mapping[str, int] | None = None, name: str = "expression") -> Model:
    """The model of a bare expression `F`: given an error `E`, the form ``trace(E^t dF)``, the loss ``-trace(E^t F)``.

    Raises:
        FormError: the expression is a scalar or a form, has no weights, or uses the letter E itself.
    """
    if len(answer.shape) != 2 or answer.degree:
        raise FormError(
            f"{excerpt(answer)} is no matrix expression: a form is derived from a matrix without differentials"
        )
    used = {node.name: node.plain for node in postorder(answer, below) if isinstance(node, Letter)}
    if "E" in used:
        raise FormError(
            "the letter E names the error of the form trace(E^t dF): give the expression's own E another name"
        )
    error = Letter(Symbol("E", answer.shape, "data"))
    declared = {name: letter for name, letter in used.items() if letter.definition is None}
    definitions = tuple(letter for letter in used.values() if letter.definition is not None)
    loss = Product(Number(-1), Trace(Product(error.transposed, answer)))
    return Model(name, {**declared, "E": error}, definitions, loss, dict(sizes or {}), "a single expression")
