"""What of a program is needed for given results: by whom values are made, and who reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.values import Loop, Section, Step, Value, made


@dataclass
class Liveness:
    """The values that some results need, in a part of a program.

    Attributes:
        sections: the part.
        needed: the results, and all that they are made from.
        homes: the section in which each value is made.
    """

    sections: list[Section]
    needed: set[Value]
    homes: dict[Value, Section] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Lowered, sections: list[Section], results: Iterable[Value]) -> Liveness:
        """What is needed for results; what other sections make is taken as given."""
        sources: dict[Value, set[Value]] = {}
        homes: dict[Value, Section] = {}
        before: Section | None = None
        for section in program.sections:
            is_within = section in sections
            for value, parts in _sources(section):
                homes[value] = section
                if is_within:
                    sources.setdefault(value, set()).update(parts)
            if isinstance(before, Loop):
                homes |= dict.fromkeys(_after(before), section)
            before = section
        needed: set[Value] = set()
        stack = list(results)
        while stack:
            value = stack.pop()
            if value not in needed:
                needed.add(value)
                stack += sources.get(value, ())
        return cls(sections, needed, homes)

    def is_needed(self, step: Step) -> bool:
        """Whether a step makes what is needed."""
        return any(value in self.needed for value in made(step))

    def reads(self, section: Section) -> dict[Value, None]:
        """The values that the needed steps of a section read, and those that a loop hands on, in order."""
        found = {value: None for step in section.steps if self.is_needed(step) for value, _ in step.operands}
        if isinstance(section, Loop):
            for state in section.states:
                if state.value in self.needed and state.outgoing is not None:
                    found[state.outgoing.value] = None
            found |= {view.value: None for total, view in section.sums if total in self.needed}
            found |= {view.value: None for view in section.coefficients.values() if view.value in self.needed}
        return found

    def starts(self, section: Section) -> dict[Value, None]:
        """The values that the needed states of a loop start from."""
        states = section.states if isinstance(section, Loop) else []
        return {state.start.value: None for state in states if state.value in self.needed}


def _sources(section: Section) -> Iterator[tuple[Value, set[Value]]]:
    """Every value that a section makes, with those it is made from."""
    for step in section.steps:
        for value in made(step):
            yield value, {operand for operand, _ in step.operands}
    if isinstance(section, Loop):
        for state in section.states:
            going = {state.outgoing.value} if state.outgoing is not None else set()
            yield state.value, {state.start.value} | going
            yield state.end, {state.value}
        for total, view in section.sums:
            yield total, {view.value}


def _after(loop: Loop) -> list[Value]:
    """The values that are there when a loop is done."""
    return [*(state.end for state in loop.states), *(total for total, _ in loop.sums)]
