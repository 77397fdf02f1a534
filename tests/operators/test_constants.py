"""Operators with a second argument that is not differentiated: masks, and the ε of norms."""

import jax
import numpy as np
import pytest
import torch

import formcalc as fc
from formcalc.algebra import Apply, Letter, Power, Product, Symbol, Trace, transpose
from formcalc.calculus import unfold
from formcalc.errors import FormError, ShapeError
from formcalc.operators import OPERATORS, Differential, operator_named
from substitution import fresh

P, R, M = (Letter(Symbol(name, ("T", "c"))) for name in "PRM")
DRAWN = np.random.default_rng(0)
ARRAYS = {
    "P": DRAWN.normal(size=(3, 4)),
    "R": DRAWN.normal(size=(3, 4)),
    "M": np.array([[1.0, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1]]),
}
EPSILON = Power("c", -2)  # a scalar expression, 1/16 here

CASES = [(row, M if row.constant == "mask" else EPSILON) for row in OPERATORS if row.constant]
each_case = pytest.mark.parametrize(("row", "constant"), CASES, ids=[row.name for row, _ in CASES])


def value(constant):
    return ARRAYS["M"] if constant is M else 1 / 16


def close(got, expected, tolerance=1e-13):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_the_rows_with_a_constant_are_softmax_and_the_norms():
    assert {row.name: row.constant for row, _ in CASES} == {"a": "mask", "norm": "scalar", "rms": "scalar"}


@each_case
def test_the_value_is_that_of_jax_and_torch(row, constant):
    found = fc.evaluate(Apply(row, P, constant), ARRAYS)
    with jax.enable_x64(True):
        close(found, row.jax(jax, jax.numpy.asarray(ARRAYS["P"]), jax.numpy.asarray(value(constant))))
    fixed = torch.tensor(value(constant)) if constant is M else value(constant)
    close(found, row.torch(torch, torch.tensor(ARRAYS["P"]), fixed).numpy())


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_the_norms_and_their_gradients_are_those_of_torch(name):
    at = torch.tensor(ARRAYS["P"], requires_grad=True)
    value = getattr(torch.nn.functional, name)(at, at.shape[-1:], eps=1 / 16)
    expression = fc.parse(f"{name}(P, c^{{-2}})", {"P": P})
    close(fc.evaluate(expression, ARRAYS), value.detach().numpy())
    value.backward(torch.tensor(ARRAYS["R"]))
    pulled = Apply(Differential(expression.operator), P, EPSILON, R)
    close(fc.evaluate(pulled, ARRAYS), at.grad.numpy())


@each_case
def test_by_columns_is_the_transpose(row, constant):
    expression = Apply(row, P, constant)
    turned = Apply(row, transpose(P), transpose(constant), by_columns=True)
    assert transpose(expression) is turned
    close(fc.evaluate(turned, ARRAYS), fc.evaluate(expression, ARRAYS).T)


@each_case
def test_the_differential_is_that_of_jax_and_of_its_unfolding(row, constant):
    letter = Apply(Differential(row), P, constant, R)
    found = fc.evaluate(letter, ARRAYS)
    with jax.enable_x64(True):
        at, along, fixed = map(jax.numpy.asarray, (ARRAYS["P"], ARRAYS["R"], value(constant)))
        close(found, jax.jvp(lambda x: row.jax(jax, x, fixed), (at,), (along,))[1])
    close(found, fc.evaluate(unfold(letter), ARRAYS))


@each_case
@pytest.mark.parametrize("by_columns", [False, True])
def test_the_letter_shifts_with_its_constant(row, constant, by_columns):
    A, B = Letter(Symbol("A", ("k", "T"))), Letter(Symbol("B", ("c", "k")))
    word = Product(A, Apply(Differential(row), P, constant, R.differential, by_columns=by_columns), B)
    arrays = {**ARRAYS, "dR": ARRAYS["R"], "A": DRAWN.normal(size=(2, 3)), "B": DRAWN.normal(size=(4, 2))}
    shifted = fc.shift_mm(word)
    assert shifted[-1] is R.differential
    close(fc.evaluate(Trace(fresh(shifted)), arrays), fc.evaluate(Trace(fresh(word)), arrays))


@each_case
def test_text_parses_back(row, constant):
    letters = {"P": P, "R": R, "M": M}
    for node in (Apply(row, P, constant), Apply(Differential(row), P, constant, R)):
        assert fc.parse(str(node), letters) is node


