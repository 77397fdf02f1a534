"""Fused primitives of programs: where they stand for several steps, where they must not, and their numbers."""

import numpy as np
import pytest
from against_reference import check

import formcalc as fc

HEADS = """dims B = 2, T = 6, d = 6, h = 3, k = 2
data X[B], Y[B]: T×d
causal M: T×T
weights Q[h], K[h], V[h]: d×k   O[h]: k×d
S[B,h] = k^{-1/2} X Q K^t X^t
E = Y - X - Σ_h a(S, M) X V O
loss = 1/2 trace(E^t E)
"""
GROUPED = HEADS.replace("K[h], V[h]", "R: d×d   K, V")
BIASED = HEADS.replace("weights ", "weights D: T×T   ").replace("X Q K^t X^t", "X Q K^t X^t + D")
WIDE = HEADS.replace("k = 2", "k = 7")
SCORES_IN_LOSS = HEADS.replace("trace(E^t E)", "trace(E^t E) + trace(a(S, M))")
NORM = """dims T = 4, d = 5
data X, Y: T×d
ones C: T×1
weights W, U: d×d   g, b: 1×d
E = Y - (norm(X W, 1e-5) ∘ (C g) + C b) U
loss = 1/2 trace(E^t E)
"""
RMS = NORM.replace("norm(X W, 1e-5) ∘ (C g) + C b", "rms(X W, 1e-5) ∘ (C g)").replace("g, b", "g")
NORM_WITHOUT_BIAS = NORM.replace(" + C b", "").replace("g, b", "g")
NORM_READ_TWICE = NORM.replace("C b)", "C b) U - norm(X W, 1e-5)")
TARGETS = """dims T = 5, d = 3, V = 7, n = 5
tokens y: T×V
data X: T×d   B: T×V
weights W: d×V   g: 1×1
Z = X W
loss = -n^{-1} trace(y^t logsoftmax(Z))
"""
ROTARY = """dims B = 2, T = 5, d = 3, k = 4
data X[B]: T×d   Y[B]: T×k
cosines c: T×k
sines s: T×k
quarterturn J: k×k
weights U: d×d   W: d×k   V: k×k
N = tanh(X U)
q = (N W) ∘ c + (N W J) ∘ s
E = Y - a(q V)
loss = 1/2 trace(E^t E)
"""


ROTARY_SCALED = ROTARY.replace("q = (N W) ∘ c + (N W J) ∘ s", "q = k^{-1/2} ((N W) ∘ c + (N W J) ∘ s)")


def compiled(text, dtype="float64"):
    form = fc.derive(fc.load(text))
    return form, fc.compile(form, "torch", dtype)


@pytest.mark.parametrize(
    ("text", "fires", "does_not"),
    [
        (HEADS, ["masked_attention(", "masked_attention_slope("], ["softmax("]),
        (HEADS.replace("a(S, M)", "a(S)"), [" attention(", " attention_slope("], ["softmax(", "masked"]),
        (BIASED, ["softmax("], ["attention"]),  # the cotangent of the scores is a gradient
        (WIDE, ["softmax("], ["attention"]),  # heads wider than there are keys
        (SCORES_IN_LOSS, ["softmax("], ["attention"]),
        (NORM, ["layer_norm(", "layer_norm_slope("], [" norm(", " norm_slope("]),
        (NORM_WITHOUT_BIAS, ["norm("], ["layer_norm"]),
        (RMS, ["rms_norm(", "rms_norm_slope("], [" rms(", " rms_slope("]),
        (RMS.replace("E = Y -", "E = Y - rms(X W, 1e-5) -"), [" rms("], ["rms_norm"]),
        (NORM_READ_TWICE, ["norm("], ["layer_norm"]),
        ("encoder", ["accumulate(b_i, ", "scaled_product("], []),
        (TARGETS, ["cross_entropy_slope("], ["one_hot", " softmax("]),
        (TARGETS.replace("n^{-1}", "trace(g)"), ["cross_entropy_slope(t"], ["one_hot", " softmax("]),
        (TARGETS.replace("loss =", "loss = trace(B^t a(Z))"), [" softmax("], ["cross_entropy"]),
        (ROTARY, ["rotated(", "rotated_back("], ["turned"]),
        (ROTARY.replace("+ (N W J)", "- (N W J)"), ["turned(", "turned_back("], ["rotated"]),
        (ROTARY_SCALED, ["rotated(", "rotated_back("], ["turned"]),
    ],
    ids=[
        *("heads", "no mask", "biased scores", "wide heads", "scores in the loss", "norm", "no bias"),
        *("rms norm", "rms norm read twice", "norm read twice", "sums"),
        *("cross-entropy", "factor", "softmax in the loss", "rotary", "turned the other way", "rotary, scaled"),
    ],
)
def test_patterns(text, fires, does_not):
    form, program = compiled(text)
    code = "\n".join(line.partition("  # ")[0] for line in program.source.splitlines())
    assert [pattern for pattern in fires if pattern not in code] == []
    assert [pattern for pattern in does_not if pattern in code] == []
    check(form, fc.sample(form.model), "torch", 1e-11)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_numbers_go_into_rotations(engine):
    form = fc.derive(fc.load("llama"))
    source = fc.compile(form, engine).source
    assert source.count(" rotated(") == source.count(" rotated_back(") == 2
    assert "turned" not in source
    check(form, fc.sample(form.model), engine)


