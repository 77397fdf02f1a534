"""The memory of an engine that makes arrays as it goes, and lets go of each as soon as nothing reads it.

The program is run without numbers: names are bound to arrays of known sizes, and what nothing is bound to is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.memory import Memory, bytes_of_inputs, bytes_of_outputs
from formcalc.numeric.program.release import Release
from formcalc.numeric.program.values import Loop, Step, Value, is_fresh, made


def allocated(program: Lowered, itemsize: int) -> Memory:
    """The memory of a lowered program; what primitives need for themselves is not counted.

    Args:
        itemsize: the bytes of one number.
    """
    peak = _Run(program).peak * itemsize
    outputs = bytes_of_outputs(program, itemsize)
    return Memory({}, {}, max(0, peak - outputs), outputs, bytes_of_inputs(program, itemsize))


class _Run:
    """Arrays are numbered; weights and data are number 0, which needs no memory beside itself."""

    def __init__(self, program: Lowered) -> None:
        self.program = program
        self.release = Release.of(program)
        self.sizes = [0]
        self.bound: Counter[int] = Counter()
        self.names: dict[Value, int] = {}
        self.kept: dict[tuple[Value, int], int] = {}
        self.live = self.peak = 0
        for section in program.sections:
            if isinstance(section, Loop):
                self.loop(section)
            else:
                self.steps(section.steps)
        for letter in program.coefficients.keys() - program.loop_of.keys():
            self.hold(self.names.get(program.coefficients[letter].value, 0))

    # arrays

    def new(self, size: int) -> int:
        self.sizes.append(size)
        self.live += size
        self.peak = max(self.peak, self.live)
        return len(self.sizes) - 1

    def hold(self, array: int) -> None:
        self.bound[array] += 1

    def drop(self, array: int) -> None:
        self.bound[array] -= 1
        if not self.bound[array]:
            self.live -= self.sizes[array]

    def bind(self, value: Value, array: int) -> None:
        self.hold(array)
        self.unbind(value)
        self.names[value] = array

    def unbind(self, value: Value) -> None:
        if value in self.names:
            self.drop(self.names.pop(value))

    # statements

    def steps(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if is_fresh(step) or not step.operands:
                arrays = [self.new(value.entries) for value in made(step)]
            else:
                arrays = [self.names.get(step.operands[0][0], 0)]
            for value, array in zip(made(step), arrays, strict=True):
                self.bind(value, array)
            for value in self.release.after.get(step, ()):
                self.unbind(value)

    def loop(self, loop: Loop) -> None:
        for total, _ in loop.sums:
            self.bind(total, self.new(total.entries))
        for state in loop.states:
            self.bind(state.value, self.names.get(state.start.value, 0))
            if state in self.release.starts:
                self.unbind(state.start.value)
        for layer in loop.values:
            self.layer(loop, layer)
        for state in loop.states:
            if not loop.between and state.outgoing is not None:
                self.bind(state.end, self.names[state.value])
        for state in loop.states:
            self.unbind(state.value)
        for value in self.release.left(loop):
            self.unbind(value)

    def layer(self, loop: Loop, layer: int) -> None:
        for value in loop.loads:
            if (value, layer) in self.kept:
                self.bind(value, self.kept[value, layer])
                if self.release.readers.get(value) is loop:
                    self.drop(self.kept.pop((value, layer)))
        is_last = layer == loop.values[-1]
        self.steps(loop.before)
        if loop.after:
            self.between(loop, is_last)
            self.steps(loop.steps[-loop.after :])
        for value in loop.saves:
            self.hold(self.names.get(value, 0))
            self.kept[value, layer] = self.names.get(value, 0)
        for view in loop.coefficients.values():
            self.hold(self.names.get(view.value, 0))
        if not loop.after:
            self.between(loop, is_last)
        if not (loop.between and is_last):
            going = [(s.value, self.names.get(s.outgoing.value, 0)) for s in loop.states if s.outgoing is not None]
            for value, array in going:
                self.bind(value, array)
            for value in self.release.handed.get(loop, ()):
                self.unbind(value)

    def between(self, loop: Loop, is_last: bool) -> None:
        steps = loop.between_layers
        if not is_last:
            self.steps(steps)
            return
        for step in steps:
            for value in self.release.after.get(step, ()):
                self.unbind(value)
