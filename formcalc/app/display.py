"""What the command line shows: headings, formulas and tables, on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from formcalc.algebra import Expression, plain, shape_text
from formcalc.calculus import Form
from formcalc.language import Model, html, latex
from formcalc.language.columns import columns

#: How an expression is shown.
NOTATIONS: dict[str, Callable[[Expression], str]] = {"plain": plain, "latex": latex, "html": html}


@dataclass(frozen=True)
class _Layout:
    """How a notation lays out headings, notes and blocks of equations."""

    heading: str
    note: str
    begin: str
    equation: str
    end: str


_LAYOUTS = {
    "plain": _Layout("{}", "  {}", "", "  {} {} {}", ""),
    "latex": _Layout("% {}", "%   {}", r"\begin{{align*}}", r"  {} &{} {} \\", r"\end{{align*}}"),
    "html": _Layout("<h3>{}</h3>", "<p>{}</p>", "<table>", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", "</table>"),
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
        """A line that a pipe keeps whole and a terminal wraps."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def heading(self, text: str) -> None:
        self.line(self.layout.heading.format(text), style="bold")

    def note(self, text: str) -> None:
        self.line(self.layout.note.format(text), style="dim")

    def expression(self, expression: Expression) -> None:
        self.line(self.notation(expression))

    def equations(self, pairs: Iterable[tuple[str | Expression, Expression]], sign: str = "=") -> None:
        """Formulas with what they define, their signs aligned."""
        named = [(x if isinstance(x, str) else self.notation(x), self.notation(y)) for x, y in pairs]
        if not named:
            return
        width = max(len(name) for name, _ in named) if self.is_plain else 0
        lines = [self.layout.equation.format(name.ljust(width), sign, formula) for name, formula in named]
        frame = (self.layout.begin.format(), *lines, self.layout.end.format())
        for line in lines if self.is_plain else frame:
            self.line(line)

    def model(self, model: Model) -> None:
        """The forward page: letters by role, definitions, loss."""
        for role, heading in (("data", "data"), ("ones", "ones"), ("weight", "weights")):
            groups: dict[str, list[str]] = {}
            for name, letter in model.letters.items():
                if letter.role == role:
                    shown = html(letter) if self.notation is html else name
                    groups.setdefault(shape_text(letter.shape), []).append(shown)
            if groups:
                declared = "   ".join(f"{', '.join(names)}: {shape}" for shape, names in groups.items())
                self.note(f"{heading:8} {declared}")
        defined: list[tuple[str | Expression, Expression]] = [
            (x, x.definition) for x in model.definitions if x.definition
        ]
        self.equations([*defined, (self.loss_name, model.loss)])

    @property
    def loss_name(self) -> str:
        return r"\mathrm{loss}" if self.notation is latex else "loss"

    def form(self, form: Form) -> None:
        """The backward page: cotangents, then one coefficient per weight."""
        self.equations((x, x.definition) for x in form.cotangents if x.definition)
        self.equations([(form.model.letters[name].differential, c) for name, c in form.items()], sign=":")

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
