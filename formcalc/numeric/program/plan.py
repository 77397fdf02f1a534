"""The plan of a program: its steps as a table, with shapes, operations and bytes."""

from __future__ import annotations

from dataclasses import dataclass

from formcalc.language.columns import columns
from formcalc.numeric.program.lowering import Lowered
from formcalc.numeric.program.values import Contract, Loop, Section, Step


@dataclass(frozen=True)
class PlannedStep:
    """One step: how often it runs, what it makes and of which shape, how, and at what cost each time."""

    repeats: int
    name: str
    operation: str
    shape: tuple[int, ...]
    flops: int
    entries: int


@dataclass(frozen=True)
class Plan:
    """The steps of a program in order."""

    title: str
    steps: tuple[PlannedStep, ...]

    @classmethod
    def of(cls, program: Lowered, title: str) -> Plan:
        """The plan of a lowered program."""
        return cls(title, tuple(_planned(s, step) for s in program.sections for step in s.steps))

    @property
    def flops(self) -> int:
        """All multiplications and additions of one run."""
        return sum(step.repeats * step.flops for step in self.steps)

    @property
    def product_flops(self) -> int:
        """Those of matrix products."""
        return sum(step.repeats * step.flops for step in self.steps if step.operation == "product of matrices")

    def __str__(self) -> str:
        header = ("step", "operation", "shape", "times", "MFLOP", "entries")
        rows = [
            (
                s.name,
                s.operation,
                "×".join(map(str, s.shape)) or "1",
                str(s.repeats),
                f"{s.flops / 1e6:.3f}",
                str(s.entries),
            )
            for s in self.steps
        ]
        total = f"{self.flops / 1e9:.4f} GFLOP in one run, {self.product_flops / 1e9:.4f} of them in matrix products"
        return "\n".join([*columns(header, rows, left=3), total])


def _planned(section: Section, step: Step) -> PlannedStep:
    repeats = 1
    if isinstance(section, Loop):
        repeats = len(section.values) - (step in section.steps[len(section.always) :])
    if isinstance(step, Contract):
        is_product = len(step.operands) == 2 and all(value.kind == "array" for value, _ in step.operands)
        operation = "product of matrices" if is_product else "sum" if len(step.operands) == 1 else "selection of rows"
    else:
        operation = step.operation
    return PlannedStep(repeats, step.out.name, operation, step.out.shape, step.flops, step.out.entries)
