"""GELU by polynomials, against mpmath and the error function of Python."""

import math

import mpmath
import numpy as np
import pytest

from formcalc.numeric.program import normal
from formcalc.numeric.program import numpy_primitives as plain


@pytest.mark.parametrize(("coefficients", "error"), [(normal.TAIL, 2.0**-54), (normal.TAIL_SINGLE, 2.0**-25)])
def test_polynomials_take_the_values_of_the_tail(coefficients, error):
    places = [mpmath.mpf(k) / 200 for k in range(-200, 200)]
    with mpmath.workdps(30):
        for t in places:
            x = normal.MIDDLE * (1 + t) / (1 - t)
            wanted = mpmath.erfc(x / mpmath.sqrt(2)) * mpmath.exp(x * x / 2) / 2
            assert abs(mpmath.polyval(coefficients[::-1], t) - wanted) < error


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (300, 250)])
def test_gelu_is_exact_to_a_unit_of_its_argument(shape, dtype):
    rng = np.random.default_rng(0)
    x = np.asarray(rng.uniform(-8, 8, shape), dtype)
    exact = np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2)(x.astype(float))
    density = np.exp(-(x.astype(float) ** 2) / 2) / math.sqrt(2 * math.pi)
    close = {"rtol": 8 * np.finfo(dtype).eps, "atol": 2 * np.finfo(dtype).eps}
    value = np.empty_like(x)
    slope = plain.gelu_slope(x, np.ones_like(x), out=np.empty_like(x), value=value)
    np.testing.assert_allclose(slope, exact + x * density, **close)
    np.testing.assert_allclose(plain.gelu(x), x * exact, **close)
    np.testing.assert_allclose(value, x * exact, **close)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_goes_on_at_its_ends(dtype):
    most = np.finfo(dtype).max
    x = np.array([0, most, -most, 41, -41], dtype)
    np.testing.assert_array_equal(plain.gelu(x), np.array([0, most, 0, 41, 0], dtype))
    np.testing.assert_allclose(plain.gelu_slope(x, np.ones_like(x)), [0.5, 1, 0, 1, 0], atol=np.finfo(dtype).eps)
    assert np.isnan(plain.gelu(np.array([np.nan], dtype))).all()
