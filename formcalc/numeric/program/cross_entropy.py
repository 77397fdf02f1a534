"""The cotangent of the logits of a cross-entropy as one primitive, from the softmax that its value needs anyway."""

from __future__ import annotations

from formcalc.numeric.program.graph import Graph, is_map, other_operand
from formcalc.numeric.program.values import Contract, Fused, Labelled, Map, Step, Value


def cross_entropy(graph: Graph) -> None:
    """``±(Y - a(Z) ∘ rowsum(Y)) ∘ F`` for one-hot rows Y and a factor F of rows, where log a(Z) is there."""
    for softmax in list(graph.sections):
        if isinstance(softmax, Map) and softmax.operation == "softmax" and len(softmax.operands) == 1:
            _fuse(graph, softmax)


def _fuse(graph: Graph, softmax: Map) -> None:
    logarithm = _logarithm(graph, softmax)
    column = softmax.along
    rows = tuple(slot for slot in softmax.out.slots if slot != column)
    weighted = graph.reader(softmax.out, "product")
    difference = None if weighted is None else graph.reader(weighted.out, "sum")
    if logarithm is None or weighted is None or difference is None:
        return
    counts = other_operand(weighted, softmax.out, rows)
    hot = other_operand(difference, weighted.out, softmax.out.slots)
    if counts is None or hot is None or weighted.numbers != (1.0,):
        return
    signs = {value: number for (value, _), number in zip(difference.operands, difference.numbers, strict=True)}
    ids = _ids(graph, counts, column)
    sign = signs[hot[0]]
    if ids is None or ids != _ids(graph, hot, column) or abs(sign) != 1 or signs[weighted.out] != -sign:
        return
    scaled = graph.reader(difference.out, "product")
    factor = None if scaled is None or scaled.numbers != (1.0,) else _factor(scaled, difference.out, rows)
    last = difference if scaled is None or factor is None else scaled
    steps: list[Step] = [softmax, weighted, graph.makers[hot[0]], difference]
    if len({graph.sections[step] for step in (last, *steps)}) > 1 or not graph.is_before(logarithm, softmax):
        return
    frame = (*rows, column)
    last.out.slots = frame
    operands = [(logarithm.out, {slot: slot for slot in frame}), ids, *([] if factor is None else [factor])]
    fused = Fused(
        last.out,
        tuple(operands),
        "cross_entropy_slope",
        () if factor is not None and sign == 1 else (sign,),
        orders=(frame, rows, rows)[: len(operands)],
        results=(frame,),
    )
    graph.replace([step for step in steps if step is not last], fused, last)


def _logarithm(graph: Graph, softmax: Map) -> Map | None:
    """The step that computes the logarithm of a softmax."""
    logits, labels = softmax.operands[0]
    for step in graph.reading[logits]:
        if isinstance(step, Map) and step.operation == "logsoftmax" and step.operands[0][1] == labels:
            return step if step.along == softmax.along and set(step.out.slots) == set(softmax.out.slots) else None
    return None


def _ids(graph: Graph, operand: Labelled, column: str) -> Labelled | None:
    """The ids of one-hot rows that are written out, or counted, with the labels of their rows in the step that reads.

    Nothing else may read what is written out.
    """
    value, labels = operand
    maker = graph.makers.get(value)
    if maker is None or len(maker.operands) != 1 or maker.operands[0][0].kind != "ids":
        return None
    ids, own = maker.operands[0]
    is_counted = isinstance(maker, Contract) and maker.scale == 1 and own["col"] not in maker.out.slots
    is_hot = is_map(maker, "dense") and graph.readers[value] == 1 and labels.get(own["col"]) == column
    if not (is_counted or is_hot) or not {own[slot] for slot in ids.stored} <= set(labels):
        return None
    return ids, {slot: labels[own[slot]] for slot in ids.stored}


def _factor(scaled: Map, difference: Value, rows: tuple[str, ...]) -> Labelled | None:
    """What a difference is multiplied with, if it is the same along each row."""
    if len(scaled.operands) != 2:
        return None
    (first, own), (second, other) = scaled.operands
    (value, labels), mine = ((second, other), own) if first is difference else ((first, own), other)
    is_plain = value.kind == "array" and mine == {slot: slot for slot in difference.slots}
    return (value, labels) if is_plain and set(labels.values()) <= set(rows) else None
