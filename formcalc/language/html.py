"""HTML that wraps like text: italic letters with subscripts and superscripts, no script and no style needed."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from html import escape

from formcalc.algebra import (
    Apply,
    Dimension,
    Expression,
    Letter,
    Notation,
    Power,
    identity,
    is_ones,
    render,
    small_decimal,
)
from formcalc.language.latex import indexed
from formcalc.language.names import GREEK, split_name

_GREEK_LETTERS = {ascii_name: letter for letter, ascii_name in GREEK.items()}


def name_html(name: str) -> str:
    """A name with its subscript in HTML.

    >>> name_html("gamma_0")
    '<i>γ</i><sub>0</sub>'
    """
    base, subscript = split_name(name)
    base = _GREEK_LETTERS.get(base, base)
    return f"<i>{escape(base)}</i>" + (f"<sub>{escape(subscript)}</sub>" if subscript else "")


def _size(dimension: Dimension) -> str:
    return name_html(str(dimension)) if dimension.is_symbolic else str(dimension)


def _letter(letter: Letter) -> str:
    rows, columns = letter.symbol.shape
    shown = name_html(indexed(letter))
    if is_ones(letter):
        shown = f"<b>1</b><sub>{_size(rows)}×{_size(columns)}</sub>"
    elif letter.plain is identity(rows):
        shown = f"<i>I</i><sub>{_size(rows)}</sub>"
    return ("d" if letter.is_differential else "") + shown + ("<sup>t</sup>" if letter.is_transposed else "")


def _number(value: Fraction) -> str:
    decimal = small_decimal(value)
    if decimal is None:
        return str(value)
    power = f"10<sup>−{-decimal[1]}</sup>"
    return power if decimal[0] == 1 else f"{decimal[0]} · {power}"


def _power(power: Power) -> str:
    base = _size(power.base)
    return base if power.exponent == 1 else f"{base}<sup>{str(power.exponent).replace('-', '−')}</sup>"


def _operator(node: Apply) -> str:
    return escape(node.operator.name.replace("'", "′")) + ("<sup>t</sup>" if node.by_columns else "")


HTML = Notation(
    letter=_letter,
    number=_number,
    power=_power,
    operator=_operator,
    sigma=lambda indices: f"Σ<sub>{escape(','.join(indices))}</sub>",
    function=lambda name: name,
    minus=" − ",
    negative="−",
)


def html(expression: Expression) -> str:
    """An expression as a piece of HTML.

    >>> from formcalc.language import parse
    >>> html(parse("n_0^{-1/2} X_0 Q_0^t", {"X_0": ("T", "n_0"), "Q_0": ("d", "n_0")}))
    '<i>n</i><sub>0</sub><sup>−1/2</sup> <i>X</i><sub>0</sub> <i>Q</i><sub>0</sub><sup>t</sup>'
    """
    return render(expression, HTML)


#: Letters as in print, lines that wrap between factors.
_STYLE = "font-family: 'Latin Modern Math', 'STIX Two Math', Cambria, serif; font-size: 110%; line-height: 1.7"


def notebook_html(expression: Expression) -> str:
    """An expression as notebooks show it."""
    return f'<span style="{_STYLE}">{html(expression)}</span>'


def equations_html(lines: Iterable[tuple[Expression | str, str, Expression | None, int]]) -> str:
    """A table of equations, for notebooks: left side, sign, right side (None for a heading), and indentation."""
    rows = []
    for left, sign, right, depth in lines:
        cell = f'<td style="text-align: left; padding-left: {1 + 2 * depth}em; {_STYLE}">'
        shown = left if isinstance(left, str) else html(left)
        if right is None:
            rows.append(f'<tr><td colspan="3" style="text-align: left; {_STYLE}">{shown}</td></tr>')
        else:
            rows.append(f"<tr>{cell}{shown}</td>{cell}{sign}</td>{cell}{html(right)}</td></tr>")
    return f"<table>{''.join(rows)}</table>"