def test_what_is_masked_is_zero_and_the_rest_is_softmax():
    found = fc.evaluate(fc.parse("a(P, M)", {"P": P, "M": M}), ARRAYS)
    assert (found[ARRAYS["M"] == 0] == 0).all()
    close(found.sum(axis=1), 1)
    close(found[0, [0, 2]], np.exp(ARRAYS["P"][0, [0, 2]]) / np.exp(ARRAYS["P"][0, [0, 2]]).sum())


def test_a_row_that_is_masked_everywhere_has_value_and_derivative_zero():
    arrays = {**ARRAYS, "M": np.zeros((3, 4))}
    assert not fc.evaluate(Apply(operator_named("a"), P, M), arrays).any()
    assert not fc.evaluate(Apply(operator_named("aa"), P, M, R), arrays).any()


def test_masked_scores_of_any_size_do_not_overflow():
    arrays = {**ARRAYS, "P": np.array([[1e4, 1e300, -1e4, 0]] * 3), "M": np.array([[1.0, 0, 1, 1]] * 3)}
    close(fc.evaluate(Apply(operator_named("a"), P, M), arrays)[0], [1, 0, 0, 0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a(P, X)", "a(P, X): X is c×T, it should be a mask, T×c as P"),
        ("aa(P, 2, R)", "aa(P, 2, ...): 2 is scalar, it should be a mask, T×c as P"),
        ("norm(P, -1/2)", "norm(P, -1/2): -1/2 is negative, ε is 0 or more"),
        ("rms'(P, -1, R)", "rms'(P, -1, ...): -1 is negative, ε is 0 or more"),
        ("norm(P, R)", "norm(P, R): R is T×c, it should be a scalar"),
        ("rms'(P, P, R)", "rms'(P, P, ...): P is T×c, it should be a scalar"),
    ],
)
def test_a_constant_of_another_shape_is_refused(text, said):
    letters = {"P": P, "R": R, "X": ("c", "T")}
    with pytest.raises(fc.FormcalcError) as error:
        fc.parse(text, letters)
    assert str(error.value).startswith(said)


def test_shapes_are_checked_where_nodes_are_built():
    with pytest.raises(ShapeError):
        Apply(operator_named("norm"), P, R)


def test_a_mask_that_depends_on_a_weight_is_refused():
    with pytest.raises(FormError) as error:
        fc.d(fc.parse("a(P, M)", {"P": P, "M": M}))
    assert str(error.value) == "the second argument of a(P, M) is not differentiated, and depends on a weight"


DECODER = """# A pre-LN decoder with a causal mask, a gated feed-forward part and the cross-entropy of the next token
dims T = 5, d = 4, k = 3, h = 6, V = 7, L = 2
data X_0: T×d, Y: T×V
ones C: T×1
causal M: T×T
weights U: d×V
layers i = 0 .. L-1
  weights Q_i, K_i, V_i: d×k   O_i: k×d   A_i, F_i: d×h   B_i: h×d   g_i, p_i, r_i: 1×d
  N_i     = norm(X_i, 1e-5) ∘ (C g_i) + C p_i
  H_i     = X_i + a(k^{-1/2} N_i Q_i K_i^t N_i^t, M) N_i V_i O_i
  R_i     = rms(H_i, 1e-6) ∘ (C r_i)
  X_{i+1} = H_i + (silu(R_i F_i) ∘ (R_i A_i)) B_i
Z    = X_L U
loss = -T^{-1} trace(Y^t logsoftmax(Z))
"""


@pytest.mark.parametrize("oracle", ["finite-difference", "jax", "torch"])
def test_a_decoder_with_its_cross_entropy_is_verified(oracle):
    model = fc.load(DECODER)
    arrays = {**fc.sample(model), "Y": np.eye(7)[[1, 3, 0, 6, 2]]}
    report = fc.verify(fc.derive(model), arrays, oracle=oracle)
    assert report.ok, report


def test_the_gradient_of_cross_entropy_is_softmax_minus_the_target():
    model = fc.load("dims T = 3, V = 5\ndata Y: T×V\nweights Z: T×V\nloss = -T^{-1} trace(Y^t logsoftmax(Z))\n")
    Z, Y = fc.sample(model)["Z"], np.eye(5)[[4, 0, 2]]
    found = fc.evaluate(fc.derive(model), {"Z": Z, "Y": Y})["Z"]
    softmax = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    close(found, -(softmax - Y).T / 3)
