"""What the sources prove about their systems, proved again in the language, and in numbers."""

import numpy as np
import pytest

import formcalc as fc
from formcalc.algebra import Expression, Letter, Product, Sum, transpose
from formcalc.calculus import unfold
from formcalc.calculus.expansion import factors, terms
from substitution import replaced


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


# The output matrix: Dobriban, "Expressivity of Multi-Head Attention"

HEAD = {"E": ("T", "d"), "M": ("T", "T"), "W_q": ("k", "d"), "W_k": ("k", "d"), "W_v": ("k", "d"), "W_o": ("d", "k")}
ROLES = {"E": "data", "M": "causal"}
SCORES = "a(k^{-1/2} X W_q^t W_k X^t, M)"


def head(values):
    shapes = {**HEAD, "X": ("T", "d"), "U": ("d", "d")}
    return fc.parse(f"{SCORES} X {values}", shapes, roles={**ROLES, "X": "data"})


def in_place_of(letter, value, expression):
    """The expression with a value in place of a letter, multiplied out into words."""

    def put(node: Letter) -> Expression:
        if node.name != letter:
            return node
        return transpose(value) if node.is_transposed else value

    return fc.flatten(replaced(expression, put))


def test_one_head_depends_on_its_value_and_output_matrices_through_their_product_alone():
    two, one = fc.derive(head("W_v^t W_o^t")), fc.derive(head("U"))
    product = fc.parse("W_v^t W_o^t", HEAD)
    assert in_place_of("U", product, head("U")) is head("W_v^t W_o^t")
    for weight in ("W_q", "W_k"):
        assert in_place_of("U", product, one[weight]) is fc.flatten(two[weight])
    # trace(C dU) with dU = dW_v^t W_o^t + W_v^t dW_o^t
    W_v, W_o = fc.parse("W_v", HEAD), fc.parse("W_o", HEAD)
    assert transpose(two["W_v"]) is fc.flatten(Product(transpose(W_o), one["U"]))
    assert transpose(two["W_o"]) is fc.flatten(Product(one["U"], transpose(W_v)))


def test_one_head_loses_nothing_without_its_output_matrix():
    model = fc.load("output-matrix", h=1, k=8)
    arrays = fc.sample(model)
    merged = arrays | {"W_v": arrays["W_o"] @ arrays["W_v"], "W_o": np.eye(8)[None]}
    loss, without = (fc.evaluate(model.loss, given, **model.sizes) for given in (arrays, merged))
    assert abs(loss - without) <= 1e-12 * loss


#: Heads of width k side by side in c columns: J_1 and J_2 put a block into its columns.
BLOCKS = {
    "A_1": ("T", "T"), "A_2": ("T", "T"), "E": ("T", "d"), "W_v1": ("k", "d"), "W_v2": ("k", "d"),
    "W_o1": ("d", "k"), "W_o2": ("d", "k"), "J_1": ("k", "c"), "J_2": ("k", "c"),
}  # fmt: skip

#: J_h J_h^t = I, and J_1 J_2^t = 0 = J_2 J_1^t
RELATIONS = {("J_1", "J_1^t"): 1, ("J_2", "J_2^t"): 1, ("J_1", "J_2^t"): 0, ("J_2", "J_1^t"): 0}


def related(word):
    """A word by the relations of block inclusions: one without them, or None if it is zero."""
    kept = list(factors(word))
    place = 0
    while place + 1 < len(kept):
        value = RELATIONS.get((str(kept[place]), str(kept[place + 1])))
        if value == 0:
            return None
        if value == 1:
            del kept[place : place + 2]
        else:
            place += 1
    return Product(*kept)


def reduced(expression):
    words = [related(word) for word in terms(fc.flatten(fc.expand_all(expression)))]
    return Sum(*(word for word in words if word is not None))


def test_two_concatenated_heads_times_the_output_matrix_are_the_sum_over_the_heads():
    concatenated = "(A_1 E W_v1^t J_1 + A_2 E W_v2^t J_2) (J_1^t W_o1^t + J_2^t W_o2^t)"
    expanded = fc.expand_all(fc.parse(concatenated, BLOCKS))
    assert len(terms(expanded)) == 4
    expected = fc.parse("A_1 E W_v1^t W_o1^t + A_2 E W_v2^t W_o2^t", BLOCKS)
    assert reduced(fc.parse(concatenated, BLOCKS)) is expected


