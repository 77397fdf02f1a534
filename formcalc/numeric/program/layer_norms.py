"""LayerNorm with its gain and bias, and RMSNorm with its gain, as one primitive; and the derivatives by all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from formcalc.numeric.program.graph import Graph, is_map, other_operand
from formcalc.numeric.program.values import Contract, Fused, Labelled, Loop, Map, Step, Value


def layer_norm(graph: Graph) -> None:
    """LayerNorm with its gain and its bias, and the derivatives by all three."""
    _fuse(graph, "norm")


def rms_norm(graph: Graph) -> None:
    """RMSNorm with its gain, and the derivatives by both."""
    _fuse(graph, "rms")


def _fuse(graph: Graph, operation: str) -> None:
    for step in list(graph.sections):
        if isinstance(step, Map) and step.operation == operation:
            found = _Norm.of(graph, step)
            if found is not None:
                found.fuse(graph)


@dataclass
class _Norm:
    """The steps of one norm; `slope` and what follows it are those of the backward pass.

    Attributes:
        frame: the slots of the normalised value, whose names the labels of all operands are mapped to.
        shifted: the result; of RMSNorm this is what is scaled.
        gain, bias: with the labels of the frame.
        direction: what the derivatives are taken of.
        sums: the steps that add the derivatives by the gain and by the bias up, and what they are steps of.
    """

    norm: Map
    scaled: Map
    shifted: Map
    gain: Labelled
    bias: Labelled | None = None
    slope: Map | None = None
    direction: Labelled | None = None
    along: Map | None = None
    sums: tuple[Contract | None, Contract | None] = (None, None)

    @classmethod
    def of(cls, graph: Graph, norm: Map) -> _Norm | None:
        y, column = norm.out, norm.along
        if y.sizes[column] == 1:  # all is rounding
            return None
        readers = graph.reading.get(y, [])
        scaled = [s for s in readers if is_map(s, "product") and other_operand(s, y, (column,)) is not None]
        if len(scaled) != 1 or not isinstance(scaled[0], Map) or scaled[0].numbers != (1.0,):
            return None
        gain = other_operand(scaled[0], y, (column,))
        if gain is None:
            return None
        if norm.operation == "rms":
            found = cls(norm, scaled[0], scaled[0], gain)
        else:
            shift = _shift(graph, scaled[0], column)
            if shift is None:
                return None
            found = cls(norm, scaled[0], shift[0], gain, shift[1])
        rest = [s for s in readers if s is not scaled[0]]
        section = graph.sections[norm]
        is_near = graph.sections[found.scaled] is section and graph.sections[found.shifted] is section
        if graph.readers[y] != len(readers) or not is_near:
            return None
        return found.backward(graph, rest) if rest else found

    def backward(self, graph: Graph, rest: Sequence[Step]) -> _Norm | None:
        """The same with the steps of the backward pass, if these are all that read the normalised value."""
        y, inverse = self.norm.out, self.norm.more[0]
        slopes = [s for s in rest if is_map(s, f"{self.norm.operation}'")]
        if len(slopes) != 1 or not isinstance(slopes[0], Map) or not graph.are_only_read_by(inverse, slopes):
            return None
        self.slope = slopes[0]
        towards, labels = self.slope.operands[2]
        maker = graph.makers.get(towards)
        if (
            not isinstance(maker, Map)
            or not is_map(maker, "product")
            or maker.numbers != (1.0,)
            or graph.readers[towards] != 1
        ):
            return None
        if labels != {slot: slot for slot in towards.slots} or len(maker.operands) != 2:
            return None
        gains = [k for k in (0, 1) if maker.operands[k][0] is self.gain[0]]
        if len(gains) != 1 or maker.operands[gains[0]][1] != self.gain[1]:
            return None
        self.direction = maker.operands[1 - gains[0]]
        if set(self.direction[1].values()) != set(y.slots):
            return None
        alongs = [s for s in rest if s is not self.slope]
        if len(alongs) > 1 or not all(self.is_later(graph, s) for s in alongs):
            return None
        if alongs:
            product = alongs[0]
            if not is_map(product, "product") or not isinstance(product, Map) or graph.readers[product.out] != 1:
                return None
            if product.numbers != (1.0,) or other_operand(product, y, y.slots) != self.direction:
                return None
            self.along = product
        gain_sum = self.summed(graph, self.along.out, {s: s for s in self.along.out.slots}) if self.along else None
        if self.along is not None and gain_sum is None:
            return None
        self.sums = (gain_sum, None if self.bias is None else self.summed(graph, *self.direction))
        return self

    def is_later(self, graph: Graph, step: Step) -> bool:
        """Whether a step is in the section of the slope, or in a later one outside of layers: its results are there."""
        assert self.slope is not None
        own, others = graph.sections[self.slope], graph.program.sections
        section = graph.sections[step]
        if section is own:
            return True
        is_plain = not isinstance(own, Loop) and not isinstance(section, Loop)
        return is_plain and others.index(section) > others.index(own)

    def summed(self, graph: Graph, value: Value, labels: Mapping[str, str]) -> Contract | None:
        """The step that adds the rows of a value up."""
        assert self.slope is not None
        for step in graph.reading.get(value, []):
            if isinstance(step, Contract) and len(step.operands) == 1 and len(step.out.slots) == 1:
                own = step.operands[0][1]
                kept = [labels[slot] for slot in own if own[slot] == step.out.slots[0]]
                if kept == [self.norm.along] and self.is_later(graph, step):
                    return step
        return None

    def fuse(self, graph: Graph) -> None:
        """Put the primitives in the place of the steps; RMSNorm has no means and no bias."""
        frame, column = self.norm.out.slots, self.norm.along
        rows = tuple(slot for slot in frame if slot != column)
        name, kinds = ("rms_norm", ["inverse"]) if self.bias is None else ("layer_norm", ["mean", "inverse"])
        made = [Value(f"{self.shifted.out.name}_{kind}", rows, self.norm.out.sizes) for kind in kinds]
        shape = (self.gain,) if self.bias is None else (self.gain, self.bias)
        columns = ((column,),) * len(shape)
        self.shifted.out.slots = frame
        forward = Fused(
            self.shifted.out,
            (self.norm.operands[0], *shape),
            name,
            self.norm.numbers,
            more=tuple(made),
            orders=(frame, *columns),
            results=(frame, *[rows] * len(made)),
        )
        graph.replace([step for step in (self.norm, self.scaled) if step is not self.shifted], forward, self.shifted)
        if self.slope is None or self.direction is None:
            return
        more, after = self.added(column, len(shape))
        statistics = [(value, {slot: slot for slot in rows}) for value in made]
        self.slope.out.slots = frame
        back = Fused(
            self.slope.out,
            (self.direction, self.norm.operands[0], *statistics, *shape),
            f"{name}_slope",
            more=tuple(more),
            orders=(frame, frame, *[rows] * len(made), *columns),
            results=(frame, *columns),
        )
        self.put(graph, back, after)

    def added(self, column: str, count: int) -> tuple[list[Value], list[tuple[Step, Map]]]:
        """The derivatives by gain and bias, and steps that scale them, with those in whose place they stand."""
        assert self.slope is not None
        more: list[Value] = []
        after: list[tuple[Step, Map]] = []
        for name, step in zip(("gain", "bias")[:count], self.sums, strict=False):
            if step is not None and step.scale == 1:
                more.append(step.out)
                continue
            more.append(Value(f"{self.slope.out.name}_{name}", (column,), self.norm.out.sizes))
            if step is not None:
                operand = (more[-1], {column: step.out.slots[0]})
                after.append((step, Map(step.out, (operand,), "product", (step.scale,))))
        return more, after

    def put(self, graph: Graph, back: Fused, after: list[tuple[Step, Map]]) -> None:
        """Put the backward step before the first of its results is read, which may be no slope."""
        assert self.slope is not None
        for step, scaled in after:
            graph.replace([], scaled, step)
        section = graph.sections[self.slope]
        done = [step for step in self.sums if step is not None and step.scale == 1]
        for step in done:
            if graph.sections[step] is not section:
                graph.sections[step].steps.remove(step)
        steps = [self.slope, *(scaled for _, scaled in after), *done]
        first = min((step for step in steps if step in section.steps), key=section.steps.index)
        section.steps.insert(section.steps.index(first), back)
        section.steps[:] = [step for step in section.steps if step is not self.slope and step not in done]


def _shift(graph: Graph, scaled: Map, column: str) -> tuple[Map, Labelled] | None:
    """The step that adds a bias to what is scaled, and the bias."""
    shifted = graph.reader(scaled.out, "sum")
    bias = None if shifted is None else other_operand(shifted, scaled.out, (column,))
    return (shifted, bias) if shifted is not None and bias is not None and shifted.numbers == (1.0, 1.0) else None
