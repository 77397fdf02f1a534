"""The pages of the sources: each against jax, torch, and the formulas of its source, written out in numpy.

What numpy computes here follows the sources, position by position where they do, and not the text of the pages.
"""

from math import cos, erf, log, pi, sin, sqrt

import numpy as np
import pytest

import formcalc as fc

#: The rows of the table of systems, and their pages.
ROWS = {
    "C2": ["algorithm-1", "algorithm-1-usual", "positions-sinusoidal"],
    "C4": ["algorithm-1", "algorithm-1-usual"],
    "B1": ["influence-scores"],
    "B2": ["relations"],
    "B3": ["summary"],
    "B4": ["positions-learned", "positions-sinusoidal", "positions-rotary", "positions-alibi"],
    "B5": ["output-vectors", "output-vectors-tied", "summary"],
    "D3": ["decoder", "relations", "output-matrix"],
    "D4": ["output-matrix"],
    "D5": ["key-value-memory"],
    "D6": ["positions-learned", "positions-sinusoidal"],
    "D7": ["layer-norm-dropout"],
    "D8": ["decoder"],
    "L1": ["sixteen-heads"],
    "L2": ["pre-ln", "post-ln"],
    "L3": ["expand-filter", "expand-gate"],
    "L4": ["output-vectors"],
}

#: Sizes at which no two dimensions are equal by chance, so that nothing fits by chance.
SIZES = {
    "algorithm-1": {"M": 2, "L": 5, "V": 7, "d": 6, "h": 3, "d_k": 4, "d_ff": 9},
    "algorithm-1-usual": {"M": 2, "L": 5, "V": 7, "d": 6, "h": 3, "d_k": 4, "d_v": 2, "d_ff": 9},
    "influence-scores": {"n": 5, "d": 6, "k": 3},
    "relations": {"n": 5, "d": 6, "H": 3, "k": 4},
    "summary": {"B": 2, "n": 5, "N": 8, "V": 7, "d": 6, "H": 3, "k": 4, "f": 9, "L": 2},
    "positions-learned": {"B": 2, "n": 5, "N": 8, "V": 7, "d": 6, "H": 3, "k": 4},
    "positions-sinusoidal": {"B": 2, "n": 5, "V": 7, "d": 6, "H": 3, "k": 4},
    "positions-rotary": {"B": 2, "n": 5, "V": 7, "d": 6, "H": 3, "k": 4},
    "positions-alibi": {"B": 2, "n": 5, "V": 7, "d": 6, "H": 4, "k": 3},
    "output-vectors": {"n": 5, "V": 7, "d": 6},
    "output-vectors-tied": {"B": 2, "n": 5, "V": 7, "d": 6, "k": 4},
    "output-matrix": {"T": 5, "d": 6, "h": 2, "k": 3},
    "key-value-memory": {"T": 5, "d": 6, "d_m": 9, "L": 3},
    "layer-norm-dropout": {"T": 5, "d": 6, "f": 9},
    "decoder": {"T": 5, "d": 6, "f": 9, "n": 7, "L": 2},
    "sixteen-heads": {"N": 3, "d": 12, "h": 4, "k": 5},
    "pre-ln": {"B": 2, "T": 5, "N": 8, "V": 7, "d": 6, "h": 3, "k": 4, "f": 9, "L": 2},
    "post-ln": {"B": 2, "T": 5, "N": 8, "V": 7, "d": 6, "h": 3, "k": 4, "f": 9, "L": 2},
    "expand-filter": {"N": 3, "d": 6, "f": 9},
    "expand-gate": {"N": 3, "d": 6, "f": 9},
}

#: What a page says its reader may change, by the name of the variant.
VARIANTS = {
    "GELU": ("expand-filter", "σ(H) = relu(H)", "σ(H) = gelu(H)"),
    "GEGLU": ("expand-gate", "σ(H) = silu(H)", "σ(H) = gelu(H)"),
    "ReGLU": ("expand-gate", "σ(H) = silu(H)", "σ(H) = relu(H)"),
    "a normalised memory": ("key-value-memory", "σ(S) = relu(S)", "σ(S) = a(S)"),
}