def test_block_inclusions_obey_their_relations():
    J_1, J_2 = np.eye(3, 6), np.eye(3, 6, k=3)
    letters = {"J_1": J_1, "J_1^t": J_1.T, "J_2": J_2, "J_2^t": J_2.T}
    for (left, right), value in RELATIONS.items():
        close(letters[left] @ letters[right], value * np.eye(3))
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 4, 3))
    close(np.hstack([A, B]), A @ J_1 + B @ J_2)


def test_two_heads_of_the_page_are_the_sum_over_the_heads():
    model = fc.load("output-matrix", h=2)
    arrays = fc.sample(model)
    O = next(letter for letter in model.definitions if letter.name == "O")  # noqa: E741
    whole = fc.evaluate(O, arrays, **model.sizes)
    one = fc.load("output-matrix", h=1)
    parts = []
    for h in (0, 1):
        given = {name: array[h : h + 1] if name.startswith("W") else array for name, array in arrays.items()}
        single = next(letter for letter in one.definitions if letter.name == "O")
        parts.append(fc.evaluate(single, given, **one.sizes))
    close(whole, parts[0] + parts[1])


# Influence scores: Breeden, section 5.5

PAIR = {"e_i": ("d", 1), "e_j": ("d", 1), "x": ("d", 1), "y": ("d", 1), "W_A": ("k", "d"), "W_B": ("k", "d")}


def scores(text):
    return fc.parse(text, PAIR, roles=dict.fromkeys(("e_i", "e_j", "x", "y"), "data"))


def test_an_influence_score_has_coefficients_in_both_of_its_factors():
    form = fc.derive(scores("e_i^t W_A^t W_B e_j"))
    assert str(form) == "dW_A : e_i E e_j^t W_B^t\ndW_B : e_j E^t e_i^t W_A^t"
    assert fc.verify(form, oracle="exact").ok


def test_an_influence_score_is_linear_in_each_argument():
    assert fc.expand_all(scores("(2 x + y)^t W_A^t W_B e_j")) is scores("2 x^t W_A^t W_B e_j + y^t W_A^t W_B e_j")
    assert fc.expand_all(scores("e_i^t W_A^t W_B (x + y)")) is scores("e_i^t W_A^t W_B x + e_i^t W_A^t W_B y")


def test_influence_scores_are_asymmetric_and_of_rank_at_most_k():
    model = fc.load("influence-scores", n=7, d=6, k=2)
    R = next(letter for letter in model.definitions if letter.name == "R")
    found = fc.evaluate(R, fc.sample(model), **model.sizes)
    assert np.linalg.matrix_rank(found) == 2
    assert abs(found - found.T).max() > 0.1
    assert fc.verify(fc.derive(model), oracle="exact").ok


# Positions: Breeden, section 8


def weights_of_equal_words(name, **sizes):
    """The scores r of a page on a text that repeats one word, so that only positions make a difference."""
    model = fc.load(name, B=1, n=6, **sizes)
    arrays = fc.sample(model)
    arrays["x"][:] = 3
    r = next(letter for letter in model.definitions if letter.name == "r")
    return fc.evaluate(r, arrays, **model.sizes)[0]


@pytest.mark.parametrize("name", ["positions-rotary", "positions-alibi"])
def test_relative_positions_give_scores_that_depend_on_the_difference_of_positions(name):
    for found in weights_of_equal_words(name):
        for offset in range(-5, 6):
            diagonal = np.diagonal(found, offset)
            close(diagonal, diagonal[0])
        assert len({round(entry, 9) for entry in found[-1]}) == 6


@pytest.mark.parametrize("name", ["positions-learned", "positions-sinusoidal"])
def test_absolute_positions_give_scores_that_depend_on_both_positions(name):
    for found in weights_of_equal_words(name):
        assert np.ptp(np.diagonal(found)) > 1e-3


# Cross-entropy: Breeden, section 10.3

DISTRIBUTIONS = {"p": ("n", 1), "q": ("n", 1), "t": (1, 1)}
ENTROPY = "-p^t log(p)"
CROSS_ENTROPY = "-p^t log(q)"
DIVERGENCE = "p^t (log(p) - log(q))"


def collected(text):
    """A scalar in normal form: as the coefficient of a 1×1 differential, equal words added up."""
    return fc.collect(fc.flatten(fc.expand_mm(fc.expand_all(fc.parse(f"({text}) dt", DISTRIBUTIONS)))))


