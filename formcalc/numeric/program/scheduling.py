"""The order of steps in which the least memory is needed at once.

A step can run as soon as what it reads is there. Of all orders a beam search keeps the best few beginnings, by the peak
so far; a step that needs no more than that, and lets go of as much as it makes, comes at once. An order other than that
of the page is only taken if it needs less.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from formcalc.numeric.program.graph import Graph
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.release import Release
from formcalc.numeric.program.values import Loop, Section, Step, Value, is_fresh, made

#: How many beginnings are kept; with more, programs of the benchmarks need no less.
BEAM = 4


@dataclass(frozen=True)
class Group:
    """Steps that run one after the other.

    Attributes:
        most: the most numbers that they have in memory beyond what is there at first; if not given, what they make.
    """

    steps: tuple[Step, ...]
    most: int | None = None


#: The peak so far, what is in memory now, and the groups that have run, in order.
Beginning: TypeAlias = tuple[int, int, tuple[int, ...]]


@dataclass(frozen=True)
class Unit:
    """What the order needs to know of a group.

    Attributes:
        needs: the groups that come before it, as bits.
        most: the most numbers that it has in memory beyond what is there when it begins.
        makes: what is there when it has run, before anything is let go of.
        reads: the arrays that it may be the last one to read.
    """

    needs: int
    most: int
    makes: int
    reads: tuple[Value, ...]


def advance(graph: Graph) -> None:
    """Steps outside of layers come before a loop if they let go of more than they make, as with the slope of logits."""
    sections = graph.program.sections
    given = {*graph.program.inputs.values(), *graph.program.constants.values()}
    for place, section in enumerate(sections):
        if isinstance(section, Loop):
            continue
        for step in list(section.steps):
            read = dict.fromkeys(value for value, _ in step.operands if value not in given)
            homes = [graph.home.get(value) for value in read]
            if not homes or any(home is None or isinstance(home, Loop) for home in homes):
                continue
            first = max(sections.index(home) for home in homes if home is not None)
            others = [inner for section in sections[: first + 1] for inner in section.steps]
            gone = sum(value.entries for value in read if graph.are_only_read_by(value, [step, *others]))
            if first < place and gone > sum(value.entries for value in made(step)):
                section.steps.remove(step)
                sections[first].steps.append(step)


def schedule(program: Lowered, has_places: bool, hands_on: bool) -> None:
    """Put the steps of each section in the order that needs the least memory.

    Args:
        has_places: whether memory is planned: what is kept for all layers is there until the last of them.
        hands_on: whether gradients are handed on as they are made, as those of a part are.
    """
    release = Release.of(program, keeps_gradients=not hands_on)
    states = [state for loop in program.loops for state in loop.states]
    inputs = {*program.inputs.values()}
    given = {state.value for state in states if state.start.value in inputs}
    for section in program.sections:
        local = {value for step in section.steps for value in release.after.get(step, ())}
        if isinstance(section, Loop) and has_places and len(section.values) > 1:
            local -= {*section.loads, *(state.value for state in section.states)}
        is_last = isinstance(section, Loop) and _grows(section, inputs)
        _schedule(section, local - given if is_last else local, is_last)


def _grows(loop: Loop, inputs: Collection[Value]) -> bool:
    """Whether layers need more for gradients than they let go of: most is there in the last one.

    What comes into that may be data, which are there anyway.
    """
    made = sum(view.value.entries for view in loop.coefficients.values())
    return len(loop.values) == 1 or made > sum(value.entries for value in loop.loads if value not in inputs)


def _schedule(section: Section, local: Collection[Value], is_last: bool) -> None:
    """Put the steps of a section in order; those between layers stay together, in an order of their own.

    Args:
        is_last: whether it is the order of the last layer that counts, which has no steps between layers.
    """
    between = section.between_layers if isinstance(section, Loop) else []
    rest = [step for step in section.steps if step not in between]
    groups = [Group((step,)) for step in rest]
    if between:
        read = {value for step in rest for value, _ in step.operands}
        inside = {value for value in local if value not in read}
        inner = _Memory([Group((step,)) for step in between], inside)
        order = inner.best()
        groups.append(Group(tuple(between[place] for place in order), 0 if is_last else inner.peak(order)))
    order = _Memory(groups, local).best()
    section.steps = [step for place in order for step in groups[place].steps]
    if isinstance(section, Loop) and between:
        section.after = len(order) - 1 - order.index(len(rest))


class _Memory:
    """What groups of steps need in memory, in numbers.

    Args:
        local: the values that may be let go of.
    """

    def __init__(self, groups: Sequence[Group], local: Collection[Value]) -> None:
        self.roots: dict[Value, Value] = {}
        for group in groups:
            for step in group.steps:
                if not is_fresh(step) and step.operands:  # a view of what it reads
                    self.roots[step.out] = self.root(step.operands[0][0])
        views = {*self.roots}
        #: An array goes when nothing reads it, and no view of it stays.
        staying = {
            self.root(value) for group in groups for step in group.steps for value in made(step) if value not in local
        }
        self.local = {value for value in local if value not in views and value not in staying}
        makers = {value: place for place, group in enumerate(groups) for step in group.steps for value in made(step)}
        self.readers: dict[Value, int] = {}
        self.units = []
        for place, group in enumerate(groups):
            read = dict.fromkeys(value for step in group.steps for value, _ in step.operands)
            own = dict.fromkeys(value for step in group.steps for value in made(step))
            roots = dict.fromkeys(self.root(value) for value in (*read, *own))
            lasting = tuple(value for value in roots if value in self.local)
            for value in lasting:
                self.readers[value] = self.readers.get(value, 0) | 1 << place
            needs = 0
            for value in read:
                if makers.get(value, place) != place:
                    needs |= 1 << makers[value]
            makes = sum(value.entries for value in own if value not in views)
            most = makes if group.most is None else group.most
            self.units.append(Unit(needs, most, min(makes, most), lasting))
        self.everything = (1 << len(groups)) - 1

    def root(self, value: Value) -> Value:
        return self.roots.get(value, value)

    def freed(self, place: int, done: int) -> int:
        """What is let go of when a unit has run, after others."""
        after = done | 1 << place
        return sum(value.entries for value in self.units[place].reads if self.readers[value] | after == after)

    def peak(self, order: Sequence[int]) -> int:
        """The most numbers at once in some order."""
        peak = live = done = 0
        for place in order:
            unit = self.units[place]
            peak = max(peak, live + unit.most)
            live += unit.makes - self.freed(place, done)
            done |= 1 << place
        return peak

    def best(self) -> list[int]:
        """The order that needs least; the one given, if none needs less."""
        given = list(range(len(self.units)))
        bound = self.peak(given)
        beam: dict[int, Beginning] = {0: (0, 0, ())}
        for _ in given:
            found: dict[int, Beginning] = {}
            for done, beginning in beam.items():
                for after, longer in self.longer(done, beginning):
                    if longer[0] < bound and (after not in found or longer < found[after]):
                        found[after] = longer
            beam = dict(sorted(found.items(), key=lambda item: item[1])[:BEAM])
        return next((list(order) for _, _, order in beam.values()), given)

    def longer(self, done: int, beginning: Beginning) -> list[tuple[int, Beginning]]:
        """What may come next."""
        peak, live, order = beginning
        found = []
        for place, unit in enumerate(self.units):
            if done >> place & 1 or unit.needs & ~done:
                continue
            most = live + unit.most
            now = live + unit.makes - self.freed(place, done)
            after = done | 1 << place, (max(peak, most), now, (*order, place))
            if most <= peak and now <= live:
                return [after]
            found.append(after)
        return found
