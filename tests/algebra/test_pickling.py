"""Pickling gives back the identical object, here and in another process."""

import copy
import pickle
import subprocess
import sys

import pytest
from hypothesis import given

from formcalc.algebra import Apply, Dimension, Letter, Number, Product, Sum, Symbol
from formcalc.operators import operator_named
from strategies import expressions, one_forms

A, B = Letter(Symbol("A", ("n", "n"))), Letter(Symbol("B", ("n", "n")))

each_protocol = pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))


@given(expressions(differentials=True))
def test_round_trip_is_the_identity(expression):
    assert pickle.loads(pickle.dumps(expression)) is expression
    assert copy.deepcopy(expression) is copy.copy(expression) is expression


@given(one_forms())
def test_one_forms_round_trip(form):
    assert pickle.loads(pickle.dumps(form)) is form


@each_protocol
def test_every_protocol_round_trips(protocol):
    F = Letter(Symbol("F", ("n", "n"), "defined", Sum(A, Product(Number(-2), B))))
    for thing in (Dimension("n"), Dimension(4), A.symbol, F.symbol, F.transposed, Product(F, A.differential)):
        assert pickle.loads(pickle.dumps(thing, protocol)) is thing


def test_definitions_of_definitions_round_trip():
    F = A
    for index in range(5):
        F = Letter(Symbol(f"F_{index}", ("n", "n"), "defined", Product(F, F.transposed)))
    assert pickle.loads(pickle.dumps(F)) is F
    assert pickle.loads(pickle.dumps(F.symbol)) is F.symbol


def test_containers_keep_identity():
    pair = (A, [Product(A, B)])
    assert copy.deepcopy(pair)[1][0] is pair[1][0]
    assert pickle.loads(pickle.dumps(pair))[1][0] is pair[1][0]


def test_another_process_rebuilds_every_kind_of_node():
    softmax = Apply(operator_named("aa"), A, Sum(B.differential, A.differential.transposed), by_columns=True)
    expression = Product(Number(-1), softmax, B)
    program = "import pickle, sys; e = pickle.load(sys.stdin.buffer); print(e); sys.stdout.flush()"
    run = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(expression), capture_output=True, check=True
    )
    assert run.stdout.decode().strip() == "-aa^t(A, dB + dA^t) B"
