"""The values and steps of a program: single assignment, arrays with named slots, loops over layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeAlias

from formcalc.algebra import Expression, Letter
from formcalc.language.statements import Family

#: What stands behind a value; see `Value`.
Kind: TypeAlias = Literal["array", "ids", "turn"]


@dataclass(eq=False)
class Value:
    """One array of a program: a name, and the slots it has, in the order of its memory.

    A slot is an axis of the array with a name of its own: ``B``, ``h``, ``row``, ``col``, or a label of a product. What
    is constant along an axis lacks its slot, and broadcasts.

    Attributes:
        kind: ``array``; ``ids`` of one-hot rows, whose slot ``col`` is not stored; ``turn``, the constant quarter turn.
        source: what it is the value of, for people.
    """

    name: str
    slots: tuple[str, ...]
    sizes: Mapping[str, int]
    kind: Kind = "array"
    source: str = ""

    @property
    def stored(self) -> tuple[str, ...]:
        """The slots that the array has."""
        return tuple(slot for slot in self.slots if slot != "col") if self.kind == "ids" else self.slots

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple([self.sizes[slot] for slot in self.stored])

    @cached_property
    def entries(self) -> int:
        """How many they are: the same in any order of the slots."""
        return math.prod(self.shape)


def again(value: Value, others: Iterable[Value]) -> Value:
    """The same value where it is computed again, with a name that none of the others has."""
    names = {other.name for other in others}
    name = base = f"{value.name}_again"
    count = 1
    while name in names:
        count += 1
        name = f"{base}_{count}"
    return replace(value, name=name)


@dataclass(frozen=True, eq=False)
class View:
    """A value as an expression reads it: which slot is which of its axes, its rows and its columns."""

    value: Value
    roles: Mapping[str, str]

    @property
    def transposed(self) -> View:
        """The same value with rows and columns exchanged, at no cost."""
        turned = {"row": "col", "col": "row"}
        return View(self.value, {turned.get(role, role): slot for role, slot in self.roles.items()})


#: An operand of a step: a value, and the label that each of its slots has in the step.
Labelled: TypeAlias = tuple[Value, dict[str, str]]


@dataclass(eq=False)
class Contract:
    """The product of one or two values, summed over the labels that the result lacks, times a number."""

    out: Value
    operands: tuple[Labelled, ...]
    scale: float = 1.0

    def sizes(self) -> dict[str, int]:
        """The size of every label."""
        return {label: value.sizes[slot] for value, labels in self.operands for slot, label in labels.items()}

    @property
    def flops(self) -> int:
        """Multiplications and additions; a selection of rows has none, adding rows up one addition for each entry."""
        sizes = self.sizes()
        if len(self.operands) == 1:
            return math.prod(sizes.values())
        if any(value.kind != "array" for value, _ in self.operands):
            return max(value.entries for value, _ in self.operands)
        return 2 * math.prod(sizes.values())

    @property
    def product_flops(self) -> int:
        """Those of a product of matrices."""
        is_product = len(self.operands) == 2 and all(value.kind == "array" for value, _ in self.operands)
        return self.flops if is_product else 0


@dataclass(eq=False)
class Map:
    """A function of whole arrays, entry by entry or row by row; its operands are aligned to the slots of the result.

    Attributes:
        operation: what is computed: ``sum``, ``product``, the name of an operator, or ``operator'`` for its slope.
        numbers: the factors of the terms of a sum, or the one factor of a product; ε of a norm.
        along: the label along which a row operation runs.
        more: further results, such as the inverse deviations of a norm.
    """

    out: Value
    operands: tuple[Labelled, ...]
    operation: str
    numbers: tuple[float, ...] = ()
    along: str = ""
    more: tuple[Value, ...] = ()

    @property
    def flops(self) -> int:
        return self.out.entries * max(1, len(self.operands)) + self.product_flops

    @property
    def product_flops(self) -> int:
        """The operations of the products of matrices in it."""
        return 0


@dataclass(eq=False)
class Accumulated(Map):
    """A sum of arrays, times `numbers`, and of products of matrices in its own labels, added up as they are multiplied.

    The operands are those of the terms, and then those of the products.
    """

    products: tuple[Contract, ...] = ()

    @property
    def flops(self) -> int:
        return self.out.entries * len(self.numbers) + self.product_flops

    @property
    def product_flops(self) -> int:
        return sum(product.flops for product in self.products)


@dataclass(eq=False)
class Fused(Map):
    """A primitive in the place of several steps.

    Attributes:
        orders: for each operand, the labels of the axes in which the primitive takes it; what it lacks, has length one.
        results: the same for what comes out, `out` and `more`.
        products: the products of matrices that it stands for.
    """

    orders: tuple[tuple[str, ...], ...] = ()
    results: tuple[tuple[str, ...], ...] = ()
    products: tuple[Contract, ...] = ()

    @property
    def product_flops(self) -> int:
        return sum(product.flops for product in self.products)


Step: TypeAlias = Contract | Map


def made(step: Step) -> tuple[Value, ...]:
    """All results of a step."""
    return (step.out, *step.more) if isinstance(step, Map) else (step.out,)


def is_fresh(step: Step) -> bool:
    """Whether a step makes a new array, and no view of an operand."""
    if len(step.operands) > 1:
        return True
    if isinstance(step, Contract):  # a diagonal is a view, a sum is not
        value, labels = step.operands[0]
        return value.kind == "array" and not set(labels.values()) <= set(step.out.slots)
    if step.operation in ("sum", "product"):
        return step.numbers != (1.0,)
    return step.operation not in ("broadcast", "dense")


@dataclass(eq=False)
class Section:
    """Steps in order."""

    steps: list[Step] = field(default_factory=list)

    @property
    def repeats(self) -> int:
        """How often the steps run."""
        return 1

    def times(self, step: Step) -> int:  # noqa: ARG002  (all steps alike, unless there are layers)
        """How often one of the steps runs."""
        return self.repeats


@dataclass(eq=False)
class State:
    """A value that one layer hands to the next: what comes in, its start, what goes out, and what comes out last."""

    value: Value
    start: View
    end: Value
    outgoing: View | None = None


@dataclass(eq=False)
class Loop(Section):
    """Steps of layers, repeated over an index.

    Attributes:
        index: its name; `values` are the numbers it takes, in order.
        prelude: the steps before it, which are the same for every layer.
        inputs: values given for every layer; `loads` are those that another loop of the family `saves`.
        sums: results that add up over the layers.
        coefficients: of the weights of one layer.
        between: how many of the steps only serve the next layer: the last layer does without them.
        after: how many steps come after those; none before steps are put in order.
    """

    index: str = ""
    values: range = range(0)
    family: Family | None = None
    prelude: Section = field(default_factory=Section)
    states: list[State] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    saves: list[Value] = field(default_factory=list)
    loads: list[Value] = field(default_factory=list)
    sums: list[tuple[Value, View]] = field(default_factory=list)
    coefficients: dict[Letter, View] = field(default_factory=dict)
    between: int = 0
    after: int = 0
    varying: dict[Expression, bool] = field(default_factory=dict)

    @property
    def repeats(self) -> int:
        """How often the steps run, but for those between layers."""
        return len(self.values)

    def times(self, step: Step) -> int:
        """How often one of the steps runs; in the last layer those between layers do not."""
        return self.repeats - (step in self.between_layers)

    @property
    def before(self) -> list[Step]:
        """The steps of every layer that come first."""
        return self.steps[: len(self.steps) - self.between - self.after]

    @property
    def between_layers(self) -> list[Step]:
        """The steps that only serve the next layer."""
        start = len(self.steps) - self.between - self.after
        return self.steps[start : start + self.between]

    @property
    def always(self) -> list[Step]:
        """The steps of every layer."""
        return self.before + self.steps[len(self.steps) - self.after :]
