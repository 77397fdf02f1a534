"""Where the values of a program live: one block of memory, shared by what is not needed at the same time.

Time is counted in steps. A value lives from the step that makes it to the last one that reads it; what is read in a
loop it was not made in lives to the end of that loop, and what a loop saves for another has a place for every layer. A
function of an array that is read for the last time writes over it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from formcalc.algebra import Letter
from formcalc.numeric.program.blocks import Block, aligned, place
from formcalc.numeric.program.dialects import Dialect
from formcalc.numeric.program.hosting import Hosts
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.scratch import scratch
from formcalc.numeric.program.values import Fused, Loop, Map, Section, Step, Value, View, made

#: Which operand a map may write over: any of these; of all others, the last one.
_OVER = {
    "sum": None,
    "product": None,
    "softmax": 0,
    "softmax'": 1,
    "norm": 0,
    "rms": 0,
    "logsoftmax": 0,
    "cross_entropy_slope": 0,
}

#: Maps that make views, or read their operands in another order than they write.
_NEVER_OVER = {"broadcast", "dense", "rowdot"}


@dataclass(frozen=True)
class Memory:
    """The memory of a program.

    Attributes:
        blocks: by value; states and what goes in and out of them share one.
        scratch: by step, the places it needs for itself alone.
        workspace: the bytes of the one block that all lie in.
        outputs: the bytes of the gradients.
        inputs: the bytes of weights, data and constants.
        hands_on: whether gradients lie in the workspace until they are handed on, to be added to those of other parts.
    """

    blocks: dict[Value, Block]
    scratch: dict[Step, list[Block]]
    workspace: int
    outputs: int
    inputs: int
    hands_on: bool = False

    @property
    def peak(self) -> int:
        """The bytes that a run needs beside its inputs."""
        return self.workspace + self.outputs

    @classmethod
    def of(cls, program: Lowered, itemsize: int, dialect: Dialect, hands_on: bool = False) -> Memory:
        """The memory of a lowered program.

        Args:
            itemsize: the bytes of one number.
            dialect: that of numpy in which the program is written.
            hands_on: whether it is the program of a part.
        """
        planner = _Planner(program, itemsize)
        if not hands_on:
            planner.outputs()
        planner.merge()
        places = {}
        for section in program.sections:
            for step in section.steps:
                time = planner.times.born[step.out]
                places[step] = [Block(planner.bytes_of(shape), time, time) for shape in scratch(step, dialect).values()]
        if not hands_on:
            Hosts(program, planner.blocks, planner.times.bounds, itemsize).fill()
        inside = [block for block in dict.fromkeys(planner.blocks.values()) if block.letter is None]
        workspace = place([*inside, *(block for found in places.values() for block in found)])
        return cls(
            planner.blocks,
            places,
            workspace,
            bytes_of_outputs(program, itemsize),
            bytes_of_inputs(program, itemsize),
            hands_on,
        )


def bytes_of_outputs(program: Lowered, itemsize: int) -> int:
    """The bytes of the gradients."""
    return sum(_bytes_of_input(program, program.inputs[letter], itemsize) for letter in program.coefficients)


def bytes_of_inputs(program: Lowered, itemsize: int) -> int:
    """The bytes of weights, data and constants."""
    inputs = [*program.inputs.values(), *program.constants.values()]
    return sum(_bytes_of_input(program, value, itemsize) for value in inputs)


def _bytes_of_input(program: Lowered, value: Value, itemsize: int) -> int:
    """The bytes of an array, or of those of all layers."""
    repeats = next((len(loop.values) for loop in program.loops if value in loop.inputs), 1)
    return aligned(value.entries * itemsize) * repeats


class _Times:
    """When values are made, and when they are read last."""

    def __init__(self, program: Lowered) -> None:
        self.born: dict[Value, int] = {}
        self.read: dict[Value, int] = {}
        self.home: dict[Value, Section] = {}
        #: The first and the last moment of each loop.
        self.bounds: dict[Section, tuple[int, int]] = {}
        now = 0
        for section in program.sections:
            now += 1
            first = now
            for step in section.steps:
                now += 1
                for value in made(step):
                    self.born[value], self.home[value] = now, section
            now += 1
            self.bounds[section] = (first, now)
            if isinstance(section, Loop):
                for state in section.states:
                    self.home[state.value] = section
                for total, _ in section.sums:
                    self.born[total], self.home[total] = first, section
        self.last = now + 1
        #: Gradients that are given when they are made.
        self.given = program.given_at_once
        for section in program.sections:
            self.section(section)
        later = [view for letter, view in program.coefficients.items() if letter not in self.given]
        for view in (*later, *((program.loss,) if program.loss else ())):
            if not isinstance(self.home.get(view.value), Loop) or self._is_total(view.value, program):
                self.note(view.value, self.last, None)

    def _is_total(self, value: Value, program: Lowered) -> bool:
        return any(value is total for loop in program.loops for total, _ in loop.sums)

    def section(self, section: Section) -> None:
        for step in section.steps:
            for value, _ in step.operands:
                self.note(value, self.born[step.out], section)
        if isinstance(section, Loop):
            end = self.bounds[section][1]
            for value in section.loads if len(section.values) > 1 else ():
                self.note(value, end, None)
            inside: list[View] = [view for _, view in section.sums]
            inside += [view for letter, view in section.coefficients.items() if letter not in self.given]
            inside += [state.outgoing for state in section.states if state.outgoing is not None]
            for view in inside:
                self.note(view.value, end, section)
            for state in section.states:
                self.note(state.start.value, end if section.values else self.last, None)

    def note(self, value: Value, time: int, section: Section | None) -> None:
        """A value is read; in a loop of several layers that it was not made in, to its end."""
        if isinstance(section, Loop) and len(section.values) > 1 and self.home.get(value) is not section:
            time = self.bounds[section][1]
        self.read[value] = max(self.read.get(value, 0), time)


class _Planner:
    """The blocks of a program before they have places."""

    def __init__(self, program: Lowered, itemsize: int) -> None:
        self.program = program
        self.itemsize = itemsize
        self.times = _Times(program)
        self.top = {section for section in program.sections if not isinstance(section, Loop)}
        self.blocks: dict[Value, Block] = {}
        times = self.times
        for value, born in times.born.items():
            read = max(times.read.get(value, 0), born)
            self.blocks[value] = Block(self.bytes_of(value.shape), born, read, [value])
        for loop in program.loops:
            self.loop(loop)

    def bytes_of(self, shape: tuple[int, ...]) -> int:
        return aligned(math.prod(shape) * self.itemsize)

    def loop(self, loop: Loop) -> None:
        start, end = self.times.bounds[loop]
        for value in loop.saves:
            if value in self.times.born:
                block = self.blocks[value]
                block.copies, block.start = max(block.copies, len(loop.values)), start
        for state in loop.states:
            if state.outgoing is None:  # there is but one layer
                continue
            value = state.outgoing.value
            block = self.blocks[value]
            again = self.times.read.get(state.value, 0)
            # the next layer reads one while it makes another
            needed = len(loop.values) if state.value in loop.saves else min(2, len(loop.values))
            block.copies = max(block.copies, needed)
            block.start = min(block.start, start)
            block.end = max(block.end, end, again, self.times.read.get(state.end, 0))
            self.blocks[state.value] = self.blocks[state.end] = block
            before = self.blocks.get(state.start.value)
            if before is not None and before is not block:
                before.end = max(before.end, again)

    def outputs(self) -> None:
        """Find the values that can be made in the memory of a gradient at once."""
        handed = {state.value for loop in self.program.loops for state in loop.states}
        kept = {self.blocks[value] for value in handed if value in self.blocks}
        layers = self.program.loop_of
        totals = {total for loop in self.program.loops for total, _ in loop.sums}
        for letter, view in self.program.coefficients.items():
            block, home = self.blocks.get(view.value), self.times.home.get(view.value)
            if block is None or block.copies > 1 or block in kept or block.letter is not None:
                continue
            is_total = view.value in totals
            is_here = home is layers[letter] and not is_total if letter in layers else is_total or home in self.top
            if is_here and self.program.is_turned and is_laid(self.program, letter, view):
                block.letter = letter

    def merge(self) -> None:
        """Let functions write over what they read for the last time."""
        for section in self.program.sections:
            for step in section.steps:
                over = self.over(step, section) if isinstance(step, Map) else None
                if over is not None:
                    self.join(over, step.out)

    def over(self, step: Map, section: Section) -> Value | None:
        """The operand that a map may write over."""
        if step.operation in _NEVER_OVER or (isinstance(step, Fused) and step.operation not in _OVER):
            return None
        chosen = _OVER.get(step.operation, len(step.operands) - 1)
        target = self.blocks[step.out]
        now = self.times.born[step.out]
        for k, (value, labels) in enumerate(step.operands):
            block = self.blocks.get(value)
            if block is None or chosen not in (None, k) or block is target:
                continue
            is_last = block.copies == 1 and block.end == now and self.times.home.get(value) is section
            is_same = value.kind == "array" and tuple(labels[slot] for slot in value.stored) == step.out.slots
            is_alone = sum(other is value for other, _ in step.operands) == 1 and value in self.times.born
            if is_last and is_same and is_alone and block.letter is None and value.shape == step.out.shape:
                return value
        return None

    def join(self, value: Value, out: Value) -> None:
        first, second = self.blocks[value], self.blocks[out]
        second.start = min(first.start, second.start)
        second.values = first.values + second.values
        for inner, block in list(self.blocks.items()):
            if block is first:
                self.blocks[inner] = second


def is_laid(program: Lowered, letter: Letter, view: View) -> bool:
    """Whether a coefficient lies in memory as the array of its weight does, up to axes of one row or column."""
    wanted = [*map(str, letter.symbol.layout), "col", "row"]
    labels = {slot: role for role, slot in view.roles.items()}
    value = view.value
    present = [labels[slot] for slot in value.stored if slot in labels]
    if value.kind != "array" or len(present) != len(value.stored):
        return False
    whole = program.inputs[letter].sizes.values()
    is_whole = all(label in present or size == 1 for label, size in zip(wanted, whole, strict=True))
    return is_whole and present == [label for label in wanted if label in present]


def readable(size: float) -> str:
    """Bytes for people.

    >>> readable(512), readable(3_500_000_000)
    ('512 bytes', '3.3 GiB')
    """
    units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    place = 0
    while size >= 1024 and place < len(units) - 1:
        size, place = size / 1024, place + 1
    return f"{size:.0f} bytes" if place == 0 else f"{size:.1f} {units[place]}"
