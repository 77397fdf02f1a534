"""Words as contractions: labels for the places between factors. The order of multiplication is left open."""

from __future__ import annotations

import math
from dataclasses import dataclass

from formcalc.algebra import AxisSum, Dimension, Expression, Letter, Trace
from formcalc.numeric.program.builder import Builder, flat
from formcalc.numeric.program.values import Contract, Labelled, Value, View


@dataclass
class Word:
    """Factors to multiply, with the labels of their slots; and what comes out."""

    factors: list[Labelled]
    output: dict[str, str]
    sizes: dict[str, int]
    scale: float
    ends: tuple[str, str]


class Contractions(Builder):
    """Products, sums over axes and traces."""

    def trace(self, node: Trace) -> View:
        number, scalars, rest = self.scaled(node[0])
        word = self.word(rest, ())
        merged = {word.ends[1]: word.ends[0]}
        factors = [(value, {s: merged.get(x, x) for s, x in labels.items()}) for value, labels in word.factors]
        sizes = {merged.get(label, label): size for label, size in word.sizes.items()}
        scale = word.scale * number * self.repeats(factors, {*sizes, *map(str, node[0].axes)}, sizes)
        return self.with_scalars(self.contracted(Word(factors, {}, sizes, scale, word.ends)), scalars)

    def contraction(self, node: Expression) -> View:
        number, scalars, rest = self.scaled(node)
        word = self.word(rest, tuple(map(str, node.axes)))
        kept = {*word.output.values(), *word.ends, *map(str, node.axes)}
        word.scale *= number * self.repeats(word.factors, {*word.sizes} - kept, word.sizes)
        if not word.factors and word.ends[0] == word.ends[1]:
            size = word.sizes[word.ends[0]]
            unit = self.map("identity", [], {"row": size, "col": size}, (size,))
            return self.with_scalars(self.map("product", [unit], None, (word.scale,)), scalars)
        return self.with_scalars(self.contracted(word), scalars)

    def repeats(self, factors: list[Labelled], summed: set[str], sizes: dict[str, int]) -> int:
        """How often what no factor depends on is added up: the sizes of labels that only ones have."""
        present = {label for _, labels in factors for label in labels.values()}
        return math.prod(sizes.get(label) or self.size(Dimension(label)) for label in summed - present)

    def with_scalars(self, view: View, scalars: list[Expression]) -> View:
        if not scalars:
            return view
        return self.map("product", [view, *map(self.view, scalars)], None, (1.0,))

    def word(self, node: Expression, axes: tuple[str, ...]) -> Word:
        """The factors of a product, with labels for the places between them; sums over axes are open."""
        if isinstance(node, AxisSum):
            number, scalars, rest = self.scaled(node.direction)
            if not scalars:
                word = self.word(rest, axes)
                word.scale *= number
                word.sizes |= {str(axis): self.size(axis) for axis in node.over}
                return word
        parts = flat(node)
        if isinstance(node, AxisSum):
            parts = [node.direction]
        names = [str(place) for place in range(len(parts) + 1)]
        for place, part in enumerate(parts):
            if _is(part, "identity"):
                names[place + 1] = names[place]
        factors: list[Labelled] = []
        sizes = {str(axis): self.size(axis) for part in parts for axis in part.axes}
        for place, part in enumerate(parts):
            sizes |= {names[place]: self.size(part.shape[0]), names[place + 1]: self.size(part.shape[1])}
            if _is(part, "ones") or _is(part, "identity"):
                continue
            view = self.view(part)
            ends = {"row": names[place], "col": names[place + 1]}
            factors.append((view.value, {slot: ends.get(role, role) for role, slot in view.roles.items()}))
        present = {label for _, labels in factors for label in labels.values()}
        wanted = {**{axis: axis for axis in axes}, "row": names[0], "col": names[-1]}
        output = {role: label for role, label in wanted.items() if label in present}
        return Word(factors, output, sizes, 1.0, (names[0], names[-1]))

    def contracted(self, word: Word) -> View:
        """The view of a word, as one product of all its factors."""
        if not word.factors:
            return self.map("constant", [], {}, (word.scale,))
        keep = frozenset(word.output.values())
        labels = word.factors[0][1]
        is_whole = keep == frozenset(labels.values()) and len(set(labels.values())) == len(labels)
        if len(word.factors) == 1 and is_whole:
            view = _view(word.factors[0], word.output)
            return view if word.scale == 1 else self.map("product", [self.dense_view(view)], None, (word.scale,))
        key, normal = self.key(word, keep, word.scale)
        known = self.products()
        if key not in known:
            order = self.contraction_order(keep, word)
            out = Value(self.fresh("t"), tuple(order), {label: word.sizes[label] for label in order})
            self.emit(Contract(out, tuple(word.factors), word.scale))
            known[key] = out
            self.normal[out] = normal
        out = known[key]
        names = {new: old for old, new in normal.items()}
        own = self.normal[out]
        return _view((out, {slot: names[own[slot]] for slot in out.slots}), word.output)

    def inner_sum(self, value: View, towards: View) -> View:
        """The row sums of ``A ∘ R``; where ``R`` is a product ``G V^t``, those of ``G ∘ (A V)``, in shorter rows.

        Rows are an axis of this word: the sums of one of them are a word of its own.
        """
        roles = {"row": "rows"}
        factors = [
            (view.value, {slot: roles.get(role, role) for role, slot in view.roles.items()})
            for view in (towards, value)
        ]
        sizes = {label: v.sizes[slot] for v, labels in factors for slot, label in labels.items()}
        output = {role: roles.get(role, role) for view in (towards, value) for role in view.roles if role != "col"}
        return self.contracted(Word(factors, output, sizes, 1.0, ("", "")))

    def dense_view(self, view: View) -> View:
        return view if view.value.kind == "array" else self.map("dense", [view])

    def key(self, word: Word, keep: frozenset[str], scale: float) -> tuple[tuple, dict[str, str]]:
        """What a word computes, whatever the names of its labels and the order of its factors."""
        ordered = sorted(word.factors, key=lambda factor: (factor[0].name, [factor[1][s] for s in factor[0].slots]))
        normal: dict[str, str] = {}
        for value, labels in ordered:
            for slot in value.slots:
                normal.setdefault(labels[slot], f"s{len(normal)}")
        shape = tuple((value.name, tuple(normal[labels[slot]] for slot in value.slots)) for value, labels in ordered)
        return (shape, frozenset(normal[label] for label in normal if label in keep), scale), normal

    def contraction_order(self, keep: frozenset[str], word: Word) -> list[str]:
        """The order of the labels in memory: batches, rows, heads, columns; of scores, heads before rows."""
        axes = sorted(label for label in keep if not label.isdigit())
        ends = sorted((label for label in keep if label.isdigit()), key=int)
        heads = [axis for axis in axes if axis in self.head_axes]
        batch = [axis for axis in axes if axis not in heads]
        if len(ends) == 2 and word.sizes[ends[0]] == word.sizes[ends[1]]:
            return [*batch, *heads, *ends]
        return [*batch, *ends[:-1], *heads, *ends[-1:]]


def _view(product: Labelled, output: dict[str, str]) -> View:
    value, labels = product
    by_label = {label: slot for slot, label in labels.items()}
    return View(value, {role: by_label[label] for role, label in output.items()})


def _is(node: Expression, role: str) -> bool:
    return isinstance(node, Letter) and node.role == role