# What the sources are made of


def relu(x):
    return np.maximum(0, x)


def gelu(x):
    return x * (1 + np.vectorize(erf)(x / sqrt(2))) / 2


def silu(x):
    return x / (1 + np.exp(-x))


def softmax(z):
    """Of a vector."""
    return np.exp(z - z.max()) / np.exp(z - z.max()).sum()


def normalise(x, constant=0.0):
    """A vector, to mean 0 and variance 1 across its coordinates."""
    mean = x.sum() / len(x)
    return (x - mean) / sqrt(((x - mean) ** 2).sum() / len(x) + constant)


def layer_norm(X, gain, bias):
    """The rows of X, with the usual constant."""
    return np.array([normalise(x, 1e-5) * gain.ravel() + bias.ravel() for x in X])


def cross_entropies(logits, targets):
    """``-log P`` of each target that there is, one row of logits for each position."""
    return [-log(softmax(z)[y]) for z, y in zip(logits, targets, strict=True) if y >= 0]


def half_mean_square(E):
    return sum(entry**2 for entry in E.ravel()) / 2 / len(E)


def attention(queries, keys, values, is_causal, bias=lambda _i, _j: 0.0):
    """The weighted averages of the values, position by position; the score is a dot product over the root of its width.

    Source: Breeden, (9)-(13), with the sum over m <= i, and `bias` added to the score of (i, j).
    """
    averages = []
    for i, query in enumerate(queries):
        seen = range(i + 1) if is_causal else range(len(keys))
        scores = [query @ keys[j] / sqrt(len(query)) + bias(i, j) for j in seen]
        averages.append(sum(weight * values[j] for weight, j in zip(softmax(np.array(scores)), seen, strict=True)))
    return np.array(averages)


# Cooper 2024


def posemb(i, d):
    """Section 4: ``sin(i/10000^{k/d})`` for even k, ``cos(i/10000^{(k-1)/d})`` for odd k, 1 <= k <= d."""
    return np.array(
        [sin(i / 10000 ** (k / d)) if k % 2 == 0 else cos(i / 10000 ** ((k - 1) / d)) for k in range(1, d + 1)]
    )


def algorithm_1(letters):
    losses = []
    W_Q, W_K, W_V, W_O = (letters[f"W_{name}"] for name in "QKVO")
    for Is, To in zip(letters["x"], letters["y"], strict=True):
        d = len(letters["E"])
        X = np.array([letters["E"][:, token] + posemb(place, d) for place, token in enumerate(Is, 1)]).T
        heads = []
        for e in range(len(W_Q)):
            Q, K, V = W_Q[e] @ X, W_K[e] @ X, W_V[e] @ X
            AV = Q @ K.T / sqrt(len(Q)) @ V
            heads.append(np.array([softmax(column) for column in AV.T]).T)
        Z = np.hstack(list(W_O)) @ np.vstack(heads)
        hidden = relu(letters["W_1"] @ Z + letters["b_1"])
        FFN = letters["W_2"] @ hidden + letters["b_2"]
        losses += cross_entropies(layer_norm(FFN.T, letters["gamma"], letters["beta"]), To)
    return sum(losses) / len(losses)


def algorithm_1_usual(letters):
    losses = []
    W_Q, W_K, W_V, W_O = (letters[f"W_{name}"] for name in "QKVO")
    for Is, To in zip(letters["x"], letters["y"], strict=True):
        d = letters["E"].shape[1]
        X = np.array([letters["E"][token] + posemb(place, d) for place, token in enumerate(Is, 1)])
        heads = [attention(X @ W_Q[e], X @ W_K[e], X @ W_V[e], is_causal=False) for e in range(len(W_Q))]
        Z = np.hstack(heads) @ np.vstack(list(W_O))
        FFN = relu(Z @ letters["W_1"] + letters["b_1"]) @ letters["W_2"] + letters["b_2"]
        losses += cross_entropies(layer_norm(FFN, letters["gamma"], letters["beta"]), To)
    return sum(losses) / len(losses)


