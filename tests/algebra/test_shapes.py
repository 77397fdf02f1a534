"""The exact text of every shape error."""

import pytest

from formcalc.algebra import (
    Apply,
    AxisSum,
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
    excerpt,
    identity,
    ones,
    shape_text,
)
from formcalc.errors import FormcalcError, ShapeError
from formcalc.operators import Differential, operator_named

A = Letter(Symbol("A", ("T", "d")))
B = Letter(Symbol("B", ("n", "d")))
S = Letter(Symbol("S", ("n", "n")))
b = Letter(Symbol("b", (1, "d")))
RELU, SOFTMAX = operator_named("m"), operator_named("a")
WORD = Product(*[S] * 40)

ERRORS = {
    # dimensions
    "a dimension is a name or a positive integer, not 1.0": lambda: Dimension(1.0),
    "a dimension is a name or a positive integer, not True": lambda: Dimension(True),
    "a dimension is a name or a positive integer, not None": lambda: Letter(Symbol("X", ("T", None))),
    "a dimension is at least 1, not 0": lambda: ones("T", 0),
    "a dimension is at least 1, not -2": lambda: Power(-2),
    "dimension '4' is text: write the integer 4": lambda: Dimension("4"),
    # letters
    "X: a letter is a matrix and has two dimensions, not 1": lambda: Symbol("X", ("T",)),
    "X: a letter is a matrix and has two dimensions, not 3": lambda: Symbol("X", ("T", "d", "n")),
    "X: unknown role 'wight'; the roles are weight, data, mask, tokens, defined, ones, identity, positions, causal, "
    "distance, slopes, sinusoidal, cosines, sines, quarterturn": lambda: Symbol("X", ("T", "d"), "wight"),
    "Q: axes are different names of dimensions, not [h,h]": lambda: Symbol("Q", ("d", "k"), layout=("h", "h")),
    "Q: axes are different names of dimensions, not [4]": lambda: Symbol("Q", ("d", "k"), layout=(4,)),
    "2 is a scalar and has no axes to sum over": lambda: AxisSum(Number(2), ["h"]),
    "X: a letter has the role 'defined' exactly when it has a definition": lambda: Symbol("X", ("T", "d"), "defined"),
    "Z: a letter has the role 'defined' exactly when it has a definition": lambda: Symbol("Z", ("T", "d"), "data", A),
    "I: an identity is square, not T×d": lambda: Symbol("I", ("T", "d"), "identity"),
    "X: its definition has another shape": lambda: Symbol("X", ("d", "T"), "defined", A),
    # products
    "a product needs at least one factor": lambda: Product(),
    "A B: A has d columns, B has n rows": lambda: Product(A, B),
    "b A: b has d columns, A has T rows": lambda: Product(b, A),
    "A b: A has d columns, b has 1 row": lambda: Product(A, b),
    "b^t A: b^t has 1 column, A has T rows": lambda: Product(b.transposed, A),
    "A B: A has d columns, B has n rows ": lambda: Product(Number(2), A, Power("n"), B),
    "A + A B: A + A has d columns, B has n rows": lambda: Product(Sum(A, A), B),
    # sums and Hadamard products
    "a sum needs at least one operand": lambda: Sum(),
    "A + B: A is T×d, B is n×d": lambda: Sum(A, B),
    "A + A^t: A is T×d, A^t is d×T": lambda: Sum(A, A, A.transposed),
    "A + 1: A is T×d, 1 is scalar": lambda: Sum(A, Number(1)),
    "A + -B: A is T×d, -B is n×d": lambda: A - B,
    "a Hadamard product needs at least one operand": lambda: Hadamard(),
    "A ∘ B: A is T×d, B is n×d": lambda: Hadamard(A, B),
    "2 ∘ n: scalars multiply without ∘": lambda: Hadamard(Number(2), Power("n")),
    # traces and one-forms
    "trace(A): the operand is T×d, not square": lambda: Trace(A),
    "trace(n): the operand is scalar, not square": lambda: Trace(Power("n")),
    "a one-form needs at least one word": lambda: OneForm(),
    "dA is T×d: a word under a trace is square": lambda: OneForm(S.differential, A.differential),
    "2 is scalar: a word under a trace is square": lambda: OneForm(S.differential, Number(2)),
    "A A^t carries no differential: it is no word of a one-form": lambda: OneForm(
        S.differential, Product(A, A.transposed)
    ),
    # operators
    "m(dA): a differential stands in an argument that m is not linear in; "
    "differentiate m(...) as a whole with d": lambda: Apply(RELU, A.differential),
    "mm(dA): a differential stands in an argument that mm is not linear in; "
    "differentiate mm(...) as a whole with d": lambda: Apply(Differential(RELU), A.differential, A),
    "m takes 1 argument, not 0": lambda: Apply(RELU),
    "a(2): the argument is a scalar, a takes a matrix": lambda: Apply(SOFTMAX, Number(2)),
    "mm takes 2 arguments, mm(P, R), not 3": lambda: Apply(Differential(RELU), A, A, A),
    "mm(A, B): A is T×d, B is n×d": lambda: Apply(Differential(RELU), A, B),
    "aa(A, A^t): A is T×d, A^t is d×T; write aa(A^t, ...)": lambda: Apply(Differential(SOFTMAX), A, A.transposed),
    "mm(2, n): 2 is scalar, n is scalar": lambda: Apply(Differential(RELU), Number(2), Power("n")),
    "in the manual's dialect aa takes 1 argument, not 2": lambda: Apply(Differential(SOFTMAX, "manual"), S, S),
    "aa(A): the manual writes aa(S) for square S, this is T×d": lambda: Apply(Differential(SOFTMAX, "manual"), A),
    "mm(A, B): A is T×d, B is n×d ": lambda: Apply(Differential(RELU, "manual"), A, B),
}


@pytest.mark.parametrize(("message", "build"), ERRORS.items())
def test_message(message, build):
    with pytest.raises(ShapeError) as error:
        build()
    assert str(error.value) == message.rstrip()


def test_shape_errors_are_errors_of_the_user():
    assert issubclass(ShapeError, FormcalcError)
    assert issubclass(ShapeError, ValueError)


def test_long_operands_are_cut_in_the_middle():
    assert excerpt(S) == "S"
    assert excerpt(WORD) == "S S S S S S S S S S S S S S S  ... S S S S S S S S S S S S S"
    with pytest.raises(ShapeError) as error:
        Product(WORD, A)
    assert str(error.value) == f"{excerpt(WORD)} A: {excerpt(WORD)} has n columns, A has T rows"


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        (Product(A, B.transposed), "T×n"),
        (Product(Number(2), A, Power("n")), "T×d"),
        (Product(Number(2), Power("n")), "scalar"),
        (Trace(S), "scalar"),
        (Apply(SOFTMAX, A, by_columns=True), "T×d"),
        (Apply(Differential(RELU, "manual"), A.transposed, A), "T×d"),
        (Apply(Differential(SOFTMAX, "manual"), S), "n×n"),
        (identity("T"), "T×T"),
        (ones("T", 1), "T×1"),
    ],
)
def test_shape_of_results(node, shape):
    assert shape_text(node.shape) == shape
