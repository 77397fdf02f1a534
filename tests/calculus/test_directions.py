"""The form along a direction is a page: with heads, tokens, layers and traces, its form is the Hessian times that."""

import jax
import numpy as np
import pytest

import formcalc as fc
from formcalc.numeric.engine import Evaluation
from formcalc.numeric.reference import evaluation
from formcalc.numeric.selection import dense
from formcalc.verify.autodiff import JaxEngine

HEADS = """dims B = 2, T = 3, V = 5, d = 4, k = 2, h = 2, L = 2
tokens x[B], y[B]: T×V
causal M: T×T
ones C: T×1
weights E: V×d  g: 1×d
X_0 = x E
layers i = 0 .. L-1
  weights Q_i[h], K_i[h], V_i[h]: d×k  O_i[h]: k×d  b_i: 1×d
  N_i = norm(X_i, 1e-2) ∘ (C g)
  A_i = a(k^{-1/2} N_i Q_i K_i^t N_i^t, M)
  X_{i+1} = X_i + Σ_h A_i N_i V_i O_i + tanh(X_i) + C b_i
loss = -T^{-1} trace(y^t logsoftmax(X_L E^t))
"""

TRACES = """dims h = 2, B = 2, d = 3
data X[B], Y: d×d
weights W[h], V: d×d
H = tanh(X W)
S = Σ_{h,B} H V W^t
E = Y - S
loss = 1/2 trace(E^t E) + trace(V W) trace(X V) + trace(V V^t + W)
"""

MODELS = {
    "decoder": ("decoder", {"T": 3, "d": 4}),
    "heads and tokens": (HEADS, {}),
    "products of traces": (TRACES, {}),
}


def products_by_jax(model, arrays, directions):
    """The Hessian of the loss times a direction, and the gradient."""
    prepared = evaluation([model.loss], arrays, model.sizes, np.float64)
    fixed = {name: dense(value) for name, value in prepared.arrays.items()}

    def loss(weights):
        rest = {name: jax.numpy.asarray(value) for name, value in fixed.items() if name not in weights}
        return Evaluation(JaxEngine(jax), {**rest, **weights}, prepared.sizes).of(model.loss)

    with jax.enable_x64(True):
        at = {name: jax.numpy.asarray(arrays[name]) for name in model.weights}
        along = {name: jax.numpy.asarray(directions[name]) for name in model.weights}
        _, found = jax.jvp(jax.grad(loss), (at,), (along,))
        return {name: np.asarray(value) for name, value in found.items()}


def twice(model):
    """The form derived again, a sample of its letters, and the directions among them."""
    second = fc.derive(fc.derive(model))
    arrays = fc.sample(second.model)
    return second, arrays, {name: arrays[f"t{name}"] for name in model.weights}


@pytest.mark.parametrize("name", MODELS)
def test_the_form_derived_again_is_the_hessian_along_a_direction(name):
    page, sizes = MODELS[name]
    model = fc.load(page, **sizes)
    second, arrays, directions = twice(model)
    found = fc.evaluate(second, arrays)
    expected = products_by_jax(model, arrays, directions)
    scale = max(abs(value).max() for value in expected.values())
    assert set(found) == set(expected) == set(model.weights)
    for weight in model.weights:
        error = abs(found[weight].swapaxes(-1, -2) - expected[weight]).max()
        assert error <= 1e-9 * max(abs(expected[weight]).max(), 1e-6 * scale), weight
    assert scale > 1e-3


def test_the_loss_of_the_form_along_a_direction_is_the_slope_of_the_loss():
    model = fc.load("encoder", T=3, d=4, L=1)
    second, arrays, directions = twice(model)
    slope = fc.evaluate(second.model.loss, arrays, **second.model.sizes)
    step = 1e-5

    def loss(distance):
        moved = {name: arrays[name] + distance * direction for name, direction in directions.items()}
        return fc.evaluate(model.loss, {**arrays, **moved}, **model.sizes)

    ahead, behind = loss(step), loss(-step)
    assert slope == pytest.approx(-(ahead - behind) / (2 * step), rel=1e-7)


def test_the_hessian_is_symmetric():
    model = fc.load(TRACES)
    second, arrays, first = twice(model)
    other = {name: np.random.default_rng(9).normal(size=value.shape) for name, value in first.items()}

    def product(directions):
        given = {**arrays, **{f"t{name}": value for name, value in directions.items()}}
        return {name: value.swapaxes(-1, -2) for name, value in fc.evaluate(second, given).items()}

    def inner(one, two):
        return sum(np.vdot(one[name], two[name]) for name in first)

    assert inner(product(first), other) == pytest.approx(inner(first, product(other)), rel=1e-12)


def test_the_page_of_the_second_derivative_does_not_grow_with_depth():
    def lines(layers):
        return str(fc.derive(fc.derive(fc.load("encoder", L=layers))))

    assert lines(1) == lines(2) == lines(40)


def test_the_page_of_the_second_derivative_reads_back():
    second = fc.derive(fc.derive(fc.load("encoder", T=3, d=4)))
    again = fc.derive(fc.load(second.page, **second.model.sizes))
    assert again.keys() == second.keys()
    assert all(again[name] is second[name] for name in second)


def test_the_form_along_a_direction_is_a_page_with_a_direction_for_every_weight():
    model = fc.derive(fc.derive(fc.load(TRACES))).model
    assert model.name == "page, along a direction"
    assert model.title == "the form of page along a direction"
    assert model.weights == ["W", "V"]
    assert [name for name, letter in model.letters.items() if letter.role == "data"] == ["X", "Y", "tW", "tV"]
    assert model.shapes["tW"] == model.shapes["W"] == (2, 3, 3)


def test_a_letter_that_is_named_like_a_direction_is_left_alone():
    page = "dims d = 2\ndata tW: d×d\nweights W: d×d\nloss = trace(tW W W)\n"
    second = fc.derive(fc.derive(fc.load(page)))
    assert set(second.model.letters) == {"tW", "W", "ttW"}
    assert str(second) == "dW : tW ttW + ttW tW"


def test_third_derivatives_of_a_polynomial():
    """trace(W W W) has the third differential 6 trace(t t t)."""
    third = fc.derive(fc.load("dims d = 3\nweights W: d×d\nloss = trace(W W W)\n"))
    for _ in range(2):
        third = fc.derive(third)
    arrays = fc.sample(third.model)
    names = [name for name in third.model.letters if name != "W"]
    given = {**arrays, **dict.fromkeys(names, arrays[names[0]])}
    t = arrays[names[0]]
    assert np.trace(fc.evaluate(third, given)["W"] @ t) == pytest.approx(-6 * np.trace(t @ t @ t), rel=1e-12)


SUMS_OVER_LAYERS = """dims T = 3, d = 4, L = 3
data X_0, Y: T×d
layers i = 0 .. L-1
  weights Q_i: d×d
  X_{i+1} = tanh(X_i Q_i)
S = Σ_i (X_i Q_i - 2 X_{i+1})
E = Y - X_L - S
loss = 1/2 trace(E^t E)
"""


def test_cotangents_of_one_layer_and_of_the_next_have_names_of_their_own():
    """A sum over layers that uses both X_i and X_{i+1} hands two cotangents of each state to the layers before it."""
    second = fc.derive(fc.derive(fc.load(SUMS_OVER_LAYERS)))
    names = [letter.name for letter in (*second.model.definitions, *second.cotangents)]
    assert len(names) == len(set(names))
    report = fc.verify(second, oracle="jax")
    assert report.ok, report
