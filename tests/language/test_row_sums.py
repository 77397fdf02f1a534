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
        ("rowsum(rowsum(A) 1_{1×d})", "rowsum(A) rowsum(1_{1×d})"),
        ("A 1_{d×1} - 2 c", "rowsum(A) - 2 c"),
        ("dA 1_{d×1}", "rowsum(dA)"),
        ("m(A 1_{d×1})", "m(rowsum(A))"),
        # an operand of ∘ like any other that has its parentheses already
        ("(A 1_{d×1}) ∘ c", "rowsum(A) ∘ c"),
        ("c ∘ (A B 1_{n×1}) ∘ (A 1_{d×1})", "c ∘ rowsum(A B) ∘ rowsum(A)"),
        ("(2 A 1_{d×1}) ∘ c", "(2 rowsum(A)) ∘ c"),
        ("(-A 1_{d×1}) ∘ c", "(-rowsum(A)) ∘ c"),
        ("(1_{1×T} A) (B 1_{n×1})", "(colsum(A)) (rowsum(B))"),
        ("1_{1×T} (A 1_{d×1})", "colsum((rowsum(A)))"),
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
    assert fc.html(fc.parse("colsum(rowsum(A))", LETTERS)) == "colsum(rowsum(<i>A</i>))"


@pytest.mark.parametrize("line", ["weights rowsum: d×d", "colsum(A) = A"])
def test_their_names_are_taken(line):
    with pytest.raises(fc.FormcalcError, match="it is an operator; choose another name"):
        fc.load(f"dims d = 2\nweights W: d×d\n{line}\nloss = trace(W)\n")


def test_declared_ones_keep_their_name():
    assert str(fc.parse("A C", {**LETTERS, "C": ("d", 1)}, roles={"C": "ones"})) == "A C"


def test_each_of_a_family_is_summed_by_itself():
    form = fc.derive(fc.load("dims h = 2, T = 2, d = 3\nweights A[h]: T×d\nloss = trace(rowsum(A) rowsum(A)^t)"))
    A = np.arange(12.0).reshape(2, 2, 3)
    expected = -2 * np.repeat(A.sum(2, keepdims=True), 3, 2).swapaxes(1, 2)
    assert fc.evaluate(form, {"A": A})["A"].tolist() == expected.tolist()
