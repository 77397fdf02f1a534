"""Every bad text, and the exact message: what, where, the line with carets, and the cure."""

import time

import pytest

import formcalc as fc
from formcalc.errors import FormcalcError, ParseError
from formcalc.language.syntax import MAX_NESTING
from formcalc.operators import operator_names

SHAPES = {"X": ("T", "d"), "Q": ("d", "n"), "A": ("d", "d"), "K_0": ("d", "n")}

_OPERAND_BEFORE = "an operand is missing before it"
_OPERAND_AFTER = "an operand is missing after it"
_RATIONAL = "write ^t for a transpose, or a rational such as ^{-1/2}"
_POWER = "only dimensions, positive integers and pi have powers; write a matrix power as a product, A A"
_LETTERS = "declared letters: X, Q, A, K_0"
_SEPARATES = "it separates the arguments of an operator"
_HAT = "write ^t for a transpose, or n^{-1/2} for a power of a dimension"
_DOT = "write .* for the Hadamard product, and 0.5 for a decimal"
_ONES = "write the shape, as in 1_{T×d}"

#: text: what is wrong, what the carets mark, the cure.
ERRORS = {
    # parentheses
    "X (A": ("unbalanced parenthesis '('", "  ^", "it is never closed: add ')'"),
    "X A)": ("unbalanced parenthesis ')'", "   ^", "it closes nothing: remove it, or open it"),
    "m(A": ("unbalanced parenthesis '('", " ^", "it is never closed: add ')'"),
    ")(": ("unbalanced parenthesis ')'", "^", "it closes nothing: remove it, or open it"),
    "A ()": ("unexpected ')'", "   ^", _OPERAND_BEFORE),
    "m()": ("unexpected ')'", "  ^", _OPERAND_BEFORE),
    # operands and separators
    "X +": ("the expression ends too early", "  ^", _OPERAND_AFTER),
    "A ∘ ": ("the expression ends too early", "  ^", _OPERAND_AFTER),
    "-": ("the expression ends too early", "^", _OPERAND_AFTER),
    "A + + A": ("unexpected '+'", "    ^", _OPERAND_BEFORE),
    "A - - A": ("unexpected '-'", "    ^", _OPERAND_BEFORE),
    "∘ A": ("unexpected '∘'", "^", _OPERAND_BEFORE),
    "A .* .* A": ("unexpected '.*'", "     ^^", _OPERAND_BEFORE),
    "* A": ("unexpected '*'", "^", _OPERAND_BEFORE),
    "^t A": ("unexpected '^t'", "^^", _OPERAND_BEFORE),
    "(A + )": ("unexpected ')'", "     ^", _OPERAND_BEFORE),
    "A, A": ("unexpected ','", " ^", _SEPARATES),
    "(A, A)": ("unexpected ','", "  ^", _SEPARATES),
    "mm(A,)": ("unexpected ')'", "     ^", _OPERAND_BEFORE),
    "mm(,A)": ("unexpected ','", "   ^", _OPERAND_BEFORE),
    # characters
    "X @ A": ("unexpected character '@'", "  ^", "a product is written side by side, A B"),
    "X / A": (
        "unexpected character '/'",
        "  ^",
        "rationals are written 1/2, without spaces; there is no division of matrices",
    ),
    "X^": ("unexpected character '^'", " ^", _HAT),
    "X^{": ("unexpected character '^'", " ^", _HAT),
    "X . A": ("unexpected character '.'", "  ^", _DOT),
    ".5 A": ("unexpected character '.'", "^", _DOT),
    "X ! A": ("unexpected character '!'", "  ^", ""),
    "A = X": ("unexpected '='", "  ^", "an expression defines nothing: a page does, with a line X = ..."),
    # names
    "X Y": ("unknown letter 'Y'", "  ^", _LETTERS),
    "X K_1": ("unknown letter 'K_1'", "  ^^^", "did you mean 'K_0'?"),
    "X K₁": ("unknown letter 'K₁'", "  ^^", "did you mean 'K_0'?"),
    "X dY^t": ("unknown letter 'dY'", "  ^^", _LETTERS),
    "I_0": ("unknown letter 'I_0'", "^^^", "did you mean 'K_0'?"),
    "softmax A": ("unknown letter 'softmax'", "^^^^^^^", "softmax is an operator: write softmax(...)"),
    "m (A)": ("unknown letter 'm'", "^", "m is an operator: write m(...)"),
    "sofmax(A)": ("unknown operator 'sofmax'", "^^^^^^", "did you mean 'softmax'?"),
    "trac(A)": ("unknown operator 'trac'", "^^^^", "did you mean 'trace'?"),
    "Y(A)": ("unknown operator 'Y'", "^", f"operators: {', '.join(operator_names())}, trace, rowsum, colsum"),
    "Q(A, A)": ("Q is a letter and takes no list of arguments", "^", ""),
    # numbers and superscripts
    "1/0 A": ("1/0 divides by zero", "^^^", ""),
    "n^{1/0}": ("1/0 divides by zero", " ^^^^^^", ""),
    "9e1001": ("a number of more than 1000 digits", "^^^^^^", "write a shorter one"),
    "9e-999999999 A": ("a number of more than 1000 digits", "^^^^^^^^^^^^", "write a shorter one"),
    "A^2": ("A cannot be raised to a power", " ^^", _POWER),
    "A²": ("A cannot be raised to a power", " ^", _POWER),
    "0^{1/2}": ("0 cannot be raised to a power", " ^^^^^^", _POWER),
    "(1/2)^{2}": ("1/2 cannot be raised to a power", "     ^^^^", _POWER),
    "n^{1/2}^{2}": ("n^{1/2} cannot be raised to a power", "       ^^^^", _POWER),
    "A^{s}": ("unreadable superscript '^{s}'", " ^^^^", _RATIONAL),
    "A^{}": ("unreadable superscript '^{}'", " ^^^", _RATIONAL),
    "n^{1e9}": ("unreadable superscript '^{1e9}'", " ^^^^^^", _RATIONAL),
    "n⁻⁻¹": ("unreadable superscript '⁻⁻¹'", " ^^^", _RATIONAL),
    "1_{T}": ("unreadable ones '1_{T}'", "^^^^^", _ONES),
    "1_{T×d×n}": ("unreadable ones '1_{T×d×n}'", "^^^^^^^^^", _ONES),
    "1_{0×d}": ("unreadable ones '1_{0×d}'", "^^^^^^^", _ONES),
    "1_{²×d}": ("unreadable ones '1_{²×d}'", "^^^^^^^", _ONES),
    "1_{T×}": ("unreadable ones '1_{T×}'", "^^^^^^", _ONES),
    # shapes
    "X Q A": ("Q A: Q has n columns, A has d rows", "    ^", ""),
    "X Q + A": ("X Q + A: X Q is T×n, A is d×d", "      ^", ""),
    "X + 1": ("X + 1: X is T×d, 1 is scalar", "    ^", ""),
    "A ∘ X": ("A ∘ X: A is d×d, X is T×d", "    ^", ""),
    "2 ∘ n": ("2 ∘ n: scalars multiply without ∘", "    ^", ""),
    "X(Q)(A)": ("Q A: Q has n columns, A has d rows", "     ^", ""),
    "trace(X)": ("trace(X): the operand is T×d, not square", "^^^^^", ""),
    "trace(A, A)": ("trace takes 1 argument, not 2", "^^^^^", ""),
    "rowsum(A, A)": ("rowsum takes 1 argument, not 2", "^^^^^^", ""),
    "A rowsum(trace(A))": ("rowsum(trace(A)): the argument is a scalar", "  ^^^^^^", ""),
    "colsum(2)": ("colsum(2): the argument is a scalar", "^^^^^^", ""),
    "rowsum^t(A)": ("rowsum has no ^t", "^^^^^^^^", "write rowsum(...)^t, or colsum(...)"),
    "colsum^t(A)": ("colsum has no ^t", "^^^^^^^^", "write colsum(...)^t, or rowsum(...)"),
    "rowsom(A)": ("unknown operator 'rowsom'", "^^^^^^", "did you mean 'rowsum'?"),
    "m(2)": ("m(2): the argument is a scalar, m takes a matrix", "^", ""),
    "m(A, A)": ("m takes 1 argument, not 2", "^", ""),
    "aa(A)": (
        "aa takes 2 arguments, aa(P, R)",
        "^^",
        "the one-argument factor aa(S) belongs to the manual's dialect",
    ),
    "mm(X, A)": ("mm(X, A): X is T×d, A is d×d", "^^", ""),
    "mm(X, X^t)": ("mm(X, X^t): X is T×d, X^t is d×T; write mm(X^t, ...)", "^^", ""),
    "A exp(dA)": (
        "exp(dA): a differential stands in an argument that exp is not linear in; "
        "differentiate exp(...) as a whole with d",
        "  ^^^",
        "",
    ),
}


