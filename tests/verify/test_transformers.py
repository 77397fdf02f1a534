"""GPT-2, Llama and BERT against the transformers package, every parameter at random, in float64."""

import os
from importlib.util import find_spec

import numpy as np
import pytest

import formcalc as fc
from formcalc.errors import FormcalcError

pytestmark = pytest.mark.skipif(
    find_spec("transformers") is None and not os.environ.get("CI"), reason="transformers is not installed"
)

PAGES = ["gpt2", "llama", "bert"]


def padded(model, seed):
    """Two full rows and one that ends in padding; some targets are not counted."""
    arrays = fc.sample(model, seed)
    arrays["p"][:] = 1
    arrays["p"][2, 0, 4:] = 0
    arrays["y"][0, 2] = -1
    arrays["y"][2, 4:] = -1
    return arrays


def verified(model, arrays=None, seed=0):
    report = fc.verify(fc.derive(model), arrays, oracle="transformers", seed=seed)
    assert report.ok, report
    assert {row.name for row in report.table} == {"Z", "loss", *model.weights}
    return report


@pytest.mark.parametrize("page", PAGES)
def test_logits_loss_and_every_gradient_agree(page):
    verified(fc.load(page), seed=1)


@pytest.mark.parametrize("page", PAGES)
def test_padded_batches_and_uncounted_targets_agree(page):
    model = fc.load(page, B=3, T=7, L=1)
    verified(model, padded(model, 2))


@pytest.mark.parametrize(("g", "r"), [(1, 4), (4, 1), (2, 3)])
def test_queries_share_keys_and_values_in_groups(g, r):
    verified(fc.load("llama", g=g, r=r, k=6, d=12, L=1, T=9))


def test_wide_and_deep_gpt2():
    verified(fc.load("gpt2", B=1, T=16, N=32, V=64, d=32, h=4, k=8, f=128, L=3))


@pytest.mark.parametrize("page", PAGES)
def test_no_gradient_agrees_by_being_zero(page):
    report = fc.verify(fc.derive(fc.load(page, L=1)), oracle="transformers")
    # the bias of the keys has no effect: softmax does not see what is added to a whole row
    assert {row.name for row in report.table if row.largest < 1e-12} <= {"beta_{K,0}"}


def test_a_wrong_page_is_caught():
    text = fc.load("gpt2").page
    wrong = fc.load("gpt2").source.text.replace("gelu_tanh(F_i)", "gelu(F_i)")
    assert wrong != text
    form = fc.derive(fc.load(wrong))
    object.__setattr__(form.model, "name", "gpt2")
    assert not fc.verify(form, oracle="transformers").ok


def test_padding_hides_keys():
    model = fc.load("bert", B=3, T=7, L=1)
    arrays = padded(model, 3)
    logits = next(letter for letter in model.definitions if letter.name == "Z")
    before = fc.evaluate(logits, arrays, **model.sizes)
    arrays["x"][2, 5] = (arrays["x"][2, 5] + 1) % 13
    after = fc.evaluate(logits, arrays, **model.sizes)
    assert np.array_equal(before[2, :4], after[2, :4])
    assert not np.array_equal(before[2, 5], after[2, 5])


def test_other_pages_are_not_in_the_package():
    with pytest.raises(FormcalcError, match="transformers has no model of encoder: the oracle knows gpt2, llama, bert"):
        fc.verify(fc.derive(fc.load("encoder")), oracle="transformers")


def test_sizes_that_the_package_does_not_have_are_named():
    with pytest.raises(FormcalcError, match="GPT-2 has d = h k in the package: choose such sizes to compare with it"):
        fc.verify(fc.derive(fc.load("gpt2", k=3)), oracle="transformers")
