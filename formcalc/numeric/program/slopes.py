"""Slopes that give the values of their functions, too, which then need not be kept from the forward pass.

The derivative of GELU or SiLU at a number takes the same exponential as the function does.
"""

from __future__ import annotations

from formcalc.numeric.program.graph import Graph
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.pruning import keep_for_later, prune
from formcalc.numeric.program.values import Labelled, Loop, Map, Step, Value, again

#: The functions whose slopes give their values.
FUNCTIONS = ("gelu", "gelu_tanh", "silu")


def give_values(program: Lowered) -> None:
    """Let slopes give the values of functions that a backward loop would have to load."""
    graph = Graph(program)
    for loop in program.loops:
        for value in loop.loads:
            step = graph.makers.get(value)
            if isinstance(step, Map) and step.operation in FUNCTIONS:
                slope = _slope(loop, step)
                if slope is not None and value not in {view.value for view in program.results}:
                    _give(graph, loop, slope, value)
    keep_for_later(program.sections, graph.home)
    prune(program.sections, program.results)


def _slope(loop: Loop, step: Map) -> Map | None:
    """The slope of a function at the same argument, which lies in memory as the value does."""
    for other in loop.always:
        if not isinstance(other, Map) or other.operation != f"{step.operation}'" or other.more:
            continue
        if step.operands[0][0] is other.operands[0][0]:
            is_laid = all(_order(s.operands[0]) == s.out.slots for s in (step, other))
            return other if is_laid and step.out.shape == other.out.shape else None
    return None


def _order(operand: Labelled) -> tuple[str, ...]:
    """The labels of an operand, as it lies in memory."""
    value, labels = operand
    return tuple(labels[slot] for slot in value.stored)


def _give(graph: Graph, loop: Loop, slope: Map, value: Value) -> None:
    """Read a value from a slope in place of loading it, in the steps that do not lead to the slope."""
    steps = set(loop.steps)
    before: set[Step] = set()
    needed: set[Step] = {slope}
    while needed:
        step = needed.pop()
        before.add(step)
        needed |= {graph.makers[v] for v, _ in step.operands if v in graph.makers} & steps - before
    if any(value in (v for v, _ in step.operands) for step in before):
        return
    given = again(value, graph.home)
    graph.home[given] = loop
    slope.more = (given,)
    for reader in loop.steps:
        reader.operands = tuple((given if v is value else v, labels) for v, labels in reader.operands)
    # the slope, and what it needs, first
    always = loop.always
    loop.steps = [s for s in always if s in before] + [s for s in always if s not in before] + loop.between_layers
