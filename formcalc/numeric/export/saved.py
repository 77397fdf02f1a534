"""What a backward pass reads of its forward pass."""

from __future__ import annotations

from dataclasses import dataclass, field

from formcalc.numeric.program.values import Loop, Value


@dataclass
class Saved:
    """What the backward pass reads of the forward pass: values at the top, and of each loop.

    Its layout in one flat tuple: those at the top, then layer by layer those of the loops.
    """

    top: list[Value] = field(default_factory=list)
    loops: dict[Loop, list[Value]] = field(default_factory=dict)

    @property
    def values(self) -> list[Value]:
        return [*self.top, *(value for values in self.loops.values() for value in values)]
