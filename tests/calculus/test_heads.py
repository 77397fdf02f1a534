"""Heads, batches, groups, tokens and masks: every coefficient against jax and torch."""

import numpy as np
import pytest

import formcalc as fc
from formcalc.errors import FormError

#: By name: a page, and what its form says, line by line.
PAGES = {
    "heads": (
        """dims T = 3, d = 4, k = 4, h = 2
data X, Y: T×d
weights Q[h], K[h], V[h]: d×k  O[h]: k×d
A = a(k^{-1/2} X Q K^t X^t)
E = Y - Σ_h A X V O
loss = 1/2 trace(E^t E)
""",
        [
            "G[h] = X V[h] O[h] E^t",
            "M[h] = aa^t(k^{-1/2} X K[h] Q[h]^t X^t, G[h])",
            "dQ[h] : k^{-1/2} K[h]^t X^t M[h] X",
            "dK[h] : k^{-1/2} Q[h]^t X^t M[h]^t X",
            "dV[h] : O[h] E^t A[h] X",
            "dO[h] : E^t A[h] X V[h]",
        ],
    ),
    "groups of queries": (
        """dims T = 3, d = 4, k = 4, g = 2, r = 3
data X, Y: T×d
weights Q[g,r]: d×k  K[g], V[g]: d×k  O[r,g]: k×d
A = a(k^{-1/2} X Q K^t X^t)
E = Y - Σ_{g,r} A X V O
loss = 1/2 trace(E^t E)
""",
        [
            "G[g,r] = X V[g] O[r,g] E^t",
            "M[g,r] = aa^t(k^{-1/2} X K[g] Q[g,r]^t X^t, G[g,r])",
            "dQ[g,r] : k^{-1/2} K[g]^t X^t M[g,r] X",
            "dK[g] : Σ_r k^{-1/2} Q[g,r]^t X^t M[g,r]^t X",
            "dV[g] : Σ_r O[r,g] E^t A[g,r] X",
            "dO[r,g] : E^t A[g,r] X V[g]",
        ],
    ),
    "a batch": (
        """dims B = 2, T = 3, d = 4
data X[B], Y[B]: T×d
weights W, V: d×d
H = tanh(X W)
E = Y - H V
loss = 1/2 trace(E^t E)
""",
        ["G[B] = V E[B]^t", "dW : Σ_B tanh'(W^t X[B]^t, G[B]) X[B]", "dV : Σ_B E[B]^t H[B]"],
    ),
    "a batch and a weight for each of its members": (
        """dims B = 2, h = 2, d = 4
data X[B], Y[B]: d×d
weights W[h], V[h]: d×d  C[B]: d×d
E = Y - Σ_h tanh(X W) V^t - C^t
loss = 1/2 trace(E^t E)
""",
        [
            "dW[h] : Σ_B tanh'(W[h]^t X[B]^t, V[h]^t E[B]^t) X[B]",
            "dV[h] : Σ_B tanh(W[h]^t X[B]^t) E[B]",
            "dC[B] : E[B]",
        ],
    ),
    "a word that lacks the batch, beside one that has it": (
        """dims B = 2, d = 4
data X[B]: d×d
weights W, V: d×d
loss = trace(X W + V W^t + 2 V)
""",
        ["dW : Σ_B (-X[B]) - B V^t", "dV : -B W^t - 2 B I_{d}"],
    ),
    "only the word that lacks the batch holds the weight": (
        """dims B = 2, d = 4
data X[B]: d×d
weights W: d×d
loss = trace(X X^t + tanh(W))
""",
        ["dW : -B tanh'(W^t, I_{d})"],
    ),
    "factors that lack the batch": (
        """dims B = 2, d = 4
data X[B]: d×d
weights W, V: d×d
loss = trace((X + W) (V + W))
""",
        None,
    ),
    "a definition that lacks the batch": (
        """dims B = 2, d = 4
data X[B], Y: d×d
weights W, V: d×d
H = X W + V
N = tanh(V)
E = Y - H N
loss = 1/2 trace(E^t E) + trace(X + N)
""",
        None,
    ),
    "a sum over heads of a word without heads": (
        """dims B = 2, h = 2, d = 4
data X[B]: d×d
weights W[h], V: d×d
E = Σ_h (W + V) X
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "sums inside sums": (
        """dims b = 2, h = 2, d = 4
data X[b], Y: d×d
weights W[h], V[b,h], U: d×d
E = Y - Σ_b X (Σ_h tanh(V W U)) U
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "a sum of a sum": (
        """dims b = 2, h = 2, d = 4
data X[b], Y: d×d
weights W[h], U: d×d
E = Y - Σ_b Σ_h X W U + U
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "a named sum beside its family": (
        """dims h = 2, d = 4
data Y: d×d
weights W[h], U: d×d
S = Σ_h tanh(W)
E = Y - Σ_h S W U
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "a sum over heads that are columns": (
        """dims B = 2, h = 2, d = 4
data X[B], Y[B]: d×d
weights W[h], V[h]: d×d
E = Y - Σ_h a(X W)^t V
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "traces as factors": (
        """dims B = 2, d = 4
data X[B], Y[B]: d×d
weights W, V: d×d
H = trace(X W) V
E = Y - H
loss = 1/2 trace(E^t E) + trace(X W) trace(Y V) + trace(trace(W) Y V)
""",
        None,
    ),
    "layers with heads over a batch": (
        """dims T = 3, d = 4, k = 4, h = 2, L = 2, B = 2
data X_0[B], Y[B]: T×d
causal M: T×T
weights P: d×d
layers i = 0 .. L-1
  weights Q_i[h], K_i[h], V_i[h]: d×k  O_i[h]: k×d
  A_i = a(k^{-1/2} X_i Q_i K_i^t X_i^t, M)
  X_{i+1} = X_i + Σ_h A_i X_i V_i O_i + tanh(X_i P)
E = Y - X_L
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "heads that all layers share": (
        """dims T = 3, d = 4, k = 4, h = 2, L = 2, B = 2
data X_0[B], Y[B]: T×d
weights Q[h], K[h], V[h]: d×k  O[h]: k×d
layers i = 0 .. L-1
  A_i = a(k^{-1/2} X_i Q K^t X_i^t)
  X_{i+1} = X_i + Σ_h A_i X_i V O
E = Y - X_L
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "letters of the layers, summed outside": (
        """dims T = 3, d = 4, L = 2
data X_0, Y: T×d
weights P: d×d
layers i = 0 .. L-1
  weights Q_i: d×d
  X_{i+1} = tanh(X_i Q_i)
S = Σ_i X_i Q_i P
E = Y - X_L - S
loss = 1/2 trace(E^t E) + Σ_i trace(Q_i^t Q_i)
""",
        None,
    ),
    "embeddings tied to the output": (
        """dims B = 2, T = 3, V = 5, d = 4
tokens x[B], y[B]: T×V
weights E: V×d  W: d×d
H = tanh(x E W)
loss = -T^{-1} trace(y^t logsoftmax(H E^t))
""",
        [
            "E1[B] = H[B] E^t",
            "G[B] = T^{-1} (y[B]^t - a^t(E1[B]^t) ∘ (1_{V×1} colsum(y[B]^t)))",
            "M[B] = E^t G[B]",
            "U[B] = tanh'(W^t E^t x[B]^t, M[B])",
            "dE : Σ_B (H[B]^t G[B]^t + W U[B] x[B])",
            "dW : Σ_B U[B] x[B] E",
        ],
    ),
    "functions": (
        """dims T = 3, d = 4
data X, Y: T×d
ones C: T×1
weights g_1, b_1, g_2, b_2: 1×d   W: d×d
LN(X, g, b) = norm(X, 1e-5) ∘ (C g) + C b
two(X, W) = LN(X W, g_2, b_2) W
E = Y - two(LN(X, g_1, b_1), W) - two(X, W)
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "a sliding window": (
        """dims T = 3, d = 4, w = 2
data X, Y: T×d
causal M: T×T
distance D: T×T
weights Q, K, V: d×d
N = M ∘ step(D + w 1_{T×T} - 1/2 1_{T×T})
E = Y - a(X Q K^t X^t, N) X V
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "padding": (
        """dims B = 2, T = 3, d = 4
data X[B], Y[B]: T×d
mask p[B]: 1×T
ones C: T×1
causal M: T×T
weights Q, K, V: d×d
E = Y - a(X Q K^t X^t, M ∘ (C p)) X V
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "a mask for each member of a batch, over scores that they share": (
        """dims B = 2, T = 3, d = 4
data X, Y: T×d
mask P[B]: T×T
weights Q, V: d×d
E = Y - Σ_B a(X Q X^t, P) X V
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "a linear letter along a direction that all heads share": (
        """dims h = 2, T = 3, d = 4
data X[h], Y, R: T×d
weights P, V: d×d
E = Y - Σ_h aa(X P, R V)
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "capped scores": (
        """dims T = 3, d = 4, c = 5
data X, Y: T×d
causal M: T×T
weights Q, K, V: d×d
S = X Q K^t X^t
E = Y - a(c tanh(c^{-1} S), M) X V
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "linear biases": (
        """dims T = 3, d = 4, k = 4, h = 2
data X, Y: T×d
causal M: T×T
distance D: T×T
slopes s[h]: 1×1
ones C: T×1
weights Q[h], K[h], V[h]: d×k  O[h]: k×d
A = a(k^{-1/2} X Q K^t X^t + D ∘ (C s C^t), M)
E = Y - Σ_h A X V O
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "rotary positions": (
        """dims T = 3, d = 4, k = 4, h = 2
data X, Y: T×d
causal M: T×T
cosines c: T×k
sines s: T×k
quarterturn J: k×k
weights Q[h], K[h], V[h]: d×k  O[h]: k×d
turned(X) = X ∘ c + (X J) ∘ s
A = a(k^{-1/2} turned(X Q) turned(X K)^t, M)
E = Y - Σ_h A X V O
loss = 1/2 trace(E^t E)
""",
        None,
    ),
    "dropout": (
        """dims B = 2, T = 3, d = 4
data X[B], Y[B]: T×d
mask D[B]: T×d
weights W, V: d×d
E = Y - (2 D ∘ gelu(X W)) V
loss = 1/2 trace(E^t E)
""",
        None,
    ),
}

each_page = pytest.mark.parametrize("name", PAGES)


def form_of(name, **sizes):
    return fc.derive(fc.load(PAGES[name][0], **sizes))


@each_page
@pytest.mark.parametrize("oracle", ["jax", "torch"])
def test_every_coefficient_is_verified(name, oracle):
    report = fc.verify(form_of(name), oracle=oracle)
    assert report.ok, report
    assert report.max_relative_error < 1e-12
    assert all(row.largest > 1e-9 for row in report.table)


@pytest.mark.parametrize("name", [name for name, (_, lines) in PAGES.items() if lines])
def test_the_form_has_the_axes_of_the_page(name):
    assert str(form_of(name)).splitlines() == PAGES[name][1]


@each_page
def test_the_sum_of_the_words_is_the_coefficient(name):
    form = form_of(name)
    arrays = fc.sample(form.model)
    coefficients = fc.evaluate(form, arrays)
    sizes = form.model.sizes
    weight = next(iter(form))
    words = list(form.words(weight))
    assert len(words) == form.words(weight).count > 0
    summed = sum(fc.evaluate(word, arrays, **sizes) for word in words)
    np.testing.assert_allclose(
        summed, fc.evaluate(form[weight], arrays, **sizes), rtol=1e-9, atol=1e-9 * abs(coefficients[weight]).max()
    )


def test_a_coefficient_of_a_weight_without_the_batch_is_the_sum_over_the_batch():
    text = PAGES["a batch"][0]
    form = form_of("a batch", B=4)
    arrays = fc.sample(form.model)
    found = fc.evaluate(form, arrays)
    single = fc.derive(fc.load(text.replace("[B]", "")))
    parts = [fc.evaluate(single, {**arrays, "X": X, "Y": Y}) for X, Y in zip(arrays["X"], arrays["Y"], strict=True)]
    for name in ("W", "V"):
        np.testing.assert_allclose(found[name], sum(part[name] for part in parts), rtol=1e-12)


def test_heads_one_by_one_are_the_heads_together():
    """The concatenation of heads times the output matrix is the sum over heads, and so are their coefficients."""
    model = fc.load(PAGES["heads"][0])
    arrays = fc.sample(model)
    form = fc.derive(model)
    found = fc.evaluate(form, arrays)
    two = fc.load("""dims T = 3, d = 4, k = 4
data X, Y: T×d
weights Q_1, K_1, V_1, Q_2, K_2, V_2: d×k  O_1, O_2: k×d
A = a(k^{-1/2} X Q_1 K_1^t X^t)
B = a(k^{-1/2} X Q_2 K_2^t X^t)
E = Y - A X V_1 O_1 - B X V_2 O_2
loss = 1/2 trace(E^t E)
""")
    apart = {f"{name}_{h + 1}": arrays[name][h] for name in "QKVO" for h in (0, 1)}
    expected = fc.evaluate(fc.derive(two), {**apart, "X": arrays["X"], "Y": arrays["Y"]})
    for name in "QKVO":
        for h in (0, 1):
            np.testing.assert_allclose(found[name][h], expected[f"{name}_{h + 1}"], rtol=1e-11, atol=1e-14)


def test_one_group_for_each_query_is_plain_heads():
    grouped = form_of("groups of queries", g=3, r=1)
    plain = form_of("heads", h=3)
    arrays = fc.sample(plain.model)
    found = fc.evaluate(plain, arrays)
    given = {**arrays, "Q": arrays["Q"][:, None], "O": arrays["O"][None]}
    for name, coefficient in fc.evaluate(grouped, given).items():
        np.testing.assert_allclose(coefficient.reshape(found[name].shape), found[name], rtol=1e-12)


@pytest.mark.parametrize(
    "answer", ["Σ_h (Σ_h tanh(W)) W U", "Σ_h (W ∘ ((Σ_h W) U))", "(Σ_h tanh(W + U + (Σ_h W)))", "(Σ_h W + (Σ_h W)) U"]
)
def test_a_sum_may_stand_beside_a_family_over_the_same_axis(answer):
    page = f"dims d = 2, h = 2\ndata Y: d×d\nweights W[h], U: d×d\nE = Y - ({answer})\nloss = 1/2 trace(E^t E)\n"
    form = fc.derive(fc.load(page))
    for found in (form, fc.derive(form)):
        report = fc.verify(found, oracle="jax")
        assert report.ok, report


def test_a_pass_asks_for_a_name_of_a_sum_beside_a_family_over_the_same_axis():
    letters = {"V": ("h", "d", "d"), "W": ("h", "d", "d")}
    one_form = fc.d(fc.parse("V (Σ_h W)", letters, roles={"V": "data"}))
    with pytest.raises(FormError) as error:
        fc.shift_mm(one_form)
    assert str(error.value) == (
        "Σ_h dW[h] stands beside another family over h: give the sum a name of its own, in a definition on a page"
    )


@pytest.mark.parametrize("weights", [["E"], ["W"]])
def test_tokens_select_and_gather_rows_of_the_embedding(weights):
    form = fc.derive(fc.load(PAGES["embeddings tied to the output"][0]), wrt=weights)
    report = fc.verify(form, oracle="torch")
    assert report.ok, report
    assert [row.name for row in report.table] == weights


def test_a_target_that_is_none_adds_nothing():
    model = fc.load(PAGES["embeddings tied to the output"][0])
    arrays = fc.sample(model)
    none = {**arrays, "y": np.full((2, 3), -1)}
    assert fc.evaluate(model.loss, none, **model.sizes) == 0
    assert all(not coefficient.any() for coefficient in fc.evaluate(fc.derive(model), none).values())
    some = {**arrays, "y": np.array([[0, -1, 2], [-1, -1, 4]]), "x": np.array([[1, -1, 3], [0, 0, 0]])}
    report = fc.verify(fc.derive(model), some, oracle="torch")
    assert report.ok, report
