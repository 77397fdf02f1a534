"""Long words and deep nesting, at Python's default recursion limit."""

import copy
import gc
import pickle
import sys

import pytest

import formcalc as fc
from formcalc.algebra import (
    Apply,
    Hadamard,
    Letter,
    Number,
    Product,
    Sum,
    Symbol,
    Trace,
    contains,
    first_paths,
    postorder,
    transpose,
)
from formcalc.language.sympy_expressions import to_sympy
from formcalc.operators import Differential, operator_named

DEPTH = 10_000
A, B = Letter(Symbol("A", ("n", "n"))), Letter(Symbol("B", ("n", "n")))
SHAPES = {"A": ("n", "n"), "B": ("n", "n")}
SOFTMAX = operator_named("a")


@pytest.fixture(autouse=True)
def _default_recursion_limit():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(limit)


def nested(step):
    node = A
    for _ in range(DEPTH):
        node = step(node)
    return node


STEPS = {
    "operators": lambda node: Apply(SOFTMAX, node),
    "linear operators": lambda node: Apply(Differential(SOFTMAX), A, node),
    "products": lambda node: Product(node, A),
    "sums": lambda node: Sum(A, node),
    "hadamard products": lambda node: Hadamard(node, B),
    "negatives": lambda node: Product(Number(-1), node),
    "traces": lambda node: Product(Trace(node), A),
}
each_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


@each_step
def test_deep_expressions_transpose_twice_to_themselves(step):
    node = nested(step)
    assert transpose(node) is not node
    assert transpose(transpose(node)) is node


@each_step
def test_deep_expressions_parse_back(step):
    node = nested(step)
    assert fc.parse(str(node), SHAPES) is node


@each_step
def test_deep_expressions_pickle_and_copy(step):
    node = nested(step)
    assert pickle.loads(pickle.dumps(node)) is node
    assert copy.deepcopy(node) is node


@each_step
def test_deep_expressions_are_walked(step):
    node = nested(step)
    *_, last = postorder(node)
    assert last is node
    assert contains(node, lambda part: part is A)
    assert not contains(node, lambda part: part.degree > 0)


def test_deep_expressions_have_paths():
    assert first_paths(nested(STEPS["operators"]))[A] == (0,) * DEPTH


def test_deep_expressions_print_in_every_notation():
    node = nested(STEPS["operators"])
    assert fc.latex(node).count(r"\mathrm{a}") == DEPTH
    assert fc.html(node).count("a(") == DEPTH


def test_definitions_nest_deep():
    node = A
    for index in range(DEPTH):
        node = Letter(Symbol(f"F_{index}", ("n", "n"), "defined", Product(node, A)))
    assert pickle.loads(pickle.dumps(node)) is node


def test_deep_expressions_are_freed():
    """A node ten times as deep goes without a word; an ignored exception would be an error here."""
    node = A
    for _ in range(10 * DEPTH):
        node = Apply(SOFTMAX, node)
    del node
    gc.collect()


def test_a_word_of_a_hundred_thousand_letters():
    word = Product(*[A, B] * 50_000)
    assert len(word) == word.length == 100_000
    assert str(word).split() == ["A", "B"] * 50_000
    assert str(transpose(word)).split() == ["B^t", "A^t"] * 50_000
    assert transpose(transpose(word)) is word
    assert pickle.loads(pickle.dumps(word)) is word
    assert copy.deepcopy(word) is word


def test_a_text_of_a_hundred_thousand_letters():
    word = Product(*[A, B] * 50_000)
    assert fc.parse("A B " * 50_000, SHAPES) is word


def test_sympy_gets_deep_products():
    assert to_sympy(Product(*[A] * 1000)).shape[0].name == "n"
