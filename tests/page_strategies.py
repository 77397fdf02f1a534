"""Random pages whose shapes and axes fit: families, masks, tokens, constants, functions, blocks of layers, losses.

A page is written as text. Letters are declared where an expression first needs them, and each part of the text knows
the axes of the family that it denotes, so that every page reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeVar

from hypothesis import strategies as st

from formcalc.operators import OPERATORS, Operator

#: Sizes that pages are drawn at: dimensions, axes, and where a first and a second block of layers end.
PAGE_SIZES = (
    {"T": 2, "d": 3, "k": 1, "h": 2, "b": 1, "K": 1, "L": 3},
    {"T": 1, "d": 2, "k": 2, "h": 2, "b": 1, "K": 2, "L": 3},
    {"T": 3, "d": 1, "k": 3, "h": 1, "b": 3, "K": 1, "L": 2},
)

Shape = tuple[str, str]
Axes = frozenset[str]
Drawn = TypeVar("Drawn")

_NO_AXES: Axes = frozenset()

#: Constants of any shape, known from it alone.
_CONSTANTS = ("ones", "causal", "distance", "sinusoidal")

_SCALARS = ("1/2", "2", "0.3", "{0}^{{-1/2}}", "2 {1}^{{-1}}", "pi^{{-1/2}}")

#: Functions: a name, the shapes of its arguments where r×c is that of the result, and its body.
_FUNCTIONS = (
    ("φ", ("rc", "rc"), "φ(A, B) = A ∘ sigmoid(B) + 1/2 A"),
    ("ψ", ("rm", "mc"), "ψ(A, B) = gelu(A B) - A B"),
    ("σ", ("rc", "mc"), "σ(A, B) = a(A B^t) B"),
    ("κ", ("rc", "rc"), "κ(A, B) = φ(tanh(A ∘ B), A) - φ(B, B)"),
    ("ν", ("rc", "rc"), "ν(A, g) = norm(A, 1/2) ∘ g"),
)


@dataclass(frozen=True)
class Part:
    """An expression as text and its axes.

    Attributes:
        binding: 0 for a letter or parentheses, 1 for a product, 2 for what needs parentheses in either.
        is_flat: whether equal rows or columns may have come of it, in which softmax and the norms rest.
        is_live: whether it depends on a weight.
    """

    text: str
    axes: Axes = _NO_AXES
    binding: int = 0
    is_flat: bool = False
    is_live: bool = False

    @property
    def factor(self) -> str:
        return self.text if self.binding == 0 else f"({self.text})"

    @property
    def term(self) -> str:
        return self.text if self.binding <= 1 else f"({self.text})"


@dataclass(frozen=True)
class _Item:
    """A letter that may be used."""

    part: Part
    shape: Shape


def _joined(text: str, parts: Iterable[Part], binding: int) -> Part:
    found = list(parts)
    axes = frozenset().union(*(part.axes for part in found))
    return Part(text, axes, binding, any(part.is_flat for part in found), any(part.is_live for part in found))


@dataclass
class _Writer:
    """Writes one page.

    Attributes:
        smooth: whether the loss is to have derivatives of every order: no relu, no step.
        index: the index of the layers that are being written, if any.
    """

    draw: st.DrawFn
    dimensions: tuple[str, ...]
    axes: tuple[str, ...]
    smooth: bool
    sizes: dict[str, int]
    declared: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    items: list[_Item] = field(default_factory=list)
    declared_in_layer: list[str] = field(default_factory=list)
    in_layers: dict[str, list[_Item]] = field(default_factory=dict)
    before: dict[str, list[_Item]] = field(default_factory=dict)
    defined: list[tuple[str, _Item]] = field(default_factory=list)
    index: str = ""
    count: int = 0
    is_ending: bool = False

    def one_of(self, options: Iterable[Drawn]) -> Drawn:
        return self.draw(st.sampled_from(tuple(options)))

    def flip(self) -> bool:
        return self.draw(st.booleans())

    def size(self) -> str:
        return self.one_of((*self.dimensions, "1"))

    def is_single(self, size: str) -> bool:
        return self.sizes.get(size, 1) == 1

    def shape(self) -> Shape:
        return (self.size(), self.size())

    def some_axes(self, among: Iterable[str]) -> Axes:
        return frozenset(axis for axis in sorted(among) if self.flip())

    # Letters

    def fresh(self, role: str, shape: Shape, axes: Axes = _NO_AXES) -> Part:
        """Declare a letter: of the page, or of one layer."""
        is_inner = bool(self.index) and role in ("weights", "data") and self.flip()
        self.count += 1
        stem = {"weights": "W", "data": "X", "mask": "M", "tokens": "x"}.get(role, "C")
        name = f"{stem}_{{{self.count},{self.index}}}" if is_inner else f"{stem}{self.count}"
        layout = self.draw(st.permutations(sorted(axes)))
        line = f"{role} {name}{_bracketed(layout)}: {'×'.join(shape)}"
        (self.declared_in_layer if is_inner else self.declared).append(line)
        part = Part(name, axes, is_flat=role == "ones", is_live=role == "weights")
        if role != "mask":
            self.items.append(_Item(part, shape))
        return part

    def letter(self, shape: Shape, outer: Axes) -> Part:
        """A letter of a shape, perhaps transposed, whose axes are among the outer ones."""
        fitting = [item for item in self.items if item.part.axes <= outer]
        found = [item.part for item in fitting if item.shape == shape]
        found += [replace(item.part, text=f"{item.part.text}^t") for item in fitting if item.shape == shape[::-1]]
        if found and self.draw(st.integers(0, 3)):
            live = [part for part in found if part.is_live]
            return self.one_of(live if live and self.draw(st.integers(0, 3)) else found)
        role = self.one_of(("weights", "weights", "weights", "data", "tokens", *_CONSTANTS[: 1 + self.flip() * 3]))
        return self.fresh(role, shape, _NO_AXES if role in _CONSTANTS else self.some_axes(outer))

    # Expressions

    def part(self, shape: Shape, outer: Axes, depth: int) -> Part:
        """An expression of a shape whose axes are among the outer ones.

        A sum over an axis is never beside another family over it: the axis is none of the outer ones.
        """
        if depth == 0:
            return self.letter(shape, outer)
        kinds = (
            self.product,
            self.sum,
            self.applied,
            self.hadamard,
            self.summed,
            self.called,
            self.scaled,
            self.turned,
            self.traced,
        )
        return self.one_of(kinds)(shape, outer, depth - 1)

    def product(self, shape: Shape, outer: Axes, depth: int) -> Part:
        path = [shape[0], *(self.size() for _ in range(self.draw(st.integers(1, 2)))), shape[1]]
        factors = [self.part(pair, outer, depth) for pair in pairwise(path)]
        return _joined(" ".join(factor.factor for factor in factors), factors, 1)

    def sum(self, shape: Shape, outer: Axes, depth: int) -> Part:
        terms = [self.part(shape, outer, depth) for _ in range(self.draw(st.integers(2, 3)))]
        text = terms[0].term
        for term in terms[1:]:
            text += f" {self.one_of('+-')} {term.term}"
        return _joined(text, terms, 2)

    def hadamard(self, shape: Shape, outer: Axes, depth: int) -> Part:
        operands = [self.part(shape, outer, depth) for _ in range(self.draw(st.integers(2, 3)))]
        return _joined(" ∘ ".join(operand.term for operand in operands), operands, 2)

    def scaled(self, shape: Shape, outer: Axes, depth: int) -> Part:
        part = self.part(shape, outer, depth)
        scalar = self.one_of(_SCALARS).format(*shape) if self.flip() or not self.axes else f"{self.axes[0]}^{{-1}}"
        return _joined(f"{scalar} {part.factor}", [part], 1)

    def turned(self, shape: Shape, outer: Axes, depth: int) -> Part:
        part = self.part(shape[::-1], outer, depth)
        return _joined(f"({part.text})^t", [part], 0)

    def traced(self, shape: Shape, outer: Axes, depth: int) -> Part:
        """A matrix times a trace, which is closed over its own axes."""
        size = self.size()
        part, inner = self.part(shape, outer, depth), self.part((size, size), self.some_axes(self.axes), depth)
        return _joined(f"trace({inner.text}) {part.factor}", [part], 1)

    def summed(self, shape: Shape, outer: Axes, depth: int) -> Part:
        """A sum over an axis, of what has this axis."""
        if self.smooth and self.is_ending:
            return self.product(shape, outer, depth)
        over = self.some_axes(axis for axis in self.axes if axis not in outer)
        inner = self.part(shape, outer | over, depth)
        if over - inner.axes:
            family = self.fresh("weights", shape, over - inner.axes)
            inner = _joined(f"{inner.term} ∘ {family.text}", [inner, family], 2)
        if not over:
            return inner
        return replace(inner, text=f"Σ_{{{','.join(sorted(over))}}} {inner.term}", axes=inner.axes - over, binding=2)

    def called(self, shape: Shape, outer: Axes, depth: int) -> Part:
        name, parameters, _ = self.one_of(_FUNCTIONS)
        sizes = {"r": shape[0], "c": shape[1], "m": self.size()}
        arguments = [self.part((sizes[rows], sizes[columns]), outer, depth) for rows, columns in parameters]
        if arguments[0].is_flat:
            arguments[0] = self.uneven(arguments[0], (sizes[parameters[0][0]], sizes[parameters[0][1]]))
        return _joined(f"{name}({', '.join(argument.text for argument in arguments)})", arguments, 0)

    def uneven(self, part: Part, shape: Shape) -> Part:
        """The part times data, so that not all its rows or columns are equal."""
        return replace(part, text=f"{part.term} ∘ {self.fresh('data', shape).text}", binding=2, is_flat=False)

    def applied(self, shape: Shape, outer: Axes, depth: int) -> Part:
        """An operator where it is defined and smooth, by rows or by columns, or a linear operator letter."""
        is_wide = not any(self.is_single(size) for size in shape)
        smooth = (row for row in OPERATORS if not (self.smooth and row.kinks))
        row = self.one_of(row for row in smooth if row.is_symmetric or is_wide)
        at = self.argument(row, self.part(shape, outer, depth), shape)
        parts = [at, *self.constant(row, shape, outer)]
        name = self.one_of((row.name, *row.spellings))
        if row.is_symmetric and not self.draw(st.integers(0, 4)):
            name = row.differential
            parts.append(self.uneven(self.part(shape, outer, depth), shape))
        raised = "^t" if not row.is_elementwise and self.flip() else ""
        return _joined(f"{name}{raised}({', '.join(part.text for part in parts)})", parts, 0)

    def argument(self, row: Operator, part: Part, shape: Shape) -> Part:
        if row.kinks:
            return replace(part, text=f"{part.term} + {self.fresh('data', shape).text}", binding=2)
        if row.name == "exp":
            return _joined(f"tanh({part.text})", [part], 0)
        if row.domain != "real":
            return _joined(f"{part.term} ∘ {part.term} + {self.fresh('ones', shape).text}", [part], 2)
        return self.uneven(part, shape) if part.is_flat and not row.is_elementwise else part

    def constant(self, row: Operator, shape: Shape, outer: Axes) -> list[Part]:
        """The constant argument of a row that takes one: a norm always has it, softmax a mask of some kind or none."""
        if row.constant == "scalar":
            return [Part(self.one_of(("1", "1/2", "0.1", f"{shape[1]}^{{-1}}")))]
        if row.constant is None or self.flip():
            return []
        if self.flip():
            return [self.fresh("mask", shape, self.some_axes(outer))]
        column, keys = self.fresh("ones", (shape[0], "1")), self.fresh("mask", ("1", shape[1]), self.some_axes(outer))
        return [_joined(f"{self.fresh('causal', shape).text} ∘ ({column.text} {keys.text})", [keys], 2)]

    # Lines

    def define(self, depth: int, indent: str = "") -> None:
        """A definition; its axes may be written or not."""
        shape = self.shape()
        part = self.part(shape, self.some_axes(self.axes), depth)
        name = f"H_{{{len(self.lines)},{self.index}}}" if self.index else f"H{len(self.lines)}"
        written = _bracketed(sorted(part.axes)) if self.flip() else ""
        self.lines.append(f"{indent}{name}{written} = {part.text}")
        self.hold(name, part, shape)

    def hold(self, name: str, part: Part, shape: Shape) -> _Item:
        """Let a defined letter be used."""
        item = _Item(replace(part, text=name, binding=0), shape)
        self.items.append(item)
        self.defined.append((self.index, item))
        return item

    def start(self, name: str, depth: int) -> _Item:
        """What comes into the first layer: a definition."""
        shape = self.shape()
        part = self.part(shape, _NO_AXES if self.smooth else self.some_axes(self.axes), depth)
        if not part.is_live:
            part = _joined(f"{part.term} ∘ {self.fresh('weights', shape).text}", [part], 2)
            part = replace(part, is_live=True)
        self.lines.append(f"{name} = {part.text}")
        return self.hold(name, part, shape)

    def block(self, index: str, ends: tuple[str, str, str], states: dict[str, _Item], shared: bool, depth: int) -> None:
        """A block of layers; `ends` are its bounds and what the last layer hands on."""
        outside, head = self.items, len(self.lines)
        self.lines.append(f"layers {index} = {ends[0]} .. {ends[1]}")
        own = [_Item(Part(f"{stem}_{index}", x.part.axes, is_live=True), x.shape) for stem, x in states.items()]
        known = [item for item in self.in_layers.get(index, []) if shared]
        self.items = [*own, *known, *outside]
        self.index, before, self.before[index] = index, len(self.items), outside
        for _ in range(self.draw(st.integers(0, 2))):
            self.define(depth, "  ")
        for stem, state in zip(states, own, strict=True):
            part = self.part(state.shape, state.part.axes, depth)
            if state.part.axes or state.part.text not in part.text or self.flip():
                part = _joined(f"{state.part.text} {self.one_of('+-')} {part.term}", [state.part, part], 2)
            self.lines.append(f"  {stem}_{{{index}+1}} = {part.text}")
            self.hold(f"{stem}_{{{index}+1}}", part, state.shape)
        if self.flip():
            self.define(depth, "  ")
        self.lines[head + 1 : head + 1] = [f"  {line}" for line in self.declared_in_layer]
        inner = [item for item in self.items if f"{index}" in item.part.text.partition("_")[2]]
        self.in_layers[index] = inner
        fresh = [item for item in self.items[before:] if item not in inner]
        self.items, self.index, self.declared_in_layer = [*outside, *fresh], "", []
        for stem, state in zip(states, own, strict=True):
            self.hold(f"{stem}_{ends[2]}", state.part, state.shape)

    def over_layers(self, depth: int) -> None:
        """A definition that sums over layers."""
        index = self.one_of(self.in_layers)
        item, size = self.one_of(self.in_layers[index]), self.size()
        known, self.items = self.items, [*self.before[index], *self.in_layers[index]]
        held = len(self.items)
        rest = self.part((item.shape[1], size), item.part.axes | self.some_axes(self.axes), depth)
        self.items = [*known, *self.items[held:]]
        body = _joined(f"{item.part.text} {rest.factor}", [item.part, rest], 1)
        name, shape = f"H{len(self.lines)}", (item.shape[0], size)
        parts = [body, *([self.part(shape, body.axes, depth)] if self.flip() else [])]
        self.lines.append(f"{name} = Σ_{index} {' + '.join(part.term for part in parts)}")
        self.hold(name, _joined("", parts, 0), shape)

    def loss(self, depth: int) -> str:
        """The squared error of what was defined last, perhaps other terms, and what is not used yet."""
        last = self.defined[-1][1]
        answer = self.fresh("data", last.shape, self.some_axes(self.axes))
        is_live = last.part.is_live and any("weights" in line for line in (*self.declared, *self.lines))
        weight = "" if is_live else f" ∘ {self.fresh('weights', last.shape, self.some_axes(self.axes)).text}"
        self.lines.append(f"E = {answer.text} - {last.part.text}{weight}")
        kinds = (self.cross_entropy, self.inner_product, self.regulariser)
        terms = [self.one_of(kinds)(depth) for _ in range(self.draw(st.integers(0, 2)))]
        return " + ".join(["1/2 trace(E^t E)", *terms, *self.unused()])

    def unused(self) -> list[str]:
        """Products of data with definitions that nothing uses, so that the loss depends on all that weights change."""
        right = "\n".join(line.partition(" = ")[2] for line in self.lines)
        terms = []
        for index, item in self.defined:
            name, is_known = item.part.text, not index or item in self.in_layers[index]
            is_end = bool(item.part.axes) and not index and name[:2] in ("X_", "Y_", "Z_")
            if is_end or (item.part.is_live and is_known and not re.search(rf"{re.escape(name)}(?!\d)", right)):
                data = self.fresh("data", item.shape, self.some_axes(self.axes) | item.part.axes)
                terms.append(f"{f'Σ_{index} ' if index else ''}trace({data.text}^t {name})")
        return terms

    def cross_entropy(self, depth: int) -> str:
        wide = [size for size in self.dimensions if not self.is_single(size)]
        if not wide:
            return self.inner_product(depth)
        shape, outer = (self.size(), self.one_of(wide)), self.some_axes(self.axes)
        targets, logits = self.fresh("tokens", shape, self.some_axes(outer)), self.part(shape, outer, depth)
        logits = self.uneven(logits, shape) if logits.is_flat else logits
        return f"{shape[0]}^{{-1}} trace(-1 {targets.text}^t logsoftmax({logits.text}))"

    def inner_product(self, depth: int) -> str:
        shape, outer = self.shape(), self.some_axes(self.axes)
        left, right = (self.part(shape, outer, depth) for _ in range(2))
        return f"trace({left.factor}^t {right.factor})"

    def regulariser(self, _: int) -> str:
        index = self.one_of(("", *self.in_layers))
        items = [item.part for item in self.in_layers.get(index, self.items) if item.part.text[0] == "W"]
        part = self.one_of(items) if items else self.fresh("weights", self.shape())
        return f"{f'Σ_{index} ' if items and index else ''}1/2 trace({part.text}^t {part.text})"


def _bracketed(axes: Iterable[str]) -> str:
    named = ",".join(axes)
    return f"[{named}]" if named else ""


@st.composite
def pages(draw: st.DrawFn, sizes: dict[str, int], smooth: bool = False, depth: int = 2) -> str:
    """Pages of one or two blocks of layers or none, with definitions before, inside and after them.

    Args:
        sizes: one of `PAGE_SIZES`.
        smooth: whether the loss has second derivatives everywhere.
        depth: how deep an expression of one line is.
    """
    count = draw(st.integers(1, 3))
    writer = _Writer(draw, ("T", "d", "k")[:count], ("h", "b")[: draw(st.integers(0, 2))], smooth, sizes)
    second = draw(st.sampled_from(["none", "continued", "own", "shared", "no layers"]))
    for _ in range(draw(st.integers(int(second == "no layers"), 2))):
        writer.define(depth)
    if second != "no layers":
        states = {stem: writer.start(f"{stem}_0", depth - 1) for stem in ("X", "Z")[: draw(st.integers(1, 2))]}
        ends = ("0", "K-1", "K") if second == "continued" else ("0", "L-1", "L")
        writer.block("i", ends, states, False, depth)
        for _ in range(draw(st.integers(0, 1))):
            writer.define(depth)
    if second == "continued":
        writer.block("j" if smooth else draw(st.sampled_from("ij")), ("K", "L-1", "L"), states, False, depth)
    elif second == "own":
        writer.block("j", ("1", "K", "{K+1}"), {"Y": writer.start("Y_1", depth - 1)}, False, depth)
    elif second == "shared":
        writer.block("i", ("0", "L-1", "L"), {"Y": writer.start("Y_0", depth - 1)}, True, depth)
    writer.is_ending = True
    if writer.in_layers and draw(st.booleans()):
        writer.over_layers(depth - 1)
    loss = writer.loss(depth)
    head = "dims " + ", ".join(f"{name} = {size}" for name, size in sizes.items())
    functions = [body for name, _, body in _FUNCTIONS]
    return "\n".join([head, *writer.declared, *functions, *writer.lines, f"loss = {loss}", ""])
