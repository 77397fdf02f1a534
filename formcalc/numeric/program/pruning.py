"""Leaving out what nothing reads: steps, and what loops save for others."""

from __future__ import annotations

from collections.abc import Sequence

from formcalc.numeric.program.values import Loop, Map, Section, Value, View


def prune(sections: Sequence[Section], results: Sequence[View]) -> None:
    """Remove the steps that no result depends on, and what is saved and loaded without need."""
    needed = {view.value for view in results}
    loaded: set[Value] = set()
    for section in reversed(sections):
        own: set[Value] = set()
        if isinstance(section, Loop):
            section.sums = [(total, view) for total, view in section.sums if total in needed]
            outgoing = [state.outgoing for state in section.states if state.outgoing is not None]
            ends = [*outgoing, *section.coefficients.values(), *(view for _, view in section.sums)]
            own |= {view.value for view in ends}
            needed |= {state.start.value for state in section.states}
        for step in reversed(section.steps):
            made = (step.out, *step.more) if isinstance(step, Map) else (step.out,)
            if not (needed | own).isdisjoint(made):
                own.update(value for value, _ in step.operands)
        section.steps = [
            step
            for step in section.steps
            if not (needed | own).isdisjoint((step.out, *step.more) if isinstance(step, Map) else (step.out,))
        ]
        needed |= own
        if isinstance(section, Loop):
            section.loads = [value for value in section.loads if value in own]
            loaded.update(section.loads)
    for section in sections:
        if isinstance(section, Loop):
            section.saves = [value for value in section.saves if value in loaded]
