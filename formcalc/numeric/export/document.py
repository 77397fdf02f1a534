"""The LaTeX document of a form: the page, and its backward page."""

from __future__ import annotations

import re
from collections.abc import Iterable

from formcalc.algebra import Expression, Letter, Shape
from formcalc.language import latex
from formcalc.language.latex import name_latex
from formcalc.language.lines import Line, statement_lines
from formcalc.language.page import ROLES
from formcalc.language.statements import Bound, Declared, Function, Layers, Statement
from formcalc.numeric.export.layer import Subject

_DOCUMENT = r"""\documentclass{{article}}
\usepackage[utf8]{{inputenc}}
\usepackage{{amsmath, amssymb}}
\allowdisplaybreaks
\begin{{document}}
\section*{{{title}}}
{page}
\section*{{{heading}}}
{backward}
\end{{document}}
"""

_ESCAPED = str.maketrans(
    {mark: f"\\{mark}" for mark in "#$%&_{}"}
    | {"^": r"\^{}", "~": r"\~{}", "\\": r"\textbackslash{}", "→": r"$\rightarrow$"}
)


def latex_document(subject: Subject) -> str:
    """A document that compiles by itself: the page in one display, its form in another, a line per equation."""
    model = subject.form.model
    title = model.title or model.name
    statements = model.source.statements
    page = _equations(statements[:-1] if subject.output else statements)  # the last declares the cotangent
    if subject.output:
        heading = rf"Gradients, $\operatorname{{trace}}({name_latex(subject.cotangent)}^{{t}} \, \mathrm{{d}}"
        heading += rf"{name_latex(subject.output)}) = \sum \operatorname{{trace}}(D_W \, \mathrm{{d}}W)$"
    else:
        page.append(_equation(Line("loss", model.source.loss)))
        sign, letter = ("", "D") if not subject.sign else ("-", "C")
        traces = rf"\sum \operatorname{{trace}}({letter}_W \, \mathrm{{d}}W)"
        heading = rf"Gradients, ${sign}\mathrm{{d}}\,\text{{loss}} = {traces}$"
    return _DOCUMENT.format(
        title=f"{title[0].upper()}{title[1:]}".translate(_ESCAPED),
        heading=heading,
        page=_display(page),
        backward=_display(_equations(subject.backward)),
    )


def _display(lines: Iterable[str]) -> str:
    return "\n".join([r"\begin{align*}", " \\\\\n".join(f"  {line}" for line in lines), r"\end{align*}"])


def _equations(statements: Iterable[Statement]) -> list[str]:
    """A line for each statement; functions are written out where they are used."""
    lines: list[str] = []
    for statement in statements:
        match statement:
            case Function():
                pass
            case Declared(letters=letters):
                lines.append(_declaration(letters))
            case Layers():
                ends = rf"{_bound(statement.first)}, \ldots, {_bound(statement.last)}"
                lines.append(rf"&\text{{layers }} {statement.index} = {ends}")
                lines += _equations(statement.body)
            case _:
                lines += map(_equation, statement_lines([statement]))
    return lines


def _bound(bound: Bound) -> str:
    """The first or the last layer: a number, or a dimension and what is added to it."""
    return re.sub(r"[^\W\d]\w*", lambda found: name_latex(found[0]), str(bound))


def _equation(line: Line) -> str:
    left = latex(line.left) if isinstance(line.left, Expression) else rf"\text{{{line.left}}}"
    return f"{left} &" if line.right is None else f"{left} &{line.sign} {latex(line.right)}"


def _declaration(letters: Iterable[Letter]) -> str:
    """The letters of a declaration, those of one shape together."""
    groups: dict[Shape, list[str]] = {}
    for letter in letters:
        groups.setdefault(letter.shape, []).append(latex(letter))
        role = letter.role
    word = next(word for word, known in ROLES.items() if known == role)
    shown = []
    for shape, names in groups.items():
        rows, columns = (name_latex(str(size)) for size in shape)
        shown.append(rf"{', '.join(names)} \in \mathbb{{R}}^{{{rows} \times {columns}}}")
    return rf"&\text{{{word}}} \quad {'; '.join(shown)}"
