"""The source of a program: a Python function over the primitives of an engine."""

from __future__ import annotations

from collections.abc import Sequence

from formcalc.algebra import Letter
from formcalc.numeric.program.accumulation import Accumulating
from formcalc.numeric.program.dialects import Dialect
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.release import Release
from formcalc.numeric.program.spelling import indexed, shape_of, spelled, sum_of, tuple_of
from formcalc.numeric.program.values import (
    Accumulated,
    Contract,
    Fused,
    Labelled,
    Loop,
    Map,
    Step,
    Value,
    View,
    is_fresh,
    made,
)


def source(program: Lowered, dialect: Dialect) -> str:
    """The function ``run(arrays, constants, like) -> loss, gradients``, by the names of letters.

    Results have the type of `like`.
    """
    return Emitter(program, dialect).text()


class Emitter(Accumulating):
    """Writes the statements of a program, each value once, in the dialect of an engine."""

    def __init__(self, program: Lowered, dialect: Dialect) -> None:
        self.program = program
        self.dialect = dialect
        self.lines: list[str] = []
        self.depth = 0
        #: Values whose memory is theirs alone, and not yet that of a gradient.
        fresh = [step for section in program.sections for step in section.steps if is_fresh(step)]
        self.unshared = {value for step in fresh for value in (step.out, *(step.more if isinstance(step, Map) else ()))}
        self.release = Release.of(program) if dialect.releases else Release()
        #: What makes an array of one's own of a view.
        self.copy = dialect.copy
        #: The gradients that steps make, with the index of their loop.
        self.gradients = program.made_by_steps
        self.given_at_once = program.given_at_once

    def text(self) -> str:
        program = self.program
        in_loops = {value for loop in program.loops for value in loop.inputs}
        self.begin()
        for letter, value in program.inputs.items():
            if value not in in_loops:
                self.write(self.given(value, f'arrays["{letter.name}"]'), value.source)
        for letter, value in program.constants.items():
            self.write(self.given(value, f'constants["{letter.name}"]'), value.source)
        self.by_value = {value: letter for letter, value in program.inputs.items()}
        for section in program.sections:
            if isinstance(section, Loop):
                self.loop(section)
            else:
                self.steps(section.steps)
        done = program.loop_of.keys() | self.given_at_once
        for letter, view in program.coefficients.items():
            if letter not in done:
                self.coefficient(letter, view)
        for letter, (value, view) in program.values.items():
            self.write(f'gradients["{letter.name}"] = {self.laid(view, value)}', value.source)
        self.end(self.scalar(program.loss) if program.loss is not None else "None")
        return "\n".join(self.lines) + "\n"

    def begin(self) -> None:
        """The head of the function."""
        self.write("def run(arrays, constants, like):")
        self.depth += 1
        self.write("gradients = {}")

    def end(self, loss: str) -> None:
        """The last line of the function."""
        self.write(f"return {loss}, gradients")
        self.depth -= 1

    def give(self, key: str, text: str, comment: str) -> None:
        """The statement that gives a gradient."""
        self.write(f"gradients[{key}] = {text}", comment)

    def write(self, line: str, comment: str = "") -> None:
        note = f"  # {comment}" if comment else ""
        self.lines.append("    " * self.depth + line + note)

    def scalar(self, view: View) -> str:
        return view.value.name

    def given(self, value: Value, text: str) -> str:
        """The statement that takes an array, without its axes of one row or one column."""
        whole = [slot for slot in (*value.sizes,) if not (value.kind == "ids" and slot == "col")]
        kept = value.stored
        return f"{value.name} = {text}" + ("" if len(kept) == len(whole) else f".reshape({shape_of(value.shape)})")

    def loop(self, loop: Loop) -> None:
        for value in loop.saves:
            self.write(f"{value.name}_saved = {{}}")
        for total, _ in loop.sums:
            self.write(self.nothing(total))
        for state in loop.states:
            self.write(f"{state.value.name} = {self.laid(state.start, state.value)}")
            if state in self.release.starts:
                self.write(f"del {state.start.value.name}")
        values = loop.values
        step = "" if values.step == 1 else f", {values.step}"
        self.write(f"for {loop.index} in range({values.start}, {values.stop}{step}):")
        self.depth += 1
        before = len(self.lines)
        for value in loop.inputs:
            self.write(self.given(value, f"arrays[{indexed(self.by_value[value], loop.index)}]"))
        for value in loop.loads:
            if value not in loop.inputs:
                letter = self.by_value.get(value)
                is_last = self.release.readers.get(value) is loop
                key = f"{value.name}_saved{f'.pop({loop.index})' if is_last else f'[{loop.index}]'}"
                self.write(
                    f"{value.name} = {key}"
                    if letter is None
                    else self.given(value, f"arrays[{indexed(letter, loop.index)}]")
                )
        self.enter(loop)
        self.steps(loop.before)
        if loop.after:
            self.between(loop, loop.between_layers)
            self.steps(loop.steps[-loop.after :])
        for value in loop.saves:
            self.write(f"{value.name}_saved[{loop.index}] = {value.name}")
        for total, view in loop.sums:
            self.write(self.added(total, self.written_out(view.value).name))
        for letter, view in loop.coefficients.items():
            if letter not in self.given_at_once:
                self.coefficient(letter, view, loop.index)
        self.between(loop, [] if loop.after else loop.between_layers, is_end=True)
        if len(self.lines) == before:
            self.write("pass")
        self.depth -= 1
        if not loop.between:  # else nothing reads what comes out last
            for state in loop.states:
                if state.outgoing is not None:
                    self.write(f"{state.end.name} = {state.value.name}")
        if self.dialect.releases and loop.values:
            gone = {value for step in loop.steps for value in self.release.after.get(step, ())}
            if not loop.between:
                gone &= {state.value for state in loop.states if state.outgoing is None}
            names = [state.value.name for state in loop.states if state.value not in gone]
            names += [value.name for value in self.release.left(loop)]
            if names:
                self.write(f"del {', '.join(names)}")

    def between(self, loop: Loop, steps: Sequence[Step], is_end: bool = False) -> None:
        """What is only done for the next layer, if there is one."""
        depth = self.depth
        if loop.between:
            self.write(f"if {loop.index} != {loop.values[-1]}:")
            self.depth += 1
        self.steps(steps)
        if is_end:
            self.going(loop)
        self.depth = depth
        own = {value for step in steps for value in made(step)}
        others = [value.name for step in steps for value in self.release.after.get(step, ()) if value not in own]
        if others:
            self.write("else:")
            self.write(f"    del {', '.join(others)}")

    def going(self, loop: Loop) -> None:
        """The states of the next layer, all at once: one state may go on as another."""
        going = [(state.value, state.outgoing) for state in loop.states if state.outgoing is not None]
        if going:
            names, texts = [value.name for value, _ in going], [self.laid(view, value) for value, view in going]
            self.write(f"{', '.join(names)} = {', '.join(texts)}")
            handed = self.release.handed.get(loop, ())
            if handed:
                self.write(f"del {', '.join(value.name for value in handed)}")

    def enter(self, loop: Loop) -> None:
        """What the steps of one layer need first."""

    def nothing(self, total: Value) -> str:
        """The statement that begins a sum over layers."""
        return f"{total.name} = 0"

    def added(self, total: Value, text: str) -> str:
        """The statement that adds to a sum over layers."""
        return f"{total.name} = {total.name} + {text}"

    def laid(self, view: View, value: Value) -> str:
        """A view, in the slots of a value, and in memory as the value is."""
        labels = {slot: role for role, slot in view.roles.items()}
        text = self.aligned((view.value, labels), value.slots)
        if not set(labels.values()) >= set(value.slots):
            return f"{self.dialect.module}.broadcast_to({text}, {tuple_of(value.shape)})"
        return text

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.write(self.step(step), step.out.source)
            if isinstance(step, Fused):
                for value, order in zip((step.out, *step.more), step.results, strict=True):
                    if len(value.slots) < len(order):
                        self.write(f"{value.name} = {value.name}.reshape({shape_of(value.shape)})")
            self.give_made(step)
            if step in self.release.after:
                self.write(f"del {', '.join(value.name for value in self.release.after[step])}")

    def give_made(self, step: Step) -> None:
        """Give the gradients that a step has made."""
        for value in made(step):
            for letter, view, index in self.gradients.get(value, ()):
                self.coefficient(letter, view, index)

    def step(self, step: Step) -> str:
        text = self.contract(step) if isinstance(step, Contract) else self.map(step)
        names = [step.out.name, *(value.name for value in step.more)] if isinstance(step, Map) else [step.out.name]
        return f"{', '.join(names)} = {text}"

    # maps

    def map(self, step: Map) -> str:
        slots = (*step.out.slots, step.along) if step.operation == "rowdot" else step.out.slots
        if isinstance(step, Accumulated):
            return self.accumulated(step)
        if isinstance(step, Fused):
            return f"{step.operation}({', '.join([*self.fused_operands(step), *map(repr, step.numbers)])})"
        operands = [self.aligned(operand, slots) for operand in step.operands]
        match step.operation:
            case "sum":
                return sum_of(operands, step.numbers)
            case "product":
                number = step.numbers[0]
                factors = ([] if number == 1 else [repr(number)]) + operands
                return " * ".join(factors)
            case "constant":
                return f"{step.numbers[0]!r} * ones_of((), like)"
            case "dense":
                value, labels = step.operands[0]
                return self.permuted(self.written_out(value).name, [labels[s] for s in value.slots], step.out.slots)
            case "ones":
                return f"ones_of({tuple_of(step.out.shape)}, like)"
            case "identity":
                return f"identity_of({step.out.shape[0]}, like)" if step.out.shape else "ones_of((), like)"
            case "broadcast":
                return f"{self.dialect.module}.broadcast_to({operands[0]}, {tuple_of(step.out.shape)})"
        return f"{spelled(step.operation)}({', '.join([*operands, *map(repr, step.numbers)])})"

    def fused_operands(self, step: Fused) -> list[str]:
        """The operands of a primitive, in the orders in which it takes them; ids as they are."""
        operands = [(Value(v.name, v.stored, v.sizes) if v.kind == "ids" else v, own) for v, own in step.operands]
        return [self.aligned(operand, order) for operand, order in zip(operands, step.orders, strict=True)]

    def aligned(self, operand: Labelled, slots: tuple[str, ...]) -> str:
        """An operand with an axis for every slot, in their order; of length one where it does not depend on it."""
        value, labels = operand
        value = self.written_out(value)
        names = [labels[slot] for slot in value.stored]
        text = value.name
        if not set(names) <= set(slots):  # one row or one column, which is there all the same
            text += f"[{', '.join(':' if label in slots else '0' for label in names)}]"
        text = self.permuted(text, [label for label in names if label in slots], slots)
        present = set(labels.values()) & set(slots)
        if present >= set(slots) or not present:
            return text
        # leading axes are added by broadcasting
        marks = [":" if slot in present else "None" for slot in slots]
        while marks and marks[0] == "None":
            marks.pop(0)
        return text if "None" not in marks else f"{text}[{', '.join(marks)}]"

    # contractions

    def contract(self, step: Contract) -> str:
        if len(step.operands) == 1:
            return self.reduced(step)
        special = next((k for k, (value, _) in enumerate(step.operands) if value.kind != "array"), None)
        if special is not None:
            other, labels = step.operands[1 - special]
            return self.selected(step, step.operands[special], (self.written_out(other), labels))
        return self.product(step)

    def written_out(self, value: Value) -> Value:
        """One-hot rows, or the quarter turn, as an array."""
        text = f"one_hot({value.name}, {value.sizes['col']}, like)" if value.kind == "ids" else value.name
        return Value(text, value.slots, value.sizes)

    def scaled(self, text: str, scale: float) -> str:
        return text if scale == 1 else f"{scale!r} * {text}"

    def reduced(self, step: Contract) -> str:
        value, labels = step.operands[0]
        names = [labels[slot] for slot in value.stored]
        text = value.name
        if value.kind == "ids" and "col" in labels:
            if labels["col"] in step.out.slots or labels["col"] in names:
                text, names = f"one_hot({text}, {value.sizes['col']}, like)", [*names, labels["col"]]
            else:
                text = f"counted({text}, like)"
        if len(set(names)) < len(names):
            double = next(label for label in names if names.count(label) == 2)
            first, second = (k for k, label in enumerate(names) if label == double)
            text = f"{text}.diagonal(0, {first}, {second})"
            names = [label for label in names if label != double] + [double]
        summed = tuple(k for k, label in enumerate(names) if label not in step.out.slots)
        kept = [label for label in names if label in step.out.slots]
        if summed:
            text = f"{text}.sum({summed[0] if len(summed) == 1 else summed})"
        return self.scaled(self.permuted(text, kept, step.out.slots), step.scale)

    def selected(self, step: Contract, special: Labelled, other: Labelled) -> str:
        """A product with one-hot rows, or with the quarter turn, which are not written out."""
        (value, labels), (array, theirs) = special, other
        out = step.out.slots
        names = [theirs[slot] for slot in array.stored]
        if value.kind == "turn" and len({labels["row"], labels["col"]} & set(names)) == 1:
            contracted = labels["row"] if labels["row"] in names else labels["col"]
            is_forward = contracted == labels["row"]
            turn = "turned" if is_forward else "turned_back"
            text = f"{turn}({self.last(array.name, names, contracted)})"
            result = [*(x for x in names if x != contracted), labels["col" if is_forward else "row"]]
            if set(result) == set(out):
                return self.scaled(self.permuted(text, result, out), step.scale)
        own = [labels[slot] for slot in value.stored]
        column = labels["col"] if value.kind == "ids" else ""
        lone = tuple(p for p, x in enumerate(names) if x not in out and x not in own and x != column)
        if lone:
            summed = Value(f"{array.name}.sum({lone[0] if len(lone) == 1 else lone})", array.slots, array.sizes)
            summed.slots = tuple(slot for p, slot in enumerate(array.stored) if p not in lone)
            array, names = summed, [x for p, x in enumerate(names) if p not in lone]
        if column in names and column not in out and set(own) <= set(out) - set(names):
            rest = [x for x in names if x != column]
            text = f"select({self.permuted(array.name, names, [column, *rest])}, {value.name})"
            return self.scaled(self.permuted(text, [*own, *rest], out), step.scale)
        if column in out and set(own) <= set(names) and not set(own) & set(out):
            rest = [x for x in names if x not in own]
            text = f"add_rows({self.permuted(array.name, names, [*own, *rest])}, {value.name}, {value.sizes['col']})"
            return self.scaled(self.permuted(text, [column, *rest], out), step.scale)
        if set(names) == {*own, column} and not out:
            return self.scaled(
                f"picked({self.permuted(array.name, names, [*own, column])}, {value.name}).sum()", step.scale
            )
        return self.product(Contract(step.out, ((self.written_out(value), labels), other), step.scale))

    def last(self, text: str, names: list[str], label: str) -> str:
        return self.permuted(text, names, [*(x for x in names if x != label), label])

    # results

    def coefficient(self, letter: Letter, view: View, index: str = "") -> None:
        """The gradient of a weight, ``-C^t``, in the layout of its array."""
        wanted = [*map(str, letter.symbol.layout), "col", "row"]
        labels = {slot: role for role, slot in view.roles.items()}
        value, array = view.value, self.written_out(view.value)
        text = self.permuted(array.name, [labels[slot] for slot in array.stored], wanted)
        present = set(labels.values())
        rows, columns = letter.symbol.shape
        if not present >= set(wanted):
            marks = [":" if slot in present else "None" for slot in wanted]
            text = f"{text}[{', '.join(marks)}]" if present else text
            whole = tuple(self.program.inputs[letter].sizes.values())
            is_one = all(size == 1 for slot, size in zip(wanted, whole, strict=True) if slot not in present)
            if is_one:
                text = f"{text}.reshape({shape_of(whole)})"
            else:
                text = f"{self.dialect.module}.broadcast_to({text}, {tuple_of(whole)})"
                self.unshared.discard(value)
        key = indexed(letter, index) if index else f'"{letter.name}"'
        if not self.program.is_turned:
            text = f"-{text}"
        elif value not in self.unshared:
            text += self.copy
        self.unshared.discard(value)
        self.give(key, text, f"{letter}: {rows}×{columns}")
