"""The numbers of families, against explicit sums over indices."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

import formcalc as fc
from formcalc.errors import ArrayError, EvaluationError
from formcalc.language import linear_model

LETTERS = {
    "Q": ("h", "b", "d", "k"),
    "R": ("b", "h", "d", "k"),
    "V": ("h", "k", "k"),
    "U": ("b", "k", "k"),
    "W": ("k", "k"),
    "X": ("T", "d"),
}
SIZES = {"h": 3, "b": 2, "d": 4, "k": 5, "T": 6}
_GENERATOR = np.random.default_rng(1)
ARRAYS = {name: _GENERATOR.normal(size=[SIZES[size] for size in shape]) for name, shape in LETTERS.items()}


def value(text, arrays=ARRAYS, **options):
    return fc.evaluate(fc.parse(text, LETTERS), arrays, **options)


def einsum(subscripts, names):
    return np.einsum(subscripts, *(ARRAYS[name] for name in names))


@pytest.mark.parametrize(
    ("text", "subscripts", "names"),
    [
        ("Q", "hbdk->bhdk", "Q"),
        ("R", "bhdk->bhdk", "R"),
        ("Q^t", "hbdk->bhkd", "Q"),
        ("X Q", "td,hbdk->bhtk", "XQ"),
        ("Q^t R", "hbdk,bhdl->bhkl", "QR"),
        ("Q V", "hbdk,hkl->bhdl", "QV"),
        ("Q U", "hbdk,bkl->bhdl", "QU"),
        ("V U", "hkl,blm->bhkm", "VU"),
        ("U V W", "bkl,hlm,mn->bhkn", "UVW"),
        ("Q ∘ R", "hbdk,bhdk->bhdk", "QR"),
        ("V ∘ W", "hkl,kl->hkl", "VW"),
        ("Σ_h Q", "hbdk->bdk", "Q"),
        ("Σ_b Q", "hbdk->hdk", "Q"),
        ("Σ_{b,h} Q", "hbdk->dk", "Q"),
        ("Σ_b Σ_h Q", "hbdk->dk", "Q"),
        ("Σ_h Q V", "hbdk,hkl->bdl", "QV"),
        ("(Σ_h Q) U", "hbdk,bkl->bdl", "QU"),
        ("Σ_b (Σ_h Q V) U", "hbdk,hkl,blm->dm", "QVU"),
        ("Σ_h V ∘ U", "hkl,bkl->bkl", "VU"),
        ("(Σ_h V) ∘ U", "hkl,bkl->bkl", "VU"),
        ("trace(V)", "hkk->", "V"),
        ("trace(V U)", "hkl,blk->", "VU"),
        ("trace(V W)", "hkl,lk->", "VW"),
        ("trace(W V U)", "kl,hlm,bmk->", "WVU"),
        ("trace(Q^t R)", "hbdk,bhdk->", "QR"),
        ("trace(Q^t X^t X R)", "hbdk,td,te,bhek->", "QXXR"),
        ("trace(Σ_h V)", "hkk->", "V"),
        ("trace((Σ_h V) U)", "hkl,blk->", "VU"),
        ("trace(V) U", "hkk,blm->blm", "VU"),
        ("trace(2 V U)", "hkl,blk,->", None),
    ],
)
def test_values_are_einsums(text, subscripts, names):
    expected = einsum(subscripts, names) if names else 2 * einsum("hkl,blk->", "VU")
    np.testing.assert_allclose(value(text), expected, rtol=1e-12, atol=1e-12)


def test_a_sum_broadcasts_what_lacks_an_axis():
    found = value("V + U + W")
    assert found.shape == (2, 3, 5, 5)
    for b, h in product(range(2), range(3)):
        np.testing.assert_allclose(found[b, h], ARRAYS["V"][h] + ARRAYS["U"][b] + ARRAYS["W"], rtol=1e-14)


def test_a_trace_of_a_sum_counts_what_lacks_an_axis_for_every_index():
    V, U, W = (ARRAYS[name] for name in "VUW")
    expected = sum(np.trace(V[h] + U[b] + W) for b, h in product(range(2), range(3)))
    np.testing.assert_allclose(value("trace(V + U + W)"), expected, rtol=1e-12)
    np.testing.assert_allclose(
        value("trace((V + W) (U + W))"),
        sum(np.trace((V[h] + W) @ (U[b] + W)) for b, h in product(range(2), range(3))),
        rtol=1e-12,
    )


def test_sums_over_the_words_of_a_sum():
    V, W = ARRAYS["V"], ARRAYS["W"]
    np.testing.assert_allclose(value("Σ_h (V + W)"), V.sum(0) + 3 * W, rtol=1e-13)
    np.testing.assert_allclose(value("Σ_h V + W"), V.sum(0) + W, rtol=1e-13)


@pytest.mark.parametrize("text", ["a(V)", "a^t(V)", "norm(V, 1e-3)", "rms^t(V)", "tanh(V)", "logsoftmax(V)"])
def test_operators_act_on_every_matrix_of_a_family(text):
    one_by_one = [value(text.replace("V", "W"), {"W": matrix}) for matrix in ARRAYS["V"]]
    np.testing.assert_allclose(value(text), one_by_one, rtol=1e-13)


@pytest.mark.parametrize("text", ["aa(V, W V)", "aa^t(V, V)", "tanh'(V, V W)", "norm'(V, V W)", "aa(V, W, V W)"])
def test_linear_letters_act_on_every_matrix_of_a_family(text):
    one_by_one = [
        fc.evaluate(fc.parse(text, {"V": ("k", "k"), "W": ("k", "k")}), {"V": matrix, "W": ARRAYS["W"]})
        for matrix in ARRAYS["V"]
    ]
    np.testing.assert_allclose(value(text), one_by_one, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("text", "one"), [("aa(U, V)", "aa(P, R)"), ("tanh'(V, U)", "tanh'(R, P)"), ("aa(W, V)", None), ("mm(V, W)", None)]
)
def test_linear_letters_broadcast_over_the_axes_of_their_arguments(text, one):
    found = value(text)
    letters = {"P": ("k", "k"), "R": ("k", "k")}
    for place in np.ndindex(found.shape[:-2]):
        h = place[-1]
        if one:
            arrays = {"P": ARRAYS["U"][place[0]], "R": ARRAYS["V"][h]}
        else:
            first, second = (ARRAYS["V"][h] if name == "V" else ARRAYS["W"] for name in (text[3], text[6]))
            arrays = {"P": first, "R": second}
        expected = fc.evaluate(fc.parse(one or f"{text[:2]}(P, R)", letters), arrays)
        np.testing.assert_allclose(found[place], expected, rtol=1e-12, atol=1e-14)


def test_the_declared_order_of_axes_is_that_of_arrays_only():
    swapped = {**ARRAYS, "P": ARRAYS["Q"].swapaxes(0, 1)}
    letters = {**LETTERS, "P": ("b", "h", "d", "k")}
    for text in ("Q U", "Σ_h Q V", "a(X Q)", "trace(Q^t R)", "Q ∘ R"):
        found, same = (fc.evaluate(fc.parse(t, letters), swapped) for t in (text, text.replace("Q", "P")))
        np.testing.assert_allclose(found, same, rtol=1e-14)


def test_coefficients_have_their_axes_in_the_order_of_the_weight():
    model = linear_model(fc.parse("Σ_{b,h} X Q R^t", LETTERS, roles={"X": "data"}), SIZES)
    arrays = fc.sample(model)
    found = fc.evaluate(fc.derive(model), arrays)
    X, E = arrays["X"], arrays["E"]
    np.testing.assert_allclose(found["Q"], np.einsum("bhek,te,td->hbkd", arrays["R"], E, X), rtol=1e-12)
    np.testing.assert_allclose(found["R"], np.einsum("hbdk,td,te->bhke", arrays["Q"], X, E), rtol=1e-12)


def test_a_coefficient_that_is_the_same_for_every_index_is_given_for_each():
    model = linear_model(fc.parse("Σ_h X Q", {**LETTERS, "Q": ("h", "d", "k")}, roles={"X": "data"}), SIZES)
    arrays = fc.sample(model)
    form = fc.derive(model)
    assert str(form) == "dQ[h] : E^t X"
    found = fc.evaluate(form, arrays)["Q"]
    assert found.shape == (3, 5, 4)
    np.testing.assert_allclose(found, np.broadcast_to(arrays["E"].T @ arrays["X"], (3, 5, 4)))


def test_exact_numbers_over_axes():
    arrays = {"V": np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], object), "W": np.array([[0, 1], [1, 0]], object)}
    assert value("Σ_h V W", arrays).tolist() == [[8, 6], [12, 10]]
    assert value("trace(V + 1/2 W W)", arrays) == Fraction(20)
    assert value("h^{-1} (Σ_h V)", arrays).tolist() == [[3, 4], [5, 6]]


def test_float32_stays_float32():
    arrays = {name: array.astype(np.float32) for name, array in ARRAYS.items()}
    for text in ("Σ_h Q V", "a(X Q)", "trace(V U)", "V + W"):
        assert value(text, arrays).dtype == np.float32


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"V": np.ones((2, 2))}, "V: the array has 3 axes, h×k×k, this array has 2"),
        ({"V": np.ones((1, 2, 2, 2))}, "V: the array has 3 axes, h×k×k, this array has 4"),
        ({"V": np.ones((3, 2, 4))}, "V: the array is 3×2×4, but k = 2, since V has 2 rows"),
        ({"V": np.ones((3, 2, 2)), "Q": np.ones((2, 4, 3, 2))}, "V: the array is 3×2×2, but h = 2, since Q has 2 h"),
        ({"V": np.ones((0, 2, 2))}, "V: the array is empty, its shape is 0×2×2"),
    ],
)
def test_arrays_of_families_that_do_not_fit_are_refused(given, message):
    text = "trace(Q V Q^t)" if "Q" in given else "V"
    with pytest.raises(ArrayError) as error:
        value(text, given)
    assert str(error.value) == message


def test_the_size_of_an_axis_that_no_array_shows_is_asked_for():
    with pytest.raises(EvaluationError) as error:
        value("h W", {"W": np.eye(2)})
    assert str(error.value).startswith("the size of dimension h is unknown: no array has it as a shape; give h=...")


def test_a_page_that_states_no_form_has_no_numbers():
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(fc.load("encoder"), {})
    assert str(error.value) == "encoder states no form: evaluate its loss, or derive(...) its form first"
