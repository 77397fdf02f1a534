"""Random arrays for a model."""

import numpy as np
import pytest

import formcalc as fc
from formcalc.errors import ArrayError, EvaluationError
from formcalc.language import linear_model
from formcalc.numeric.kinks import kinked_arguments

LETTERS = {"X": ("T", "d"), "W": ("d", "d"), "b": (1, "d"), "C": ("T", 1)}
SIZES = {"T": 4, "d": 6}


def model(text, sizes=SIZES):
    return linear_model(fc.parse(text, LETTERS, roles={"X": "data", "C": "ones"}), sizes)


def test_every_letter_gets_an_array_of_its_shape():
    encoder = fc.load("encoder", L=2, T=3)
    assert {name: array.shape for name, array in fc.sample(encoder).items()} == encoder.shapes


def test_equal_seeds_give_equal_arrays():
    encoder = fc.load("encoder")
    first, second, other = fc.sample(encoder, seed=3), fc.sample(encoder, seed=3), fc.sample(encoder, seed=4)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in encoder.inputs)


def test_the_default_seed_is_zero():
    encoder = fc.load("encoder")
    assert np.array_equal(fc.sample(encoder)["Q_0"], fc.sample(encoder, seed=0)["Q_0"])


def test_letters_of_ones_are_ones():
    assert fc.sample(fc.load("encoder"))["C"].tolist() == [[1.0]] * 6


def test_the_scale_of_matrices_data_and_biases():
    arrays = fc.sample(fc.load("encoder", L=1, T=50, d=400, n=300, v=400))
    assert abs(arrays["X_0"].std() - 1) < 0.05
    assert abs(arrays["Q_0"].std() * 400**0.5 - 1) < 0.05
    assert abs(arrays["b_0"].std() - 0.5) < 0.1


@pytest.mark.parametrize("seed", range(20))
def test_arguments_of_relu_stay_away_from_zero(seed):
    encoder = fc.load("encoder", L=3)
    arrays = fc.sample(encoder, seed)
    entries = 3 * 6 * 8
    for argument, kink in kinked_arguments(encoder.loss):
        assert abs(fc.evaluate(argument, arrays, **encoder.sizes) - kink).min() > 0.2 / entries


def test_kinks_of_differentials_count_too():
    assert kinked_arguments(model("mm(X W, X)").loss) == [(fc.parse("X W", LETTERS, roles={"X": "data"}), 0.0)]


@pytest.mark.parametrize("text", ["log(W)", "sqrt(W)", "reciprocal(W)"])
def test_letters_under_log_sqrt_and_reciprocal_are_positive(text):
    assert fc.sample(model(text))["W"].min() >= 0.5


def test_given_arrays_are_kept():
    W = np.eye(6)
    arrays = fc.sample(model("m(X W)"), given={"W": W})
    assert arrays["W"] is W


def test_a_kink_that_cannot_be_left_is_reported():
    with pytest.raises(EvaluationError) as error:
        fc.sample(model("m(X W)"), given={"W": np.zeros((6, 6))})
    assert str(error.value) == (
        "expression: 200 draws all lay on a kink of an operator; "
        "check the given arrays: an argument of relu that is exactly 0 has no derivative"
    )


def test_a_dimension_without_a_size_gets_a_small_one():
    arrays = fc.sample(model("X W", {"T": 3}))
    assert (arrays["X"].shape, arrays["W"].shape) == ((3, 4), (4, 4))


def test_shapes_in_numbers_need_every_size():
    with pytest.raises(ArrayError) as error:
        model("X W", {"T": 3}).shapes  # noqa: B018  # shapes are computed when they are asked for
    assert str(error.value) == "dimension d of expression has no size: give it one, d=..."
