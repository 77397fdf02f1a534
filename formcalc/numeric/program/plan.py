"""The plan of a program: its steps as a table, with shapes, operations and bytes, and what it all needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from formcalc.calculus import Form
from formcalc.language.columns import columns
from formcalc.numeric.program.baselines import left_to_right, reverse_mode
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.memory import readable
from formcalc.numeric.program.values import Contract, Section, Step


@dataclass(frozen=True)
class PlannedStep:
    """One step: how often it runs, what it makes and of which shape, how, and at what cost each time."""

    repeats: int
    name: str
    operation: str
    shape: tuple[int, ...]
    flops: int
    product_flops: int
    entries: int


@dataclass(frozen=True)
class Plan:
    """The steps of a program in order.

    Attributes:
        form: what the program computes.
        itemsize: the bytes of a number.
        parts: in how many parts the batch runs; `steps` says how often each runs in all of them.
        peak: the bytes that a run needs beside its inputs.
        recomputed: the operations of one run that are spent on computing again what was not kept.
    """

    form: Form
    steps: tuple[PlannedStep, ...]
    itemsize: int
    parts: int
    peak: int
    recomputed: int

    @classmethod
    def of(cls, program: Lowered, form: Form, itemsize: int, parts: int, peak: int, recomputed: int) -> Plan:
        """The plan of a lowered program, which computes a part of a form's batch or all of it."""
        steps = tuple(_planned(section, step, parts) for section in program.sections for step in section.steps)
        return cls(form, steps, itemsize, parts, peak, recomputed)

    @property
    def flops(self) -> int:
        """All multiplications and additions of one run."""
        return sum(step.repeats * step.flops for step in self.steps)

    @property
    def product_flops(self) -> int:
        """Those of matrix products."""
        return sum(step.repeats * step.product_flops for step in self.steps)

    @cached_property
    def left_to_right(self) -> int:
        """The operations of matrix products if every word were multiplied from left to right."""
        return left_to_right(self.form)

    @cached_property
    def reverse_mode(self) -> int:
        """The operations of matrix products of automatic differentiation, on the page as written."""
        return reverse_mode(self.form)

    def __str__(self) -> str:
        header = ("step", "operation", "shape", "times", "MFLOP", "bytes")
        rows = [
            (
                s.name,
                s.operation,
                "×".join(map(str, s.shape)) or "1",
                str(s.repeats),
                f"{s.flops / 1e6:.3f}",
                str(s.entries * self.itemsize),
            )
            for s in self.steps
        ]
        return "\n".join([*columns(header, rows, left=3), *self.totals()])

    def totals(self) -> list[str]:
        """What a run costs, compared with other orders, and what memory it needs."""
        found = [
            f"{self.flops / 1e9:.4f} GFLOP in one run, {self.product_flops / 1e9:.4f} of them in matrix products",
            f"from left to right these would be {_compared(self.left_to_right, self.product_flops)},"
            f" in reverse mode {_compared(self.reverse_mode, self.product_flops)}",
            f"{readable(self.peak)} beside the inputs" + (f", in {self.parts} parts" if self.parts > 1 else ""),
        ]
        if self.recomputed:
            found.append(f"{self.recomputed / 1e9:.4f} GFLOP are spent on computing again what is not kept")
        return found


def _compared(other: int, own: int) -> str:
    ratio = f" ({other / own:.2f} times as many)" if own else ""
    return f"{other / 1e9:.4f}{ratio}"


def _planned(section: Section, step: Step, parts: int) -> PlannedStep:
    repeats = section.times(step)
    if isinstance(step, Contract):
        one = "sum" if len(step.operands) == 1 else "selection of rows"
        operation = "product of matrices" if step.product_flops else one
    else:
        operation = step.operation
    shape, entries = step.out.shape, step.out.entries
    return PlannedStep(repeats * parts, step.out.name, operation, shape, step.flops, step.product_flops, entries)
