"""Parts of today's models as a user writes them: loss and gradients against the same parts written in torch.

What torch computes here is written from the definition of each part, and not from the text of the page.
"""

from math import sqrt

import numpy as np
import pytest

import formcalc as fc

torch = pytest.importorskip("torch", exc_type=ImportError)

HEAD = """dims B = 2, T = 5, d = 6, h = 4, g = 2, r = 2, k = 4, f = 7, b = 3, L = 2
data X_0[B], Y[B]: T×d
causal M: T×T
distance D: T×T
ones C: T×1
"""

END = "E = Y - X_L\nloss = 1/2 trace(E^t E)\n"


def square(x, given):
    return ((given["Y"] - x) ** 2).sum() / 2


def softmax(scores, mask=None):
    """Rows over what the mask allows; a row that is masked everywhere is zero."""
    if mask is None:
        return torch.softmax(scores, -1)
    mask = mask.expand(scores.shape) != 0
    return torch.nan_to_num(torch.softmax(scores.masked_fill(~mask, -torch.inf), -1))


def causal(tokens):
    return torch.ones(tokens, tokens, dtype=torch.float64).tril()


def heads(x, q, k, v, o, mask=None, bias=0.0, change=lambda s: s, values=lambda a: a):
    """Attention of heads (h, d, k), over a batch; the outputs of the heads times (h, k, d), added up."""
    Q, K, V = (torch.einsum("btd,hdk->bhtk", x, w) for w in (q, k, v))
    scores = change(Q @ K.mT / sqrt(q.shape[-1])) + bias
    return torch.einsum("bhtk,hkd->btd", values(softmax(scores, mask)) @ V, o)


def layers(given, step, *names, count=2):
    x = given["X_0"]
    for i in range(count):
        x = step(x, *(given[f"{name}_{i}"] for name in names))
    return square(x, given)


def layer_norm(x, gain, bias):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=1e-5) * gain + bias


def rms_norm(x, epsilon=1e-6):
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + epsilon)


ATTENTION = "  weights Q_i[h], K_i[h], V_i[h]: d×k  O_i[h]: k×d\n"


def attention_page(scores, mask=", M", weights="a(S_i{mask})", head=""):
    return (
        HEAD
        + head
        + "layers i = 0 .. L-1\n"
        + ATTENTION
        + f"  S_i = {scores}\n"
        + f"  X_{{i+1}} = X_i + Σ_h {weights.format(mask=mask)} X_i V_i O_i\n"
        + END
    )


SCORES = "k^{-1/2} X_i Q_i K_i^t X_i^t"


def grouped(given):
    def step(x, q, k, v, o):
        q, o = q.flatten(0, 1), o.flatten(0, 1)  # query head g r + j has keys and values g
        return x + heads(x, q, *(w.repeat_interleave(2, 0) for w in (k, v)), o, causal(5))

    return layers(given, step, "Q", "K", "V", "O")


def relative_bias(given):
    """T5: no scale, and a learned number for each head and bucket of distances, the same in all layers."""
    bias = torch.zeros(4, 5, 5, dtype=torch.float64)
    for i in range(5):
        for j in range(5):
            bias[:, i, j] = given["w"][min(max(i - j, 0), 2), :, 0, 0]

    def step(x, q, k, v, o):
        return x + heads(x, q * 2, k, v, o, bias=bias)

    return layers(given, step, "Q", "K", "V", "O")


def alibi(given):
    far = torch.arange(5)[None, :] - torch.arange(5)[:, None]
    slopes = torch.tensor([2.0 ** (-2 * (e + 1)) for e in range(4)], dtype=torch.float64)

    def step(x, *weights):
        return x + heads(x, *weights, causal(5), slopes[:, None, None] * far)

    return layers(given, step, "Q", "K", "V", "O")


def window(given):
    seen = torch.tensor([[float(0 <= i - j < 3) for j in range(5)] for i in range(5)])
    return layers(given, lambda x, *w: x + heads(x, *w, seen), "Q", "K", "V", "O")


def soft_cap(given):
    def cap(scores):
        return 5 * torch.tanh(scores / 5)

    return layers(given, lambda x, *w: x + heads(x, *w, causal(5), change=cap), "Q", "K", "V", "O")


def dropout(given):
    def step(x, q, k, v, o, kept):
        return x + heads(x, q, k, v, o, causal(5), values=lambda a: a * kept.transpose(0, 1))

    return layers(given, step, "Q", "K", "V", "O", "P")


def padding(given):
    seen = causal(5) * given["p"][:, None]
    return layers(given, lambda x, *w: x + heads(x, *w, seen), "Q", "K", "V", "O")


