"""Exported LaTeX documents: whole, plain, and balanced; the page and its form are in them."""

import re

import pytest

import formcalc as fc
from formcalc.numeric.export.breaking import broken


def lines(text):
    """The lines of all displays of a document."""
    blocks = re.findall(r"\\begin{align\*}\n(.*?)\n\\end{align\*}", text, re.DOTALL)
    return [[line.strip().removesuffix(r" \\") for line in block.splitlines()] for block in blocks]


@pytest.mark.parametrize("name", fc.models())
def test_every_stock_model(name):
    form = fc.derive(fc.load(name))
    text = fc.export(form, "latex")
    assert text.isascii()
    assert re.findall(r"\\(?:begin|end){\w+\*?}", text) == [
        *(r"\begin{document}", r"\begin{align*}", r"\end{align*}", r"\begin{align*}", r"\end{align*}"),
        r"\end{document}",
    ]
    whole = [line for block in lines(text) for line in block]
    assert "".join(whole).count("(") == "".join(whole).count(")")
    for line in whole:
        assert line.count("&") == (0 if line.startswith(r"\intertext{") else 1), line
        depth = 0
        for mark in re.findall(r"[{}]", line):
            depth += 1 if mark == "{" else -1
            assert depth >= 0, line
        assert depth == 0, line
        assert not re.search(r"[%#~]", line), line
        assert line.count("$") == (2 if line.startswith(r"\intertext{For") else 0), line


def test_the_page_and_the_form_of_the_encoder():
    page, backward = lines(fc.export(fc.derive(fc.load("encoder")), "latex"))
    assert r"S_{i} &= n^{-1/2} \, X_{i} \, Q_{i} \, K_{i}^{t} \, X_{i}^{t}" in page
    assert page[0] == r"\intertext{For $i = 0, \ldots, L-1$:}"
    assert r"\intertext{After the layers:}" in page
    assert page[-1] == r"\mathrm{loss} &= \tfrac{1}{2} \, \operatorname{trace}(E^{t} \, E)"
    assert r"G_{L} &= -E^{t}" in backward
    assert r"\mathrm{d}V_{i} &: M_{i} \, \mathrm{a}(S_{i}) \, X_{i}" in backward


def test_a_layer_ends_in_its_output_and_has_no_loss():
    text = fc.export(fc.load("encoder"), "latex", until="X_L")
    page, backward = lines(text)
    assert page[-1] == "F &= X_{L}"
    assert backward[-1] == r"\mathrm{d}X_{0} &: M_{0}"
    assert "loss" not in text


def test_marks_of_latex_in_a_title_are_text():
    page = "# 50% of A_1 & B, {x^2} ~ $1\ndims T = 2\nweights A: T×T\nloss = trace(A)\n"
    title = re.search(r"\\section\*{(.*)}", fc.export(fc.derive(fc.load(page)), "latex"))[1]
    assert title == r"50\% of A\_1 \& B, \{x\^{}2\} \~{} \$1"


def test_letters_are_told_before_the_equations():
    text = fc.export(fc.derive(fc.load("encoder")), "latex")
    assert r"Dimensions: tokens $T$, width $d$, keys $n$, values $v$, layers $L$." in text
    assert r"Data: $X_{0}, Y \in \mathbb{R}^{T \times d}$." in text
    assert r"Weights of layer $i$: $Q_{i}, K_{i} \in \mathbb{R}^{d \times n}$, " in text


@pytest.mark.parametrize("name", fc.models())
def test_no_formula_is_wider_than_the_page(name):
    shown = [line for block in lines(fc.export(fc.derive(fc.load(name)), "latex")) for line in block]
    for line in shown:
        _, _, right = line.partition("&")
        assert broken(right, 40) == [right]


def test_a_long_formula_is_broken_where_it_is_nested_least():
    assert broken(r"A \, (B + C \, D) + E \, F", 6) == [r"A \, (B + C \, D)", r"+ E \, F"]
    assert broken(r"A \, B \, C \, D", 2) == [r"A \, B", r"C \, D"]
    assert broken(r"X_{a+b+c+d+e+f}", 2) == [r"X_{a+b+c+d+e+f}"]  # never within braces
