"""What a program does not need, and what its loops keep for each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from formcalc.numeric.program.lowering import Lowered
from formcalc.numeric.program.values import Loop, Map, Section, Step, Value


def pruned(program: Lowered) -> None:
    """Leave out the steps whose results nobody reads."""
    makers = {value: step for section in program.sections for step in section.steps for value in made(step)}
    stack = [view.value for view in program.coefficients.values()]
    stack += [program.loss.value] if program.loss is not None else []
    for section in program.sections:
        if isinstance(section, Loop):
            stack += handed_on(section)
            stack += [state.start.value for state in section.states]
    needed: set[Value] = set()
    while stack:
        value = stack.pop()
        if value not in needed:
            needed.add(value)
            stack += [operand for operand, _ in makers[value].operands] if value in makers else []
    for section in program.sections:
        section.steps = [step for step in section.steps if any(value in needed for value in made(step))]


def kept_for_later(program: Lowered, home: Mapping[Value, Section]) -> None:
    """Note what each loop reads of what another one has computed, layer by layer."""
    loops = [section for section in program.sections if isinstance(section, Loop)]
    for loop in loops:
        loop.saves, loop.loads = [], []
    for loop in loops:
        read = dict.fromkeys([value for step in loop.steps for value, _ in step.operands] + handed_on(loop))
        for value in read:
            other = home.get(value)
            if isinstance(other, Loop) and other is not loop:
                loop.loads.append(value)
                if value not in other.inputs and value not in other.saves:
                    other.saves.append(value)


def handed_on(loop: Loop) -> list[Value]:
    """The values of a layer that are read after it."""
    found = [view.value for view in loop.coefficients.values()] + [view.value for _, view in loop.sums]
    return found + [state.outgoing.value for state in loop.states if state.outgoing is not None]


def made(step: Step) -> Iterator[Value]:
    """The results of a step."""
    yield step.out
    if isinstance(step, Map):
        yield from step.more
