"""Stock models at depths and sizes that nothing else runs."""

import sys
from importlib.resources import files

import numpy as np
import pytest

import formcalc as fc


def test_words_of_ninety_six_layers_are_there_at_every_place():
    words = fc.derive(fc.load("encoder", L=96)).words()
    found = [words[0], words[10**40], words[words.count - 1]]
    assert len(str(words.count)) == 92
    assert len(set(found)) == 3
    with pytest.raises(fc.FormcalcError, match=f"there is no word number {words.count}: there are {words.count}"):
        words[words.count]


def test_twelve_layers_evaluate_at_the_recursion_limit_that_python_has():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(min(limit, 1000))
    try:
        form = fc.derive(fc.load("gpt2", L=12, T=3))
        found = fc.evaluate(form, fc.sample(form.model))
    finally:
        sys.setrecursionlimit(limit)
    assert [*found] == form.model.weights
    assert all(np.isfinite(value).all() for value in found.values())


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("sixteen-heads", {"N": 3, "d": 12, "h": 4, "k": 5}),
        ("expand-filter", {"N": 3, "d": 6, "f": 9}),
        ("expand-gate", {"N": 3, "d": 6, "f": 9}),
    ],
)
def test_the_derived_page_of_a_wide_model_evaluates_bit_for_bit_the_same(name, sizes):
    form = fc.derive(fc.load(name, **sizes))
    arrays = fc.sample(form.model)
    found, expected = fc.evaluate(fc.derive(fc.load(form.page, **sizes)), arrays), fc.evaluate(form, arrays)
    assert [*found] == [*expected]
    assert all(np.array_equal(found[weight], expected[weight]) for weight in expected)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_derived_page_is_derived_again(name):
    form = fc.derive(fc.load(fc.derive(fc.load(name)).page))
    hessian = fc.derive(fc.load(fc.derive(form).page))
    assert fc.verify(hessian, oracle="torch").ok


def test_every_stock_model_is_a_page():
    pages = {path.name.removesuffix(".fc") for path in (files("formcalc.models") / "pages").iterdir()}
    assert pages == set(fc.models())
