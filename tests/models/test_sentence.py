"""Sentences as data."""

import math

import numpy as np
import pytest

from formcalc.errors import FormcalcError
from formcalc.models.sentence import MAX_TOKENS, Sentence
from formcalc.numeric.positions import sinusoidal


def test_words_and_characters():
    assert Sentence.of("It's on, is it?").tokens == ("It", "'", "s", "on", ",", "is", "it", "?")
    assert Sentence.of("Ein süßer", "characters").tokens == tuple("Ein süßer")


def test_the_answer_is_the_input_one_token_later():
    inputs, answer = Sentence.of("a b c d").matrices(width=6)
    assert inputs.shape == answer.shape == (3, 6)
    assert np.array_equal(inputs[1:], answer[:-1])


def test_equal_tokens_differ_by_their_positions_only():
    inputs, _ = Sentence.of("a b a b").matrices(width=4)
    difference = sinusoidal(3, 4)[2] - sinusoidal(3, 4)[0]
    assert np.allclose(inputs[2] - inputs[0], difference, atol=1e-14)


def test_equal_seeds_give_equal_embeddings_and_others_do_not():
    sentence = Sentence.of("a b c")
    assert np.array_equal(sentence.matrices(4, seed=1)[0], sentence.matrices(4, seed=1)[0])
    assert not np.array_equal(sentence.matrices(4, seed=1)[0], sentence.matrices(4, seed=2)[0])


def test_positions_are_sines_in_even_and_cosines_in_odd_columns_counted_from_one():
    table = sinusoidal(7, 6)
    for i in range(1, 8):
        for k in range(1, 7):
            expected = math.sin(i / 10000 ** (k / 6)) if k % 2 == 0 else math.cos(i / 10000 ** ((k - 1) / 6))
            assert table[i - 1, k - 1] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("text", ["", "word", "   "])
def test_a_text_without_a_next_token_is_refused(text):
    with pytest.raises(FormcalcError, match="it takes two, a token and the next one"):
        Sentence.of(text)


def test_a_text_that_is_no_sentence_is_refused():
    with pytest.raises(FormcalcError, match=f"more than {MAX_TOKENS}"):
        Sentence.of("a " * (MAX_TOKENS + 1))
