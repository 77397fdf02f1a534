"""Building the steps of a program: what is computed is computed once, wherever it is met again."""

from __future__ import annotations

import builtins
import keyword
import math
import re
from collections.abc import Sequence

from formcalc.algebra import Dimension, Expression, Number, Power, Product
from formcalc.calculus import Form
from formcalc.language.indices import subscripts
from formcalc.language.statements import Family, Layers
from formcalc.numeric.program import numpy_primitives
from formcalc.numeric.program.values import Loop, Map, Section, Step, Value, View


class Builder:
    """The sections of a program under construction, and what is known in each.

    Attributes:
        section: where steps go.
        loop: the layers that are being written, if any.
        numbered: values by what they compute, at the top and in the layers of each family.
        home: the section in which a value is computed.
    """

    def __init__(self, form: Form) -> None:
        self.model = form.model
        self.section = Section()
        self.loop: Loop | None = None
        self.numbered: dict[Family | None, dict[tuple, Value]] = {None: {}}
        self.home: dict[Value, Section] = {}
        #: Of words, the labels of the slots under which the word is known.
        self.normal: dict[Value, dict[str, str]] = {}
        self.has_fused_softmax = False
        self.taken: set[str] = set()
        self.counts: dict[str, int] = {}
        self.indices = {block.index for block in self.model.source.statements if isinstance(block, Layers)}
        self.following = {f"{index}+1" for index in self.indices}
        #: Axes that weights have, such as heads, stand beside the columns; others, such as batches, come first.
        self.head_axes = {str(axis) for letter in self.model.source.weights() for axis in letter.axes}

    def view(self, node: Expression) -> View:
        """The view of a matrix or of a scalar; computed where it has not been."""
        raise NotImplementedError

    def fresh(self, name: str) -> str:
        """An identifier for a letter of the page, or for what has no name: ``X_{i+1}`` is ``X_next``."""
        base, dot, rest = name.partition("_")
        parts = ["next" if part in self.following else part.replace("+", "_plus_") for part in subscripts(name)]
        whole = "_".join([base, *parts]) if parts else base + dot + rest
        stem = re.sub(r"[\W_]+", "_", whole).strip("_") or "t"
        is_taken = stem in RESERVED or stem in self.indices or stem.endswith("_saved")
        stem = f"v_{stem}" if is_taken or stem[0].isdigit() else stem
        found, count = stem, 0
        while found in self.taken or (stem == "t" and not count):
            count = self.counts[stem] = self.counts.get(stem, 0) + 1
            found = f"{stem}{count}"
        self.taken.add(found)
        return found

    def emit(self, step: Step) -> None:
        self.section.steps.append(step)
        self.home[step.out] = self.section

    def number(self, node: Expression) -> float:
        """The value of a number or a power; no size is converted: it may remember its dimension."""
        if isinstance(node, Number):
            return float(node.value)
        assert isinstance(node, Power)
        base = math.pi if node.base.value == "pi" else self.size(node.base)
        return base ** float(node.exponent)

    def size(self, dimension: Dimension) -> int:
        return self.model.size_of(dimension)

    def scaled(self, node: Expression) -> tuple[float, list[Expression], Expression]:
        """A term as a number, scalars that are computed, and the rest."""
        if isinstance(node, (Number, Power)):
            return self.number(node), [], Number(1)
        if not isinstance(node, Product):
            return 1.0, [], node
        number, scalars, matrices = 1.0, [], []
        for factor in flat(node):
            if isinstance(factor, (Number, Power)):
                number *= self.number(factor)
            elif factor.shape:
                matrices.append(factor)
            else:
                scalars.append(factor)
        return number, scalars, Product(*matrices) if matrices else Number(1)

    def map(
        self,
        operation: str,
        views: Sequence[View],
        sizes: dict[str, int] | None = None,
        numbers: tuple[float, ...] = (),
        along: str = "",
        extra: tuple[str, ...] = (),
    ) -> View:
        """A map over views, which is not computed twice, in this or in the other orientation."""
        known = self.products()
        sizes = dict(sizes or {})
        for view in views:
            sizes |= {role: view.value.sizes[slot] for role, slot in view.roles.items()}
        key = map_key(operation, views, numbers, along)
        if not views:  # then its shape is what tells it from others
            key = (*key, tuple(sorted(sizes.items())))
        if key in known:
            return View(known[key], {role: role for role in known[key].slots})
        turned = map_key(
            operation, [view.transposed for view in views], numbers, {"row": "col", "col": "row"}.get(along, along)
        )
        if views and turned in known:
            return View(known[turned], {role: role for role in known[turned].slots}).transposed
        slots = self.map_slots(views, sizes, along)
        if operation == "rowdot":
            slots = slots[:-1]
        value = Value(self.fresh("t"), slots, sizes)
        more = {name: Value(self.fresh("t"), tuple(s for s in slots if s != along), sizes) for name in extra}
        operands = tuple((view.value, {slot: role for role, slot in view.roles.items()}) for view in views)
        self.emit(Map(value, operands, operation, numbers, along, tuple(more.values())))
        known[key] = value
        for name, made in more.items():
            known[map_key(f"{operation}.{name}", views, numbers, along)] = made
            self.home[made] = self.section
        return View(value, {slot: slot for slot in slots})

    def more(self, operation: str, name: str, views: Sequence[View], numbers: tuple[float, ...], along: str) -> View:
        """Another result of a map that has been computed."""
        made = self.products()[map_key(f"{operation}.{name}", views, numbers, along)]
        return View(made, {slot: slot for slot in made.slots})

    def map_slots(self, views: Sequence[View], sizes: dict[str, int], along: str) -> tuple[str, ...]:
        """The slots of the result in the order of its largest operand; a row that is worked on is last."""
        ranked = sorted(views, key=lambda view: -view.value.entries)
        order: list[str] = []
        for view in ranked:
            by_slot = {slot: role for role, slot in view.roles.items()}
            order += [by_slot[slot] for slot in view.value.slots if by_slot[slot] not in order]
        order += [role for role in sizes if role not in order]
        if along in order:
            order = [role for role in order if role != along] + [along]
        return tuple(order)

    def products(self) -> dict[tuple, Value]:
        """The values that are known where the steps go."""
        return self.numbered[self.loop.family if isinstance(self.section, Loop) and self.loop is not None else None]


def map_key(operation: str, views: Sequence[View], numbers: tuple[float, ...], along: str) -> tuple:
    """What a map computes, whatever the order of terms and factors."""
    operands = [(view.value.name, tuple(sorted(view.roles.items()))) for view in views]
    if operation == "sum":
        return (operation, tuple(sorted(zip(operands, numbers, strict=True))), (), along)
    return (operation, tuple(sorted(operands) if operation == "product" else operands), numbers, along)


def flat(node: Expression) -> list[Expression]:
    """The factors of nested products."""
    return [part for factor in node for part in flat(factor)] if isinstance(node, Product) else [node]


#: Names that the source of a program uses itself: of Python, of the primitives, and its own.
RESERVED = (
    frozenset(keyword.kwlist)
    | frozenset(dir(builtins))
    | frozenset(vars(numpy_primitives))
    | {"run", "arrays", "constants", "gradients", "like", "prepare", "buffer", "add_to_total", "k"}
    | {"jax", "jnp", "torch"}
    # those that numpy has not
    | {"matmul", "accumulate", "scaled_product", "hidden", "apart"}
    | {"attention", "attention_slope", "masked_attention", "masked_attention_slope"}
    | {"layer_norm", "layer_norm_slope", "rms_norm", "rms_norm_slope"}
)
