"""Letters that need no numbers."""

import math

import numpy as np
import pytest

import formcalc as fc
from formcalc.errors import ArrayError, EvaluationError
from formcalc.language.sympy_expressions import to_sympy
from formcalc.numeric.constants import CONSTANTS
from formcalc.numeric.positions import sinusoidal

LETTERS = {"X": ("T", "d"), "K": ("T", "d")}
ARRAYS = {"X": np.zeros((3, 4))}


def constant(role, **options):
    return fc.evaluate(fc.parse("X + K", LETTERS, roles={"K": role}), ARRAYS, **options)


def test_entries():
    assert constant("ones").tolist() == [[1, 1, 1, 1]] * 3
    assert constant("causal").tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert constant("distance").tolist() == [[0, 1, 2, 3], [-1, 0, 1, 2], [-2, -1, 0, 1]]
    assert np.array_equal(constant("sinusoidal"), sinusoidal(3, 4))


@pytest.mark.parametrize("role", ["ones", "causal", "distance", "sinusoidal"])
def test_sympy_has_the_same_entries(role):
    letter = fc.parse("K", LETTERS, roles={"K": role})
    explicit = to_sympy(letter, {"T": 3, "d": 4}).as_explicit()
    assert np.allclose(np.array(explicit.evalf(), dtype=float), constant(role), atol=1e-14)


@pytest.mark.parametrize("role", ["causal", "sinusoidal", "distance"])
def test_an_array_of_a_constant_must_be_that_constant(role):
    expression = fc.parse("X + K", LETTERS, roles={"K": role})
    given = {**ARRAYS, "K": CONSTANTS[role](3, 4)}
    assert np.array_equal(fc.evaluate(expression, given), constant(role))
    with pytest.raises(ArrayError, match=f"K: this letter is {role}; leave its array out, or give exactly that"):
        fc.evaluate(expression, {**ARRAYS, "K": np.full((3, 4), 7.0)})


def test_irrational_constants_have_no_exact_value():
    assert constant("distance", dtype=object)[2, 0] == -2
    with pytest.raises(EvaluationError, match="is irrational: use float64"):
        constant("sinusoidal", dtype=object)


@pytest.mark.parametrize("oracle", ["finite-difference", "jax", "torch"])
def test_a_page_with_positions_and_linear_biases_is_verified(oracle):
    model = fc.load("""dims T = 4, d = 6, k = 3
data X, Y: T×d
sinusoidal P: T×d
causal M: T×T
distance D: T×T
weights Q, K: d×k  V: d×d  U: d×d
H = X U + P
E = Y - a(k^{-1/2} H Q K^t H^t + 1/8 D, M) H V
loss = 1/2 trace(E^t E)
""")
    report = fc.verify(fc.derive(model), oracle=oracle)
    assert report.ok, report


# Positions and slopes, by their formulas


def of_shape(role, *sizes):
    """The constant of a role, of a matrix over dimensions a, b, ... of these sizes."""
    names = "abc"[: len(sizes)]
    return fc.evaluate(
        fc.parse("K", {"K": tuple(names)}, roles={"K": role}), {}, **dict(zip(names, sizes, strict=True))
    )


def test_cosines_and_sines_of_rotary_positions():
    cosine, sine = of_shape("cosines", 5, 6), of_shape("sines", 5, 6)
    for t in range(5):
        for j in range(6):
            angle = t * 10000 ** (-2 * (j % 3) / 6)
            assert cosine[t, j] == pytest.approx(math.cos(angle), abs=1e-14)
            assert sine[t, j] == pytest.approx(math.sin(angle), abs=1e-14)


def test_a_quarter_turn():
    J = of_shape("quarterturn", 4, 4)
    assert (np.array([[1, 2, 3, 4]]) @ J).tolist() == [[-3, -4, 1, 2]]
    assert np.array_equal(J @ J, -np.eye(4))
    assert np.array_equal(J.T, -J)


ROTARY = {"X": ("T", "k"), "Z": ("T", "k"), "c": ("T", "k"), "s": ("T", "k"), "J": ("k", "k")}
ROTARY_ROLES = {"c": "cosines", "s": "sines", "J": "quarterturn"}


def turned(X):
    return fc.evaluate(fc.parse("X ∘ c + (X J) ∘ s", ROTARY, roles=ROTARY_ROLES), {"X": X})


def test_rotary_positions_turn_rows():
    X = np.random.default_rng(0).normal(size=(7, 6))
    np.testing.assert_allclose(np.linalg.norm(turned(X), axis=1), np.linalg.norm(X, axis=1), rtol=1e-13)
    assert np.array_equal(turned(X)[0], X[0])
    # one pair of columns is a plane, turned by the position times its frequency
    plane = turned(np.tile([0.0, 1, 0, 0, 0, 0], (7, 1)))
    angles = np.arange(7) * 10000 ** (-1 / 3)
    np.testing.assert_allclose(plane[:, 1], np.cos(angles), atol=1e-14)
    np.testing.assert_allclose(plane[:, 4], np.sin(angles), atol=1e-14)


def test_scores_of_rotary_positions_depend_on_the_distance_only():
    generator = np.random.default_rng(1)
    query, key = generator.normal(size=(2, 6))
    scores = turned(np.tile(query, (7, 1))) @ turned(np.tile(key, (7, 1))).T
    for distance in range(-6, 7):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-10, atol=1e-12)
    assert len({round(scores[0, k], 6) for k in range(7)}) == 7


@pytest.mark.parametrize("heads", [1, 4, 8])
def test_slopes_of_linear_biases(heads):
    found = of_shape("slopes", heads, 1, 1)
    assert found.shape == (heads, 1, 1)
    assert found.ravel().tolist() == pytest.approx([2 ** (-8 * h / heads) for h in range(1, heads + 1)], rel=1e-15)


def test_positions_select_the_first_rows():
    P = np.arange(12.0).reshape(6, 2)
    letters = {"K": ("T", "N"), "P": ("N", "d")}
    found = fc.evaluate(fc.parse("K P", letters, roles={"K": "positions"}), {"P": P}, T=4)
    assert np.array_equal(found, P[:4])


@pytest.mark.parametrize("role", ["ones", "positions", "causal", "distance", "sinusoidal", "cosines", "sines"])
def test_a_constant_over_an_axis_is_the_same_for_every_index(role):
    found = of_shape(role, 3, 4, 6)
    assert found.shape == (3, 4, 6)
    assert all(np.array_equal(matrix, CONSTANTS[role](4, 6)) for matrix in found)


# Masks


@pytest.mark.parametrize("oracle", ["finite-difference", "jax", "torch"])
def test_rows_that_are_masked_everywhere_have_the_value_and_the_gradient_0(oracle):
    model = fc.load("""dims B = 2, T = 3, d = 4
data X[B], Y[B]: T×d
mask P[B]: T×T
weights Q, V: d×d
A = a(X Q X^t, P)
E = Y - A X V
loss = 1/2 trace(E^t E)
""")
    arrays = fc.sample(model)
    mask = arrays["P"] = np.array([[[1, 0, 0], [0, 0, 0], [1, 1, 0]], [[0, 0, 0]] * 3], float)
    attention = fc.evaluate(model.definitions[0], arrays)
    np.testing.assert_allclose(attention.sum(-1), mask.any(-1), rtol=1e-14)
    assert not attention[mask == 0].any()
    form = fc.derive(model)
    report = fc.verify(form, arrays, oracle=oracle)
    assert report.ok, report
    arrays["P"] = np.zeros((2, 3, 3))
    assert all(not coefficient.any() for coefficient in fc.evaluate(form, arrays).values())
