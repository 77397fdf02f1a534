"""Leaving out what nothing reads: steps, and what loops save for others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from formcalc.numeric.program.values import Loop, Section, Step, Value, View, made


def prune(sections: Sequence[Section], results: Sequence[View]) -> None:
    """Remove the steps that no result depends on, and what is saved and loaded without need."""
    needed = {view.value for view in results}
    loaded: set[Value] = set()
    for section in reversed(sections):
        if isinstance(section, Loop):
            section.sums = [(total, view) for total, view in section.sums if total in needed]
            if not any(state.end in needed for state in section.states):
                _without_ends(section, needed)
            needed |= {view.value for view in _handed_on(section)}
            needed |= {state.start.value for state in section.states}
        _trace(section.steps, needed)
        section.steps = [step for step in section.steps if any(value in needed for value in made(step))]
        if isinstance(section, Loop):
            section.between = min(section.between, len(section.steps))
            read = {value for step in section.steps for value, _ in step.operands}
            read |= {view.value for view in _handed_on(section)}
            section.loads = [value for value in section.loads if value in read]
            loaded.update(section.loads)
            needed.update(section.loads)
    for section in sections:
        if isinstance(section, Loop):
            section.saves = [value for value in section.saves if value in loaded]


def _trace(steps: Sequence[Step], needed: set[Value]) -> None:
    """Add what the makers of needed values read."""
    for step in reversed(steps):
        if any(value in needed for value in made(step)):
            needed.update(value for value, _ in step.operands)


def _without_ends(loop: Loop, needed: Collection[Value]) -> None:
    """Nothing reads what the last layer hands on: put the steps that only the next layer needs to the end."""
    if len(loop.values) < 2:
        for state in loop.states:
            state.outgoing = None
        return
    results = {view.value for view in (*loop.coefficients.values(), *(view for _, view in loop.sums))}
    results.update(needed)
    _trace(loop.steps, results)
    always = [step for step in loop.steps if any(value in results for value in made(step))]
    others = [step for step in loop.steps if not any(value in results for value in made(step))]
    handed = {state.outgoing.value for state in loop.states if state.outgoing is not None}
    _trace(others, handed)
    others = [step for step in others if any(value in handed for value in made(step))]
    loop.steps, loop.between = [*always, *others], len(others)


def keep_for_later(sections: Sequence[Section], home: Mapping[Value, Section]) -> None:
    """Note what each loop reads of what another one has computed, layer by layer.

    Args:
        home: the section in which a value is computed.
    """
    loops = [section for section in sections if isinstance(section, Loop)]
    for loop in loops:
        loop.saves, loop.loads = [], []
    for loop in loops:
        handed = [view.value for view in _handed_on(loop)]
        read = dict.fromkeys([value for step in loop.steps for value, _ in step.operands] + handed)
        for value in read:
            other = home.get(value)
            if isinstance(other, Loop) and other is not loop:
                loop.loads.append(value)
                if value not in other.inputs and value not in other.saves:
                    other.saves.append(value)


def _handed_on(loop: Loop) -> list[View]:
    """What of a layer is read after it."""
    found = [*loop.coefficients.values(), *(view for _, view in loop.sums)]
    return found + [state.outgoing for state in loop.states if state.outgoing is not None]
