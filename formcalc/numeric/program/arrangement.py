"""How a program is run: the batch whole, or in parts side by side or one after the other; what is computed again.

Without a limit of memory the fastest arrangement is taken: large batches are shared out among the cores. With one, the
first that fits, of those that cost the least time: more parts, one part at a time, and then values that are computed
again in the backward pass rather than kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from formcalc.algebra import Letter
from formcalc.calculus import Form
from formcalc.errors import FormcalcError
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.memory import Memory, readable
from formcalc.numeric.program.parts import Split, at_size, divisors, split
from formcalc.numeric.program.recomputation import recomputing, rounds

#: Programs with more operations than this are shared out among the cores.
WORTH_SHARING = 50e6

#: From a form and the letters that are given to the steps of its program.
Lower = Callable[[Form, Collection[Letter]], Lowered]

#: From the steps of a program, which are put in order, and whether it is a part, to the memory they need.
Measure = Callable[[Lowered, bool], Memory]


@dataclass(frozen=True)
class Arrangement:
    """A program as it is run.

    Attributes:
        lowered: the steps of one part.
        memory: what one part needs.
        parts: how many there are.
        workers: how many run at once.
        cut: where the batch is cut.
        recomputed: the operations of one run that are spent on computing again.
    """

    lowered: Lowered
    memory: Memory
    parts: int = 1
    workers: int = 1
    cut: Split | None = None
    recomputed: int = 0

    @property
    def peak(self) -> int:
        """The bytes that a run needs beside its inputs; a part has gradients of its own if these are not handed on."""
        own = 0 if self.parts == 1 or self.memory.hands_on else self.memory.outputs
        return self.workers * self.memory.workspace + self.memory.outputs + own


def arrange(form: Form, lower: Lower, measure: Measure, workers: int, limit: int | None) -> Arrangement:
    """The arrangement of a program.

    Args:
        lower: gives the steps of the form at some sizes.
        measure: puts steps in the order that needs least memory, and gives what they need.
        workers: how many parts may run at once.
        limit: the bytes that a run may need beside its inputs.

    Raises:
        FormcalcError: it fits neither the limit nor the memory of the machine; the error says what it needs.
    """
    smallest: Arrangement | None = None
    for found in _Arrangements(form, lower, measure, workers).within(limit):
        if limit is None or found.peak <= limit:
            _check_machine(found, form.model.name)
            return found
        if smallest is None or found.peak < smallest.peak:
            smallest = found
    assert smallest is not None
    assert limit is not None
    raise FormcalcError(
        f"the program of {form.model.name} needs {readable(smallest.peak)} beside its inputs at the least, more than"
        f" the limit of {readable(limit)}; use smaller dimensions, float32, or a higher limit"
    )


class _Arrangements:
    def __init__(self, form: Form, lower: Lower, measure: Measure, workers: int) -> None:
        self.form = form
        self.lower = lower
        self.measure = measure
        self.workers = workers
        self.whole = lower(form, ())
        self.cut: Split | None = None

    def within(self, limit: int | None) -> Iterator[Arrangement]:
        """From the fastest to the smallest; without a limit the fastest alone."""
        is_large = self.workers > 1 and _flops(self.whole) > WORTH_SHARING
        self.cut = split(self.form) if is_large or limit is not None else None
        total = 1 if self.cut is None else self.form.model.size_of(self.cut.axis)
        shared = max(count for count in divisors(total) if count <= self.workers) if is_large else 1
        counts = [count for count in divisors(total) if count >= shared]
        found = []
        for count in counts if limit is not None else counts[:1]:
            found.append(self.of(self.part(count), count, shared))
            yield found[-1]
        if shared > 1:
            yield from (replace(one, workers=1) for one in found)
        if limit is not None:
            for count in dict.fromkeys((1, counts[-1])):
                yield from self.recomputing(count, limit)

    def part(self, count: int) -> Lowered:
        """The steps of one of so many parts."""
        if self.cut is None or count == 1:
            return self.whole
        size = self.form.model.size_of(self.cut.axis)
        return self.lower(at_size(self.form, self.cut.axis, size // count), self.cut.given)

    def of(self, lowered: Lowered, count: int, workers: int = 1, recomputed: int = 0) -> Arrangement:
        memory = self.measure(lowered, count > 1)
        return Arrangement(lowered, memory, count, workers, self.cut, recomputed * count)

    def recomputing(self, count: int, limit: int) -> Iterator[Arrangement]:
        """The smallest arrangement that computes values again; before it the fastest that fits the limit, if any."""
        low, high = 0, rounds(self.part(count))
        most = self.again(count, high)
        if most.peak <= limit:
            while high - low > 1:
                middle = (low + high) // 2
                found = self.again(count, middle)
                if found.peak <= limit:
                    high, most = middle, found
                else:
                    low = middle
        yield most

    def again(self, count: int, dropped: int) -> Arrangement:
        """So many parts, with so many values of a layer computed again."""
        self.whole = self.lower(self.form, ()) if count == 1 else self.whole
        part = self.part(count)
        cost = recomputing(part, dropped)
        return self.of(part, count, recomputed=cost)


def _check_machine(found: Arrangement, name: str) -> None:
    # parts share the weights, which are as large as their gradients
    others = found.memory.inputs - found.memory.outputs
    needed = found.peak + found.memory.outputs + found.parts * others
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise FormcalcError(
            f"a run of {name} needs {readable(needed)}, inputs included, but the machine has {readable(there)};"
            " use smaller dimensions, float32, or a limit: memory=…"
        )


def _flops(program: Lowered) -> int:
    return sum(section.repeats * step.flops for section in program.sections for step in section.steps)
