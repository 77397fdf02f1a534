"""What the words of a sum have in common is written once."""

import numpy as np
import pytest

import formcalc as fc
from formcalc.calculus.common import common

LETTERS = {**dict.fromkeys("ABCP", ("n", "n")), "H": ("h", "n", "n")}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("n^{-1/2} A - n^{-1/2} B", "n^{-1/2} (A - B)"),
        ("-n^{-1/2} A - n^{-1/2} B", "-n^{-1/2} (A + B)"),
        ("C + 2 A - 2 B", "C + 2 (A - B)"),
        ("2 A + C - 2 B", "2 (A - B) + C"),
        ("2 A + 3 B", "2 A + 3 B"),
        ("A - B", "A - B"),
        ("trace(C) A B + trace(C) B A", "trace(C) (A B + B A)"),
        ("aa(P, A) - 2 aa(P, B) + C", "aa(P, A - 2 B) + C"),
        ("aa(P, A) + aa(C, A) + aa^t(P, A)", "aa(P, A) + aa(C, A) + aa^t(P, A)"),
        ("n^{-1} mm(P, A) + n^{-1} mm(P, B)", "mm(P, n^{-1} (A + B))"),
        ("A aa(P, B) + A aa(P, C)", "A aa(P, B) + A aa(P, C)"),
        ("C + Σ_h (2 H A + 2 A H)", "C + Σ_h 2 (H[h] A + A H[h])"),
        ("0 1_{n×n}", "0 1_{n×n}"),
    ],
)
def test_common_letters_and_scalars(text, written):
    expression = fc.parse(text, LETTERS)
    assert str(common(expression)) == written
    # evaluated word by word
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=(2, 3, 3)[-len(axes) :]) for name, axes in LETTERS.items()}
    value = fc.evaluate(expression, arrays, n=3, h=2)
    assert np.allclose(fc.evaluate(common(expression), arrays, n=3, h=2), value, rtol=1e-12, atol=1e-12)


def test_what_comes_back_to_one_point_is_added_up_before_the_letter():
    page = "dims n = 3\nweights W: n×n\ndata A, B: n×n\nF = gelu(W)\nloss = n^{-1/2} trace(A F) + n^{-1/2} trace(B F)"
    assert str(fc.derive(fc.load(page))) == "G = -n^{-1/2} (A + B)\ndW : gelu'(W^t, G)"


def test_the_second_differential_of_softmax_has_its_letter_once():
    page = "dims T = 3, d = 2\ndata X, Y: T×d\nweights Q: d×T\nE = Y - a(X Q) X\nloss = 1/2 trace(E^t E)\n"
    text = str(fc.derive(fc.derive(fc.load(page))))
    assert "rowsum(" in text
    assert "1_{T×1}" not in text
    assert all(line.count("aa") <= 1 for line in text.splitlines()), text
