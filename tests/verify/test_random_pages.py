"""The claim of the whole project, for whole pages: layers, families, masks, tokens, functions, every operator."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings

import formcalc as fc
from formcalc.algebra import Number, Product, Sum
from formcalc.errors import EvaluationError
from page_strategies import PAGE_SIZES, pages

#: Who differentiates each part: XLA compiles every page, torch takes the steps one by one.
ORACLES = ("torch", "jax", "torch", "torch", "torch", "torch")
PARTS = range(len(ORACLES))

#: How many pages are in each part; parts run side by side, with sizes of their own; a few pages are in two of them.
EXAMPLES = [24 if oracle == "jax" else 58 for oracle in ORACLES]

_NORMS = r"\b(?:norm|layernorm|layer_norm|rms|rmsnorm|rms_norm|ν)(?:\^t)?\("

#: What must occur among the pages, and how it looks in their text.
FEATURES = {
    "layers": r"\nlayers ",
    "two blocks of layers": r"\nlayers (?s:.*)\nlayers ",
    "a weight of each layer": r"\n  weights ",
    "families over axes": r"\n *weights [^\n]*\[[bh]",
    "sums over axes": r"Σ_\{[bh]",
    "sums over layers": r"Σ_[ij] ",
    "masks": r"\n *mask ",
    "masked softmax": r"(?:\ba|softmax)(?:\^t)?\(.*M\d",
    "norms": rf"\n(?!ν)[^\n]*{_NORMS}",
    "tokens": r"\n *tokens ",
}


def features(text):
    """What occurs in a page; a weight is shared where it is declared outside of layers, and stands in a layer."""
    found = {name for name, looks in FEATURES.items() if re.search(looks, text)}
    shared = re.findall(r"\nweights (W\d+)", text)
    inner = "\n".join(line for line in text.splitlines() if line.startswith("  ") and "=" in line)
    if any(re.search(rf"\b{name}(?!\d)", inner) for name in shared):
        found.add("weights shared by all layers")
    return found


def examples(part, count, **choices):
    """Random pages, the same at every run, of one part."""

    def decorate(test):
        limits = settings(
            max_examples=count,
            derandomize=True,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        return seed(part)(limits(given(text=pages(PAGE_SIZES[part % len(PAGE_SIZES)], **choices))(test)))

    return decorate


def drawn(part):
    found = set()

    @examples(part, EXAMPLES[part])
    def draw(text):
        assume(text not in found)
        found.add(text)

    draw()
    return found


def test_there_are_three_hundred_pages_and_all_that_pages_have_is_in_ten():
    pages_drawn = set().union(*map(drawn, PARTS))
    seen = Counter(name for text in pages_drawn for name in features(text))
    assert len(pages_drawn) >= 300
    assert {name for name in (*FEATURES, "weights shared by all layers") if seen[name] < 10} == set()


@pytest.mark.parametrize(("part", "oracle"), [*enumerate(ORACLES)])
def test_derived_coefficients_of_pages_agree_with_automatic_differentiation(part, oracle):
    agreed = set()

    @examples(part, EXAMPLES[part])
    def agree(text):
        assume(text not in agreed)  # a page counts once
        try:
            report = fc.verify(fc.derive(fc.load(text)), oracle=oracle)
        except EvaluationError:
            assume(False)  # an overflow, or an argument of relu that is 0 whatever the data
        assert report.ok, report
        agreed.add(text)

    agree()
    assert len(agreed) >= EXAMPLES[part]


@pytest.mark.parametrize("part", PARTS[:2])
def test_a_derived_page_reads_back_as_its_form_and_is_the_same_text_at_every_depth(part):
    @examples(part, 30)
    def same(text):
        model = fc.load(text)
        form, deeper = fc.derive(model), fc.derive(fc.load(text, L=model.sizes["L"] + 2))
        assert str(deeper) == str(form)
        again = fc.derive(fc.load(form.page, **model.sizes))
        assert list(again) == list(form)
        for name in form:
            assert again[name] is form[name], name

    same()


@pytest.mark.parametrize(("part", "oracle"), [*enumerate(ORACLES)][:2])
def test_the_hessians_of_smooth_pages_along_a_direction_agree_with_automatic_differentiation(part, oracle):
    @examples(part, 8 if oracle == "jax" else 24, smooth=True, depth=1)
    def agree(text):
        report = fc.verify(fc.derive(fc.derive(fc.load(text))), oracle=oracle)
        assert report.ok, report

    agree()


@pytest.mark.parametrize("part", PARTS[:1])
def test_the_words_of_a_coefficient_add_up_to_it(part):
    summed = 0

    @examples(part, 30, depth=1)
    def add_up(text):
        nonlocal summed
        form = fc.derive(fc.load(text))
        arrays = fc.sample(form.model)
        for name in form:
            words = form.words(name)
            if 0 < words.count <= 50:
                # zero over all axes of the weight, for words that lack some
                zero = Product(Number(0), form.model.letters[name].transposed)
                values = [fc.evaluate(Sum(word, zero), arrays, **form.model.sizes) for word in words]
                whole = fc.evaluate(Sum(form[name], zero), arrays, **form.model.sizes)
                assert np.allclose(sum(values), whole, rtol=1e-9, atol=1e-12 * max(abs(v).max() for v in values))
                summed += 1

    add_up()
    assert summed >= 30
