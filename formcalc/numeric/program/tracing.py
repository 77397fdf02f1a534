"""Finding the step in which a number that is not finite arose: the program runs again, and every value is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from formcalc.errors import EvaluationError
from formcalc.numeric.program.dialects import Dialect
from formcalc.numeric.program.emission import Emitter
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.spelling import spelled
from formcalc.numeric.program.values import Contract, Loop, Map, Step


def traced_source(program: Lowered, dialect: Dialect) -> str:
    """The function ``run``, which hands every value it computes to ``look(value, text)``, and lets go of none."""
    return _TracingEmitter(program, replace(dialect, scales_products=False, releases=False)).text()


def looking(name: str, dtype: str, is_finite: Callable[[Any], bool]) -> Callable[[Any, str], None]:
    """What stops at the first value that is not finite.

    Args:
        name: of the model.
    """

    def look(value: Any, text: str) -> None:
        if not is_finite(value):
            raise EvaluationError(f"the result of {name} is not finite in {dtype}: the first such value is {text}")

    return look


class _TracingEmitter(Emitter):
    def __init__(self, program: Lowered, dialect: Dialect) -> None:
        super().__init__(program, dialect)
        self.index = ""

    def loop(self, loop: Loop) -> None:
        self.index = loop.index
        super().loop(loop)
        self.index = ""

    def steps(self, steps: Sequence[Step]) -> None:
        layer = f", in the layer {self.index} = {{{self.index}}}" if self.index else ""
        for step in steps:
            super().steps([step])
            text = f"{_described(step)}{{layer}}" if layer else _described(step)
            prefix = "f" if layer else ""
            self.write(f"look({step.out.name}, {prefix}{text.replace('{layer}', layer)!r})")


def _described(step: Step) -> str:
    """A step for people, without braces."""
    shape = "×".join(map(str, step.out.shape)) or "scalar"
    names = ", ".join(value.name for value, _ in step.operands)
    if isinstance(step, Contract):
        made = "the product" if len(step.operands) > 1 else "the sum of the entries"
        text = f"{made} of {names}"
    else:
        assert isinstance(step, Map)
        text = f"{spelled(step.operation)}({names})"
    source = f", {step.out.source}" if step.out.source else ""
    return f"{step.out.name} = {text}, {shape}{source}".replace("{", "(").replace("}", ")")
