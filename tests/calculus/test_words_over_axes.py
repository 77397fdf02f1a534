"""The words of forms over axes: counted, numbered, and adding up to the coefficients."""

from math import prod

import numpy as np
import pytest

import formcalc as fc
from formcalc.algebra import AxisSum, Letter, postorder
from formcalc.calculus.expansion import factors

HEADS = """dims B = 2, T = 3, d = 4, k = 2, h = 2, L = 2
data X_0[B], Y[B]: T×d
layers i = 0 .. L-1
  weights Q_i[h], K_i[h], V_i[h]: d×k  O_i[h]: k×d
  A_i = a(k^{-1/2} X_i Q_i K_i^t X_i^t)
  X_{i+1} = X_i + Σ_h A_i X_i V_i O_i
E = Y - X_L
loss = 1/2 trace(E^t E)
"""


def heads(layers):
    return fc.derive(fc.load(HEADS, L=layers))


def count_by_hand(layers):
    """The number of words, from the top layer down: `g` of the cotangent, `x` of the input of a layer.

    O and V have g x words, Q and K have g x³ each; the input gets g beside the heads, g through the values, and g x²
    through either side of the scores.
    """
    count, g = 0, 1
    for layer in reversed(range(layers)):
        x = 2**layer
        count += g * (2 * x + 2 * x**3)
        g *= 2 + 2 * x**2
    return count


@pytest.mark.parametrize("layers", [1, 2, 3, 12])
def test_counts_of_layers_with_heads(layers):
    assert heads(layers).words().count == count_by_hand(layers)


def test_words_of_the_first_layer():
    form = heads(1)
    assert [str(word) for word in form.words()] == [
        "k^{-1/2} (Σ_B K_0[h]^t X_0[B]^t aa^t(k^{-1/2} X_0[B] K_0[h] Q_0[h]^t X_0[B]^t, X_0[B] V_0[h] O_0[h] E[B]^t)"
        " X_0[B]) dQ_0[h]",
        "k^{-1/2} (Σ_B Q_0[h]^t X_0[B]^t aa(k^{-1/2} X_0[B] Q_0[h] K_0[h]^t X_0[B]^t, E[B] O_0[h]^t V_0[h]^t X_0[B]^t)"
        " X_0[B]) dK_0[h]",
        "(Σ_B O_0[h] E[B]^t a(k^{-1/2} X_0[B] Q_0[h] K_0[h]^t X_0[B]^t) X_0[B]) dV_0[h]",
        "(Σ_B E[B]^t a(k^{-1/2} X_0[B] Q_0[h] K_0[h]^t X_0[B]^t) X_0[B] V_0[h]) dO_0[h]",
    ]


@pytest.mark.parametrize("name", ["Q_0", "V_0", "O_0", "K_1", "O_1"])
def test_the_words_add_up_to_the_coefficient(name):
    form = heads(2)
    arrays, sizes = fc.sample(form.model), form.model.sizes
    words = form.words(name)
    summed = sum(fc.evaluate(word, arrays, **sizes) for word in words)
    np.testing.assert_allclose(summed, fc.evaluate(form[name], arrays, **sizes), rtol=1e-10, atol=1e-12)


def test_every_word_is_the_one_of_its_number_and_different_from_the_others():
    words = heads(2).words("K_0")
    listed = list(words)
    assert listed == [words[k] for k in range(words.count)]
    assert len(set(listed)) == words.count
    assert words[-1] is listed[-1]
    assert words.sample(5) in listed


def test_words_that_contain_a_family():
    words = heads(2).words("V_0")
    chosen = words.containing("O_1")
    assert 0 < chosen.count < words.count
    assert set(chosen) <= set(words)

    def holds(word):
        return any(isinstance(node, Letter) and node.name == "O_1" for node in postorder(word))

    assert all(holds(word) for word in chosen)
    assert [str(word) for word in words if not holds(word)] == [str(w) for w in words if w not in set(chosen)]


def test_a_word_is_summed_over_the_axes_that_its_weight_lacks():
    form = heads(2)
    for name in form:
        axes = form.model.letters[name].axes
        for word in form.words(name):
            assert set(word.axes) <= set(axes)
            assert any(isinstance(factor, AxisSum) for factor in factors(word))


def test_a_word_over_no_axis_counts_as_often_as_the_axes_are_long():
    page = """dims B = 3, h = 2, d = 2
data X[B]: d×d
weights W[h], V: d×d
loss = trace(X W + V W + 2 V V)
"""
    form = fc.derive(fc.load(page))
    assert [str(word) for word in form.words("W")] == ["-(Σ_B X[B])", "-B V"]
    assert [str(word) for word in form.words("V")] == ["-B (Σ_h W[h])", "-4 B h V"]
    arrays, sizes = fc.sample(form.model), form.model.sizes
    V = arrays["V"]
    np.testing.assert_allclose(
        sum(fc.evaluate(word, arrays, **sizes) for word in form.words("V")),
        -3 * arrays["W"].sum(0) - 4 * prod((3, 2)) * V,
        rtol=1e-12,
    )


def test_words_of_a_second_derivative_add_up():
    second = fc.derive(heads(1))
    arrays = fc.sample(second.model)
    form = fc.derive(second.model)
    name = "O_0"
    words = [fc.evaluate(word, arrays, **form.model.sizes) for word in form.words(name)]
    np.testing.assert_allclose(sum(words), fc.evaluate(form[name], arrays, **form.model.sizes), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("name", "sizes"), [("gpt2", {"L": 96}), ("llama", {"L": 80}), ("bert", {"L": 24})])
def test_words_of_stock_pages_are_counted_at_full_depth(name, sizes):
    words = fc.derive(fc.load(name, **sizes)).words()
    assert words.count > 10 ** sizes["L"]
    assert words[words.count // 2][-1].is_differential
