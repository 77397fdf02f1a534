"""The LaTeX document of a form: the page, and its backward page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from formcalc.algebra import Expression, Letter, Shape
from formcalc.language import latex
from formcalc.language.latex import name_latex
from formcalc.language.lines import Line, statement_lines
from formcalc.language.page import ROLES
from formcalc.language.statements import Bound, Declared, Function, Layers, PageDimension, Statement
from formcalc.numeric.export.breaking import broken
from formcalc.numeric.export.layer import Subject

_DOCUMENT = r"""\documentclass{{article}}
\usepackage[margin=1in]{{geometry}}
\usepackage{{amsmath, amssymb}}
\allowdisplaybreaks
\setlength{{\parindent}}{{0pt}}
\setlength{{\parskip}}{{4pt}}
\begin{{document}}
\raggedright
\section*{{{title}}}
{letters}
{page}
\section*{{{heading}}}
{conventions}
{backward}
\end{{document}}
"""

_ESCAPED = str.maketrans(
    {mark: f"\\{mark}" for mark in "#$%&_{}"}
    | {"^": r"\^{}", "~": r"\~{}", "\\": r"\textbackslash{}", "→": r"$\rightarrow$"}
)

#: What the letters of a role are, with what is known of them.
_ROLES = {
    "tokens": "one-hot rows of tokens",
    "mask": "mask of zeros and ones",
    "ones": "matrix of ones",
    "positions": "one-hot rows of positions",
    "causal": "causal mask",
    "distance": "distances of tokens",
    "slopes": "slopes of the heads",
    "sinusoidal": "sinusoidal positions",
    "cosines": "cosines of rotary positions",
    "sines": "sines of rotary positions",
    "quarterturn": "quarter turn of pairs of columns",
}

#: What a reader needs to know of signs, where they occur.
_CONVENTIONS = {
    r"\\mathrm\{a\}": r"$\mathrm{a}$ is softmax by rows",
    r"\\mathrm\{m\}": r"$\mathrm{m}$ is relu",
    r"\\mathrm\{aa\}": r"$\mathrm{aa}(S, R)$ is the derivative of softmax at $S$ in direction $R$",
    r"\\mathrm\{mm\}": r"$\mathrm{mm}(Z, R)$ is the derivative of relu at $Z$ in direction $R$",
    r"'(?:\^\{t\})?\(": r"$\varphi'(P, R)$ is the derivative of $\varphi$ at $P$ in direction $R$",
    r"(?:\}|')\^\{t\}\(": r"$\varphi^{t}$ acts by columns, $\varphi^{t}(P) = \varphi(P^{t})^{t}$",
    r"\\circ": r"$\circ$ is the product entry by entry",
}

#: The room for the right side of an equation, in ems: a line of the page without the left sides.
_ROOM = 38


def latex_document(subject: Subject) -> str:
    """A document that compiles by itself: the page in one display, its form in another, a line per equation."""
    model = subject.form.model
    title = model.title or model.name
    statements = model.source.statements
    statements = statements[:-1] if subject.output else statements  # the last declares the cotangent
    loss = [] if subject.output else [_equation(Line("loss", model.source.loss))]
    if subject.output:
        heading = rf"Gradients, $\operatorname{{trace}}({name_latex(subject.cotangent)}^{{t}} \, \mathrm{{d}}"
        heading += rf"{name_latex(subject.output)}) = \sum \operatorname{{trace}}(D_W \, \mathrm{{d}}W)$"
    else:
        sign, letter = ("", "D") if not subject.sign else ("-", "C")
        traces = rf"\sum \operatorname{{trace}}({letter}_W \, \mathrm{{d}}W)"
        heading = rf"Gradients, ${sign}\mathrm{{d}}\,\mathrm{{loss}} = {traces}$"
    page, backward = _display(statements, loss), _display(subject.backward)
    return _DOCUMENT.format(
        title=f"{title[0].upper()}{title[1:]}".translate(_ESCAPED),
        heading=heading,
        letters="\n\n".join([*_sizes(model.source.dimensions), *_letters(statements)]),
        page=page,
        conventions=_conventions(subject, page + backward),
        backward=backward,
    )


def _conventions(subject: Subject, shown: str) -> str:
    """What the coefficients and the signs are, in sentences."""
    letter, minus = ("C", "-") if subject.sign else ("D", "")
    first = rf"The line $\mathrm{{d}}W : {letter}_W$ gives the coefficient of $W$; "
    first += f"the gradient by $W$ is ${minus}{letter}_W^{{t}}$."
    known = [text for pattern, text in _CONVENTIONS.items() if re.search(pattern, shown)]
    return first + (f" Here {'; '.join(known)}." if known else "")


def _display(statements: Sequence[Statement], last: Sequence[str] = ()) -> str:
    """The equations of statements, aligned; words between them say which are of each layer."""
    lines: list[str] = []
    is_after = False
    for statement in statements:
        if isinstance(statement, Layers):
            ends = rf"{_bound(statement.first)}, \ldots, {_bound(statement.last)}"
            lines += [rf"\intertext{{For ${statement.index} = {ends}$:}}", *_equations(statement.body)]
            is_after = True
        elif new := _equations([statement]):
            lines += [*([r"\intertext{After the layers:}"] if is_after else []), *new]
            is_after = False
    if last:
        lines += [*([r"\intertext{After the layers:}"] if is_after else []), *last]
    text = "".join(f"  {line}\n" if line.startswith(r"\intertext") else f"  {line} \\\\\n" for line in lines)
    text = text.replace(" \\\\\n  \\intertext", "\n  \\intertext").removesuffix(" \\\\\n")
    return "\n".join([r"\begin{align*}", text, r"\end{align*}"])


def _equations(statements: Iterable[Statement]) -> list[str]:
    """A line for each equation; functions are written out where they are used."""
    shown = [part for part in statements if not isinstance(part, (Function, Declared))]
    return [_equation(line) for line in statement_lines(shown)]


def _bound(bound: Bound) -> str:
    """The first or the last layer: a number, or a dimension and what is added to it."""
    return re.sub(r"[^\W\d]\w*", lambda found: name_latex(found[0]), str(bound))


def _equation(line: Line) -> str:
    """An equation, in several lines if it is long."""
    left = latex(line.left) if isinstance(line.left, Expression) else rf"\mathrm{{{line.left}}}"
    if line.right is None:
        return f"{left} &"
    first, *others = broken(latex(line.right), _ROOM)
    return " \\\\\n  ".join([f"{left} &{line.sign} {first}", *(rf"&\qquad {{}}{other}" for other in others)])


def _sizes(dimensions: Sequence[PageDimension]) -> list[str]:
    """A sentence on the dimensions that have a title."""
    shown = [f"{size.title.translate(_ESCAPED)} ${name_latex(size.name)}$" for size in dimensions if size.title]
    return [f"Dimensions: {', '.join(shown)}."] if shown else []


def _letters(statements: Iterable[Statement]) -> list[str]:
    """Sentences on the letters that are given: what they are, and their shapes."""
    found: list[str] = []
    for statement in statements:
        if isinstance(statement, Declared):
            found.append(_declaration(statement.letters))
        elif isinstance(statement, Layers):
            inner = [part for part in statement.body if isinstance(part, Declared)]
            found += [_declaration(part.letters, f" of layer ${statement.index}$") for part in inner]
    return found


def _declaration(letters: Sequence[Letter], whose: str = "") -> str:
    """The letters of a declaration, those of one shape together."""
    groups: dict[Shape, list[str]] = {}
    for letter in letters:
        groups.setdefault(letter.shape, []).append(latex(letter))
    role = letters[0].role
    word = next(word for word, known in ROLES.items() if known == role)
    shown = []
    for shape, names in groups.items():
        rows, columns = (name_latex(str(size)) for size in shape)
        shown.append(rf"${', '.join(names)} \in \mathbb{{R}}^{{{rows} \times {columns}}}$")
    said = _ROLES.get(word, word)
    return f"{said[0].upper()}{said[1:]}{whose}: {', '.join(shown)}."
