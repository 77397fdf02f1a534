"""The summands of a form: counted, numbered and listed without building them."""

from collections import Counter

import numpy as np
import pytest

import formcalc as fc
from formcalc.algebra import Apply, Expression, Letter, Symbol, postorder
from formcalc.calculus import normal_form
from formcalc.calculus.cyclic import coefficients, normal_word, total
from formcalc.calculus.expansion import factors, terms
from formcalc.errors import FormError
from pages import page
from substitution import replaced


def encoder_form(layers, page="encoder"):
    return fc.derive(fc.load(page, L=layers, T=3, n=4, v=2))


def inlined(expression: Expression) -> Expression:
    """The expression with every definition but the error's written out, flat."""

    def letter(node: Letter) -> Expression:
        if node.definition is None:
            return node
        body = Letter(Symbol("E", node.symbol.shape, "data")) if node.name == "E" else inlined(node.definition)
        return body.T if node.is_transposed else body

    return fc.flatten(replaced(expression, letter))


def normalised(word: Expression) -> tuple:
    """A word as comparable data: its number, and its factors with the scalars first."""
    number, rest = normal_word(factors(fc.flatten(word)))
    return number, rest


@pytest.mark.parametrize(("layers", "count"), [(1, 6), (2, 75), (3, 696)])
def test_counts_of_the_composed_encoder(layers, count):
    assert encoder_form(layers).words().count == count


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("page", ["encoder", "encoder-linear"])
def test_the_explicit_pipeline_gives_the_same_words(layers, page):
    """All of the expanded form, built by the passes from the expression with every definition written out."""
    form = encoder_form(layers, page)
    model = form.model
    answer = model.definitions[-2]
    written_out = normal_form(fc.form(inlined(answer), wrt=model.weights))
    expected = Counter()
    for word in terms(written_out):
        for letter, coefficient in coefficients(word).items():
            expected[letter.name, normalised(coefficient)] += 1
    found = Counter((name, normalised(inlined(word))) for name in form for word in form.words(name))
    assert found == expected


def test_the_explicit_pipeline_has_696_words_at_three_layers():
    model = fc.load("encoder", L=3)
    assert len(normal_form(fc.form(inlined(model.definitions[-2]), wrt=model.weights))) == 696


@pytest.mark.parametrize("page", ["encoder", "encoder-product"])
def test_the_sum_of_the_words_is_the_coefficient(page):
    form = encoder_form(2, page)
    arrays = fc.sample(form.model)
    numbers = fc.evaluate(form, arrays)
    for name in form:
        words = [fc.evaluate(word, arrays, **form.model.sizes) for word in form.words(name)]
        np.testing.assert_allclose(sum(words), numbers[name], rtol=1e-10, atol=1e-12)


def test_counts_of_the_coefficients_add_up_to_that_of_the_form():
    form = encoder_form(3)
    assert sum(form.words(name).count for name in form) == form.words().count == 696


def test_words_of_the_whole_form_end_in_their_differential():
    form = encoder_form(2)
    last = Counter(str(word[-1]) for word in form.words())
    assert last == Counter({f"d{name}": form.words(name).count for name in form})


def test_iteration_is_numbering():
    words = encoder_form(2).words("Q_0")
    assert list(words) == [words[k] for k in range(words.count)]
    assert len(words) == words.count == len(set(words))
    assert words


def test_negative_numbers_count_from_the_end():
    words = encoder_form(2).words()
    assert words[-1] is words[74]
    assert words[-75] is words[0]


@pytest.mark.parametrize("k", [75, 10**40, -76])
def test_a_word_that_is_not_there_is_refused(k):
    with pytest.raises(FormError) as error:
        encoder_form(2).words()[k]
    assert str(error.value) == f"there is no word number {k}: there are 75, numbered from 0"


@pytest.mark.parametrize("k", [1.0, "0", True, None, slice(0, 2)])
def test_a_number_of_a_word_is_an_integer(k):
    with pytest.raises(FormError) as error:
        encoder_form(1).words()[k]
    assert str(error.value) == f"a word's number is an integer, not {k!r}"


def count_by_hand(layers: int) -> int:
    """The number of words, from the top layer down: `g` of the cotangent, `x` of the input of a layer.

    W, f and b have g words, V has g x, Q and K have g x³ each (X^t, the X in aa's direction, and X); X itself gets g
    through the values and g x² through either side of the scores.
    """
    count, g = 0, 1
    for layer in reversed(range(layers)):
        x = 1 if layer == 0 else 2  # X_0 is a letter, X_i the sum m(Z) W + C f
        count += g * (3 + x + 2 * x**3)
        g *= 1 + 2 * x**2
    return count


@pytest.mark.parametrize("layers", [1, 2, 3, 12, 96])
def test_counts_are_exact_at_any_depth(layers):
    assert encoder_form(layers).words().count == count_by_hand(layers)


