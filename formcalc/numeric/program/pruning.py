"""Leaving out what nothing reads: steps, and what loops save for others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from formcalc.numeric.program.values import Loop, Map, Section, Step, Value, View


def prune(sections: Sequence[Section], results: Sequence[View]) -> None:
    """Remove the steps that no result depends on, and what is saved and loaded without need."""
    needed = {view.value for view in results}
    loaded: set[Value] = set()
    for section in reversed(sections):
        own: set[Value] = set()
        if isinstance(section, Loop):
            section.sums = [(total, view) for total, view in section.sums if total in needed]
            own.update(_handed_on(section))
            needed |= {state.start.value for state in section.states}
        for step in reversed(section.steps):
            if any(value in needed or value in own for value in _made(step)):
                own.update(value for value, _ in step.operands)
        needed |= own
        section.steps = [step for step in section.steps if any(value in needed for value in _made(step))]
        if isinstance(section, Loop):
            section.loads = [value for value in section.loads if value in own]
            loaded.update(section.loads)
    for section in sections:
        if isinstance(section, Loop):
            section.saves = [value for value in section.saves if value in loaded]


def keep_for_later(sections: Sequence[Section], home: Mapping[Value, Section]) -> None:
    """Note what each loop reads of what another one has computed, layer by layer.

    Args:
        home: the section in which a value is computed.
    """
    loops = [section for section in sections if isinstance(section, Loop)]
    for loop in loops:
        loop.saves, loop.loads = [], []
    for loop in loops:
        read = dict.fromkeys([value for step in loop.steps for value, _ in step.operands] + _handed_on(loop))
        for value in read:
            other = home.get(value)
            if isinstance(other, Loop) and other is not loop:
                loop.loads.append(value)
                if value not in other.inputs and value not in other.saves:
                    other.saves.append(value)


def _handed_on(loop: Loop) -> list[Value]:
    """The values of a layer that are read after it."""
    found = [view.value for view in loop.coefficients.values()] + [view.value for _, view in loop.sums]
    return found + [state.outgoing.value for state in loop.states if state.outgoing is not None]


def _made(step: Step) -> Iterator[Value]:
    """The results of a step."""
    yield step.out
    if isinstance(step, Map):
        yield from step.more
