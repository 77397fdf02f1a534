"""Numbers and signs of numpy programs: in few passes, over small arrays; and what is computed stays the same."""

import re

import numpy as np
import pytest
from against_reference import check

import formcalc as fc
from formcalc.errors import EvaluationError

HEADS = """dims B = 3, T = 7, d = 6, h = 3, k = 2
data X[B], Y[B]: T×d
ones C: T×1
weights Q[h], K[h], V[h]: d×k   b[h]: 1×k   O[h]: k×d
q[B,h] = X Q + C b
S[B,h] = k^{-1/2} q K^t X^t
E = Y - X - Σ_h a(S) X V O
loss = 1/2 trace(E^t E)
"""

#: A pass that multiplies an array by a number.
PASS = re.compile(r"np\.(?:multiply\(.*, -?[0-9.e-]+, out=|negative\()")


def passes(form):
    """The lines that multiply an array by a number."""
    return [line.strip() for line in fc.compile(form).source.splitlines() if PASS.search(line)]


def test_a_layer_of_the_encoder_is_scaled_twice():
    # once in Q K^t, for the scores and two terms of the cotangent, and once in X^t U X, for the gradients of Q and K
    form = fc.derive(fc.load("encoder", T=64, d=64, n=64, v=64))
    lines = [line for line in passes(form) if "0.125" in line]
    assert len(lines) == 2
    assert "S_i" not in " ".join(lines)


def test_no_pass_turns_the_sign_of_the_error():
    source = fc.compile(fc.derive(fc.load("encoder"))).source
    assert "np.subtract(X_L, Y, out=minus_E)" in source
    assert "-1.0" not in source


def test_scores_in_heads_are_scaled_in_the_weights():
    source = fc.compile(fc.derive(fc.load("gpt2", T=64, N=64, d=32, h=4, k=8))).source
    number = repr(8**-0.5)
    scaled = [line.strip() for line in source.splitlines() if number in line]
    assert [line for line in scaled if re.search(r"out=(S_i|Gk_i|Gq_i|scaled_Gq_i_t)", line)] == []
    assert any(line.startswith(f"np.multiply(Q_i.transpose(1, 0, 2), {number}") for line in scaled)


def test_engines_that_scale_on_the_way_keep_values_as_they_are():
    source = fc.compile(fc.derive(fc.load("encoder")), "torch").source
    assert "scaled_" not in source.replace("scaled_product", "")
    assert "minus_" not in source


@pytest.mark.parametrize("page", [HEADS, HEADS.replace("Y - X -", "3 X - 2 Y +"), "encoder", "gpt2", "llama", "bert"])
@pytest.mark.parametrize("engine", ["numpy", "jax"])
def test_numbers_elsewhere_change_nothing(page, engine):
    form = fc.derive(fc.load(page))
    check(form, fc.sample(form.model), engine, 1e-10)


def test_an_error_names_the_multiple_that_a_program_keeps():
    form = fc.derive(fc.load(HEADS))
    arrays = {name: array * 1e30 for name, array in fc.sample(form.model).items()}
    with pytest.raises(EvaluationError, match="the first such value is"):
        fc.compile(form, dtype="float32")(arrays)


def test_large_scores_stay_finite():
    form = fc.derive(fc.load(HEADS))
    arrays = {name: array * 10 for name, array in fc.sample(form.model).items()}
    arrays["Q"] = arrays["Q"] * 1000
    result = fc.compile(form, dtype="float32")(arrays)
    assert all(np.isfinite(gradient).all() for gradient in result.gradients.values())


def test_narrow_scores_are_scaled_rather_than_what_is_wider():
    source = fc.compile(fc.derive(fc.load("encoder", T=16, d=64)), "jax").source
    assert "S_i = 0.125 * jnp.matmul(" in source
    assert source.count("0.125 *") == 2  # the scores, and what comes back to them
