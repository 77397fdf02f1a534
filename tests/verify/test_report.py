"""What a verification says."""

from fractions import Fraction

import numpy as np
import pytest

from formcalc.verify.report import Report, Row, Table, compare

ROWS = (Row("Q_0", (4, 8), 1.25, 2.5e-12, 2e-12), Row("b_0", (8, 1), 0.5, 0.0, 0.0))


def report(rows=ROWS, tolerance=1e-9):
    return Report("jax", Table(rows), tolerance, "jax.grad in float64")


def test_the_text_of_a_report():
    assert str(report()) == "\n".join(
        [
            "weight  C: shape    max |C|  max |C - C_ref|  relative error",
            "Q_0     4×8       1.250e+00          2.5e-12         2.0e-12",
            "b_0     8×1       5.000e-01          0.0e+00         0.0e+00",
            "verified: jax.grad in float64; largest relative error 2.0e-12, tolerance 1e-09",
        ]
    )
    assert repr(report()) == "<report of jax: ok=True, max_relative_error=2.0e-12>"


def test_the_text_of_a_disagreement():
    assert str(report(tolerance=0)).splitlines()[-1] == (
        "DISAGREES: jax.grad in float64; largest relative error 2.0e-12, no tolerance"
    )


def test_a_table_is_a_sequence_of_rows():
    table = report().table
    assert len(table) == 2
    assert table[0] is ROWS[0]
    assert table[-1] is ROWS[1]
    assert list(table[:1]) == [ROWS[0]]
    assert list(table) == list(ROWS)


def test_the_largest_error_decides():
    assert report().max_relative_error == 2e-12
    assert report(tolerance=2e-12).ok
    assert not report(tolerance=1.9e-12).ok


@pytest.mark.parametrize("error", [float("nan"), float("inf")])
def test_an_error_that_is_no_number_never_passes(error):
    assert not report((*ROWS, Row("f_0", (1, 1), 1.0, error, error)), tolerance=1e9).ok


def test_relative_error_is_relative_to_the_reference():
    [row] = compare({"W": np.array([[1.0, 2.2]])}, {"W": np.array([[1.0, 2.0]])})
    assert (row.name, row.shape, row.largest) == ("W", (1, 2), 2.0)
    assert row.difference == pytest.approx(0.2)
    assert row.relative_error == pytest.approx(0.1)


def test_a_collapsed_coefficient_is_measured_against_the_largest():
    reference = {"W": np.array([[1e3]]), "Q": np.array([[1e-9]])}
    rows = compare({"W": reference["W"], "Q": np.array([[2e-9]])}, reference)
    assert rows[1].relative_error == pytest.approx(1e-9 / (1e-6 * 1e3))


def test_exact_differences_are_not_rounded_away():
    tiny = Fraction(1, 10**40)
    exact = {"W": np.array([[Fraction(1)]], dtype=object)}
    [row] = compare({"W": exact["W"] + tiny}, exact)
    assert row.relative_error == 1e-40
    [row] = compare(exact, exact)
    assert row.relative_error == 0


def test_zero_agrees_with_zero_only():
    zero, one = {"W": np.zeros((1, 1))}, {"W": np.ones((1, 1))}
    assert compare(zero, zero)[0].relative_error == 0
    assert compare(one, zero)[0].relative_error == float("inf")


def test_a_difference_that_is_no_number_is_no_agreement():
    found = compare({"W": np.full((1, 1), np.nan)}, {"W": np.ones((1, 1))})
    assert not Report("jax", found, 1e-9, "").ok
