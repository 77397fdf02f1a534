"""Programs on every engine against the reference evaluator: stock pages, random pages, and what whole pages contain."""

import numpy as np
import pytest
from against_reference import check
from hypothesis import HealthCheck, Phase, given, settings

import formcalc as fc
from formcalc.numeric.program import ENGINES
from page_strategies import PAGE_SIZES, pages

GROUPED = """dims B = 2, T = 3, d = 4, g = 2, r = 3, k = 2
data X[B], Y[B]: T×d
causal M: T×T
weights Q[g,r]: d×k   K[g], V[g]: d×k   O[g,r]: k×d
S[B,g,r] = k^{-1/2} X Q K^t X^t
E = Y - X - Σ_{g,r} a(S, M) X V O
loss = 1/2 trace(E^t E)
"""

TWO_BLOCKS = """dims T = 3, d = 4, h = 2, K = 2, L = 5
data X_0, Y: T×d
weights U: d×d
layers i = 0 .. K-1
  weights A_i: d×h   B_i: h×d
  X_{i+1} = X_i + tanh(X_i A_i) B_i U
layers j = K .. L-1
  weights C_j: d×d
  X_{j+1} = X_j + gelu(X_j C_j) U
E = Y - X_L
loss = 1/2 trace(E^t E) + Σ_i trace(A_i^t A_i) + Σ_j 1/2 trace(X_{j+1}^t X_{j+1})
"""


@pytest.mark.parametrize("name", fc.models())
@pytest.mark.parametrize("engine", ["numpy", "numba", "torch"])
def test_stock_pages_agree_with_the_reference(name, engine):
    form = fc.derive(fc.load(name))
    check(form, fc.sample(form.model), engine)


@pytest.mark.parametrize("name", [name for name in fc.models() if name != "sixteen-heads"])
def test_stock_pages_agree_with_the_reference_on_jax(name):
    sizes = {"L": 1} if "L" in fc.load(name).sizes else {}
    form = fc.derive(fc.load(name, **sizes))
    check(form, fc.sample(form.model), "jax")


@pytest.mark.parametrize("name", ["encoder", "positions-rotary", "pre-ln", "gpt2", "llama", "bert"])
@pytest.mark.parametrize("engine", ["numpy", "numba", "torch"])
def test_float32_agrees_to_its_precision(name, engine):
    form = fc.derive(fc.load(name))
    result = check(form, fc.sample(form.model), engine, 1e-3, "float32")
    assert {str(x.dtype).removeprefix("torch.") for x in result.gradients.values()} == {"float32"}


def test_float32_on_jax():
    form = fc.derive(fc.load("encoder"))
    result = check(form, fc.sample(form.model), "jax", 1e-3, "float32")
    assert {str(x.dtype) for x in result.gradients.values()} == {"float32"}


@pytest.mark.parametrize(("engine", "count"), [("numpy", 20), ("numba", 4), ("torch", 7), ("jax", 4)])
@pytest.mark.parametrize("part", range(len(PAGE_SIZES)))
def test_random_pages_agree_with_the_reference(engine, count, part):
    @settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(text=pages(PAGE_SIZES[part], depth=1 if engine == "jax" else 2))
    def agree(text):
        form = fc.derive(fc.load(text))
        check(form, fc.sample(form.model), engine, 1e-9)

    agree()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("text", [GROUPED, TWO_BLOCKS], ids=["grouped queries", "two blocks"])
def test_families_blocks_shared_weights_and_sums_over_layers(text, engine):
    form = fc.derive(fc.load(text))
    check(form, fc.sample(form.model), engine)


@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("name", ["encoder-linear", "gpt2", "llama"])
def test_programs_of_any_depth(name, layers):
    form = fc.derive(fc.load(name, L=layers))
    check(form, fc.sample(form.model), "numpy")


@pytest.mark.parametrize("engine", ["numpy", "numba", "torch"])
@pytest.mark.parametrize("name", ["encoder", "gpt2", "llama", "bert"])
def test_one_token_and_sizes_of_one(name, engine):
    model = fc.load(name)
    small = {n: 2 if n in "VkN" else 1 for n, size in model.sizes.items() if isinstance(size, int) and n != "v"}
    form = fc.derive(fc.load(name, **small))
    arrays = fc.sample(form.model)
    result = fc.compile(form, engine=engine)(arrays)
    largest = max(abs(value).max() for value in fc.evaluate(form, arrays).values())
    for weight, value in fc.evaluate(form, arrays).items():
        # with one token softmax is constant, and the norm of a row of one entry is 0
        assert np.allclose(np.asarray(result.coefficients[weight]), value, rtol=1e-9, atol=1e-12 * max(largest, 1e-3))


@pytest.mark.parametrize("engine", ENGINES)
def test_ids_that_are_negative_have_rows_of_zeros(engine):
    form = fc.derive(fc.load("gpt2", L=1))
    arrays = dict(fc.sample(form.model))
    arrays["x"] = np.array([[0, 3, -1, 2, -100, 5], [1, 1, 1, 12, -100, -100]])
    arrays["y"] = np.array([[3, -100, 2, 4, 5, -1], [1, 1, 12, 0, -100, -100]])
    check(form, arrays, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_masked_everywhere_are_zero(engine):
    form = fc.derive(fc.load("gpt2", L=1))
    arrays = dict(fc.sample(form.model))
    arrays["p"] = np.array([[[0.0, 0, 1, 1, 0, 1]], [[0.0, 0, 0, 0, 0, 0]]])
    result = check(form, arrays, engine)
    assert all(np.isfinite(np.asarray(x)).all() for x in result.gradients.values())


@pytest.mark.parametrize("name", ["encoder", "sixteen-heads", "gpt2", "llama"])
def test_stated_forms(name):
    form = fc.derive(fc.load(name))
    stated = fc.derive(fc.load(form.page, **form.model.sizes))
    check(stated, fc.sample(stated.model), "numpy")


@pytest.mark.parametrize("engine", ["numpy", "numba", "torch"])
@pytest.mark.parametrize("name", ["encoder", "positions-rotary", "gpt2"])
def test_second_derivatives(name, engine):
    form = fc.derive(fc.derive(fc.load(name)))
    check(form, fc.sample(form.model), engine, 1e-10)


@pytest.mark.parametrize("of", [fc.derive, fc.compile, lambda what: fc.export(what, "torch")])
def test_the_name_of_a_page_is_no_page(of):
    with pytest.raises(fc.FormcalcError, match="not a str: "):
        of("encoder")