# Breeden: decoder-only models in plain mathematics


def influence_scores(letters):
    e, W_A, W_B, Y = (letters[name] for name in ("E", "W_A", "W_B", "Y"))
    n = len(e)
    return sum((Y[i, j] - (W_A @ e[i]) @ (W_B @ e[j])) ** 2 for i in range(n) for j in range(n)) / 2 / n**2


def combined(letters, e, is_causal, layer="", turn=lambda X: X, bias=lambda _h: lambda _i, _j: 0.0):
    """Section 6: the relations, below one another, times W_O, for every position."""
    W_A, W_B, W_C, W_O = (letters[f"W_{{{name},{layer}}}" if layer else f"W_{name}"] for name in "ABCO")
    outputs = []
    for h in range(len(W_A)):
        a, b = (turn(np.array([W[h] @ x for x in e])) for W in (W_A, W_B))
        outputs.append(attention(a, b, np.array([W_C[h] @ x for x in e]), is_causal, bias(h)))
    W = np.hstack(list(W_O))
    return np.array([W @ np.concatenate([output[i] for output in outputs]) for i in range(len(e))])


def relations(letters):
    return half_mean_square(letters["Y"] - combined(letters, letters["E"], is_causal=False))


def summary(letters):
    losses = []
    for words, targets in zip(letters["x"], letters["y"], strict=True):
        h = np.array([letters["E"][w] + letters["p"][i] for i, w in enumerate(words)])
        for layer in "01":
            W_1, W_2 = letters[f"W_{{1,{layer}}}"], letters[f"W_{{2,{layer}}}"]
            refined = h + combined(letters, h, is_causal=True, layer=layer)
            h = np.array([normalise(g + W_2 @ relu(W_1 @ g)) for g in refined])
        losses += cross_entropies(h @ letters["u"].T, targets)
    return sum(losses) / len(losses)


def positioned(letters, position=lambda _i: 0.0, **relation):
    """Section 8, in one causal layer: positions added to the embeddings, or given to the scores."""
    losses = []
    for words, targets in zip(letters["x"], letters["y"], strict=True):
        e = np.array([letters["E"][w] + position(i) for i, w in enumerate(words)])
        h = e + combined(letters, e, is_causal=True, **relation)
        losses += cross_entropies(h @ letters["u"].T, targets)
    return sum(losses) / len(losses)


