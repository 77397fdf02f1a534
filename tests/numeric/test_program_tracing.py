"""Programs whose numbers are not finite name the step in which the first of them arose."""

import numpy as np
import pytest

import formcalc as fc
from formcalc.errors import EvaluationError
from formcalc.numeric.program import ENGINES

OVERFLOWING = """dims T = 3, d = 4, L = 3
data X_0, Y: T×d
layers i = 0 .. L-1
  weights W_i: d×d
  Z_i = X_i W_i
  X_{i+1} = exp(Z_i)
E = Y - X_L
loss = 1/2 trace(E^t E)
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_result_that_is_not_finite_names_the_step_where_it_arose(engine, dtype):
    form = fc.derive(fc.load(OVERFLOWING))
    arrays = fc.sample(form.model)
    arrays["W_1"] = 2000 * abs(arrays["W_1"])
    with pytest.raises(EvaluationError, match=f"not finite in {dtype}: .* = exp\\(.*, 3×4.*, in the layer i = 1$"):
        fc.compile(form, engine, dtype)(arrays)


def test_a_gradient_that_is_not_finite_is_named_where_the_loss_is_finite():
    page = "dims n = 2\nweights W: n×n\nloss = trace(1_{n×n} sqrt(W ∘ W))\n"
    form = fc.derive(fc.load(page))
    with pytest.raises(EvaluationError, match=r"the first such value is .* sqrt_slope"):
        fc.compile(form)({"W": np.zeros((2, 2))})
