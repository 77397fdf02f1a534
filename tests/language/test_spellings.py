"""Every symbol has a Unicode and an ASCII spelling, and both denote the identical object."""

import pytest

import formcalc as fc
from formcalc.algebra import Apply, Letter, Symbol
from formcalc.language import declare
from formcalc.language.names import GREEK, canonical, split_name, superscript
from formcalc.operators import OPERATORS, Differential

SHAPES = {"X_0": ("T", "n_0"), "K_12": ("T", "n_0"), "gamma": ("n_0", "n_0"), "X_{i+1}": ("T", "n_0"), "S": ("T", "T")}

PAIRS = [
    ("X₀", "X_0"),
    ("X_{0}", "X_0"),
    ("K₁₂", "K_12"),
    ("X_{i + 1}", "X_{i+1}"),
    ("X₀ᵗ", "X_0^t"),
    ("X₀ᵀ", "X_0^t"),
    ("X₀⊤", "X_0^t"),
    ("X_0^T", "X_0^t"),
    ("X_0^⊤", "X_0^t"),
    ("X_0^{t}", "X_0^t"),
    ("X_0^{T}", "X_0^t"),
    ("X_0^{ ⊤ }", "X_0^t"),
    ("dX₀ᵗ", "dX_0^t"),
    ("γ", "gamma"),
    ("dγᵗ", "dgamma^t"),
    ("π", "pi"),
    ("π^{−1/2}", "pi^{-1/2}"),
    ("n₀⁻¹ᐟ²", "n_0^{-1/2}"),
    ("n₀⁻¹⁄²", "n_0^{-1/2}"),
    ("n_0^{ -1 / 2 }", "n_0^{-1/2}"),
    ("n_0^-1/2", "n_0^{-1/2}"),
    ("n_0^{-0.5}", "n_0^{-1/2}"),
    ("n₀²", "n_0^{2}"),
    ("2¹ᐟ²", "2^{1/2}"),
    ("(2)^{1/2}", "2^{1/2}"),
    ("X₀ − K₁₂", "X_0 - K_12"),
    ("−X₀", "-X_0"),
    ("X_0·gamma", "X_0 gamma"),
    ("X_0⋅gamma", "X_0 gamma"),
    ("X_0*gamma", "X_0 gamma"),
    ("X_0 ∘ K_12", "X_0 .* K_12"),
    ("X_0 ⊙ K_12", "X_0 .* K_12"),
    ("1_{T×n₀}", "1_{Txn_0}"),
    ("1_{T × n_0}", "1_{T x n_0}"),
    ("1_{T×n_{0}}", "1_{T×n_0}"),
    ("1_{max×n_0}", "1_{max x n_0}"),
    ("1_{β×n_0}", "1_{betaxn_0}"),
    ("I_{n₀}", "I_{n_0}"),
    ("I_T", "I_{T}"),
    ("aᵗ(S)", "a^t(S)"),
    ("a^{T}(S)", "a^t(S)"),
    ("m′(S, S)", "mm(S, S)"),
    ("√(S)", "sqrt(S)"),
    ("0.5 S", "1/2 S"),
    ("5e-1 S", "1/2 S"),
    ("2.5e1/100 S", "1/4 S"),
    ("trace^t(S)", "trace(S)"),
    ("+X_0", "X_0"),
    ("X_0\n  gamma", "X_0 gamma"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_spellings_are_equal(one, other):
    assert fc.parse(one, SHAPES) is fc.parse(other, SHAPES)


@pytest.mark.parametrize(("letter", "name"), GREEK.items())
def test_greek_letters_have_names(letter, name):
    if name != "pi":
        assert fc.parse(f"{letter}_1^t", {f"{name}_1": ("n", "n")}) is fc.parse(f"{name}₁ᵗ", {f"{letter}₁": ("n", "n")})
    assert canonical(letter) == name


def test_declarations_are_spelled_either_way():
    assert declare({"γ₀": ("T₀", "d")}) == declare({"gamma_0": ("T_0", "d")})
    assert declare({"γ": ("n", "n")}, {"gamma": "data"}) == declare({"gamma": ("n", "n")}, {"γ": "data"})


P, R = Letter(Symbol("P", ("T", "c"))), Letter(Symbol("R", ("T", "c")))


@pytest.mark.parametrize("row", OPERATORS, ids=lambda row: row.name)
def test_every_spelling_of_an_operator(row):
    letters = {"P": P, "R": R}
    for name in (row.name, *row.spellings):
        assert fc.parse(f"{name}(P)", letters) is Apply(row, P)
        assert fc.parse(f"{name}^t(P^t)", letters) is Apply(row, P).T
    for name in (row.differential, f"{row.name}'", *(f"{name}′" for name in row.spellings)):
        assert fc.parse(f"{name}(P, R)", letters) is Apply(Differential(row), P, R)
        assert fc.parse(f"{name}ᵗ(Pᵗ, Rᵗ)", letters) is Apply(Differential(row), P, R).T


@pytest.mark.parametrize(
    ("text", "inner"),
    [("^t", "t"), ("ᵗ", "t"), ("^{ T }", "t"), ("^{-1/2}", "-1/2"), ("⁻¹ᐟ²", "-1/2"), ("^3", "3"), ("^{2 k}", "2k")],
)
def test_superscripts(text, inner):
    assert superscript(text) == inner


@pytest.mark.parametrize(
    ("name", "parts"), [("X_{i+1}", ("X", "i+1")), ("W_O_1", ("W", "O,1")), ("C", ("C", "")), ("X_{h,2}", ("X", "h,2"))]
)
def test_names_split_into_base_and_subscript(name, parts):
    assert split_name(name) == parts
