"""A form is a page, and is derived again: Hessian-vector products against jax."""

import jax
import numpy as np
import pytest

import formcalc as fc
from formcalc.numeric.engine import Evaluation
from formcalc.numeric.reference import evaluation
from formcalc.numeric.selection import dense
from formcalc.operators import OPERATORS
from formcalc.verify.autodiff import JaxEngine

TWO_LAYERS = """dims T = 3, d = 4, L = 2
data X_0, Y: T×d
mask M: T×d
weights U: d×d
layers i = 0 .. L-1
  weights V_i, W_i: d×d
  P_i = {argument}
  X_{{i+1}} = {operator} W_i + X_i
E = Y - X_L U
loss = 1/2 trace(E^t E)
"""

ARGUMENTS = {
    "real": "X_i V_i",
    "positive": "(X_i V_i) ∘ (X_i V_i) + 1_{T×d}",
    "nonzero": "(X_i V_i) ∘ (X_i V_i) + 1_{T×d}",
}


def hessian_along(model, arrays):
    """``H t`` of the loss by jax: forward over reverse."""

    prepared = evaluation([model.loss], arrays, model.sizes, np.float64)
    known = {name: dense(array) for name, array in prepared.arrays.items()}

    def loss(weights):
        rest = {name: jax.numpy.asarray(array) for name, array in known.items() if name not in weights}
        return Evaluation(JaxEngine(jax), {**rest, **weights}, model.sizes).of(model.loss)

    with jax.enable_x64(True):
        at = {name: jax.numpy.asarray(arrays[name]) for name in model.weights}
        # a weight that the loss does not depend on has no direction
        along = {name: jax.numpy.asarray(arrays.get(f"t{name}", 0 * arrays[name])) for name in model.weights}
        found = jax.jvp(jax.grad(loss), (at,), (along,))[1]
        return {name: np.asarray(value) for name, value in found.items()}


def agrees(model):
    hessian = fc.derive(fc.derive(model))
    arrays = fc.sample(hessian.model, seed=3)
    ours, theirs = fc.evaluate(hessian, arrays), hessian_along(model, arrays)
    scale = max(abs(value).max() for value in theirs.values())
    for name in model.weights:
        assert abs(ours[name].swapaxes(-1, -2) - theirs[name]).max() <= 1e-9 * max(
            abs(theirs[name]).max(), 1e-6 * scale
        )
    return scale


@pytest.mark.parametrize("by", ["rows", "columns"])
@pytest.mark.parametrize("row", OPERATORS, ids=lambda row: row.name)
def test_every_operator_in_two_layers(row, by):
    name = row.name + ("^t" if by == "columns" and not row.is_elementwise else "")
    constant = {"scalar": ", 1e-2", "mask": ", M", None: ""}[row.constant]
    text = TWO_LAYERS.format(argument=ARGUMENTS[row.domain], operator=f"{name}(P_i{constant})")
    assert agrees(fc.load(text)) > 1e-3


@pytest.mark.parametrize("page", ["encoder", "encoder-linear", "encoder-product"])
def test_the_encoders(page):
    assert agrees(fc.load(page, L=2, T=3, n=2)) > 1e-3


@pytest.mark.parametrize("page", ["gpt2", "llama", "bert"])
def test_whole_transformers(page):
    assert agrees(fc.load(page, L=1, T=3, B=2, V=5, f=3)) > 1e-3