def turned(X):
    """Row i as k/2 complex numbers, ``x_m + i x_{m+k/2}``, each times ``exp(i · position · 10000^{-2m/k})``."""
    k = X.shape[1]
    pairs = X[:, : k // 2] + 1j * X[:, k // 2 :]
    waves = 10000.0 ** (-2 * np.arange(k // 2) / k)
    pairs = pairs * np.exp(1j * np.arange(len(X))[:, None] * waves)
    return np.hstack([pairs.real, pairs.imag])


def penalty(letters):
    """Press et al.: the h-th of H slopes is ``2^{-8h/H}``, times how far behind the key stands."""
    count = len(letters["W_A"])
    return lambda h: lambda i, j: -(2 ** (-8 * (h + 1) / count)) * (i - j)


def output_vectors(letters):
    scores = [[u @ h for u in letters["u"]] for h in letters["h"]]
    return sum(cross_entropies(np.array(scores), letters["y"])) / len(scores)


def output_vectors_tied(letters):
    losses = []
    W_A, W_B, W_C, E = (letters[name] for name in ("W_A", "W_B", "W_C", "E"))
    for words, targets in zip(letters["x"], letters["y"], strict=True):
        e = E[words]
        h = e + attention(e @ W_A.T, e @ W_B.T, e @ W_C.T, is_causal=True)
        losses += cross_entropies(h @ E.T, targets)
    return sum(losses) / len(losses)


# Dobriban 2025: primes are transposes


def row_softmax(Z, mask):
    """With a mask of ones and, where a token must not look, minus infinity added to the score."""
    return np.array([softmax(row) for row in np.where(mask == 1, Z, -np.inf)])


def output_matrix(letters):
    E = letters["E"]
    heads = []
    for W_q, W_k, W_v in zip(letters["W_q"], letters["W_k"], letters["W_v"], strict=True):
        Q, K, V = E @ W_q.T, E @ W_k.T, E @ W_v.T
        heads.append(row_softmax(Q @ K.T / sqrt(len(W_q)), np.tri(len(E))) @ V)
    W_o = np.hstack(list(letters["W_o"]))
    return half_mean_square(letters["Y"] - np.hstack(heads) @ W_o.T)


def key_value_memory(letters, sigma=relu):
    e = letters["E_0"]
    for layer in range(3):
        K, V = letters[f"K_{layer}"], letters[f"V_{layer}"]
        e = np.array([x + V @ sigma(K.T @ x) for x in e])
    return half_mean_square(letters["Y"] - e)


def layer_norm_dropout(letters):
    E = letters["E"]
    N = layer_norm(E, letters["gamma_1"], letters["beta_1"])
    Q, K, V = (N @ letters[f"W_{name}"].T for name in "qkv")
    A = row_softmax(Q @ K.T / sqrt(E.shape[1]), np.tri(len(E))) * letters["D_0"]
    H = E + A @ V @ letters["W_o"].T * letters["D_1"]
    N = layer_norm(H, letters["gamma_2"], letters["beta_2"])
    return half_mean_square(letters["Y"] - H - gelu(N @ letters["W_1"].T) @ letters["W_proj"].T * letters["D_2"])


def decoder(letters):
    E = letters["E_0"]
    T, d = E.shape
    for i in (0, 1):
        E = layer_norm(E, letters[f"gamma_{{1,{i}}}"], letters[f"beta_{{1,{i}}}"])
        Q, K, V = (E @ letters[f"W_{{{name},{i}}}"].T for name in "qkv")
        A = row_softmax(Q @ K.T / sqrt(d), np.tri(T))
        E = E + A @ V @ letters[f"W_{{o,{i}}}"].T
        E = layer_norm(E, letters[f"gamma_{{2,{i}}}"], letters[f"beta_{{2,{i}}}"])
        E = E + gelu(E @ letters[f"W_{{1,{i}}}"].T) @ letters[f"W_{{proj,{i}}}"].T
    return sum(cross_entropies(E @ letters["W_out"].T, letters["y"])) / T


# Notes of a learner


def multi_head(X, W_Q, W_K, W_V, W_O, is_causal):
    """The heads beside one another, blended by the output matrix."""
    blends = [attention(X @ q, X @ k, X @ v, is_causal) for q, k, v in zip(W_Q, W_K, W_V, strict=True)]
    return np.hstack(blends) @ np.vstack(list(W_O))


def sixteen_heads(letters):
    X = letters["X"]
    update = multi_head(X, *(letters[f"W_{name}"] for name in "QKVO"), is_causal=False)
    return half_mean_square(letters["Y"] - (X + update))


def blocks(letters, block):
    """The loss of two blocks between embeddings and output matrix; a block is given MHA, FFN and its norms."""
    losses = []
    for tokens, targets in zip(letters["x"], letters["y"], strict=True):
        x = letters["W_E"][tokens] + letters["P"][: len(tokens)]
        for i in (0, 1):

            def mha(X, i=i):
                return multi_head(X, *(letters[f"W_{{{name},{i}}}"] for name in "QKVO"), is_causal=True)

            def ffn(X, sigma, i=i):
                W_1, b_1, W_2, b_2 = (letters[f"{name},{i}}}"] for name in ("W_{1", "b_{1", "W_{2", "b_{2"))
                # with column vectors, as in the notes
                return (W_2 @ sigma(W_1 @ X.T + b_1.T) + b_2.T).T

            def norm(X, which, i=i):
                return layer_norm(X, letters[f"gamma_{{{which},{i}}}"], letters[f"beta_{{{which},{i}}}"])

            x = block(x, mha, ffn, norm)
        losses += cross_entropies(x @ letters["W_out"].T, targets)
    return sum(losses) / len(losses)


def pre_ln(x, mha, ffn, norm):
    x = x + mha(norm(x, 1))
    return x + ffn(norm(x, 2), gelu)


def post_ln(x, mha, ffn, norm):
    x = norm(x + mha(x), 1)
    return norm(x + ffn(x, relu), 2)


def expand_filter(letters, sigma=relu):
    x = layer_norm(letters["X"], letters["gamma"], letters["beta"]).T
    h = letters["W_1"] @ x + letters["b_1"].T
    z = letters["W_2"] @ sigma(h) + letters["b_2"].T
    return half_mean_square(letters["Y"] - (letters["X"] + z.T))


def expand_gate(letters, sigma=silu):
    x = layer_norm(letters["X"], letters["gamma"], letters["beta"]).T
    z = letters["W_2"] @ (sigma(letters["W_1"] @ x) * (letters["W_3"] @ x))
    return half_mean_square(letters["Y"] - (letters["X"] + z.T))


#: The loss of every page, from the formulas of its source.
SOURCES = {
    "algorithm-1": algorithm_1,
    "algorithm-1-usual": algorithm_1_usual,
    "influence-scores": influence_scores,
    "relations": relations,
    "summary": summary,
    "positions-learned": lambda letters: positioned(letters, lambda i: letters["p"][i]),
    "positions-sinusoidal": lambda letters: positioned(letters, lambda i: posemb(i + 1, letters["E"].shape[1])),
    "positions-rotary": lambda letters: positioned(letters, turn=turned),
    "positions-alibi": lambda letters: positioned(letters, bias=penalty(letters)),
    "output-vectors": output_vectors,
    "output-vectors-tied": output_vectors_tied,
    "output-matrix": output_matrix,
    "key-value-memory": key_value_memory,
    "layer-norm-dropout": layer_norm_dropout,
    "decoder": decoder,
    "sixteen-heads": sixteen_heads,
    "pre-ln": lambda letters: blocks(letters, pre_ln),
    "post-ln": lambda letters: blocks(letters, post_ln),
    "expand-filter": expand_filter,
    "expand-gate": expand_gate,
    "GELU": lambda letters: expand_filter(letters, gelu),
    "GEGLU": lambda letters: expand_gate(letters, gelu),
    "ReGLU": lambda letters: expand_gate(letters, relu),
    "a normalised memory": lambda letters: key_value_memory(letters, softmax),
}


def loaded(name):
    """A page of the sources, or a variant of one, at small sizes."""
    if name not in VARIANTS:
        return fc.load(name, **SIZES[name])
    page, before, after = VARIANTS[name]
    text = fc.load(page).page
    assert text.count(before) == 1
    return fc.load(text.replace(before, after), **SIZES[page])


def arrays_of(model, seed=3):
    """A sample with what the sources ask of it: Algorithm 1 has one target, after the last token of a chunk."""
    arrays = fc.sample(model, seed)
    if model.name.startswith("algorithm-1"):
        arrays["y"][:, :-1] = -1
    if model.name == "layer-norm-dropout":
        arrays |= {name: arrays[name] / 0.75 for name in ("D_0", "D_1", "D_2")}
    return arrays


def loss_of(model, arrays):
    return float(fc.evaluate(model.loss, arrays, **model.sizes))


def test_every_row_has_its_pages_and_every_page_of_the_sources_its_row():
    pages = {page for row in ROWS.values() for page in row}
    assert pages == set(SIZES)
    assert pages <= set(fc.models())
    assert set(SOURCES) == pages | set(VARIANTS)


@pytest.mark.parametrize("name", SOURCES)
def test_a_page_has_the_loss_of_its_source(name):
    model = loaded(name)
    arrays = arrays_of(model)
    expected = SOURCES[name](arrays)
    assert abs(loss_of(model, arrays) - expected) <= 1e-12 * abs(expected)


@pytest.mark.parametrize("oracle", ["jax", "torch"])
@pytest.mark.parametrize("name", SOURCES)
def test_the_coefficients_of_a_page_are_verified(name, oracle):
    model = loaded(name)
    report = fc.verify(fc.derive(model), arrays_of(model), oracle=oracle)
    assert report.ok, report
    assert {row.name for row in report.table} == set(model.weights)


@pytest.mark.parametrize("name", SIZES)
def test_the_derived_page_reads_back_with_the_same_coefficients(name):
    model = loaded(name)
    form, arrays = fc.derive(model), arrays_of(model)
    again = fc.load(f"{model.page.rstrip()}\n\n{form}\n", **SIZES[name])
    expected = fc.evaluate(form, arrays)
    for weight, found in fc.evaluate(again, arrays).items():
        np.testing.assert_allclose(found, expected[weight], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["algorithm-1", "algorithm-1-usual"])
def test_the_coefficients_train_algorithm_1(name):
    model = loaded(name)
    form, arrays = fc.derive(model), arrays_of(model)
    # Table 1: biases 0, gain 1
    for weight in ("b_1", "b_2", "beta"):
        arrays[weight] = np.zeros_like(arrays[weight])
    arrays["gamma"] = np.ones_like(arrays["gamma"])
    before = loss_of(model, arrays)
    for _ in range(30):
        for weight, coefficient in fc.evaluate(form, arrays).items():
            arrays[weight] = arrays[weight] + 0.1 * coefficient.swapaxes(-1, -2)
    assert loss_of(model, arrays) < 0.2 * before


@pytest.mark.parametrize("name", ["algorithm-1", "algorithm-1-usual", "summary"])
def test_only_the_targets_there_are_count(name):
    model = loaded(name)
    arrays = fc.sample(model)
    arrays["y"][:] = -1
    arrays["y"][0, -1] = 2
    expected = SOURCES[name](arrays)
    assert abs(loss_of(model, arrays) - expected) <= 1e-12 * abs(expected)


def test_dropout_is_off_where_its_masks_are_one():
    model = loaded("layer-norm-dropout")
    arrays = fc.sample(model)
    arrays |= {name: np.ones(arrays[name].shape) for name in ("D_0", "D_1", "D_2")}
    assert abs(loss_of(model, arrays) - layer_norm_dropout(arrays)) <= 1e-12


def test_sixteen_heads_of_64_out_of_1024_run_at_these_sizes():
    model = fc.load("sixteen-heads")
    assert model.shapes["W_Q"] == model.shapes["W_K"] == model.shapes["W_V"] == (16, 1024, 64)
    assert model.shapes["W_O"] == (16, 64, 1024)
    arrays = fc.sample(model)
    report = fc.verify(fc.derive(model), arrays, oracle="jax")
    assert report.ok, report
    expected = sixteen_heads(arrays)
    assert abs(loss_of(model, arrays) - expected) <= 1e-12 * expected


@pytest.mark.parametrize("name", ["expand-filter", "expand-gate"])
def test_1024_components_expand_to_4096(name):
    model = fc.load(name, d=1024, f=4096)
    assert model.shapes["W_1"] == (4096, 1024)
    arrays = fc.sample(model)
    report = fc.verify(fc.derive(model), arrays, oracle="torch")
    assert report.ok, report
    expected = SOURCES[name](arrays)
    assert abs(loss_of(model, arrays) - expected) <= 1e-12 * expected


def test_gelu_weighs_by_the_normal_distribution():
    steps = np.linspace(-8, 1, 200_001)
    density = np.exp(-(steps**2) / 2) / sqrt(2 * pi)
    area = ((density[1:] + density[:-1]) / 2 * np.diff(steps)).sum()
    assert abs(gelu(np.array([1.0]))[0] - area) < 1e-9
