"""Letters that need no numbers."""

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
