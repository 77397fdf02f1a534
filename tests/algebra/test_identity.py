"""Equal means identical: one object per typed key, in every thread, for as long as somebody holds it."""

import copy
import gc
import sys
import threading
import weakref
from enum import IntEnum
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

import formcalc as fc
from formcalc.algebra import (
    Apply,
    Dimension,
    Expression,
    Hadamard,
    Letter,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    Trace,
    fold,
    identity,
    interning,
    ones,
)
from formcalc.operators import OPERATORS, Differential, operator_named
from strategies import LETTERS, expressions

A, B = Letter(Symbol("A", ("n", "n"))), Letter(Symbol("B", ("n", "n")))
RELU = operator_named("relu")


@pytest.mark.parametrize(
    "build",
    [
        lambda: Dimension("n"),
        lambda: Dimension(4),
        lambda: Symbol("A", ("n", "n")),
        lambda: Letter(Symbol("A", ("n", "n")), True, True),
        lambda: Letter(Symbol("F", ("n", "n"), "defined", Product(A, B))),
        lambda: Number(Fraction(2, 4)),
        lambda: Power("n", Fraction(-1, 2)),
        lambda: Product(A, B),
        lambda: Sum(A, B),
        lambda: Hadamard(A, B),
        lambda: Trace(A),
        lambda: Apply(RELU, A),
        lambda: Apply(Differential(RELU), A, B),
        lambda: Differential(RELU),
        lambda: ones("n", 1),
        lambda: identity("n"),
    ],
)
def test_building_twice_gives_one_object(build):
    first, second = build(), build()
    assert first is second
    assert copy.copy(first) is first
    assert copy.deepcopy(first) is first


@given(expressions(differentials=True))
def test_rebuilding_from_the_same_letters_gives_the_same_object(expression):
    assert fold(expression, lambda node, parts: node.rebuild(parts)) is expression


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Dimension(4), Dimension("four")),
        (Number(1), Power(1)),
        (Number(2), Power(2)),
        (Product(A, B), Product(B, A)),
        (Sum(A, B), Sum(B, A)),
        (Sum(A, B), Hadamard(A, B)),
        (Product(A, A, A), Product(Product(A, A), A)),
        (Letter(Symbol("A", ("n", "n"), "data")), A),
        (Letter(Symbol("A", ("n", "m"))), A),
        (Letter(Symbol("A", ("n", "n"), "defined", B)), A),
        (A.transposed, A),
        (A.differential, A),
        (Apply(operator_named("a"), A, by_columns=True), Apply(operator_named("a"), A)),
        (Apply(Differential(RELU, "manual"), A, B), Apply(Differential(RELU), A, B)),
    ],
)
def test_different_things_are_different_objects(one, other):
    assert one is not other
    assert one != other


@pytest.mark.parametrize("wrong", [True, False, 1.0, 0.5, "1", None, 1j, np.float64(1), np.int64(1)])
def test_scalars_are_exact(wrong):
    message = f"scalars are exact: an int or a Fraction, not {wrong!r} ({type(wrong).__name__})"
    for build in (Number, lambda value: Power("n", value)):
        with pytest.raises(TypeError) as error:
            build(wrong)
        assert str(error.value) == message


def test_one_and_true_never_become_one_node():
    assert Number(1) is Number(Fraction(1))
    assert type(Number(1).value) is Fraction
    assert Letter(A.symbol, 1) is A.transposed
    assert A.transposed.is_transposed is True


@pytest.mark.parametrize("scalar", [0.5, 1.0, True, None])
def test_only_exact_scalars_multiply(scalar):
    with pytest.raises(TypeError, match="unsupported operand"):
        A * scalar
    with pytest.raises(TypeError, match="unsupported operand"):
        scalar * A


@pytest.mark.parametrize("combine", [lambda: A + 1, lambda: A - 1, lambda: A @ 2, lambda: 1 + A])
def test_numbers_do_not_add_to_matrices(combine):
    with pytest.raises(TypeError, match="unsupported operand"):
        combine()


def test_subclasses_of_names_and_numbers_are_the_same_dimension():
    class Size(IntEnum):
        WIDTH = 4

    assert Dimension(np.str_("T")) is Dimension("T")
    assert Dimension(Size.WIDTH) is Dimension(4)
    assert type(Dimension(Size.WIDTH).value) is int


@pytest.mark.parametrize(
    "node", [Dimension("n"), A.symbol, A, Number(1), Power("n"), Product(A, B), Sum(A, B), Apply(RELU, A), Trace(A)]
)
def test_nodes_are_immutable(node):
    for name in (*(name for kind in type(node).__mro__ for name in getattr(kind, "__slots__", ())), "new"):
        if name == "__weakref__":
            continue
        with pytest.raises(AttributeError) as error:
            setattr(node, name, None)
        assert str(error.value) == f"{type(node).__name__} is immutable: build a new one instead of setting {name!r}"
        with pytest.raises(AttributeError) as error:
            delattr(node, name)
        assert str(error.value) == f"{type(node).__name__} is immutable: {name!r} cannot be deleted"
    assert not hasattr(node, "__dict__")


def test_rows_of_the_table_are_immutable():
    with pytest.raises(AttributeError, match="cannot assign to field 'name'"):
        OPERATORS[0].name = "n"


def test_threads_build_one_object():
    """Eight threads build the same thousand new words at once, switching as often as Python can."""
    built, start = {}, threading.Barrier(8)

    def build(worker):
        start.wait()
        row = Letter(Symbol("thread", ("n", "n")))
        words = []
        for _ in range(1000):
            row = Apply(RELU, Sum(row, A))
            words.append(row)
        built[worker] = words

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=build, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(built) == 8
    assert all(words == built[0] for words in built.values())


def test_the_table_holds_no_dead_nodes():
    gc.collect()
    before = len(interning._TABLE)
    node: Expression = Letter(Symbol("leak", ("n", "n")))
    for index in range(5000):
        node = Apply(RELU, Sum(node, Product(Number(index + 1000), node)))
    assert len(interning._TABLE) > before + 15000
    watched = weakref.ref(node)
    del node
    gc.collect()
    assert watched() is None
    assert len(interning._TABLE) == before


def test_parsing_again_gives_the_same_object():
    text = "W_{T,d} X_{T,d}^t + trace(J) 1_{T×T}"
    assert fc.parse(text, LETTERS) is fc.parse(text, LETTERS)
