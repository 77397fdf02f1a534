"""The steps of a program as a graph: who makes a value, and who reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.values import Labelled, Loop, Map, Section, Step, Value, made


class Graph:
    """The steps of a program by what they make and read.

    Attributes:
        home: the section in which a value is there first.
        makers: the step that makes a value.
        readers: how often steps read a value, or what comes after them does; `reading` are the steps.
        sections: of the steps.
    """

    def __init__(self, program: Lowered) -> None:
        self.program = program
        self.home: dict[Value, Section] = {}
        self.makers: dict[Value, Step] = {}
        self.readers: Counter[Value] = Counter(view.value for view in program.results)
        self.reading: dict[Value, list[Step]] = {}
        self.sections: dict[Step, Section] = {}
        for section in program.sections:
            if isinstance(section, Loop):
                self.home |= dict.fromkeys([*section.inputs, *(state.value for state in section.states)], section)
                ends = [state.outgoing for state in section.states if state.outgoing is not None]
                ends += [*section.coefficients.values(), *(view for _, view in section.sums)]
                ends += [state.start for state in section.states]
                self.readers.update(view.value for view in ends)
            for step in section.steps:
                self.home |= dict.fromkeys(made(step), section)
                self.makers |= dict.fromkeys(made(step), step)
                self.readers.update(value for value, _ in step.operands)
                self.sections[step] = section
                for value, _ in step.operands:
                    self.reading.setdefault(value, []).append(step)

    def are_only_read_by(self, value: Value, steps: Collection[Step]) -> bool:
        """Whether nothing else reads a value."""
        return self.readers[value] == len(self.reading.get(value, [])) and set(self.reading.get(value, [])) <= set(
            steps
        )

    def reader(self, value: Value, operation: str) -> Map | None:
        """The one step that reads a value, if it is a map with this operation."""
        readers = self.reading.get(value, [])
        step = readers[0] if len(readers) == self.readers[value] == 1 else None
        return step if isinstance(step, Map) and is_map(step, operation) else None

    def is_before(self, step: Step, other: Step) -> bool:
        """Whether a step comes before another: in the same section, or in an earlier one outside of layers."""
        own, others = self.sections[step], self.program.sections
        if own is self.sections[other]:
            return own.steps.index(step) < own.steps.index(other)
        is_plain = not isinstance(own, Loop) and own in others and self.sections[other] in others
        return is_plain and others.index(own) < others.index(self.sections[other])

    def replace(self, steps: Sequence[Step], by: Step, at: Step) -> None:
        """Put a step in the place of several of one section, where one of them stands."""
        section = self.sections[at]
        section.steps[section.steps.index(at)] = by
        section.steps[:] = [step for step in section.steps if step not in steps]


def is_map(step: Step, *operations: str) -> bool:
    """Whether a step is a map with one of these operations."""
    return isinstance(step, Map) and step.operation in operations


def other_operand(step: Step, value: Value, labels: Collection[str]) -> Labelled | None:
    """The other operand of a step of two, if it has just these labels; the value has its slots as labels."""
    if len(step.operands) != 2 or value not in (step.operands[0][0], step.operands[1][0]):
        return None
    k = int(step.operands[0][0] is value)
    if step.operands[1 - k][1] != {slot: slot for slot in value.slots}:
        return None
    return step.operands[k] if set(step.operands[k][1].values()) == set(labels) else None
