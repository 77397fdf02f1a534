"""Pages and parts of pages as lines of equations, for every notation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from formcalc.algebra import Expression, Shape, shape_text
from formcalc.language.page import ROLES
from formcalc.language.statements import (
    Coefficient,
    Declared,
    Defined,
    Function,
    Layers,
    PageDimension,
    Statement,
)


@dataclass(frozen=True)
class Line:
    """A line of a page: ``G_L = E^t``, ``dW_i : ...`` inside layers, or words alone, such as the head of the layers."""

    left: Expression | str
    right: Expression | None = None
    sign: str = "="
    depth: int = 0

    def __str__(self) -> str:
        indent = "  " * self.depth
        return f"{indent}{self.left}" if self.right is None else f"{indent}{self.left} {self.sign} {self.right}"


def page_text(
    title: str, dimensions: Iterable[PageDimension], statements: Iterable[Statement], loss: Expression
) -> str:
    """The text of a page, which reads back as the same page. Functions are not in it: what they abbreviate is."""
    declared = [
        " ".join(filter(None, (size.name, size.title, "" if size.default is None else f"= {size.default}")))
        for size in dimensions
    ]
    lines = [f"# {title}"] if title else []
    lines += [f"dims {', '.join(declared)}"] if declared else []
    lines += map(str, statement_lines(part for part in statements if not isinstance(part, Function)))
    return "\n".join([*lines, f"loss = {loss}", ""])


def statement_lines(statements: Iterable[Statement], depth: int = 0) -> list[Line]:
    """The lines of statements; those of layers are indented."""
    lines: list[Line] = []
    for statement in statements:
        match statement:
            case Layers():
                lines.append(Line(f"layers {statement.index} = {statement.first} .. {statement.last}", depth=depth))
                lines += statement_lines(statement.body, depth + 1)
            case Defined(letter=letter):
                lines.append(Line(letter, letter.definition, depth=depth))
            case Coefficient():
                lines.append(Line(statement.letter.differential, statement.value, ":", depth))
            case Function():
                left = f"{statement.name}({', '.join(statement.parameters)})"
                lines.append(Line(f"{left} = {' '.join(statement.body.text.split())}", depth=depth))
            case Declared():
                lines.append(Line(_declaration(statement), depth=depth))
    return lines


def _declaration(statement: Declared) -> str:
    word = next(word for word, role in ROLES.items() if role == statement.letters[0].role)
    groups: dict[Shape, list[str]] = {}
    for letter in statement.letters:
        groups.setdefault(letter.shape, []).append(str(letter))
    return f"{word} " + "   ".join(f"{', '.join(names)}: {shape_text(shape)}" for shape, names in groups.items())