def test_every_word_can_be_had_at_any_depth():
    deep = encoder_form(96).words()
    assert str(deep[-1]) == "E^t C df_95"
    assert deep[deep.count - 1] is deep[-1]
    word = deep[10**40]
    assert word[-1].is_differential
    assert deep[10**40] is word
    assert deep[10**40 + 1] is not word


def test_a_weight_that_the_loss_does_not_use_has_no_words():
    form = fc.derive(page(dict.fromkeys("AW", ("n", "n")), loss="trace(A)"))
    words = form.words("W")
    assert words.count == 0
    assert list(words) == []
    assert not words
    assert [str(word) for word in form.words()] == ["-I_{n} dA"]


def test_definitions_multiply_out_and_the_letters_of_the_loss_do_not():
    shapes = dict.fromkeys("ABX", ("n", "n"))

    def count(loss):
        model = page(shapes, {"H": "(A + B) X", "N": "m(H) H"}, loss, data="AB")
        return fc.derive(model).words("X").count

    # dm(H) gives mm(H^t, H N), dH gives N m(H), and both are multiplied by A + B
    assert count("trace(N N)") == (2 + 1) * 2
    assert count("trace(N N H) + trace(H)") == (1 + 1 + 2 * 2) * 2


def test_scalars_of_a_word_come_first_and_multiply():
    letters = dict.fromkeys("AB", ("n", "n"))
    form = fc.derive(fc.parse("2 A (3 n^{1/2} B) n^{-1}", letters), wrt=["B"])
    assert [str(word) for word in form.words("B")] == ["6 n^{-1/2} E^t A"]


def test_total_adds_equal_words():
    letters = dict.fromkeys("AB", ("n", "n"))
    words = [fc.parse(text, letters) for text in ("A B", "2 A B", "B", "-3 A B")]
    assert str(total(words)) == "B"
    assert str(total([fc.parse("A - A", letters)])) == "0 1_{n×n}"


def test_a_hadamard_product_multiplies_out_where_the_error_comes_through():
    shapes = dict.fromkeys("ABX", ("n", "n"))
    model = page(shapes, {"H": "(A + B) X", "N": "A ∘ (H + X)", "E": "N - B"}, "1/2 trace(E^t E)", data="AB")
    form = fc.derive(model)
    words = form.words("X")
    assert [str(word) for word in words] == [
        "-A^t ∘ E^t",
        "-(A^t ∘ E^t) A",
        "-(A^t ∘ E^t) B",
    ]
    deep = page(shapes, {"H": "(A + B) X", "N": "A ∘ H", "M": "B ∘ (N + X)"}, "trace(M)", data="AB")
    arrays = fc.sample(deep)
    total_of_words = sum(fc.evaluate(word, arrays) for word in fc.derive(deep).words("X"))
    assert np.allclose(total_of_words, fc.evaluate(fc.derive(deep), arrays)["X"], rtol=1e-13)


def test_samples_are_words_and_all_are_drawn():
    words = fc.derive(fc.load("encoder", L=1)).words()
    drawn = {words.sample(seed) for seed in range(200)}
    assert drawn == set(words)
    assert words.sample(3) is words.sample(3)


def test_there_is_nothing_to_draw_from_no_words():
    words = fc.derive(page(dict.fromkeys("AW", ("n", "n")), loss="trace(A)")).words("W")
    with pytest.raises(FormError, match="there are no words to draw from"):
        words.sample()


def has_factor(word, name):
    """Whether a letter stands among the factors of a word, outside of arguments that are not linear."""

    def below(node):
        if isinstance(node, Apply):
            return (node.direction,) if node.is_linear else ()
        return node.children

    return any(isinstance(node, Letter) and node.name == name for node in postorder(word, below))


@pytest.mark.parametrize("letter", ["Q_1", "W_0", "f_0", "K_0", "E", "X_0", "V_2", "B"])
@pytest.mark.parametrize("weight", ["K_1", "Q_0", "f_0", "W_2"])
def test_the_words_that_contain_a_letter_are_those_in_which_it_is_a_factor(letter, weight):
    words = fc.derive(fc.load("encoder", L=3)).words(weight)
    chosen = words.containing(letter)
    assert Counter(chosen) == Counter(word for word in words if has_factor(word, letter))
    assert chosen.count == len(list(chosen))


def test_words_that_contain_a_letter_are_counted_and_drawn_at_any_depth():
    words = fc.derive(fc.load("encoder", L=96)).words("K_5")
    chosen = words.containing("Q_80")
    assert 0 < chosen.count < words.count
    assert has_factor(chosen[chosen.count // 2], "Q_80")
    assert has_factor(chosen.sample(1), "Q_80")
    assert words.containing("Q_3").count == 0  # the error reaches K_5 through later layers only


def test_containing_is_asked_once():
    words = fc.derive(fc.load("encoder", L=1)).words().containing("E")
    with pytest.raises(FormError, match="these are already the words that contain E"):
        words.containing("Q_0")
