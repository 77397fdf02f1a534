"""Values that lie in the memory of gradients until these are made."""

import gc
import weakref

import numpy as np
import pytest
from against_reference import check

import formcalc as fc
from formcalc.numeric.program import hosting

#: The gradient of the embedding is made last, and large.
EMBEDDED = """dims B = 2, T = 5, d = 4, V = 64, L = 3
tokens x[B]: T×V
weights E: V×d
data Y[B]: T×d
X_0[B] = x[B] E
layers i = 0 .. L-1
  weights W_i: d×d
  X_{i+1}[B] = X_i[B] + tanh(X_i[B] W_i)
loss = 1/2 trace((Y[B] - X_L[B])^t (Y[B] - X_L[B]))
"""

#: What each layer keeps is read by two loops, and the last state in every layer of one.
TWICE = """dims T = 3, d = 4, L = 3
data X_0, Y: T×d
layers i = 0 .. L-1
  weights W_i, U_i: d×d
  X_{i+1} = tanh(X_i W_i) U_i
layers j = 0 .. L-1
  weights V_j: d×d
  Z_j = X_L V_j
E = Y - X_L
loss = 1/2 trace(E^t E) + Σ_j 1/2 trace(Z_j^t Z_j) + Σ_i 1/2 trace(X_{i+1}^t X_{i+1})
"""


def scopes(program):
    """How often values have places in gradients."""
    return {block.guest.scope for block in program.memory.blocks.values() if block.guest is not None}


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize(
    ("page", "sizes"),
    [
        *(("encoder", {"L": L, "T": 6, "d": 4}) for L in (1, 2, 3)),
        *(("gpt2", {"L": L}) for L in (1, 3)),
        ("llama", {}),
        ("bert", {}),
        (EMBEDDED, {}),
        (TWICE, {}),
    ],
    ids=lambda value: (
        value.partition(" ")[0] + ("…" if "\n" in value else "") if isinstance(value, str) else str(value)
    ),
)
def test_what_lies_in_gradients_is_there_when_it_is_read(page, sizes, engine):
    form = fc.derive(fc.load(page, **sizes))
    assert scopes(fc.compile(form, engine))
    check(form, fc.sample(form.model), engine, 1e-10)


def test_what_a_layer_keeps_lies_in_the_gradients_of_the_layer_below():
    form = fc.derive(fc.load("encoder", L=4, T=6, d=16))
    program = fc.compile(form)
    assert scopes(program) == {"layer", "layers"}
    assert program.memory.workspace < program.memory.outputs


def test_what_is_kept_needs_no_more_memory_with_depth_than_gradients_do():
    # with more columns than rows every value of a layer is smaller than its gradients
    few, many = (fc.compile(fc.derive(fc.load("encoder", L=L, T=6, d=16))) for L in (4, 12))
    assert many.memory.workspace == pytest.approx(few.memory.workspace, rel=0.01)


def test_small_values_stay_in_the_workspace(monkeypatch):
    monkeypatch.setattr(hosting, "LEAST", 4096)
    assert scopes(fc.compile(fc.derive(fc.load("encoder", L=3)))) == set()
    assert "layers" in scopes(fc.compile(fc.derive(fc.load("encoder", L=3, T=64, d=64))))


def test_gradients_are_the_callers_alone():
    form = fc.derive(fc.load("encoder", L=3))
    program = fc.compile(form)
    arrays = fc.sample(form.model)
    first = program(arrays).gradients
    before = {name: gradient.copy() for name, gradient in first.items()}
    other = {name: array * 2 if array.dtype.kind == "f" else array for name, array in arrays.items()}
    second = program(other).gradients
    for name, gradient in first.items():
        np.testing.assert_array_equal(gradient, before[name])
        assert not np.shares_memory(gradient, second[name])
    known = [weakref.ref(gradient) for gradient in first.values()]
    del first, gradient
    gc.collect()
    assert all(reference() is None for reference in known)
