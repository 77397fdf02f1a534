"""Programs against the reference evaluator."""

import numpy as np
import pytest

import formcalc as fc
from formcalc.verify.report import compare

#: Coefficients that vanish for every array, since softmax does not mind a constant in each row: all is rounding.
VANISHING = ("beta_{K,",)


def check(form, arrays, engine, tolerance=1e-12, dtype="float64"):
    """Run a program, and hold its loss and coefficients against the reference, those that vanish aside."""
    result = fc.compile(form, engine=engine, dtype=dtype)(arrays)
    assert list(result.gradients) == list(form)
    for name, gradient in result.gradients.items():
        assert tuple(gradient.shape) == form.model.shapes[name], name
    loss = float(fc.evaluate(form.model.loss, arrays, **form.model.sizes))
    assert result.loss == pytest.approx(loss, rel=tolerance, abs=tolerance)
    reference = fc.evaluate(form, arrays)
    largest = max(abs(value).max() for value in reference.values())
    coefficients = {name: np.asarray(value, "float64") for name, value in result.coefficients.items()}
    for row in compare(coefficients, reference):
        is_rounding = row.name.startswith(VANISHING) and row.difference < tolerance * largest
        assert row.relative_error <= tolerance or is_rounding, f"{row.name}: {row.relative_error:.1e}"
    return result
