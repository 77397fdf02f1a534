"""What the command line shows: headings, formulas and tables, on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from formcalc.algebra import Expression, Shape, plain
from formcalc.language import Page, html, latex
from formcalc.language.columns import columns
from formcalc.language.lines import Line, statement_lines
from formcalc.language.page import ROLES
from formcalc.language.statements import Declared, Function, Layers, Statement

#: How an expression is shown.
NOTATIONS: dict[str, Callable[[Expression], str]] = {"plain": plain, "latex": latex, "html": html}


@dataclass(frozen=True)
class _Layout:
    """How a notation lays out headings, notes, declarations and equations."""

    heading: str = "{}"
    note: str = "  {}"
    word: str = "{}"
    words: str = "{}"
    space: str = " "
    declaration: str = "{}: {}×{}"
    begin: str = ""
    equation: str = "{} {} {}"
    end: str = ""


_LAYOUTS = {
    "plain": _Layout(),
    "latex": _Layout(
        heading="% {}",
        note="%   {}",
        word=r"\text{{{}}}",
        words=r"  &{} \\",
        space=r"\quad ",
        declaration=r"{} \in \mathbb{{R}}^{{{} \times {}}}",
        begin=r"\begin{align*}",
        equation=r"  {} &{} {} \\",
        end=r"\end{align*}",
    ),
    "html": _Layout(
        heading="<h3>{}</h3>",
        note="<p>{}</p>",
        words='<tr><td colspan="3">{}</td></tr>',
        begin="<table>",
        equation="<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
        end="</table>",
    ),
}


class Display:
    """Writes to a console in one notation."""

    def __init__(self, notation: str = "plain", console: Console | None = None) -> None:
        self.notation = NOTATIONS[notation]
        self.layout = _LAYOUTS[notation]
        self.is_plain = notation == "plain"
        self.console = console or Console(highlight=False)
        self.errors = Console(stderr=True, highlight=False)

    def line(self, text: str = "", style: str = "") -> None:
        """A line that a pipe keeps whole and a terminal wraps between words."""
        self.console.print(Text(text, style=style), soft_wrap=not self.console.is_terminal)

    def heading(self, text: str) -> None:
        self.line(self.layout.heading.format(text), style="bold")

    def note(self, text: str) -> None:
        self.line(self.layout.note.format(text), style="dim")

    def expression(self, expression: Expression) -> None:
        self.line(self.notation(expression))

    def page(self, page: Page) -> None:
        """A page: as it was written, or its declarations and equations in another notation."""
        if self.is_plain:
            for line in page.text.splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    self.line(f"  {line.rstrip()}")
            return
        self._block([*self._statements(page.statements), self._equation(Line("loss", page.loss))])

    def equations(self, lines: Iterable[Line]) -> None:
        """The lines of a page, in the notation of the display."""
        if self.is_plain:
            for line in lines:
                self.line(f"  {line}")
        else:
            self._block([self._equation(line) for line in lines])

    def _block(self, lines: list[str]) -> None:
        for line in (self.layout.begin, *lines, self.layout.end):
            self.line(line)

    def _statements(self, statements: Iterable[Statement]) -> list[str]:
        lines: list[str] = []
        for statement in statements:
            if isinstance(statement, Function):
                continue  # what it abbreviates is written out where it is used
            if isinstance(statement, Declared):
                lines.append(self._declaration(statement))
            elif isinstance(statement, Layers):
                lines += map(self._equation, statement_lines([replace(statement, body=())]))
                lines += self._statements(statement.body)
            else:
                lines += map(self._equation, statement_lines([statement]))
        return lines

    def _declaration(self, statement: Declared) -> str:
        word = next(word for word, role in ROLES.items() if role == statement.letters[0].role)
        groups: dict[Shape, list[str]] = {}
        for letter in statement.letters:
            groups.setdefault(letter.shape, []).append(self.notation(letter))
        declared = [self.layout.declaration.format(", ".join(names), *shape) for shape, names in groups.items()]
        return self.layout.words.format(self.layout.word.format(word) + self.layout.space + "; ".join(declared))

    def _equation(self, line: Line) -> str:
        left = self.notation(line.left) if isinstance(line.left, Expression) else self.layout.word.format(line.left)
        if line.right is None:
            return self.layout.words.format(left)
        return self.layout.equation.format(left, line.sign, self.notation(line.right))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
        """A table whose first `left` columns are words and whose others are figures."""
        first, *others = columns(header, rows, left)
        self.line(first, style="bold")
        for line in others:
            self.line(line)

    def progress(self, label: str) -> Progress:
        """A progress bar on the terminal's error stream; invisible in a pipe, gone when done."""
        return Progress(
            TextColumn(label),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.errors,
            transient=True,
            disable=not self.errors.is_terminal,
        )
