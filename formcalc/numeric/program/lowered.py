"""A program before it is written for an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from formcalc.algebra import Dimension, Letter
from formcalc.numeric.program.values import Loop, Section, Value, View, made


@dataclass
class Lowered:
    """The steps of a program, its inputs and its results.

    Attributes:
        size: of a dimension, in numbers.
        sections: the steps in order, layers as loops.
        inputs: the letters that need arrays, as the page writes them, with the value that stands for each.
        constants: the letters that are known, likewise.
        loss: the scalar.
        coefficients: of the weights, as the page writes them.
        letters: the letters with definitions that are computed.
        forward: how many of the sections compute the loss; the others are the backward pass.
        is_turned: whether coefficients have the sign of the gradient already.
        values: letters that are results too: the array that stands for the letter elsewhere, and what it is.
    """

    size: Callable[[Dimension], int]
    sections: list[Section] = field(default_factory=list)
    inputs: dict[Letter, Value] = field(default_factory=dict)
    constants: dict[Letter, Value] = field(default_factory=dict)
    loss: View | None = None
    coefficients: dict[Letter, View] = field(default_factory=dict)
    letters: dict[Letter, View] = field(default_factory=dict)
    forward: int = 0
    is_turned: bool = False
    values: dict[Letter, tuple[Value, View]] = field(default_factory=dict)

    @property
    def results(self) -> list[View]:
        """What the program computes."""
        loss = [] if self.loss is None else [self.loss]
        return [*loss, *self.coefficients.values(), *(view for _, view in self.values.values())]

    @property
    def loops(self) -> list[Loop]:
        """The sections that are layers."""
        return [section for section in self.sections if isinstance(section, Loop)]

    @property
    def loop_of(self) -> dict[Letter, Loop]:
        """The weights of layers, and the loops that compute their coefficients layer by layer."""
        return {letter: loop for loop in self.loops for letter in loop.coefficients}

    @property
    def made_by_steps(self) -> dict[Value, list[tuple[Letter, View, str]]]:
        """The coefficients that a step makes, and that are given at once: by value, with the index of the loop.

        Others are what a loop adds up, hands on or is given.
        """
        found: dict[Value, list[tuple[Letter, View, str]]] = {}
        loop_of = self.loop_of
        outside = {letter: view for letter, view in self.coefficients.items() if letter not in loop_of}
        for section in self.sections:
            values = {value for step in section.steps for value in made(step)}
            coefficients, index = (section.coefficients, section.index) if isinstance(section, Loop) else (outside, "")
            for letter, view in coefficients.items():
                if view.value in values:
                    found.setdefault(view.value, []).append((letter, view, index))
        return found

    @property
    def given_at_once(self) -> set[Letter]:
        """The weights whose coefficients are given as soon as a step has made them."""
        return {letter for found in self.made_by_steps.values() for letter, _, _ in found}