def message_of(text, shapes=SHAPES, **options):
    with pytest.raises(ParseError) as error:
        fc.parse(text, shapes, **options)
    return str(error.value)


def expected(message, line, column, shown, carets, cure):
    lines = [f"{message} at line {line}, column {column}", f"    {shown}", f"    {carets}"]
    return "\n".join([*lines, cure] if cure else lines)


@pytest.mark.parametrize(("text", "says"), ERRORS.items())
def test_message(text, says):
    message, carets, cure = says
    column = carets.index("^") + 1
    assert message_of(text) == expected(message, 1, column, text, carets, cure)


@pytest.mark.parametrize(("text", "says"), ERRORS.items())
def test_message_among_blank_lines(text, says):
    message, carets, cure = says
    column = carets.index("^") + 1
    assert message_of(f"\n \t\n{text}\n\n") == expected(message, 3, column, text, carets, cure)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("X A\n  + Y X\n  + X", ("unknown letter 'Y'", 2, 5, "  + Y X", "    ^", _LETTERS)),
        ("X A\n  + (X\n  + X", ("unbalanced parenthesis '('", 2, 5, "  + (X", "    ^", "it is never closed: add ')'")),
        ("X\nQ\nA", ("Q A: Q has n columns, A has d rows", 3, 1, "A", "^", "")),
        ("X A\n+ A\n", ("X A + A: X A is T×d, A is d×d", 2, 3, "+ A", "  ^", "")),
        ("X A\n+\n\n", ("the expression ends too early", 2, 1, "+", "^", _OPERAND_AFTER)),
        ("mm(X,\n   A)", ("mm(X, A): X is T×d, A is d×d", 1, 1, "mm(X,", "^^", "")),
    ],
)
def test_message_in_a_text_of_many_lines(text, says):
    assert message_of(text) == expected(*says)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\t"])
