"""What the steps of a program compute, as mathematics: the comments of exported files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from formcalc.numeric.export.symbolic import Size
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.values import Contract, Loop, Map, Step, Value

#: A formula that is longer is not written out where it is used, and no comment is longer than the limit.
_LONG, _LIMIT = 36, 90

#: The definition of a letter is cited as the page has it, unless it is longer.
_WHOLE = 240


@dataclass(frozen=True)
class Formula:
    """A word: a prefix of numbers and sums, factors with a mark if they are transposed, and which slots it has.

    Attributes:
        row: the slot of the value that is its rows, and `col` the one that is its columns; none where it has no such.
    """

    prefix: str
    factors: tuple[tuple[str, bool], ...]
    row: str = ""
    col: str = ""

    def __str__(self) -> str:
        several = len(self.factors) > 1 or self.prefix
        parts = [f"({text})" if (several or turned) and _is_sum(text) else text for text, turned in self.factors]
        marks = ["^t" if turned else "" for _, turned in self.factors]
        return self.prefix + " ".join(part + mark for part, mark in zip(parts, marks, strict=True))

    @property
    def transposed(self) -> Formula:
        factors = tuple((text, not turned) for text, turned in reversed(self.factors))
        return Formula(self.prefix, factors, self.col, self.row)


class Formulas:
    """The formulas of the values of a program, in terms of those that have names."""

    def __init__(self, program: Lowered) -> None:
        self.known: dict[Value, Formula] = {}
        named = [*program.inputs.items(), *program.constants.items()]
        self.known |= {value: Formula("", ((letter.name, False),), "row", "col") for letter, value in named}
        for section in program.sections:
            if isinstance(section, Loop):
                for state in section.states:
                    for value in (state.value, state.end):
                        self.known[value] = Formula("", ((value.source.partition("[")[0], False),), "row", "col")
        for letter, view in program.letters.items():
            shown = Formula("", ((letter.name, False),), view.roles.get("row", ""), view.roles.get("col", ""))
            self.known.setdefault(view.value, shown)

    def comment(self, step: Step) -> str:
        """What a step computes; nothing if that is too long to help."""
        if step.out not in self.known:
            self.known[step.out] = self.contract(step) if isinstance(step, Contract) else self.map(step)
        source = step.out.source
        if source and len(source) <= _WHOLE:
            return source
        text = str(self.known[step.out])
        if source:
            name = re.split(r" [=:] ", source, maxsplit=1)[0]
            return f"{name} = {text}" if len(text) <= _LIMIT else name
        if len(text) > _LONG:
            self.known[step.out] = _plain(step.out)
        return text if len(text) <= _LIMIT else ""

    def of(self, value: Value) -> Formula:
        return self.known.get(value) or _plain(value)

    def at(self, value: Value, labels: Mapping[str, str], first: str = "", last: str = "") -> Formula:
        """The formula of an operand, turned so that its rows, or its columns, have a label."""
        found = self.of(value)
        row, col = labels.get(found.row, ""), labels.get(found.col, "")
        is_turned = (first and first == col and first != row) or (last and last == row and last != col)
        return found.transposed if is_turned else found

    def contract(self, step: Contract) -> Formula:
        sizes, out = step.sizes(), step.out.slots
        sides = []
        for value, labels in step.operands:
            found = self.of(value)
            sides.append([labels[slot] for slot in (found.row, found.col) if slot in labels])
        summed = [label for label in sizes if label not in out]
        axes = [label for label in summed if not any(label in side for side in sides)]
        names = [x.names[0] if isinstance(x := sizes[label], Size) else str(x) for label in axes]
        prefix = f"Σ_{{{','.join(names)}}} " if len(names) > 1 else f"Σ_{names[0]} " if names else ""
        prefix = ("" if step.scale == 1 else "-" if step.scale == -1 else f"{step.scale!r} ") + prefix
        if len(step.operands) == 1:
            value, labels = step.operands[0]
            return self.with_sums(value, labels, summed, prefix, out)
        return self.product(step, sides, summed, prefix)

    def with_sums(
        self, value: Value, labels: Mapping[str, str], summed: list[str], prefix: str, out: tuple[str, ...]
    ) -> Formula:
        """A formula with ones beside it, for the rows and columns that are summed over."""
        found = self.of(value)
        row, col = labels.get(found.row, ""), labels.get(found.col, "")
        if row and row == col:
            text = f"trace({found})" if row in summed else f"diag({found})"
            return Formula(prefix, ((text, False),), "" if row in summed else row)
        factors = list(found.factors)
        factors = [("1", True), *factors] if row in summed else factors
        factors = [*factors, ("1", False)] if col in summed else factors
        kept_row, kept_col = (label if label in out else "" for label in (row, col))
        return Formula(prefix + found.prefix, tuple(factors), kept_row, kept_col)

    def product(self, step: Contract, sides: list[list[str]], summed: list[str], prefix: str) -> Formula:
        (a, a_labels), (b, b_labels) = step.operands
        shared = [label for label in sides[0] if label in sides[1]]
        inner = [label for label in shared if label in summed]
        if len(inner) == 2:
            left = self.at(a, a_labels, last=inner[1])
            right = self.at(b, b_labels, first=inner[1])
            return Formula(prefix, ((f"trace({Formula('', (*left.factors, *right.factors))})", False),))
        if len(shared) > len(inner):
            first = self.at(a, a_labels)
            row, col = a_labels.get(first.row, ""), a_labels.get(first.col, "")
            second = self.at(b, b_labels, first=row, last=col)
            return Formula(prefix, ((f"{first} ∘ {second}", False),), row, col)
        place = inner[0] if inner else ""
        ends = [next((x for x in side if x != place and x in step.out.slots), "") for side in sides]
        order = {label: k for k, label in enumerate(step.out.slots)}
        if ends[1] and (not ends[0] or order[ends[1]] < order[ends[0]]):
            (a, a_labels), (b, b_labels), ends = (b, b_labels), (a, a_labels), ends[::-1]
        left = self.at(a, a_labels, first=ends[0], last=place)
        right = self.at(b, b_labels, first=place, last=ends[1])
        numbers = "".join(x.prefix for x in (left, right))
        return Formula(prefix + numbers, (*left.factors, *right.factors), ends[0], ends[1])

    def map(self, step: Map) -> Formula:
        parts = [self.at(value, labels, first="row", last="col") for value, labels in step.operands]
        row, col = ("row" if "row" in step.out.slots else ""), ("col" if "col" in step.out.slots else "")
        if step.operation == "sum":
            text = ""
            for part, number in zip(parts, step.numbers, strict=True):
                sign = " - " if number < 0 else " + "
                factor = "" if abs(number) == 1 else f"{abs(number)!r} "
                text += f"{sign if text else '-' if number < 0 else ''}{factor}{part}"
        elif step.operation == "product":
            number = step.numbers[0]
            prefix = "" if number == 1 else "-" if number == -1 else f"{number!r} "
            if len(parts) == 1:
                return Formula(prefix + parts[0].prefix, parts[0].factors, row, col)
            text = prefix + " ∘ ".join(f"({part})" if " ∘ " in str(part) else str(part) for part in parts)
        else:
            text = f"{step.operation}({', '.join(map(str, parts))})"
        return Formula("", ((text, False),), row, col)


def _plain(value: Value) -> Formula:
    """A value by its own name, its first slot that is no axis as rows."""
    sides = [slot for slot in value.slots if slot in ("row", "col")] or list(value.slots[-2:])
    if sides == ["col"]:
        return Formula("", ((value.name, False),), "", "col")
    return Formula("", ((value.name, False),), sides[0] if sides else "", sides[1] if len(sides) > 1 else "")


def _is_sum(text: str) -> bool:
    """Whether a text has a sign or a Hadamard product outside of parentheses."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth and text[place : place + 3] in (" + ", " - ", " ∘ "):
            return True
    return False
