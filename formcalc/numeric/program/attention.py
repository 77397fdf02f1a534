"""Attention as one primitive: scores, softmax and the product with values; and the derivatives of all three factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from formcalc.numeric.program.graph import Graph, is_map
from formcalc.numeric.program.values import Contract, Fused, Labelled, Loop, Map, Section, Step, Value


@dataclass
class _Product:
    """A product of two arrays with roles as labels: batches, ``row``, ``col``, ``width`` of keys and ``out`` of values.

    Attributes:
        roles: of the slots of the result.
    """

    step: Contract
    operands: list[Labelled]
    roles: dict[str, str]

    @classmethod
    def of(cls, step: Step | None, known: Mapping[str, str], last: str) -> _Product | None:
        """A product whose labels are known but for one."""
        if not isinstance(step, Contract) or len(step.operands) != 2:
            return None
        unknown = [label for label in step.sizes() if label not in known]
        if len(unknown) != 1 or any(value.kind != "array" for value, _ in step.operands):
            return None
        roles = {**known, unknown[0]: last}
        operands = [(value, {slot: roles[x] for slot, x in labels.items()}) for value, labels in step.operands]
        return cls(step, operands, {slot: roles[slot] for slot in step.out.slots})

    @classmethod
    def with_(cls, step: Step, value: Value, last: str) -> _Product | None:
        """A product with a value whose slots are roles."""
        own = [labels for other, labels in step.operands if other is value]
        return cls.of(step, {label: slot for slot, label in own[0].items()}, last) if len(own) == 1 else None

    def other(self, value: Value) -> Labelled:
        return self.operands[int(self.operands[0][0] is value)]


@dataclass
class _Backward:
    """The steps of the backward pass: the cotangent of softmax, that of scores, and the derivatives by q, k and v."""

    towards: Contract
    slope: Map
    direction: Labelled
    derivatives: tuple[_Product, _Product, _Product]


@dataclass
class _Attention:
    """The steps of one attention."""

    softmax: Map
    scores: Contract
    result: _Product
    q: Labelled
    k: Labelled
    v: Labelled
    backward: _Backward | None = None

    @property
    def batch(self) -> tuple[str, ...]:
        return tuple(slot for slot in self.softmax.out.slots if slot not in ("row", "col"))

    @property
    def is_worth_it(self) -> bool:
        """Whether heads are narrow, so that scores, and not products, take the time."""
        return bool(self.batch) and _size(self.q, "width") <= _size(self.k, "col")


def _size(operand: Labelled, role: str) -> int:
    return next(operand[0].sizes[slot] for slot, label in operand[1].items() if label == role)


def attend(graph: Graph) -> None:
    """Softmax of scores times values, where heads are narrow: scores are not kept in memory."""
    for step in list(graph.sections):
        if isinstance(step, Map) and is_map(step, "softmax"):
            found = _forward(graph, step)
            if found is not None and found.is_worth_it:
                _fuse(graph, found)


def _forward(graph: Graph, softmax: Map) -> _Attention | None:
    a, (s, labels) = softmax.out, softmax.operands[0]
    scores = _Product.of(graph.makers.get(s), labels, "width")
    if scores is None or graph.readers[s] != 1 or not {"row", "col"} <= set(a.slots) == set(labels.values()):
        return None
    k, q = sorted(scores.operands, key=lambda operand: "row" in operand[1].values())
    batch = set(a.slots) - {"row", "col"}
    if not {"row", "width"} <= set(q[1].values()) <= {"row", "width", *batch}:
        return None
    if not {"col", "width"} <= set(k[1].values()) <= {"col", "width", *batch}:
        return None
    readers = graph.reading.get(a, [])
    if graph.readers[a] != len(readers):
        return None
    for step in readers:
        result = _Product.with_(step, a, "out")
        if result is None or result.step.scale != 1 or set(result.roles.values()) != {"row", "out", *batch}:
            continue
        v = result.other(a)
        if not {"col", "out"} <= set(v[1].values()) <= {"col", "out", *batch} or _size(v, "out") != _size(q, "width"):
            continue
        if len({id(graph.sections[x]) for x in (softmax, scores.step, step)}) > 1:
            continue
        found = _Attention(softmax, scores.step, result, q, k, v)
        rest = [other for other in readers if other is not step]
        if rest:
            found.backward = _backward(graph, found, rest)
            if found.backward is None:
                continue
        return found
    return None


def _backward(graph: Graph, forward: _Attention, rest: Sequence[Step]) -> _Backward | None:
    """The backward pass, if its steps are all that read softmax and the cotangent of scores."""
    a = forward.softmax.out
    slopes = [step for step in rest if isinstance(step, Map) and is_map(step, "softmax'")]
    if len(slopes) != 1 or len(rest) != 2 or len(slopes[0].operands) != 2:
        return None
    value, labels = slopes[0].operands[1]
    towards = _Product.of(graph.makers.get(value), labels, "out")
    if towards is None or towards.step.scale != 1 or graph.readers[value] != 1 or forward.v not in towards.operands:
        return None
    direction = towards.other(forward.v[0])
    if set(direction[1].values()) != {"row", "out", *forward.batch}:
        return None
    s = slopes[0].out
    readers = graph.reading.get(s, [])
    by_value = [_Product.with_(step, a, "out") for step in rest if step is not slopes[0]]
    by_scores = [_Product.with_(step, s, "width") for step in readers]
    wanted = (
        (s, forward.k, forward.q, by_scores),
        (s, forward.q, forward.k, by_scores),
        (a, direction, forward.v, by_value),
    )
    found = [
        product
        for given, other, of, products in wanted
        for product in products
        if product is not None and product.other(given) == other and set(product.roles.values()) == set(of[1].values())
    ]
    if len(found) != 3 or len(readers) != 2 or graph.readers[s] != 2:
        return None
    steps: list[Step] = [towards.step, slopes[0], *(product.step for product in found)]
    section, made = graph.sections[towards.step], graph.sections[forward.result.step]
    if any(graph.sections[step] is not section for step in steps):
        return None
    if section is made and min(map(section.steps.index, steps)) < section.steps.index(forward.result.step):
        return None
    return _Backward(towards.step, slopes[0], direction, (found[0], found[1], found[2]))


def _fuse(graph: Graph, found: _Attention) -> None:
    batch, rows = found.batch, (*found.batch, "row")
    taken = [(*batch, "row", "width"), (*batch, "col", "width"), (*batch, "col", "out")]
    given = (*batch, "row", "out")
    operands = [found.q, found.k, found.v]
    hidden = _hidden(graph, found)
    masked = [(*batch, "row", "col")] * len(hidden)
    numbers = (found.scores.scale,)
    out = found.result.step.out
    _reorder(found.result, given)
    sizes = {label: value.sizes[slot] for value, own in operands for slot, label in own.items()}
    sums = Value(f"{out.name}_sums", rows, sizes)
    name = "attention" if not hidden else "masked_attention"
    forward = Fused(
        out,
        (*operands, *hidden),
        name,
        numbers,
        more=(sums,),
        orders=(*taken, *masked),
        results=(given, rows),
        products=(found.scores, found.result.step),
    )
    graph.replace([found.softmax, found.scores], forward, found.result.step)
    if found.backward is None:
        return
    back = found.backward
    section = graph.sections[back.slope]
    scales = [found.scores.scale, found.scores.scale, 1.0]
    made, after = [], []
    for product, order, of, scale in zip(back.derivatives, taken, operands, scales, strict=True):
        own = tuple(role for role in order if role in of[1].values())
        if product.step.scale == scale:
            _reorder(product, own)
            made.append(product.step.out)
        else:
            whole = Value(f"{product.step.out.name}_whole", own, sizes)
            made.append(whole)
            labels = {role: slot for slot, role in product.roles.items()}
            after.append(Map(product.step.out, ((whole, labels),), "product", (product.step.scale / scale,)))
    result = (out, found.result.roles)
    statistics = (sums, {slot: slot for slot in rows})
    slope = Fused(
        made[0],
        (back.direction, *operands, result, statistics, *hidden),
        f"{name}_slope",
        numbers,
        more=(made[1], made[2]),
        orders=(given, *taken, given, rows, *masked),
        results=tuple(taken),
        products=(back.towards, *(product.step for product in back.derivatives)),
    )
    steps: list[Step] = [back.towards, back.slope, *(product.step for product in back.derivatives)]
    graph.replace(steps, slope, min(steps, key=section.steps.index))
    place = section.steps.index(slope) + 1
    section.steps[place:place] = after


def _reorder(product: _Product, order: Sequence[str]) -> None:
    """The slots of a result in the order of their roles."""
    slot = {role: slot for slot, role in product.roles.items()}
    product.step.out.slots = tuple(slot[role] for role in order)


def _hidden(graph: Graph, found: _Attention) -> tuple[Labelled, ...]:
    """What is added to scores for a mask; the same mask is read by all layers."""
    if len(found.softmax.operands) < 2:
        return ()
    value, labels = found.softmax.operands[1]
    slots = tuple(slot for slot in found.softmax.out.slots if slot in labels.values())
    sizes = {role: value.sizes[slot] for slot, role in labels.items()}
    known = [step.out for step in graph.reading[value] if is_map(step, "hidden") and step.out.slots == slots]
    out = known[0] if known else Value(f"{value.name}_hidden", slots, sizes)
    if not known:
        step = Map(out, ((value, labels),), "hidden")
        section: Section = graph.sections[found.softmax]
        if isinstance(section, Loop) and graph.home.get(value) is not section:
            section = section.prelude
            section.steps.append(step)
        else:
            section.steps.insert(section.steps.index(found.scores), step)
        graph.sections[step] = section
        graph.reading[value].append(step)
    return ((out, {slot: slot for slot in slots}),)
