"""Parts of definitions have names of their own in a form, so that every intermediate is written once."""

import itertools

import pytest

import formcalc as fc
from formcalc.calculus.parts import parts_of

LETTERS = {
    "X": ("T", "d"), "C": ("T", 1), "g": (1, "d"), "b": (1, "d"), "c": ("T", "d"), "W": ("d", "d"), "V": ("d", "d"),
    "U": ("h", "d", "d"), "N": ("T", "d"),
}  # fmt: skip
ROLES = {"c": "data", "C": "ones", "N": "data"}


def parts(text):
    """The parts of an expression, and what is left of it, all its weights active."""
    expression = fc.parse(text, LETTERS, roles=ROLES)
    active = {fc.parse(name, LETTERS, roles=ROLES) for name in LETTERS if name not in ROLES}
    count = itertools.count(1)
    body, letters = parts_of(expression, active, lambda: f"P{next(count)}")
    return [f"{letter} = {letter.definition}" for letter in letters], str(body)


@pytest.mark.parametrize(
    ("text", "found", "left"),
    [
        # a sum that is a factor, but not one that is a term
        ("(X + C b) W", ["P1 = X + C b"], "P1 W"),
        ("W^t (X + C b)^t", ["P1 = X^t + b^t C^t"], "W^t P1"),
        ("X W - 2 (X + C b)", [], "X W - 2 (X + C b)"),
        ("(N + c) W", [], "(N + c) W"),
        # what is used twice, also transposed
        ("(X W) ∘ c + (X W) V", ["P1 = X W"], "P1 ∘ c + P1 V"),
        ("m(X W) m(X W)^t", ["P1 = m(X W)"], "P1 P1^t"),
        ("(N c^t) X + (N c^t) N", [], "(N c^t) X + (N c^t) N"),
        # arguments, factors and operands with several ways to the weights
        ("norm(X + m(X W) V, 1)", ["P1 = X + m(X W) V"], "norm(P1, 1)"),
        ("(silu(X W) ∘ (X V)) W", ["P1 = silu(X W) ∘ (X V)"], "P1 W"),
        ("c ∘ (X + C b)", ["P1 = X + C b"], "c ∘ P1"),
        ("tanh(X W) V", [], "tanh(X W) V"),
        ("tanh(N + c) V", [], "tanh(N + c) V"),
        # the differential of log softmax is written out, and what it is applied to is used in each place
        ("logsoftmax(X W)", ["P1 = X W"], "logsoftmax(P1)"),
        # a sum over an axis beside a family over it
        ("X U (Σ_h U)", ["P1 = Σ_h U[h]"], "X U[h] P1"),
        ("X (Σ_h U)", [], "X (Σ_h U[h])"),
        # parts of parts
        ("norm((X + C b) W + X, 1) V", ["P1 = X + C b", "P2 = P1 W + X"], "norm(P2, 1) V"),
    ],
)
def test_parts_of_a_definition(text, found, left):
    assert parts(text) == (found, left)


NAMED = """dims T = 3, d = 4, f = 5, L = 2
data X_0, Y: T×d
ones C: T×1
layers i = 0 .. L-1
  weights g_i: 1×d  A_i, B_i: d×f  W_i: f×d
  N_i = rms(X_i, 1e-6) ∘ (C g_i)
  F_i = silu(N_i A_i) ∘ (N_i B_i)
  X_{i+1} = X_i + F_i W_i
E = Y - X_L
loss = 1/2 trace(E^t E)
"""

INLINE = """dims T = 3, d = 4, f = 5, L = 2
data X_0, Y: T×d
ones C: T×1
RMS(X, g) = rms(X, 1e-6) ∘ (C g)
GLU(N, A, B) = silu(N A) ∘ (N B)
layers i = 0 .. L-1
  weights g_i: 1×d  A_i, B_i: d×f  W_i: f×d
  X_{i+1} = X_i + GLU(RMS(X_i, g_i), A_i, B_i) W_i
E = Y - X_L
loss = 1/2 trace(E^t E)
"""


def test_a_page_of_functions_has_the_form_of_a_page_of_definitions():
    inline, named = fc.derive(fc.load(INLINE)), fc.derive(fc.load(NAMED))
    assert str(inline).splitlines() == [
        "G_L = E^t",
        "layers i = L-1 .. 0",
        "  X1_{i+1} = rms(X_i, 1e-6) ∘ (C g_i)",
        "  X2_{i+1} = silu(X1_{i+1} A_i) ∘ (X1_{i+1} B_i)",
        "  M_{i+1} = W_i G_{i+1}",
        "  U_{i+1} = silu'(A_i^t X1_{i+1}^t, M_{i+1} ∘ (B_i^t X1_{i+1}^t))",
        "  H_{i+1} = silu(A_i^t X1_{i+1}^t) ∘ M_{i+1}",
        "  N_{i+1} = A_i U_{i+1} + B_i H_{i+1}",
        "  dg_i : (rms^t(X_i^t, 1e-6) ∘ N_{i+1}) C",
        "  dA_i : U_{i+1} X1_{i+1}",
        "  dB_i : H_{i+1} X1_{i+1}",
        "  dW_i : G_{i+1} X2_{i+1}",
        "  G_i = G_{i+1} + rms'^t(X_i^t, 1e-6, N_{i+1} ∘ (g_i^t C^t))",
    ]
    arrays = fc.sample(named.model)
    found, expected = fc.evaluate(inline, arrays), fc.evaluate(named, arrays)
    for name in named:
        assert abs(found[name] - expected[name]).max() <= 1e-14 * abs(expected[name]).max()
    assert [inline.words(name).count for name in inline] == [named.words(name).count for name in named]


def test_a_part_that_no_coefficient_needs_is_left_out():
    form = fc.derive(fc.load(INLINE), wrt=["W_0", "W_1"])
    assert "X2_{i+1} = " in str(form)
    text = "dims d = 2\ndata X, Y: d×d\nweights A, B: d×d\nZ = (X A + B) Y\nloss = trace(Z)\n"
    assert "Z1" not in str(fc.derive(fc.load(text)))


def test_parts_do_not_take_names_of_the_page():
    text = "dims d = 2\ndata X, Z1: d×d\nweights A, B: d×d\nZ = (X A + B) A Z1\nloss = trace(Z)\n"
    assert "Z2 = X A + B" in str(fc.derive(fc.load(text)))


def test_the_direction_of_a_letter_whose_point_moves_is_a_part():
    page = "dims T = 3, d = 2\ndata X, Y, G: T×d\nweights W, V: d×d\nloss = trace(G^t aa(X W, Y V V))\n"
    assert "E1 = X W\nE2 = Y V V\n" in str(fc.derive(fc.load(page)))
    # the differential of mm has it once
    assert "E2" not in str(fc.derive(fc.load(page.replace("aa", "mm"))))