def gated(gate):
    def loss(given):
        return layers(given, lambda x, a, b, c: x + (gate(rms_norm(x) @ a) * (rms_norm(x) @ b)) @ c, "A", "B", "C")

    return loss


def gated_page(gate):
    return (
        HEAD.replace("ones C: T×1\n", "")
        + "layers i = 0 .. L-1\n  weights A_i, B_i: d×f  C_i: f×d\n  N_i = rms(X_i, 1e-6)\n"
        + f"  X_{{i+1}} = X_i + ({gate}(N_i A_i) ∘ (N_i B_i)) C_i\n"
        + END
    )


def parallel(given):
    def step(x, q, k, v, o, a, b):
        n = layer_norm(x, given["gamma"], given["beta"])
        return x + heads(n, q, k, v, o, causal(5)) + torch.nn.functional.gelu(n @ a) @ b

    return layers(given, step, "Q", "K", "V", "O", "A", "B")


def shared_post_norm(given):
    def norm(x):
        return layer_norm(x, given["gamma"], given["beta"])

    x = given["X_0"]
    for _ in range(3):
        x = norm(x + heads(x, given["Q"], given["K"], given["V"], given["O"]))
        x = norm(x + torch.relu(x @ given["A"]) @ given["B_1"])
    return square(x, given)


def two_blocks(given):
    """An encoder, and layers that attend to what it gives."""
    x = given["X_0"]
    for i in range(2):
        x = x + torch.tanh(x @ given[f"A_{i}"])
    z = given["Z_0"]
    for j in range(1, 4):
        z = z + softmax(z @ given[f"K_{j}"] @ x.mT) @ x @ given[f"V_{j}"]
    return square(z, given)


def used_twice(given):
    def part(x, a, b, g):
        return rms_norm(torch.nn.functional.silu(x @ a) @ b) * g

    return layers(
        given, lambda x, a, b, g, e: x + part(x, a, b, g) + part(part(x, e, b, g), a, b, g), "A", "B", "g", "F"
    )


def tied(given):
    E = given["E"]
    x = E[given["x"]] + given["P"]
    x = x + softmax(x @ given["W"] @ x.mT, causal(5)) @ x
    return torch.nn.functional.cross_entropy((x @ E.T).flatten(0, 1), given["y"].flatten())


CASES = {
    "grouped queries": (
        HEAD
        + """layers i = 0 .. L-1
  weights Q_i[g,r]: d×k  K_i[g], V_i[g]: d×k  O_i[g,r]: k×d
  S_i = k^{-1/2} X_i Q_i K_i^t X_i^t
  X_{i+1} = X_i + Σ_{g,r} a(S_i, M) X_i V_i O_i
"""
        + END,
        grouped,
    ),
    "a relative bias in buckets": (
        attention_page(
            "X_i Q_i K_i^t X_i^t + R", "", head="data P[b]: T×T\nweights w[b,h]: 1×1\nR = Σ_b P ∘ (C w C^t)\n"
        ),
        relative_bias,
    ),
    "a penalty linear in the distance": (
        attention_page(f"{SCORES} + (C s C^t) ∘ D", head="slopes s[h]: 1×1\n"),
        alibi,
    ),
    "a sliding window": (
        attention_page(SCORES, ", W", head="W = M ∘ step(D + 3 1_{T×T} - 1/2 1_{T×T})\n"),
        window,
    ),
    "capped scores": (attention_page("5 tanh(0.2 (k^{-1/2} X_i Q_i K_i^t X_i^t))"), soft_cap),
    "dropout by a given mask": (
        attention_page(SCORES, weights="(a(S_i, M) ∘ P_i)").replace(ATTENTION, ATTENTION + "  mask P_i[h,B]: T×T\n"),
        dropout,
    ),
    "padding": (attention_page(SCORES, ", M ∘ (C p)", head="mask p[B]: 1×T\n"), padding),
    "SwiGLU": (gated_page("silu"), gated(torch.nn.functional.silu)),
    "GEGLU": (gated_page("gelu"), gated(torch.nn.functional.gelu)),
    "attention and feed-forward in parallel": (
        HEAD
        + "weights γ, β: 1×d\nLN(X) = norm(X, 1e-5) ∘ (C γ) + C β\nlayers i = 0 .. L-1\n"
        + ATTENTION
        + """  weights A_i: d×f  B_i: f×d
  N_i = LN(X_i)
  S_i = k^{-1/2} N_i Q_i K_i^t N_i^t
  X_{i+1} = X_i + Σ_h a(S_i, M) N_i V_i O_i + gelu(N_i A_i) B_i
"""
        + END,
        parallel,
    ),
    "layers that share their weights, normalised after": (
        HEAD.replace("L = 2", "L = 3")
        + """weights Q[h], K[h], V[h]: d×k  O[h]: k×d  A: d×f  B_1: f×d  γ, β: 1×d
LN(X) = norm(X, 1e-5) ∘ (C γ) + C β
layers i = 0 .. L-1
  H_i = LN(X_i + Σ_h a(k^{-1/2} X_i Q K^t X_i^t) X_i V O)
  X_{i+1} = LN(H_i + relu(H_i A) B_1)
"""
        + END,
        shared_post_norm,
    ),
    "two blocks of layers": (
        HEAD
        + """data Z_0[B]: T×d
layers i = 0 .. L-1
  weights A_i: d×d
  X_{i+1} = X_i + tanh(X_i A_i)
Z_1 = Z_0
layers j = 1 .. 3
  weights K_j, V_j: d×d
  Z_{j+1} = Z_j + a(Z_j K_j X_L^t) X_L V_j
E = Y - Z_4
loss = 1/2 trace(E^t E)
""",
        two_blocks,
    ),
    "a part used twice": (
        HEAD
        + """FF(X, A, B, g) = rms(silu(X A) B, 1e-6) ∘ (C g)
layers i = 0 .. L-1
  weights A_i, F_i: d×f  B_i: f×d  g_i: 1×d
  X_{i+1} = X_i + FF(X_i, A_i, B_i, g_i) + FF(FF(X_i, F_i, B_i, g_i), A_i, B_i, g_i)
"""
        + END,
        used_twice,
    ),
    "an embedding that is also the readout": (
        """dims B = 2, T = 5, V = 9, d = 6
tokens x[B], y[B]: T×V
causal M: T×T
weights E: V×d  P: T×d  W: d×d
X = x E + P
H = X + a(X W X^t, M) X
loss = -B^{-1} T^{-1} trace(y^t logsoftmax(H E^t))
""",
        tied,
    ),
}


