"""Plain text parses back to the identical object."""

from fractions import Fraction

import pytest
from hypothesis import given, settings

import formcalc as fc
from formcalc.algebra import (
    Apply,
    Expression,
    Hadamard,
    Letter,
    Number,
    OneForm,
    Power,
    Product,
    Sum,
    Symbol,
    Trace,
    identity,
    ones,
)
from formcalc.operators import Differential, operator_named
from strategies import LETTERS, expressions, one_forms

A, B = (Letter(Symbol(name, ("n", "n"))) for name in "AB")
X = Letter(Symbol("X", ("T", "d")))
SHAPES = {"A": ("n", "n"), "B": ("n", "n"), "X": ("T", "d")}
RELU, SOFTMAX = operator_named("m"), operator_named("a")


@settings(max_examples=300)
@given(expressions(differentials=True))
def test_every_expression_parses_back(expression):
    assert fc.parse(str(expression), LETTERS) is expression


@settings(max_examples=150)
@given(one_forms())
def test_one_forms_parse_back_though_their_words_have_different_shapes(form):
    assert fc.parse(str(form), LETTERS) is form


#: Texts that a careless printer or reader would confuse, and what each denotes.
TEXTS: dict[str, Expression] = {
    "A B": Product(A, B),
    "(A B) A": Product(Product(A, B), A),
    "A (B A)": Product(A, Product(B, A)),
    "A + B": Sum(A, B),
    "A + (B + A)": Sum(A, Sum(B, A)),
    "(A + B) + A": Sum(Sum(A, B), A),
    "A - B": Sum(A, Product(Number(-1), B)),
    "A - (-B)": Sum(A, Product(Number(-1), Product(Number(-1), B))),
    "A + (-B) A": Sum(A, Product(Product(Number(-1), B), A)),
    "-A": Product(Number(-1), A),
    "-(-A)": Product(Number(-1), Product(Number(-1), A)),
    "-1 1 A": Product(Number(-1), Number(1), A),
    "-1 (-1) A": Product(Number(-1), Number(-1), A),
    "-(A B)": Product(Number(-1), Product(A, B)),
    "(-A) B": Product(Product(Number(-1), A), B),
    "-2 A": Product(Number(-2), A),
    "-(2 A)": Product(Number(-1), Product(Number(2), A)),
    "A (-2)": Product(A, Number(-2)),
    "0 A": Product(Number(0), A),
    "-1/2 A": Product(Number(Fraction(-1, 2)), A),
    "-2^{1/2} A": Product(Number(-1), Power(2, Fraction(1, 2)), A),
    "2^{1}": Power(2),
    "1": Number(1),
    "-1": Number(-1),
    "n": Power("n"),
    "n^{0}": Power("n", 0),
    "pi^{2}": Power("pi", 2),
    "2 n pi": Product(Number(2), Power("n"), Power("pi")),
    "A ∘ (B A)": Hadamard(A, Product(B, A)),
    "(A ∘ B) A": Product(Hadamard(A, B), A),
    "A ∘ (B ∘ A)": Hadamard(A, Hadamard(B, A)),
    "A ∘ (-B)": Hadamard(A, Product(Number(-1), B)),
    "-A ∘ B": Product(Number(-1), Hadamard(A, B)),
    "(-A) ∘ B": Hadamard(Product(Number(-1), A), B),
    "A - A ∘ B": Sum(A, Product(Number(-1), Hadamard(A, B))),
    "rowsum(A)": Product(A, ones("n", 1)),
    "-2 rowsum(A B)": Product(Number(-2), A, B, ones("n", 1)),
    "rowsum((A B))": Product(Product(A, B), ones("n", 1)),
    "A (rowsum(B))": Product(A, Product(B, ones("n", 1))),
    "rowsum(A + B) colsum(A ∘ B)": Product(Sum(A, B), ones("n", 1), ones(1, "n"), Hadamard(A, B)),
    "1_{n×1} colsum(A)": Product(ones("n", 1), ones(1, "n"), A),
    "colsum(rowsum(A))": Product(ones(1, "n"), A, ones("n", 1)),
    "A ∘ (A + B) + B": Sum(Hadamard(A, Sum(A, B)), B),
    "trace(A) B": Product(Trace(A), B),
    "trace(-A)": Trace(Product(Number(-1), A)),
    "m(A) B": Product(Apply(RELU, A), B),
    "a^t(A)": Apply(SOFTMAX, A, by_columns=True),
    "aa^t(A, -B)": Apply(Differential(SOFTMAX), A, Product(Number(-1), B), by_columns=True),
    "dA^t": A.differential.transposed,
    "A dA + X^t dX": OneForm(Product(A, A.differential), Product(X.transposed, X.differential)),
    "2 (A dA + X^t dX)": Product(Number(2), OneForm(Product(A, A.differential), Product(X.transposed, X.differential))),
    "trace(A dA) + trace(X^t dX)": Sum(Trace(Product(A, A.differential)), Trace(Product(X.transposed, X.differential))),
    "1_{4×1}": ones(4, 1),
    "1_{max×x}": ones("max", "x"),
    "1_{T_0×T_{i+1}}": ones("T_0", "T_{i+1}"),
    "I_{T}": identity("T"),
    "I_{4}": identity(4),
    "I_{T_{i+1}}": identity("T_{i+1}"),
}


@pytest.mark.parametrize(("text", "expression"), TEXTS.items())
def test_text_and_expression_belong_together(text, expression):
    assert str(expression) == text
    assert fc.parse(text, SHAPES) is expression


def test_the_transpose_of_ones_is_read_as_ones_of_the_other_shape():
    assert fc.parse("1_{T×d}^t", SHAPES) is ones("d", "T")


def test_the_manuals_dialect_parses_back():
    letters = {"S": ("n", "n"), "Z": ("T", "d"), "R": ("d", "T")}
    for text in ("aa(S) S", "aa^t(S)", "mm(Z, R)", "mm(Z, R^t)"):
        expression = fc.parse(text, letters, dialect="manual")
        assert str(expression) == text
        assert fc.parse(str(expression), letters, dialect="manual") is expression


def test_letters_with_definitions_parse_back():
    Z = Letter(Symbol("Z", ("n", "n"), "defined", Product(A, B)))
    assert fc.parse("Z^t A", {"A": A, "Z": Z}) is Product(Z.transposed, A)
    assert fc.parse("Z", {"Z": Z.symbol}) is Z
