"""When the source of a program lets go of an array: after the step that reads it last."""

from __future__ import annotations

from dataclasses import dataclass, field

from formcalc.numeric.program.lowering import Lowered
from formcalc.numeric.program.values import Loop, Section, Step, Value, made


@dataclass(frozen=True)
class Release:
    """What is read for the last time.

    Attributes:
        after: by step, the values that nothing reads after it.
        readers: by value that is kept layer by layer, the loop that reads it last.
    """

    after: dict[Step, list[Value]] = field(default_factory=dict)
    readers: dict[Value, Loop] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Lowered) -> Release:
        """The releases of a program; a value that several sections read, or that goes on, is not released."""
        found = cls()
        reading: dict[Value, set[Section]] = {}
        for section in program.sections:
            for step in section.steps:
                for value, _ in step.operands:
                    reading.setdefault(value, set()).add(section)
            if isinstance(section, Loop):
                found.readers.update(dict.fromkeys(section.loads, section))
        staying = {view.value for view in program.results} | _handed_on(program) | {*program.inputs.values()}
        for section in program.sections:
            here = {value for step in section.steps for value in made(step)}
            if isinstance(section, Loop):
                here |= {value for value in section.loads if value not in section.inputs}
            seen = set(staying)
            for step in reversed(section.steps):
                for value in dict.fromkeys([*(value for value, _ in step.operands), *made(step)]):
                    is_local = value in here and (
                        reading.get(value, {section}) == {section} or _is_loaded(value, section)
                    )
                    if is_local and value not in seen:
                        found.after.setdefault(step, []).append(value)
                    seen.add(value)
        return found


def _handed_on(program: Lowered) -> set[Value]:
    """What is read at the end of a layer, or between sections."""
    found: set[Value] = set()
    for loop in program.sections:
        if isinstance(loop, Loop):
            found |= {view.value for view in (*loop.coefficients.values(), *(view for _, view in loop.sums))}
            for state in loop.states:
                found |= {state.value, state.end, state.start.value}
                found |= {state.outgoing.value} if state.outgoing is not None else set()
            found |= {total for total, _ in loop.sums}
    return found


def _is_loaded(value: Value, section: Section) -> bool:
    """Whether a layer has taken a value out of what was kept: the name is its own."""
    return isinstance(section, Loop) and value in section.loads
