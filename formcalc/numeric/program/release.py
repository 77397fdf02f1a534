"""When the source of a program lets go of an array: after the step that reads it last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.values import Loop, Section, State, Step, Value, made


@dataclass(frozen=True)
class Release:
    """What is read for the last time.

    Attributes:
        after: by step, the values that nothing reads after it.
        readers: by value that is kept layer by layer, the loop that reads it last.
        starts: the states whose start nothing reads but their loop.
        handed: by loop, what a layer has made for the next one, which takes it by another name.
    """

    after: dict[Step, list[Value]] = field(default_factory=dict)
    readers: dict[Value, Loop] = field(default_factory=dict)
    starts: set[State] = field(default_factory=set)
    handed: dict[Loop, list[Value]] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Lowered, keeps_gradients: bool = True) -> Release:
        """The releases of a program. What several sections read goes in the last of them, if that is no loop.

        Args:
            keeps_gradients: whether these stay in memory when they are made, rather than being copied or handed on.
        """
        found = cls()
        last: dict[Value, Section] = {}
        for section in program.sections:
            for value in _read(section):
                last[value] = section
            if isinstance(section, Loop):
                found.readers.update(dict.fromkeys(section.loads, section))
        given = set() if keeps_gradients else program.given_at_once
        coefficients = [program.coefficients, *(loop.coefficients for loop in program.loops)]
        staying = {view.value for views in coefficients for letter, view in views.items() if letter not in given}
        staying |= _handed_on(program) | {*program.inputs.values(), *program.constants.values()}
        staying |= {view.value for _, view in program.values.values()}
        if program.loss is not None:
            staying.add(program.loss.value)
        for section in program.sections:
            here = _there(program, section)
            seen = set(staying)
            for step in reversed(section.steps):
                for value in dict.fromkeys([*(value for value, _ in step.operands), *made(step)]):
                    if value in here and value not in seen and last.get(value, section) is section:
                        found.after.setdefault(step, []).append(value)
                    seen.add(value)
            if isinstance(section, Loop):
                own = {value for step in section.steps for value in made(step)}
                handed = [state.outgoing.value for state in section.states if state.outgoing is not None]
                found.handed[section] = [value for value in dict.fromkeys(handed) if value in own]
                for state in section.states:
                    start = state.start.value
                    if start not in staying and last[start] is section and start not in _operands(section):
                        found.starts.add(state)
        return found

    def left(self, loop: Loop) -> list[Value]:
        """What the last layer has made for a next one, where there is none."""
        own = {value for step in loop.always for value in made(step)}
        return [value for value in self.handed.get(loop, ()) if loop.between and value in own]


def _operands(section: Section) -> set[Value]:
    return {value for step in section.steps for value, _ in step.operands}


def _read(section: Section) -> Iterator[Value]:
    yield from _operands(section)
    if isinstance(section, Loop):
        yield from (state.start.value for state in section.states)


def _there(program: Lowered, section: Section) -> set[Value]:
    """What a section may let go of: what it has made or loaded itself; outside of layers also what came before it."""
    if isinstance(section, Loop):
        loaded = {value for value in section.loads if value not in section.inputs}
        loaded |= {state.value for state in section.states}
        return loaded | {value for step in section.steps for value in made(step)}
    found: set[Value] = set()
    for other in program.sections[: program.sections.index(section) + 1]:
        if isinstance(other, Loop):
            found |= {state.end for state in other.states}
        else:
            found |= {value for step in other.steps for value in made(step)}
    return found


def _handed_on(program: Lowered) -> set[Value]:
    """What is read at the end of a layer, or by other layers; what comes in is not, where something new goes out."""
    found: set[Value] = set()
    for loop in program.loops:
        found |= {state.outgoing.value for state in loop.states if state.outgoing is not None}
        found |= {value for total, view in loop.sums for value in (total, view.value)}
    return found
