"""Nodes: constructors check and do not simplify, compounds count, traversals visit once."""

from fractions import Fraction

import pytest
from hypothesis import given

from formcalc.algebra import (
    Apply,
    Compound,
    Dimension,
    Hadamard,
    Letter,
    Number,
    OneForm,
    Power,
    Product,
    Sum,
    Symbol,
    Trace,
    contains,
    first_paths,
    fold,
    identity,
    postorder,
    transpose,
)
from formcalc.operators import Differential, operator_named
from strategies import expressions

A, B, C = (Letter(Symbol(name, ("n", "n"))) for name in "ABC")
RELU, SOFTMAX = operator_named("m"), operator_named("a")


# Constructors


@pytest.mark.parametrize("kind", [Product, Sum, Hadamard, OneForm])
def test_one_operand_is_itself(kind):
    assert kind(A.differential) is A.differential


def test_constructors_do_not_simplify():
    assert Sum(A, A).children == (A, A)
    assert Product(Number(1), A).children == (Number(1), A)
    assert Product(A, Product(B, C)).children == (A, Product(B, C))
    assert Sum(A, Product(Number(-1), A)).length == 2
    assert Product(Number(0), A) is not Number(0)
    assert Product(identity("n"), A) is not A
    assert transpose(identity("n")) is not identity("n")


def test_words_of_one_shape_are_their_sum():
    assert OneForm(A.differential, Product(B, C.differential)) is Sum(A.differential, Product(B, C.differential))


def test_elementwise_operators_know_no_columns():
    assert Apply(RELU, A, by_columns=True) is Apply(RELU, A)
    assert Apply(Differential(RELU), A, B, by_columns=True) is Apply(Differential(RELU), A, B)


@pytest.mark.parametrize(
    ("node", "degree"),
    [
        (A, 0),
        (A.differential, 1),
        (Product(A.differential, B, C.differential), 2),
        (Sum(A.differential, B), 1),
        (Hadamard(A.differential, A.differential), 2),
        (Trace(A.differential), 1),
        (Apply(Differential(RELU), A, B.differential), 1),
        (Apply(Differential(SOFTMAX, "manual"), A), 0),
    ],
)
def test_degree_counts_the_differentials_of_a_word(node, degree):
    assert node.degree == degree


# Python's operators


def test_python_operators_build_nodes():
    assert A @ B is Product(A, B)
    assert A + B is Sum(A, B)
    assert A - B is Sum(A, Product(Number(-1), B))
    assert -A is Product(Number(-1), A)
    assert 2 * A is A * 2 is Product(Number(2), A)
    assert Fraction(1, 2) * A is Product(Number(Fraction(1, 2)), A)


def test_compounds_count_and_index_from_zero():
    word = Product(A, B, C)
    assert isinstance(word, Compound)
    assert len(word) == word.length == 3
    assert word[0] is A
    assert word[-1] is C
    assert list(word) == [A, B, C]


def test_representations():
    assert repr(Product(A, B)) == "<A B>"
    assert repr(A.symbol) == "Symbol('A', n×n, weight)"
    assert repr(Dimension("n")) == "Dimension('n')"
    assert repr(RELU) == "Operator('m')"
    assert repr(Differential(RELU)) == "Differential('m', 'exact')"


def test_letters_share_their_symbol():
    definition = Product(A, B)
    F = Letter(Symbol("F", ("n", "n"), "defined", definition))
    assert F.transposed.differential.symbol is F.symbol
    assert F.transposed.differential.plain is F
    assert F.transposed.definition is definition
    assert (F.name, F.role) == ("F", "defined")
    assert F.differential.is_differential
    assert not F.is_differential


def test_only_ones_and_identities_are_constants():
    roles = ("weight", "data", "ones", "identity")
    assert [Symbol("X", ("n", "n"), role).is_constant for role in roles] == [False, False, True, True]


def test_linear_operator_letters_know_their_direction():
    node = Apply(Differential(SOFTMAX), A, B, by_columns=True)
    assert node.is_linear
    assert node.direction is B
    assert node.with_direction(C) is Apply(Differential(SOFTMAX), A, C, by_columns=True)
    assert not Apply(SOFTMAX, A).is_linear


# Traversals


@given(expressions(differentials=True))
def test_postorder_visits_children_first_and_everything_once(expression):
    order = list(postorder(expression))
    place = {node: index for index, node in enumerate(order)}
    assert len(place) == len(order)
    assert order[-1] is expression
    assert all(place[child] < place[node] for node in order for child in node.children)


@given(expressions(differentials=True))
def test_first_paths_lead_to_every_node_where_a_reader_meets_it_first(expression):
    met = {}

    def read(node, path):
        met.setdefault(node, path)
        for index, child in enumerate(node.children):
            read(child, (*path, index))

    read(expression, ())
    assert first_paths(expression) == met


def test_fold_computes_every_distinct_node_once():
    visited = []
    node = Sum(Product(A, B), Product(Product(A, B), A))
    size = fold(node, lambda part, sizes: visited.append(part) or 1 + sum(sizes))
    assert size == 9
    assert visited == [A, B, Product(A, B), Product(Product(A, B), A), node]


def test_fold_reuses_what_it_is_given():
    assert fold(Sum(A, B), lambda _, sizes: sum(sizes), {A: 3, B: 4}) == 7


def test_contains_looks_everywhere():
    node = Apply(RELU, Sum(A, Product(B, Power("n"))))
    assert contains(node, lambda part: part is Power("n"))
    assert not contains(node, lambda part: part is C)


def test_rebuild_keeps_the_kind():
    assert Sum(A, B).rebuild((B, C)) is Sum(B, C)
    assert Trace(A).rebuild((B,)) is Trace(B)
    assert Apply(SOFTMAX, A, by_columns=True).rebuild((B,)) is Apply(SOFTMAX, B, by_columns=True)
    assert A.rebuild(()) is A