def numbers(name, form):
    arrays = fc.sample(form.model, seed=4)
    if name == "a relative bias in buckets":
        buckets = np.array([[min(max(i - j, 0), 2) for j in range(5)] for i in range(5)])
        arrays["P"] = np.array([buckets == bucket for bucket in range(3)], float)
    if name == "padding":
        arrays["p"][:] = 1
        arrays["p"][1, 0, :2] = 0  # on the left: the first rows of a causal layer see nothing
    if name == "dropout by a given mask":
        for i in (0, 1):
            arrays[f"P_{i}"] = arrays[f"P_{i}"] / 0.8
    return arrays


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradients_are_those_of_torch(name):
    page, written = CASES[name]
    form = fc.derive(fc.load(page))
    arrays = numbers(name, form)
    given = {letter: torch.tensor(array) for letter, array in arrays.items()}
    weights = [given[weight].requires_grad_() for weight in form]
    loss = written(given)
    assert abs(fc.evaluate(form.model.loss, arrays, **form.model.sizes) - loss.item()) <= 1e-12 * abs(loss.item())
    found = fc.evaluate(form, arrays)
    for weight, gradient in zip(form, torch.autograd.grad(loss, weights), strict=True):
        expected = -gradient.numpy().swapaxes(-1, -2)
        assert abs(expected).max() > 1e-6, weight
        assert abs(found[weight] - expected).max() <= 1e-9 * abs(expected).max(), weight


@pytest.mark.parametrize("name", CASES)
def test_the_derived_page_reads_back(name):
    form = fc.derive(fc.load(CASES[name][0]))
    again = fc.derive(fc.load(form.page))
    assert [*again] == [*form]
    assert all(again[weight] is form[weight] for weight in form)


def test_a_row_that_is_masked_everywhere_has_value_and_gradient_zero():
    page = """dims T = 4, d = 3
data X, Y: T×d
mask p: T×T
weights Q, V: d×d
A = a(X Q X^t, p)
E = Y - A X V
loss = 1/2 trace(E^t E)
"""
    form = fc.derive(fc.load(page))
    arrays = fc.sample(form.model, seed=2)
    arrays["p"][:] = 1
    arrays["p"][1] = 0
    [A] = [letter for letter in form.model.definitions if letter.name == "A"]
    values = fc.evaluate(A, arrays, **form.model.sizes)
    assert (values[1] == 0).all()
    assert np.allclose(values[[0, 2, 3]].sum(-1), 1)
    found = fc.evaluate(form, arrays)
    # the error in this row reaches no weight
    other = arrays | {"Y": arrays["Y"] + np.array([[0], [1e6], [0], [0]])}
    for weight, value in fc.evaluate(form, other).items():
        assert np.array_equal(value, found[weight])
    arrays["p"][:] = 0
    assert all((value == 0).all() for value in fc.evaluate(form, arrays).values())
    assert fc.verify(form, arrays, oracle="torch").ok
