"""Pages that state their form: what is derived reads back, and what is written by hand is verified."""

import numpy as np
import pytest

import formcalc as fc
from formcalc.errors import FormError

STOCK = [
    *((name, sizes) for name in ("encoder", "encoder-linear", "encoder-product", "decoder") for sizes in
      ({}, {"L": 1}, {"L": 3, "T": 4})),
    ("encoder-linear-product", {"L": 2}),
    ("gpt2", {"L": 1}),
    ("gpt2", {"h": 4, "k": 2, "B": 1}),
    ("llama", {"L": 1, "g": 3, "r": 1}),
    ("llama", {}),
    ("bert", {"L": 1}),
    ("bert", {"T": 5, "V": 7}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sizes"), STOCK)
def test_the_page_of_a_form_reads_back_as_the_same_form(name, sizes):
    form = fc.derive(fc.load(name, **sizes))
    model = fc.load(form.page, **sizes)
    again = fc.derive(model)
    assert model.sizes == form.model.sizes
    assert again.keys() == form.keys()
    assert all(again[weight] is form[weight] for weight in form)
    assert again.cotangents == form.cotangents
    assert str(again) == str(form)
    arrays = fc.sample(form.model)
    derived, stated, evaluated = fc.evaluate(form, arrays), fc.evaluate(again, arrays), fc.evaluate(model, arrays)
    for weight in form:
        assert np.array_equal(derived[weight], stated[weight])
        assert np.array_equal(derived[weight], evaluated[weight])


def test_a_page_that_was_read_back_is_its_own_page():
    form = fc.derive(fc.load("encoder"))
    again = fc.derive(fc.load(form.page))
    assert again.page == form.page
    assert fc.derive(fc.load(again.page)).page == form.page


@pytest.mark.parametrize("wrt", [["Q_0", "f_1"], ["W_1"]])
def test_the_form_of_some_weights_reads_back(wrt):
    form = fc.derive(fc.load("encoder"), wrt=wrt)
    again = fc.derive(fc.load(form.page), wrt=wrt)
    assert {name: again[name] for name in wrt} == dict(form)


BY_HAND = """# least squares, with its form
dims T = 3, d = 2, h = 2
data X[h], Y: T×d
weights W[h]: d×d  b: 1×d
ones C: T×1
E = Y - (Σ_h X W) - C b
loss = 1/2 trace(E^t E)

dW[h] : E^t X
db : E^t C
"""


@pytest.mark.parametrize("oracle", ["finite-difference", "jax", "torch", "exact"])
def test_a_form_written_by_hand_is_verified(oracle):
    form = fc.derive(fc.load(BY_HAND))
    assert list(form) == ["W", "b"]
    report = fc.verify(form, oracle=oracle)
    assert report.ok, report


@pytest.mark.parametrize("oracle", ["finite-difference", "jax", "torch", "exact"])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("E^t X\n", "-E^t X\n"), ("E^t X\n", "E^t X W\n"), ("E^t X\n", "h^{-1} (Σ_h E^t X)\n")],
)
def test_a_wrong_form_is_caught(oracle, right, wrong):
    report = fc.verify(fc.derive(fc.load(BY_HAND.replace(right, wrong))), oracle=oracle)
    assert not report.ok
    assert [row.name for row in report.table if row.relative_error > report.tolerance] == ["W"]


LAYERS = """dims T = 3, d = 2, L = 3
data X_0, Y: T×d
weights U: d×d
layers i = 0 .. L-1
  weights W_i: d×d
  X_{i+1} = tanh(X_i W_i U)
E = Y - X_L
loss = 1/2 trace(E^t E)

# the error goes down through the layers
G_L = E^t
layers i = L-1 .. 0
  M_i = tanh'(U^t W_i^t X_i^t, G_{i+1})
  dW_i : U M_i X_i
  G_i = W_i U M_i
dU : Σ_i M_i X_i W_i
"""


def test_a_form_with_layers_written_by_hand_is_verified():
    report = fc.verify(fc.derive(fc.load(LAYERS)), oracle="jax")
    assert report.ok, report
    assert {row.name for row in report.table} == {"U", "W_0", "W_1", "W_2"}


@pytest.mark.parametrize(
    ("right", "wrong", "names"),
    [
        ("dU : Σ_i M_i X_i W_i", "dU : 2 (Σ_i M_i X_i W_i)", {"U"}),
        ("G_i = W_i U M_i", "G_i = W_i M_i", {"U", "W_0", "W_1"}),
        ("G_L = E^t", "G_L = -E^t", {"U", "W_0", "W_1", "W_2"}),
    ],
)
def test_a_wrong_line_is_caught_where_it_has_an_effect(right, wrong, names):
    report = fc.verify(fc.derive(fc.load(LAYERS.replace(right, wrong))), oracle="jax")
    assert {row.name for row in report.table if row.relative_error > report.tolerance} == names


def test_a_weight_without_a_line_has_no_coefficient_unless_asked_for():
    model = fc.load(BY_HAND.replace("db : E^t C\n", ""))
    assert list(fc.derive(model)) == ["W"]
    asked = fc.derive(model, wrt=["b"])
    assert str(asked["b"]) == "0 1_{d×1}"


def test_a_stated_form_has_no_steps():
    with pytest.raises(FormError) as error:
        fc.derive(fc.load(BY_HAND)).steps("b")
    assert str(error.value) == "the form of page is stated on its page, and was not derived"


def test_a_stated_form_is_derived_again():
    """The Hessian of a stated form is that of the form that was stated."""
    stated = fc.load(LAYERS.replace("dU : Σ_i M_i X_i W_i", "A = Σ_i M_i X_i W_i\ndU : A"))
    derived = fc.load(LAYERS[: LAYERS.index("\n\n#")] + "\n")
    second, expected = fc.derive(fc.derive(stated)), fc.derive(fc.derive(derived))
    arrays = fc.sample(second.model)
    found, wanted = fc.evaluate(second, arrays), fc.evaluate(expected, arrays)
    for name in ("U", "W_0", "W_1", "W_2"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-10, atol=1e-12)