@pytest.mark.parametrize("engine", ["numpy", "jax"])
def test_cross_entropy_in_other_engines(engine):
    form = fc.derive(fc.load(TARGETS))
    source = fc.compile(form, engine).source
    assert "cross_entropy_slope(" in source
    assert "one_hot" not in source
    arrays = dict(fc.sample(form.model))
    arrays["y"] = np.array([3, -1, 0, -1, 6])
    check(form, arrays, engine)


def test_engines_without_the_primitives_have_the_steps():
    form = fc.derive(fc.load(HEADS))
    assert "attention" not in fc.compile(form, "jax").source
    assert "attention" not in fc.compile(form, "numpy").source


def test_rows_masked_everywhere_in_fused_attention():
    sizes = {"T": 6, "k": 2, "L": 1}
    form = fc.derive(fc.load("gpt2", **sizes))
    program = fc.compile(form, "torch")
    assert "masked_attention_slope(" in program.source
    arrays = dict(fc.sample(form.model))
    arrays["p"] = np.zeros_like(arrays["p"])
    arrays["p"][0, 0, 3:] = 1
    check(form, arrays, "torch")


def test_large_scores_stay_finite_in_fused_attention():
    form, program = compiled(HEADS, "float32")
    assert "masked_attention_slope(" in program.source
    arrays = {name: array * 10 for name, array in fc.sample(form.model).items()}
    arrays["Q"] = arrays["Q"] * 100
    result = program(arrays)
    assert all(np.isfinite(np.asarray(gradient)).all() for gradient in result.gradients.values())


@pytest.mark.parametrize("text", [HEADS, NORM, "gpt2", "llama"])
def test_bfloat16(text):
    form, program = compiled(text, "bfloat16")
    result = program(fc.sample(form.model))
    reference = fc.evaluate(form, fc.sample(form.model))
    largest = max(abs(value).max() for value in reference.values())
    for name, value in reference.items():
        assert abs(np.asarray(result.coefficients[name].float()) - value).max() < 0.05 * largest, name


CHAIN = """dims T = 4, d = 5
data X, Y: T×d
data A: d×d
weights V: d×d
E = Y - X V A
loss = 1/2 trace(E^t E)
"""


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        (CHAIN, 1),  # X V goes into X V A alone; E A^t into X^t E A^t, whose left side is transposed
        (CHAIN.replace("X V A", "X V A - tanh(X V)"), 0),  # X V is read by both
        (CHAIN.replace("X V A", "tanh(X) V"), 0),
    ],
)
def test_products_that_only_products_read_are_kept_apart_in_jax(text, apart):
    form = fc.derive(fc.load(text))
    assert fc.compile(form, "jax").source.count(" = apart(") == apart
    assert "apart(" not in fc.compile(form, "torch").source
    check(form, fc.sample(form.model), "jax")
