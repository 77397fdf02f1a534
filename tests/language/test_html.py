"""HTML: exact text of every kind of node, and tags that balance."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

import formcalc as fc
from formcalc.algebra import Letter, Symbol
from formcalc.language.html import name_html
from strategies import expressions, one_forms

SHAPES = {"X_0": ("T", "d"), "K_0": ("T", "d"), "S": ("T", "T"), "gamma": ("d", "d")}
X_0, K_0 = "<i>X</i><sub>0</sub>", "<i>K</i><sub>0</sub>"

EXACT = {
    "X_0": X_0,
    "X_0^t": f"{X_0}<sup>t</sup>",
    "dX_0^t": f"d{X_0}<sup>t</sup>",
    "gamma": "<i>γ</i>",
    "1_{T×d}": "<b>1</b><sub><i>T</i>×<i>d</i></sub>",
    "1_{n_0×1}^t": "<b>1</b><sub>1×<i>n</i><sub>0</sub></sub>",
    "I_{n_0}": "<i>I</i><sub><i>n</i><sub>0</sub></sub>",
    "2": "2",
    "-1/2": "−1/2",
    "n_0^{-1/2}": "<i>n</i><sub>0</sub><sup>−1/2</sup>",
    "2^{1/2}": "2<sup>1/2</sup>",
    "T": "<i>T</i>",
    "pi^{2}": "<i>π</i><sup>2</sup>",
    "X_0 gamma": f"{X_0} <i>γ</i>",
    "X_0 - K_0": f"{X_0} − {K_0}",
    "-X_0": f"−{X_0}",
    "(X_0 + K_0) gamma": f"({X_0} + {K_0}) <i>γ</i>",
    "X_0 ∘ K_0": f"{X_0} ∘ {K_0}",
    "trace(S)": "trace(<i>S</i>)",
    "m(S)": "m(<i>S</i>)",
    "a^t(S)": "a<sup>t</sup>(<i>S</i>)",
    "mm(S, dS)": "mm(<i>S</i>, d<i>S</i>)",
    "gelu'(S, S)": "gelu′(<i>S</i>, <i>S</i>)",
    "gamma dgamma + S dS": "<i>γ</i> d<i>γ</i> + <i>S</i> d<i>S</i>",
}


@pytest.mark.parametrize(("text", "shown"), EXACT.items())
def test_exact_text(text, shown):
    assert fc.html(fc.parse(text, SHAPES)) == shown


def test_names_are_escaped():
    letter = Letter(Symbol("X_{<script>}", ("T", "d")))
    assert fc.html(letter) == "<i>X</i><sub>&lt;script&gt;</sub>"
    assert name_html("a&b") == "<i>a&amp;b</i>"


class Balance(HTMLParser):
    """Checks that every tag is closed in order, and that no other tags occur."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        assert tag in ("i", "b", "sub", "sup")
        assert not attrs
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check(text):
    reader = Balance()
    reader.feed(text)
    reader.close()
    assert reader.open == []


@settings(max_examples=120)
@given(expressions(differentials=True))
def test_tags_balance(expression):
    check(fc.html(expression))


@given(one_forms())
def test_tags_of_one_forms_balance(form):
    check(fc.html(form))
