"""Pages of models that are in no list, as a user writes them, and derived pages of all stock models."""

import numpy as np
import pytest

import formcalc as fc

HEAD = """dims T = 4, d = 6, h = 2, g = 2, k = 3, f = 5, r = 3, L = 2
data X_0, Y: T×d
causal M: T×T
ones C: T×1
"""

END = "E = Y - X_L\nloss = 1/2 trace(E^t E)\n"

PAGES = {
    "a parallel block of attention and feed-forward": HEAD
    + """layers i = 0 .. L-1
  weights Q_i[h], K_i[h], V_i[h]: d×k  O_i[h]: k×d  A_i: d×f  B_i: f×d
  N_i = rms(X_i, 1e-6)
  X_{i+1} = X_i + Σ_h a(k^{-1/2} N_i Q_i K_i^t N_i^t, M) N_i V_i O_i + gelu(N_i A_i) B_i
"""
    + END,
    "groups of queries and a learned relative bias": HEAD
    + """mask P[r]: T×T
weights w[g,h,r]: 1×1
R = Σ_r P ∘ (C w C^t)
layers i = 0 .. L-1
  weights Q_i[g,h]: d×k  K_i[g], V_i[g]: d×k  O_i[g,h]: k×d
  S_i = k^{-1/2} X_i Q_i K_i^t X_i^t + R
  X_{i+1} = X_i + Σ_{g,h} a(S_i, M) X_i V_i O_i
"""
    + END,
    "one layer shared by all, normalised after": HEAD
    + """weights Q, K, V: d×d  A: d×f  B: f×d  γ, β: 1×d
LN(X) = norm(X, 1e-5) ∘ (C γ) + C β
layers i = 0 .. L-1
  H_i = LN(X_i + a(d^{-1/2} (X_i Q) (X_i K)^t) X_i V)
  X_{i+1} = LN(H_i + silu(H_i A) B)
"""
    + END,
    "two blocks, the second with a feed-forward used twice and capped scores": HEAD
    + """FF(X, A, B) = m(X A) B
layers i = 0 .. L-1
  weights Q_i: d×d
  X_{i+1} = X_i + tanh(X_i Q_i)
Z_0 = X_L
layers j = 0 .. L-1
  weights A_j: d×f  B_j: f×d  K_j: d×d
  H_j = Z_j + FF(Z_j, A_j, B_j)
  Z_{j+1} = H_j + FF(H_j, A_j, B_j) + a(5 tanh(0.2 H_j K_j Z_j^t), M) Z_j
E = Y - Z_L
loss = 1/2 trace(E^t E)
""",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_a_user_is_verified_and_reads_back(name):
    form = fc.derive(fc.load(PAGES[name]))
    report = fc.verify(form, oracle="jax")
    assert report.ok, report
    again = fc.derive(fc.load(form.page))
    assert [*again] == [*form]
    assert all(again[weight] is form[weight] for weight in form)


#: Too large to be evaluated twice; test_sources runs them at their sizes.
LARGE = {"sixteen-heads", "expand-filter", "expand-gate"}


@pytest.mark.parametrize("name", [name for name in fc.models() if name not in LARGE])
def test_the_derived_page_of_a_stock_model_evaluates_bit_for_bit_the_same(name):
    model = fc.load(name)
    form, arrays = fc.derive(model), fc.sample(model)
    found = fc.evaluate(fc.derive(fc.load(form.page, **model.sizes)), arrays)
    expected = fc.evaluate(form, arrays)
    assert [*found] == [*expected]
    for weight, value in expected.items():
        assert np.array_equal(found[weight], value), weight
