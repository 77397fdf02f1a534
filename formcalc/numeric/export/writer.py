"""The body of an exported function: the steps of a part of a program, as a person would write them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace

from formcalc.algebra import Letter
from formcalc.numeric.export.formulas import Formulas
from formcalc.numeric.export.layout import WIDTH, bare, folded
from formcalc.numeric.export.liveness import Liveness
from formcalc.numeric.export.saved import Saved
from formcalc.numeric.export.signature import Signature
from formcalc.numeric.export.sources import names_in
from formcalc.numeric.program.dialects import Dialect
from formcalc.numeric.program.emission import Emitter
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.values import (
    Contract,
    Fused,
    Labelled,
    Loop,
    Map,
    Section,
    State,
    Step,
    Value,
    View,
    made,
)


class Writer(Emitter):
    """Writes the bodies of the functions of one program."""

    def __init__(
        self, program: Lowered, dialect: Dialect, signature: Signature, constants: dict[str, str], sign: str = ""
    ) -> None:
        super().__init__(program, dialect)
        self.sign = sign
        self.signature = signature
        self.constants = constants
        self.formulas = Formulas(program)
        self.givens = {value: signature.arguments[letter] for letter, value in program.inputs.items()}
        self.known = {value: letter for letter, value in program.constants.items()}
        self.live = Liveness([], set())
        self.kept: dict[tuple[Loop, Value], str] = {}
        self.factors: list[str] = []  # of the product of matrices that was written last

    # what is read, and where it comes from

    def saved(self, results: Iterable[Value]) -> Saved:
        """What the backward sections read of the forward ones, to make some results."""
        forward = self.program.sections[: self.program.forward]
        live = Liveness.of(self.program, self.program.sections[self.program.forward :], results)
        found = Saved()
        for value in self.read(live, results):
            home = live.homes.get(value)
            if home is None or home not in forward:
                continue
            if isinstance(home, Loop):
                found.loops.setdefault(home, []).append(value)
            else:
                found.top.append(value)
        order = {value: place for place, value in enumerate(self.made(forward))}
        found.top.sort(key=order.__getitem__)
        found.loops = {x: sorted(found.loops[x], key=order.__getitem__) for x in forward if x in found.loops}
        return found

    def made(self, sections: Iterable[Section]) -> list[Value]:
        """The values that sections make, in order."""
        found: list[Value] = []
        for section in sections:
            if isinstance(section, Loop):
                found += [state.value for state in section.states]
            found += [value for step in section.steps for value in made(step)]
            if isinstance(section, Loop):
                found += [*(total for total, _ in section.sums), *(state.end for state in section.states)]
        return found

    def read(self, live: Liveness, results: Iterable[Value]) -> dict[Value, None]:
        """All values that the sections of a part read, and the results."""
        found: dict[Value, None] = {}
        for section in live.sections:
            found |= live.starts(section) | live.reads(section)
        return found | dict.fromkeys(results)

    # functions

    def body(self, sections: list[Section], results: list[Value], saved: Saved, is_given: bool = False) -> None:
        """The statements that make results; `is_given` tells whether what is saved comes in or goes out."""
        self.lines, self.depth = [], 1
        wanted = results if is_given else [*results, *saved.values]
        self.live = Liveness.of(self.program, sections, wanted)
        self.group(saved)
        if is_given:
            self.unpack(saved)
        for section in sections:
            if isinstance(section, Loop):
                self.loop(section)
            else:
                self.steps(section.steps)
        body, self.lines = self.lines, []
        used = names_in(textwrap.dedent("\n".join(body))) | {value.name for value in wanted}
        self.inputs(value for value in self.read(self.live, wanted) if value.name in used)
        self.lines += body

    def inputs(self, read: Iterable[Value]) -> None:
        """Constants, and arguments without their axes of length one."""
        read = [*read]
        for value in read:
            if value in self.known:
                self.write(f"{value.name} = {self.without_ones(self.constants[self.known[value].name], value)}")
        for value in read:
            given = self.givens.get(value)
            if given is not None and given.family is None and len(value.stored) < len(given.shape):
                self.write(f"{value.name} = {self.without_ones(given.name, value)}")
            elif given is not None and given.family is None and given.name != value.name:
                self.write(f"{value.name} = {given.name}")

    def without_ones(self, text: str, value: Value, first: str = "") -> str:
        """An argument, at a layer, without its axes of one row or one column."""
        whole = [slot for slot in value.sizes if not (value.kind == "ids" and slot == "col")]
        marks = [*([first] if first else []), *(":" if slot in value.stored else "0" for slot in whole)]
        while marks and marks[-1] == ":":
            marks.pop()
        return f"{text}[{', '.join(marks)}]" if marks else text

    def group(self, saved: Saved) -> None:
        """Names for what loops keep for others: one for each set of readers."""
        readers: dict[tuple[Loop, Value], list[int]] = {}
        loops = [section for section in self.live.sections if isinstance(section, Loop)]
        for place, loop in enumerate(loops):
            for value in self.live.reads(loop):
                home = self.live.homes.get(value)
                if isinstance(home, Loop) and home is not loop and home in loops:
                    readers.setdefault((home, value), []).append(place)
        self.kept = {}
        names: dict[tuple, str] = {}
        for loop, values in saved.loops.items():
            for value in values:
                readers.setdefault((loop, value), []).append(-1)
        for (home, value), places in readers.items():
            name = f"kept{len(names) + 1}"
            self.kept[home, value] = names.setdefault((home, tuple(places)), name)
        if len(names) == 1:
            self.kept = dict.fromkeys(self.kept, "kept")

    def groups(self, loop: Loop) -> dict[str, list[Value]]:
        """What a loop keeps, by the name it is kept under."""
        found: dict[str, list[Value]] = {}
        for (home, value), name in self.kept.items():
            if home is loop:
                found.setdefault(name, []).append(value)
        return found

    def unpack(self, saved: Saved) -> None:
        """Take what was saved apart."""
        names = [value.name for value in saved.top]
        if saved.loops:
            self.listed([*names, "*flat"], "saved") if names else self.write("flat = saved")
        elif names:
            self.listed(names, "saved")
        for number, (loop, values) in enumerate(saved.loops.items()):
            assert loop.family is not None
            count, place = len(values), self.signature.place(loop.family)
            place = place if place.isidentifier() else f"({place})"
            start = f"{count} * {place}"
            self.write(
                f"{self.kept[loop, values[0]]} = {{{self.index(loop)}: flat[{start} : {start} + {count}] "
                f"for {self.index(loop)} in {self.range(loop, ascending=True)}}}"
            )
            if number + 1 < len(saved.loops):
                self.write(f"flat = flat[{count} * ({self.signature.count(loop.family)}) :]")

    def flat(self, saved: Saved) -> str:
        """What is saved, as one flat tuple."""
        parts = [value.name for value in saved.top]
        for loop, values in saved.loops.items():
            name = self.kept[loop, values[0]]
            index = self.index(loop)
            parts.append(f"*(x for {index} in {self.range(loop, ascending=True)} for x in {name}[{index}])")
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    def returned(self, text: str, saved: Saved) -> None:
        """The last statement of the forward pass: the result, and what is saved."""
        flat = self.flat(saved)
        if len(text) + len(flat) + len("    return , ") > WIDTH:
            self.write(f"saved = {flat}")
            flat = "saved"
        self.write(f"return {text}, {flat}")

    def listed(self, names: list[str], source: str) -> None:
        """Assign to several names at once."""
        left = names[0] if len(names) == 1 and names[0].startswith("*") else ", ".join(names)
        left = f"({names[0]},)" if len(names) == 1 else left
        self.write(f"{left} = {source}")

    # sections

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if self.live.is_needed(step):
                self.factors = []
                line, comment = self.step(step), self.formulas.comment(step)
                if len(self.factors) == 2 and 4 * self.depth + len(line) > WIDTH:  # a product in several statements
                    left, right = self.factors
                    self.comment(comment)
                    self.write(f"left = {bare(left)}")
                    self.write(f"right = {bare(right)}")
                    line, comment = line.replace(f"{left} @ {right}", "left @ right"), ""
                self.write(line, comment)

    def step(self, step: Step) -> str:
        names = [value.name if value in self.live.needed else "_" for value in made(step)]
        text = self.contract(step) if isinstance(step, Contract) else self.map(step)
        return f"{', '.join(names)} = {bare(_signed(text))}"

    def map(self, step: Map) -> str:
        """An operation; of a sum, terms that are the same are one."""
        if step.operation == "sum" and not isinstance(step, Fused):
            numbers: dict[tuple, float] = {}
            terms: dict[tuple, Labelled] = {}
            for term, number in zip(step.operands, step.numbers, strict=True):
                key = (term[0], tuple(sorted(term[1].items())))
                terms[key] = term
                numbers[key] = numbers[key] + number if key in numbers else number
            step = replace(step, operands=tuple(terms.values()), numbers=tuple(numbers.values()))
        return super().map(step)

    def index(self, loop: Loop) -> str:
        return self.signature.indices[loop.index]

    def range(self, loop: Loop, ascending: bool = False) -> str:
        assert loop.family is not None
        _, first, last = loop.family
        low, high = self.signature.bound(first), self.signature.bound(last, 1)
        text = f"range({high})" if low == "0" else f"range({low}, {high})"
        return text if ascending or loop.values.step > 0 else f"reversed({text})"

    def loop(self, loop: Loop) -> None:
        states = [state for state in loop.states if state.value in self.live.needed]
        groups = self.groups(loop)
        gradients = [(letter, view) for letter, view in loop.coefficients.items() if view.value in self.live.needed]
        read = self.live.reads(loop)
        sums = [(total, view) for total, view in loop.sums if total in self.live.needed]
        if not (states or groups or gradients or sums):
            return
        assert loop.family is not None
        self.blank()
        self.begun(loop, [letter for letter, _ in gradients], [*groups])
        for total, _ in sums:
            self.write(f"{total.name} = 0", total.source)
        for state in states:
            self.write(f"{state.value.name} = {self.laid(state.start, state.value)}")
        self.write(f"for {self.index(loop)} in {self.range(loop)}:")
        self.depth += 1
        self.taken(loop, read)
        self.steps(loop.always)
        self.handed(loop, groups, sums)
        for letter, view in gradients:
            name = f"d{self.signature.arguments[letter].name}"
            self.write(f"{name}[{self.signature.place(loop.family)}] = {self.gradient(letter, view)}")
        self.next_layer(loop, states)
        self.depth -= 1
        self.blank()
        for state in states:
            if state.end in self.live.needed:
                self.write(f"{state.end.name} = {state.value.name}")

    def begun(self, loop: Loop, gradients: list[Letter], groups: list[str]) -> None:
        """What the layers fill: lists of gradients, and what is kept of each layer."""
        assert loop.family is not None
        names = [f"d{self.signature.arguments[letter].name}" for letter in gradients]
        if names:
            empty = f"[None] * {_factor(self.signature.count(loop.family))}"
            whole = empty if len(names) == 1 else f"({empty} for _ in range({len(names)}))"
            self.write(f"{', '.join(names)} = {whole}")
        for name in groups:
            self.write(f"{name} = {{}}")

    def next_layer(self, loop: Loop, states: list[State]) -> None:
        """The states of the next layer, all at once: one state may go on as another. The last layer has no next."""
        assert loop.family is not None
        going = [(state.value, state.outgoing) for state in states if state.outgoing is not None]
        if not going:
            return
        depth = self.depth
        if loop.between:
            _, first, last = loop.family
            is_up = loop.values.step > 0
            end = self.signature.bound(last if is_up else first)
            self.write(f"if {self.index(loop)} {'<' if is_up else '>'} {end}:")
            self.depth += 1
            self.steps(loop.between_layers)
        texts = [self.laid(view, value) for value, view in going]
        self.write(f"{', '.join(value.name for value, _ in going)} = {', '.join(texts)}")
        self.depth = depth

    def taken(self, loop: Loop, read: Iterable[Value]) -> None:
        """What comes from the arguments of this layer, and from what other loops kept."""
        assert loop.family is not None
        for value in read:
            given = self.givens.get(value)
            if given is not None and given.family is not None:
                self.write(f"{value.name} = {self.without_ones(given.name, value, self.signature.place(loop.family))}")
        by_name: dict[tuple[str, Loop], list[Value]] = {}
        for (home, value), name in self.kept.items():
            if home is not loop:
                by_name.setdefault((name, home), []).append(value)
        for (name, _), values in by_name.items():
            if any(value in read for value in values):
                self.listed([v.name for v in values], f"{name}[{self.index(loop)}]")
        self.blank()

    def handed(self, loop: Loop, groups: dict[str, list[Value]], sums: list[tuple[Value, View]]) -> None:
        """What a loop keeps for others, and adds up."""
        for name, values in groups.items():
            names = ", ".join(value.name for value in values)
            self.write(f"{name}[{self.index(loop)}] = {f'({names},)' if len(values) == 1 else names}")
        for total, view in sums:
            self.write(f"{total.name} = {total.name} + {self.written_out(view.value).name}")

    def gradient(self, letter: Letter, view: View) -> str:
        """The gradient of a weight in the layout of its array."""
        text = self.laid_out(view, [*map(str, letter.symbol.layout), "col", "row"], self.program.inputs[letter])
        return f"{self.sign}{text}"

    def output(self, letter: Letter, view: View) -> str:
        """A letter that is defined, in the layout of an array: axes, rows, columns."""
        sizes = {str(axis): self.program.size(axis) for axis in letter.axes}
        sizes |= dict(zip(("row", "col"), map(self.program.size, letter.shape), strict=True))
        return self.laid_out(view, list(sizes), Value("", tuple(sizes), sizes))

    def laid_out(self, view: View, wanted: list[str], like: Value) -> str:
        """A view with all of its axes, in a wanted order."""
        labels = {slot: role for role, slot in view.roles.items()}
        value = self.written_out(view.value)
        text = self.permuted(value.name, [labels[slot] for slot in value.stored], wanted)
        present = set(labels.values())
        if not present >= set(wanted):
            whole = tuple(like.sizes.values())
            marks = [":" if slot in present else "None" for slot in wanted]
            text = f"{text}[{', '.join(marks)}]" if present else f"{text}.reshape({', '.join('1' for _ in wanted)})"
            if any(size != 1 for slot, size in zip(wanted, whole, strict=True) if slot not in present):
                text = f"{self.dialect.module}.broadcast_to({text}, ({', '.join(map(str, whole))}))"
        return text

    # spelling

    def permuted(self, text: str, labels: Iterable[str], wanted: Iterable[str]) -> str:
        labels = list(labels)
        order = [labels.index(label) for label in wanted if label in labels]
        if order == [1, 0] and len(labels) == 2:
            return f"{text}.T"
        if len(labels) > 2 and order == [*range(len(labels) - 2), len(labels) - 1, len(labels) - 2]:
            return f"{text}.swapaxes(-1, -2)"
        return super().permuted(text, labels, list(wanted))

    def matmul(self, first: str, second: str) -> str:
        self.factors = [_signed(first), _signed(second)]
        return f"({first} @ {second})"

    def blank(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def write(self, line: str, comment: str = "") -> None:
        indent = "    " * self.depth
        whole = f"{indent}{line}  # {comment}"
        if comment and len(whole) <= WIDTH:
            self.lines.append(whole)
        else:
            self.comment(comment)
            self.lines += folded(indent + line)

    def comment(self, text: str) -> None:
        """A comment on lines of its own."""
        indent = "    " * self.depth
        self.lines += textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#     ")


def _signed(text: str) -> str:
    """A text in which nothing is times -1, and the minus of a power stands before parentheses."""
    text = re.sub(r"(?<![\w.])-1\.0 \* ", "-", text)
    return re.sub(r"(?:(?<=^)|(?<=[(\[,])|(?<=, ))-(\w+\*\*-?[\d.]+)", r"-(\1)", text)


def _factor(text: str) -> str:
    return text if text.isidentifier() or text.isdigit() else f"({text})"
