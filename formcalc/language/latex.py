"""LaTeX, for papers and notebooks."""

from __future__ import annotations

from fractions import Fraction

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
from formcalc.language.names import GREEK, split_name
from formcalc.operators import Differential, Operator

_GREEK_NAMES = frozenset(GREEK.values())


def name_latex(name: str) -> str:
    """A name with its subscript in LaTeX.

    >>> name_latex("gamma_0"), name_latex("X_{i+1}"), name_latex("Wq")
    ('\\\\gamma_{0}', 'X_{i+1}', '\\\\mathrm{Wq}')
    """
    base, subscript = split_name(name)
    shown = f"\\{base}" if base in _GREEK_NAMES else base if len(base) == 1 else rf"\mathrm{{{base}}}"
    return f"{shown}_{{{subscript}}}" if subscript else shown


def _size(dimension: Dimension) -> str:
    return name_latex(str(dimension)) if dimension.is_symbolic else str(dimension)


def indexed(letter: Letter) -> str:
    """The name of a letter with its axes among its subscripts: heads of Q_i are Q_{i,h}."""
    axes = ",".join(map(str, letter.symbol.layout))
    return f"{letter.name}_{{{axes}}}" if axes else letter.name


def _letter(letter: Letter) -> str:
    rows, columns = letter.symbol.shape
    shown = name_latex(indexed(letter))
    if is_ones(letter):
        shown = rf"\mathbf{{1}}_{{{_size(rows)} \times {_size(columns)}}}"
    elif letter.plain is identity(rows):
        shown = f"I_{{{_size(rows)}}}"
    return (r"\mathrm{d}" if letter.is_differential else "") + shown + ("^{t}" if letter.is_transposed else "")


def _number(value: Fraction) -> str:
    decimal = small_decimal(value)
    if decimal is not None:
        digits, exponent = decimal
        return f"10^{{{exponent}}}" if digits == 1 else rf"{digits} \cdot 10^{{{exponent}}}"
    return str(value) if value.denominator == 1 else rf"\tfrac{{{value.numerator}}}{{{value.denominator}}}"


def _power(power: Power) -> str:
    base = _size(power.base)
    return base if power.exponent == 1 else f"{base}^{{{power.exponent}}}"


def _operator(node: Apply) -> str:
    match node.operator:
        case Operator(latex=shown):
            pass
        case Differential(of=row, name=name):
            shown = row.latex + "'" if name.endswith("'") else rf"\mathrm{{{name}}}"
        case other:
            raise TypeError(f"no row of the table: {other!r}")
    return shown + ("^{t}" if node.by_columns else "")


LATEX = Notation(
    letter=_letter,
    number=_number,
    power=_power,
    operator=_operator,
    sigma=lambda indices: rf"\sum_{{{', '.join(map(name_latex, indices))}}}",
    function=lambda name: rf"\operatorname{{{name}}}",
    juxtapose=r" \, ",
    hadamard=r" \circ ",
)


def latex(expression: Expression) -> str:
    r"""An expression in LaTeX, without dollar signs.

    >>> from formcalc.language import parse
    >>> print(latex(parse("n_0^{-1/2} X_0 Q_0", {"X_0": ("T", "d"), "Q_0": ("d", "n_0")})))
    n_{0}^{-1/2} \, X_{0} \, Q_{0}
    """
    return render(expression, LATEX)