def test_empty_text(text):
    assert message_of(text) == "the text is empty: write an expression such as 'X Q K^t X^t'"


def test_long_lines_are_cut_around_the_place():
    text = "A " * 100 + "Y" + " A" * 100
    shown = "..." + "A " * 25 + "Y" + " A" * 24 + " ..."
    carets = " " * 53 + "^"
    assert message_of(text) == expected("unknown letter 'Y'", 1, 201, shown, carets, _LETTERS)


def test_operators_of_the_manual_in_its_dialect():
    text = "aa(X)"
    message = "aa(X): the manual writes aa(S) for square S, this is T×d"
    assert message_of(text, dialect="manual") == expected(message, 1, 1, text, "^^", "")
    message = "in the manual's dialect aa takes 1 argument, not 2"
    assert message_of("aa(A, A)", dialect="manual") == expected(message, 1, 1, "aa(A, A)", "^^", "")


def test_no_letters_declared():
    assert message_of("A", {}) == expected("unknown letter 'A'", 1, 1, "A", "^", "declared letters: none")


def test_parse_errors_are_errors_of_the_user():
    assert issubclass(ParseError, FormcalcError)


# Sizes


NESTED = 500_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(" * NESTED + "A" + ")" * NESTED, f"parentheses nested deeper than {MAX_NESTING} at line 1, column 20001"),
        ("(" * 2 * NESTED, f"parentheses nested deeper than {MAX_NESTING} at line 1, column 20001"),
        (")" * 2 * NESTED, "unbalanced parenthesis ')' at line 1, column 1"),
        ("m(" * NESTED, f"parentheses nested deeper than {MAX_NESTING} at line 1, column 40002"),
        ("(A)" * (NESTED // 2) + "(", f"unbalanced parenthesis '(' at line 1, column {NESTED // 2 * 3 + 1}"),
        ("()" * NESTED, "unexpected ')' at line 1, column 2"),
    ],
    ids=["balanced", "opening", "closing", "operators", "late", "empty"],
)
def test_a_megabyte_of_parentheses_is_refused_within_seconds(text, message):
    start = time.perf_counter()
    said = message_of(text)
    assert time.perf_counter() - start < 5
    assert said.splitlines()[0] == message
    assert len(said) < 1000


def test_parentheses_as_deep_as_allowed_are_read():
    A = fc.parse("A", SHAPES)
    assert fc.parse("(" * MAX_NESTING + "A" + ")" * MAX_NESTING, SHAPES) is A


def test_numbers_of_a_thousand_digits_are_read():
    digits = "7" * 1000
    assert str(fc.parse(digits, {})) == digits
    assert message_of("7" + digits).startswith("a number of more than 1000 digits at line 1, column 1\n")
