"""Rotations of pairs in rows, as rotary positions need them, as one primitive; and their transposes."""

from __future__ import annotations

from formcalc.numeric.program.graph import Graph, is_map
from formcalc.numeric.program.values import Contract, Fused, Labelled, Map, Section, Step


def rotary(graph: Graph) -> None:
    """``X ∘ c + (X J) ∘ s`` and ``X ∘ c + (X ∘ s) J^t`` for the quarter turn J, or a multiple."""
    for step in list(graph.sections):
        if isinstance(step, Map) and is_map(step, "sum") and step.numbers == (1.0, 1.0):
            for k in (0, 1):
                if _fuse(graph, step, k):
                    break


def _fuse(graph: Graph, total: Map, k: int) -> bool:
    """Replace a sum whose term k is the one without the quarter turn."""
    section = graph.sections[total]
    plain = _term(graph, section, total.operands[k])
    other = _term(graph, section, total.operands[1 - k])
    if plain is None or other is None or not isinstance(plain[0], Map) or not is_map(plain[0], "product"):
        return False
    found = _forward(graph, section, *other) or _backward(graph, section, *other)
    factors = _through(plain[0], plain[1])
    if found is None or factors is None:
        return False
    name, column, x, sines, steps, number = found
    cosines = [operand for operand in factors if operand != x]
    if len(cosines) != 1 or len(factors) != 2 or plain[0].numbers != (number,):
        return False
    frame = (*(slot for slot in total.out.slots if slot != column), column)
    if set(x[1].values()) != set(frame) or not all(column in labels.values() for _, labels in (*cosines, sines)):
        return False
    total.out.slots = frame
    numbers = () if number == 1 else (number,)
    fused = Fused(total.out, (x, cosines[0], sines), name, numbers, orders=(frame,) * 3, results=(frame,))
    graph.replace([plain[0], *steps], fused, total)
    return True


def _term(graph: Graph, section: Section, operand: Labelled) -> tuple[Step, dict[str, str]] | None:
    """The step that makes an operand for one reader in the same section, and the labels of its slots there."""
    value, labels = operand
    maker = graph.makers.get(value)
    if maker is None or graph.readers[value] != 1 or graph.sections[maker] is not section:
        return None
    return maker, labels


def _through(step: Step, labels: dict[str, str]) -> list[Labelled] | None:
    """The operands of a product entry by entry, in the labels of what reads it."""
    if not isinstance(step, Map) or step.operation != "product":
        return None
    return [(value, {slot: labels[label] for slot, label in own.items()}) for value, own in step.operands]


#: The primitive, the label of the column, the rotated array, the sines, the steps that are replaced, and their number.
_Turned = tuple[str, str, Labelled, Labelled, list[Step], float]


def _forward(graph: Graph, section: Section, step: Step, labels: dict[str, str]) -> _Turned | None:
    """``(X J) ∘ s``."""
    factors = _through(step, labels)
    for k in (0, 1) if factors is not None and len(factors) == 2 else ():
        assert factors is not None
        assert isinstance(step, Map)
        made = _term(graph, section, factors[k])
        turned = None if made is None else _turn(made[0], made[1], "row")
        if made is not None and turned is not None:
            return "rotated", turned[1], turned[0], factors[1 - k], [step, made[0]], step.numbers[0]
    return None


def _backward(graph: Graph, section: Section, step: Step, labels: dict[str, str]) -> _Turned | None:
    """``(X ∘ s) J^t``."""
    turned = _turn(step, labels, "col")
    made = None if turned is None else _term(graph, section, turned[0])
    factors = None if made is None else _through(*made)
    if turned is None or made is None or factors is None or len(factors) != 2:
        return None
    assert isinstance(made[0], Map)
    # X has all slots, the sines may lack some
    x, sines = sorted(factors, key=lambda operand: -len(operand[1]))
    return "rotated_back", turned[1], x, sines, [step, made[0]], made[0].numbers[0]


def _turn(step: Step, labels: dict[str, str], contracted: str) -> tuple[Labelled, str] | None:
    """What a step turns by a quarter, in the labels of what reads it, and the label of its pairs."""
    if not isinstance(step, Contract) or len(step.operands) != 2 or step.scale != 1:
        return None
    turns = [k for k in (0, 1) if step.operands[k][0].kind == "turn"]
    if len(turns) != 1:
        return None
    turn, (value, own) = step.operands[turns[0]][1], step.operands[1 - turns[0]]
    free = turn["col" if contracted == "row" else "row"]
    if turn[contracted] not in own.values() or free not in step.out.slots or value.kind != "array":
        return None
    places = {**labels, turn[contracted]: labels[free]}
    return (value, {slot: places[label] for slot, label in own.items()}), labels[free]
