"""Sums of rows and columns: ones of the notation beside other factors, under names of their own."""

import numpy as np
import pytest

import formcalc as fc

LETTERS = {"A": ("T", "d"), "B": ("d", "n"), "c": ("T", 1), "H": ("h", "T", "d")}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("A 1_{d×1}", "rowsum(A)"),
        ("1_{n×1} 1_{1×T} A", "1_{n×1} colsum(A)"),
        ("2 A 3 B 1_{n×1} 1_{1×T}", "2 rowsum(A 3 B) 1_{1×T}"),
        ("c 1_{1×d} B", "c colsum(B)"),
        ("rowsum(A)^t", "colsum(A^t)"),
        ("1_{1×T} c", "colsum(c)"),
        ("1_{1×T} 1_{T×1}", "rowsum(1_{1×T})"),
        ("Σ_h H 1_{d×1}", "Σ_h rowsum(H[h])"),
        # ones that sum nothing up, and those that a page gives a name
        ("A 1_{d×n}", "A 1_{d×n}"),
        ("c 1_{1×1}", "c 1_{1×1}"),
        ("c 1_{1×d}", "c 1_{1×d}"),
    ],
)
def test_ones_that_sum_up_are_shown_as_sums(written, shown):
    expression = fc.parse(written, LETTERS)
    assert str(expression) == shown
    assert fc.parse(shown, LETTERS) is expression


def test_sums_in_numbers_and_in_print():
    A = np.arange(6.0).reshape(2, 3)
    assert fc.evaluate(fc.parse("rowsum(A)", LETTERS), {"A": A}).tolist() == A.sum(1, keepdims=True).tolist()
    assert fc.evaluate(fc.parse("colsum(A)", LETTERS), {"A": A}).tolist() == A.sum(0, keepdims=True).tolist()
    assert fc.latex(fc.parse("rowsum(A)", LETTERS)) == r"\operatorname{rowsum}(A)"


@pytest.mark.parametrize("line", ["weights rowsum: d×d", "colsum(A) = A"])
def test_their_names_are_taken(line):
    with pytest.raises(fc.FormcalcError, match="it is an operator; choose another name"):
        fc.load(f"dims d = 2\nweights W: d×d\n{line}\nloss = trace(W)\n")