def test_cross_entropy_is_entropy_plus_divergence():
    assert collected(f"{ENTROPY} + {DIVERGENCE}") is collected(CROSS_ENTROPY)
    assert collected(ENTROPY) is not collected(CROSS_ENTROPY)


def test_cross_entropy_is_entropy_plus_divergence_in_numbers():
    rng = np.random.default_rng(5)
    p, q = (draw / draw.sum() for draw in rng.random((2, 9, 1)))

    def value(text):
        return fc.evaluate(fc.parse(text, DISTRIBUTIONS), {"p": p, "q": q}).item()

    assert abs(value(CROSS_ENTROPY) - value(ENTROPY) - value(DIVERGENCE)) < 1e-14
    assert abs(value(DIVERGENCE) - (p * np.log(p / q)).sum()) < 1e-14
    assert value(DIVERGENCE) > 0
    assert abs(fc.evaluate(fc.parse(DIVERGENCE, DISTRIBUTIONS), {"p": p, "q": p}).item()) < 1e-15


def test_a_true_word_has_the_cross_entropy_minus_the_log_of_its_probability():
    q = np.array([[0.2], [0.5], [0.3]])
    found = fc.evaluate(fc.parse(CROSS_ENTROPY, DISTRIBUTIONS), {"p": np.array([[0.0], [1.0], [0.0]]), "q": q})
    assert abs(found.item() + np.log(0.5)) < 1e-15


# Cross-entropy by hand: notes of a learner, 2025-12-05

BY_HAND = """# the loss L = -log(p_y) of the probabilities p of logits z
dims V = 5
tokens y: 1×V
weights z: 1×V
p = a(z)
loss = -trace(y^t log(p))
"""

AT_ONCE = """# the same, in one step
dims V = 5
tokens y: 1×V
weights z: 1×V
loss = -trace(y^t logsoftmax(z))
"""


def logits(target=3):
    z = np.array([[0.3, -1.2, 0.8, 0.1, -0.4]])
    p = np.exp(z) / np.exp(z).sum()
    return {"z": z, "y": np.array([target])}, p


def test_the_derivative_of_cross_entropy_goes_step_by_step_as_by_hand():
    form = fc.derive(fc.load(BY_HAND))
    assert str(form) == "G = log'(p^t, y^t)\ndz : aa^t(z^t, G)"
    # dL/dp = -1/p_y at the target y and 0 elsewhere; G is its negative, transposed
    arrays, p = logits()
    G = next(line.left for line in form.lines() if str(line.left) == "G")
    found = fc.evaluate(G, arrays, V=5)
    close(found.ravel(), [0, 0, 0, 1 / p[0, 3], 0])
    # dp_y/dz_i is p_y - p_y^2 at i = y, and -p_y p_i elsewhere
    assert str(unfold(form["z"])) == "a^t(z^t) ∘ G - a^t(z^t) ∘ (1_{V×1} colsum(a^t(z^t) ∘ G))"


def test_the_derivative_of_cross_entropy_in_a_logit_is_its_probability_less_one_at_the_target():
    # y^t - p^t times the sum of the entries of y, which is 1
    at_once = fc.derive(fc.load(AT_ONCE))
    assert str(at_once) == "dz : y^t - a^t(z^t) ∘ (1_{V×1} colsum(y^t))"
    for page in (BY_HAND, AT_ONCE):
        for target in range(5):
            arrays, p = logits(target)
            slopes = -fc.evaluate(fc.derive(fc.load(page)), arrays)["z"].ravel()
            for i, slope in enumerate(slopes):
                close(slope, p[0, i] - 1 if i == target else p[0, i])


def test_the_derivative_goes_on_to_the_output_matrix():
    model = fc.load("output-vectors")
    form = fc.derive(model)
    assert str(form) == "G = n^{-1} (y^t - a^t(z^t) ∘ (1_{V×1} colsum(y^t)))\ndu : h^t G^t"
    arrays = fc.sample(model)
    h, u, y = arrays["h"], arrays["u"], arrays["y"]
    expected = np.zeros_like(u)
    for i, target in enumerate(y):
        p = np.exp(u @ h[i]) / np.exp(u @ h[i]).sum()
        for v in range(len(u)):
            expected[v] += (p[v] - (v == target)) * h[i] / len(h)
    close(-fc.evaluate(form, arrays)["u"].T, expected)
