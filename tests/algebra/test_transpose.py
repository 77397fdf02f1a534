"""Transposition: an involution that lives on letters."""

from hypothesis import given

from formcalc.algebra import (
    Apply,
    Hadamard,
    Letter,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    Trace,
    identity,
    ones,
    transpose,
)
from formcalc.operators import Differential, operator_named
from strategies import expressions, one_forms

A, B = Letter(Symbol("A", ("T", "d"))), Letter(Symbol("B", ("d", "n")))
S = Letter(Symbol("S", ("n", "n")))
RELU, SOFTMAX = operator_named("m"), operator_named("a")


@given(expressions(differentials=True))
def test_transposing_twice_gives_the_same_object(expression):
    assert transpose(transpose(expression)) is expression


@given(expressions(differentials=True))
def test_transposing_reverses_the_shape_and_keeps_the_degree(expression):
    assert transpose(expression).shape == expression.shape[::-1]
    assert transpose(expression).degree == expression.degree


@given(one_forms())
def test_scalars_are_their_own_transpose(form):
    scalar = form if not form.shape else Trace(form)
    assert transpose(scalar) is scalar


def test_property_of_expressions_is_the_function():
    assert Product(A, B).T is transpose(Product(A, B))


def test_products_reverse():
    assert str(transpose(Product(A, B, S))) == "S^t B^t A^t"


def test_scalars_keep_their_places():
    assert str(transpose(Product(Number(2), A, Power("n"), B))) == "2 B^t n A^t"


def test_nested_products_stay_nested():
    assert transpose(Product(Product(A, B), S)) is Product(S.transposed, Product(B.transposed, A.transposed))


def test_sums_and_hadamard_products_transpose_term_by_term():
    assert transpose(Sum(S, S.transposed)) is Sum(S.transposed, S)
    assert transpose(Hadamard(A, A)) is Hadamard(A.transposed, A.transposed)


def test_differential_of_a_transpose_is_the_transpose_of_the_differential():
    assert transpose(A).differential is transpose(A.differential)


def test_elementwise_operators_let_transposes_through():
    assert transpose(Apply(RELU, A)) is Apply(RELU, A.transposed)
    linear = Apply(Differential(RELU), A, A.differential)
    assert transpose(linear) is Apply(Differential(RELU), A.transposed, A.differential.transposed)


def test_row_operators_become_column_operators():
    assert transpose(Apply(SOFTMAX, A)) is Apply(SOFTMAX, A.transposed, by_columns=True)
    assert transpose(Apply(SOFTMAX, A.transposed, by_columns=True)) is Apply(SOFTMAX, A)


def test_ones_of_a_shape_have_no_transpose_of_their_own():
    assert transpose(ones("T", "d")) is ones("d", "T")
    assert transpose(ones("T", "T")) is ones("T", "T")


def test_constants_have_transposes_as_letters_do():
    C = Letter(Symbol("C", ("T", 1), "ones"))
    assert str(transpose(C)) == "C^t"
    assert str(transpose(identity("T"))) == "I_{T}^t"
