r"""LaTeX: exact text of every kind of node, and braces that balance."""

import re

import pytest
from hypothesis import given, settings

import formcalc as fc
from formcalc.language.latex import name_latex
from strategies import LETTERS, expressions, one_forms

SHAPES = {"X_0": ("T", "d"), "K_0": ("T", "d"), "S": ("T", "T"), "gamma": ("d", "d"), "W_{i+1}": ("d", "d")}

EXACT = {
    "X_0": r"X_{0}",
    "X_0^t": r"X_{0}^{t}",
    "dX_0^t": r"\mathrm{d}X_{0}^{t}",
    "gamma": r"\gamma",
    "W_{i+1}": r"W_{i+1}",
    "1_{T×d}": r"\mathbf{1}_{T \times d}",
    "1_{n_0×1}^t": r"\mathbf{1}_{1 \times n_{0}}",
    "I_{n_0}": r"I_{n_{0}}",
    "2": "2",
    "-1/2": r"-\tfrac{1}{2}",
    "n_0^{-1/2}": r"n_{0}^{-1/2}",
    "2^{1/2}": r"2^{1/2}",
    "T": "T",
    "pi^{2}": r"\pi^{2}",
    "X_0 gamma": r"X_{0} \, \gamma",
    "-1/2 X_0": r"-\tfrac{1}{2} \, X_{0}",
    "X_0 - K_0": r"X_{0} - K_{0}",
    "(X_0 + K_0) gamma": r"(X_{0} + K_{0}) \, \gamma",
    "X_0 ∘ K_0": r"X_{0} \circ K_{0}",
    "trace(S)": r"\operatorname{trace}(S)",
    "m(S)": r"\mathrm{m}(S)",
    "a^t(S)": r"\mathrm{a}^{t}(S)",
    "exp(S)": r"\exp(S)",
    "mm(S, dS)": r"\mathrm{mm}(S, \mathrm{d}S)",
    "aa^t(S, S)": r"\mathrm{aa}^{t}(S, S)",
    "gelu'(S, S)": r"\operatorname{gelu}'(S, S)",
    "gamma dgamma + S dS": r"\gamma \, \mathrm{d}\gamma + S \, \mathrm{d}S",
}


@pytest.mark.parametrize(("text", "shown"), EXACT.items())
def test_exact_text(text, shown):
    assert fc.latex(fc.parse(text, SHAPES)) == shown


@pytest.mark.parametrize(
    ("name", "shown"), [("X", "X"), ("Wq", r"\mathrm{Wq}"), ("Gamma_0", r"\Gamma_{0}"), ("W_O_1", "W_{O,1}")]
)
def test_names(name, shown):
    assert name_latex(name) == shown


def test_a_letter_that_looks_like_an_identity_keeps_its_name():
    assert fc.latex(fc.parse("I_{a+b}", {"I_{a+b}": ("T", "T")})) == "I_{a+b}"


def check(text):
    depth = 0
    for mark in re.findall(r"[{}]", text):
        depth += 1 if mark == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert text.count("(") == text.count(")")
    assert text.isascii()
    assert not re.search(r"[%$&#~]", text)


@settings(max_examples=120)
@given(expressions(differentials=True))
def test_braces_balance(expression):
    check(fc.latex(expression))


@given(one_forms())
def test_braces_of_one_forms_balance(form):
    check(fc.latex(form))


def test_letters_of_every_shape_have_distinct_texts():
    assert len({fc.latex(letter) for letter in LETTERS.values()}) == len(LETTERS)
