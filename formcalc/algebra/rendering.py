"""From an expression to text, in any notation: one traversal, and a table of how each notation spells its marks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import TypeAlias

from formcalc.algebra.application import Apply
from formcalc.algebra.compound import Hadamard, OneForm, Product, Sum, Trace
from formcalc.algebra.dimension import axes_text
from formcalc.algebra.expression import Expression, fold
from formcalc.algebra.letters import Letter
from formcalc.algebra.row_sums import row_sums
from formcalc.algebra.scalars import Number, Power
from formcalc.algebra.summation import AxisSum, LayerSum


@dataclass(frozen=True)
class Notation:
    """How a notation spells names, superscripts and operators; everything else is common to all notations."""

    letter: Callable[[Letter], str]
    number: Callable[[Fraction], str]
    power: Callable[[Power], str]
    operator: Callable[[Apply], str]
    #: The sign of a sum over indices, given their names.
    sigma: Callable[[tuple[str, ...]], str]
    #: The name of a trace, or of a sum of rows or columns.
    function: Callable[[str], str]
    juxtapose: str = " "
    plus: str = " + "
    minus: str = " - "
    negative: str = "-"
    hadamard: str = " ∘ "
    comma: str = ", "
    left: str = "("
    right: str = ")"


class _Strength(IntEnum):
    """How strongly a text holds together; a weaker text inside a stronger place gets parentheses."""

    SUM = 0
    HADAMARD = 1
    PRODUCT = 2
    #: A product that is written as one sum of rows or columns.
    ROW_SUM = 3
    ATOM = 4


#: A text in parts that are joined only once, so that deep nesting does not copy text again and again.
_Rope: TypeAlias = "str | tuple[_Rope, ...]"


def _joined(rope: _Rope) -> str:
    parts: list[str] = []
    stack = [rope]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            parts.append(part)
        else:
            stack.extend(reversed(part))
    return "".join(parts)


def _separated(separator: str, ropes: Iterable[_Rope]) -> _Rope:
    return tuple(part for rope in ropes for part in (separator, rope))[1:]


@dataclass(frozen=True)
class _Piece:
    body: _Rope
    strength: _Strength
    is_negative: bool = False


def render(expression: Expression, notation: Notation) -> str:
    """The text of an expression in a notation. Shared subexpressions are rendered once."""

    def whole(piece: _Piece) -> _Rope:
        return (notation.negative, piece.body) if piece.is_negative else piece.body

    def enclosed(piece: _Piece) -> _Rope:
        return (notation.left, whole(piece), notation.right)

    def product(node: Product, pieces: tuple[_Piece, ...]) -> _Piece:
        first = node.children[0]
        is_negative = isinstance(first, Number) and first.value < 0
        texts = [
            enclosed(piece) if piece.strength < _Strength.ATOM or (piece.is_negative and index > 0) else piece.body
            for index, piece in enumerate(pieces)
        ]
        ropes: list[_Rope] = []
        is_row_sum = False
        for names, places in row_sums(node.children):
            one = pieces[places[0]] if len(places) == 1 else None
            # a product among the factors keeps its parentheses
            if names and one is not None and one.strength not in (_Strength.PRODUCT, _Strength.ROW_SUM):
                inner = whole(one)
            else:
                inner = _separated(notation.juxtapose, [texts[place] for place in places])
            for name in reversed(names):
                inner = (notation.function(name), notation.left, inner, notation.right)
            ropes.append(inner)
            is_row_sum = bool(names)
        # -1 A is written -A, unless a number follows, which the sign would then belong to.
        if is_negative and pieces[0].body == "1" and not isinstance(node.children[1], Number):
            if len(pieces) == 2 and isinstance(node.children[1], Hadamard):
                return _Piece(pieces[1].body, _Strength.HADAMARD, is_negative)
            ropes = ropes[1:]
        strength = _Strength.ROW_SUM if is_row_sum and len(ropes) == 1 and not is_negative else _Strength.PRODUCT
        return _Piece(_separated(notation.juxtapose, ropes), strength, is_negative)

    def total(pieces: tuple[_Piece, ...]) -> _Piece:
        text: list[_Rope] = []
        for piece in pieces:
            if text:
                text.append(notation.minus if piece.is_negative else notation.plus)
            elif piece.is_negative:
                text.append(notation.negative)
            text.append(enclosed(piece) if piece.strength == _Strength.SUM else piece.body)
        return _Piece(tuple(text), _Strength.SUM)

    def visit(node: Expression, pieces: tuple[_Piece, ...]) -> _Piece:
        match node:
            case Letter():
                return _Piece(notation.letter(node), _Strength.ATOM)
            case Number():
                return _Piece(notation.number(abs(node.value)), _Strength.ATOM, node.value < 0)
            case Power():
                return _Piece(notation.power(node), _Strength.ATOM)
            case Product():
                return product(node, pieces)
            case Sum() | OneForm():
                return total(pieces)
            case Hadamard():
                texts = [piece.body if piece.strength >= _Strength.ROW_SUM else enclosed(piece) for piece in pieces]
                return _Piece(_separated(notation.hadamard, texts), _Strength.HADAMARD)
            case AxisSum() | LayerSum():
                indices = (node.index,) if isinstance(node, LayerSum) else tuple(map(str, node.over))
                [piece] = pieces
                body = enclosed(piece) if piece.strength == _Strength.SUM or piece.is_negative else piece.body
                return _Piece((notation.sigma(indices), notation.juxtapose, body), _Strength.HADAMARD)
            case Trace():
                return _Piece((notation.function("trace"), enclosed(pieces[0])), _Strength.ATOM)
            case Apply():
                arguments = _separated(notation.comma, map(whole, pieces))
                body = (notation.operator(node), notation.left, arguments, notation.right)
                return _Piece(body, _Strength.ATOM)
        raise TypeError(f"no rendering for {type(node).__name__}")

    return _joined(whole(fold(expression, visit)))


def _plain_letter(letter: Letter) -> str:
    name = letter.name + axes_text(letter.symbol.layout)
    return ("d" if letter.is_differential else "") + name + ("^t" if letter.is_transposed else "")


def small_decimal(value: Fraction) -> tuple[int, int] | None:
    """The digits and the exponent of a number below a thousandth whose decimals end, such as an ε; None of any other.

    >>> small_decimal(Fraction("1e-5")), small_decimal(Fraction(1, 8))
    ((1, -5), None)
    """
    text = str(value.denominator)
    places = len(text) - 1
    is_small = places >= 3 and text == f"1{'0' * places}" and abs(value.numerator) < 1000
    return (value.numerator, -places) if is_small else None


def _plain_number(value: Fraction) -> str:
    decimal = small_decimal(value)
    return str(value) if decimal is None else f"{decimal[0]}e{decimal[1]}"


def _plain_power(power: Power) -> str:
    return f"{power.base}" if power.exponent == 1 and power.base.is_symbolic else f"{power.base}^{{{power.exponent}}}"


#: The notation of files, shells and the golden listings; it parses back to the identical expression.
PLAIN = Notation(
    letter=_plain_letter,
    number=_plain_number,
    power=_plain_power,
    operator=lambda node: node.operator.name + ("^t" if node.by_columns else ""),
    sigma=lambda indices: f"Σ_{indices[0]}" if len(indices) == 1 else f"Σ_{{{','.join(indices)}}}",
    function=lambda name: name,
)


def plain(expression: Expression) -> str:
    """The plain notation, as in ``n_0^{-1/2} X_0 Q_0 K_0^t X_0^t``."""
    return render(expression, PLAIN)
