"""The order of multiplication: however a page is phrased, its program has the operations of the best phrasing known."""

import numpy as np
import pytest

import formcalc as fc

T, D, R = 128, 1024, 8
WIDTHS = {"narrow": (512, 512, 32), "wide": (512, 64, 512)}

ADAPTERS = [
    "E = Y - X (W + A B)",
    "E = Y - X W - X A B",
    "E = Y - X W - (X A) B",
    "H = W + A B\nE = Y - X H",
    "D = A B\nE = Y - X (W + D)",
    "D = A B\nH = W + D\nP = X H\nE = Y - P",
]

SCORES = [
    "S = X Q K^t X^t",
    "S = ((X Q) K^t) X^t",
    "M = Q K^t\nS = X M X^t",
    "U = X Q\nV = X K\nS = U V^t",
    "N = X Q K^t\nS = N X^t",
    "N = K^t X^t\nS = X (Q N)",
]

CHAINS = ["E = Y - A B C D v", "E = Y - ((A B) (C D)) v", "M = A B\nE = Y - M (C D v)"]


def adapter(body, is_trained, tokens=T, width=D, rank=R):
    weight = "weights W: d×d" if is_trained else "data W: d×d"
    return (
        f"dims T = {tokens}, d = {width}, r = {rank}\ndata X, Y: T×d\n{weight}\nweights A: d×r   B: r×d\n{body}\n"
        "loss = 1/2 trace(E^t E)\n"
    )


def scores(body, tokens, width, inner):
    return (
        f"dims T = {tokens}, d = {width}, k = {inner}\ndata X: T×d   Y: T×T\nweights Q, K: d×k\n{body}\n"
        "E = Y - a(S)\nloss = 1/2 trace(E^t E)\n"
    )


def chain(body, side):
    return (
        f"dims n = {side}, o = 1\nweights A, B, C, D: n×n\nweights v: n×o\ndata Y: n×o\n{body}\n"
        "loss = 1/2 trace(E^t E)\n"
    )


def operations(page):
    return fc.compile(fc.derive(fc.load(page))).plan.product_flops


@pytest.mark.parametrize("body", ADAPTERS)
def test_adapters(body):
    # X W; X A, (X A) B; and for A and B: X^t (E B^t) with E B^t, (X A)^t E
    narrow = 5 * 2 * T * D * R
    assert operations(adapter(body, is_trained=False)) <= 1.001 * (2 * T * D * D + narrow)


@pytest.mark.parametrize("body", ADAPTERS)
def test_adapters_of_weights_that_are_trained(body):
    # also X^t E for W; the gradients of A and B may be taken from it
    assert operations(adapter(body, is_trained=True)) <= 1.001 * (2 * 2 * T * D * D + 5 * 2 * T * D * R)


@pytest.mark.parametrize("body", SCORES)
def test_scores_with_narrow_heads(body):
    tokens, width, inner = WIDTHS["narrow"]
    # X Q, X K, their product; with S' those with X K and X Q, and the two gradients; the loss
    best = 2 * tokens * inner * (4 * width + 3 * tokens) + 2 * tokens * tokens
    assert operations(scores(body, *WIDTHS["narrow"])) <= 1.001 * best


@pytest.mark.parametrize("body", SCORES)
def test_scores_with_wide_heads(body):
    tokens, width, inner = WIDTHS["wide"]
    # Q K^t, X M, (X M) X^t; X^t S' X; its products with K and with Q; the loss
    best = (
        2 * (3 * width * width * inner + 2 * tokens * width * width + 2 * tokens * tokens * width) + 2 * tokens * tokens
    )
    assert operations(scores(body, *WIDTHS["wide"])) <= 1.001 * best


@pytest.mark.parametrize("body", CHAINS)
def test_chains_that_end_in_a_column(body):
    side = 256
    # a column from the right, a row from the left, and four outer products
    assert operations(chain(body, side)) <= 1.001 * (4 + 4 + 4) * 2 * side * side


@pytest.mark.parametrize(
    "page",
    [adapter(body, is_trained, 6, 5, 2) for body in ADAPTERS for is_trained in (False, True)]
    + [scores(body, 5, *sizes) for body in SCORES for sizes in ((6, 2), (2, 6))]
    + [chain(body, 4) for body in CHAINS],
)
def test_every_phrasing_has_the_gradients_of_the_page(page):
    form = fc.derive(fc.load(page))
    arrays = fc.sample(form.model)
    found = fc.compile(form)(arrays)
    for name, want in fc.evaluate(form, arrays).items():
        np.testing.assert_allclose(found.coefficients[name], want, rtol=1e-11, atol=1e-11 * abs(want).max())
