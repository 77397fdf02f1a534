"""How a program is run: the batch whole, or in parts side by side or one after the other; what is computed again.

Without a limit of memory large batches are shared out among the cores. With one, the arrangement that is expected to be
the fastest of those that fit: more and smaller parts, one part at a time, and values that are computed again in the
backward pass rather than kept.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass

from formcalc.algebra import Letter
from formcalc.calculus import Form
from formcalc.errors import FormcalcError
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.memory import Memory, readable
from formcalc.numeric.program.parts import Split, at_size, divisors, split
from formcalc.numeric.program.recomputation import A_PASS, effort, recomputing, rounds

#: Programs with more operations than this are shared out among the cores.
WORTH_SHARING = 50e6

#: What a part more costs for each entry of the gradients, in passes: it is added up, and products have fewer rows.
A_PART = 4

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
    found = _Arrangements(form, lower, measure, workers).best(limit)
    if limit is None or found.peak <= limit:
        _check_machine(found, form.model.name)
        return found
    raise FormcalcError(
        f"the program of {form.model.name} needs {readable(found.peak)} beside its inputs at the least, more than"
        f" the limit of {readable(limit)}; use smaller dimensions, float32, or a higher limit"
    )


class _Arrangements:
    def __init__(self, form: Form, lower: Lower, measure: Measure, workers: int) -> None:
        self.form = form
        self.lower = lower
        self.measure = measure
        self.workers = workers
        self.whole = lower(form, ())
        self.parts = {1: self.whole}
        self.cut: Split | None = None

    def best(self, limit: int | None) -> Arrangement:
        """The fastest that fits, or else the smallest; without a limit the batch is shared out among the cores."""
        is_large = self.workers > 1 and _flops(self.whole) > WORTH_SHARING
        self.cut = split(self.form) if is_large or limit is not None else None
        total = 1 if self.cut is None else self.form.model.size_of(self.cut.axis)
        shared = max(count for count in divisors(total) if count <= self.workers) if is_large else 1
        if limit is None:
            return self.of(self.part(shared), shared, shared)
        found: list[Arrangement] = []
        for workers in dict.fromkeys((shared, 1)):
            for count in (count for count in divisors(total) if count >= workers):
                least = self.work(self.whole, workers) + self.adding(count)
                if all(one.peak > limit or least < self.time(one) for one in found):
                    found.append(self.fitting(count, workers, limit))
        fitting = [one for one in found if one.peak <= limit]
        return min(fitting, key=self.time) if fitting else min(found, key=lambda one: one.peak)

    def part(self, count: int) -> Lowered:
        """The steps of one of so many parts."""
        if count not in self.parts:
            assert self.cut is not None
            size = self.form.model.size_of(self.cut.axis)
            self.parts[count] = self.lower(at_size(self.form, self.cut.axis, size // count), self.cut.given)
        return self.parts[count]

    def fitting(self, count: int, workers: int, limit: int) -> Arrangement:
        """So many parts, with as few values computed again as fit the limit; the smallest if it does not fit."""
        low, high = 0, rounds(self.part(count))
        least = self.again(count, workers)
        if least.peak <= limit or high == 0:
            return least
        most = self.again(count, workers, high)
        if most.peak <= limit:
            while high - low > 1:
                middle = (low + high) // 2
                found = self.again(count, workers, middle)
                if found.peak <= limit:
                    high, most = middle, found
                else:
                    low = middle
        return min(least, most, key=lambda one: one.peak)

    def again(self, count: int, workers: int, dropped: int = 0) -> Arrangement:
        """So many parts, so many of them at once, with so many values of a layer computed again."""
        part = deepcopy(self.part(count))
        cost = recomputing(part, dropped) if dropped else 0
        return self.of(part, count, workers, cost)

    def of(self, part: Lowered, count: int, workers: int, recomputed: int = 0) -> Arrangement:
        memory = self.measure(part, count > 1)
        return Arrangement(part, memory, count, workers, self.cut, recomputed * count)

    def time(self, found: Arrangement) -> float:
        """The time that a run is expected to take, in operations of products of matrices on all cores."""
        return found.parts * self.work(found.lowered, found.workers) + self.adding(found.parts)

    def work(self, program: Lowered, workers: int) -> float:
        """The time of the steps: products use all cores in any case, everything else one of them for each worker."""
        steps = [(section.times(step), step) for section in program.sections for step in section.steps]
        products = sum(times * step.product_flops for times, step in steps)
        passes = sum(times * effort(step) for times, step in steps) - products
        return products + passes * self.workers / workers

    def adding(self, count: int) -> float:
        """The time that it takes to add up the gradients of so many parts."""
        model = self.form.model
        gradients = sum(math.prod(model.shape_of(model.letters[name])) for name in model.weights)
        return A_PART * A_PASS * gradients * count if count > 1 else 0


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
    return sum(section.times(step) * step.flops for section in program.sections for step in section.steps)
