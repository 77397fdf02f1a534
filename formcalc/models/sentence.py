"""A sentence as the data of a model: embedded, with sinusoidal positions, against itself one token later."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from formcalc.errors import FormcalcError
from formcalc.numeric.positions import sinusoidal

#: Longer texts are training data, not a sentence.
MAX_TOKENS = 2048


@dataclass(frozen=True)
class Sentence:
    """A text cut into tokens; all but the last are the input, all but the first the answer.

    >>> Sentence.of("The cat sat.").tokens
    ('The', 'cat', 'sat', '.')
    """

    tokens: tuple[str, ...]

    @classmethod
    def of(cls, text: str, units: Literal["words", "characters"] = "words") -> Sentence:
        """Cut a text into words and punctuation marks, or into characters.

        Raises:
            FormcalcError: fewer than two tokens, or more than a sentence has.
        """
        tokens = tuple(re.findall(r"\w+|[^\w\s]", text) if units == "words" else text)
        if len(tokens) < 2:
            raise FormcalcError(
                f"the text {text!r} has {len(tokens)} of the {units} it is cut into; "
                "it takes two, a token and the next one"
            )
        if len(tokens) > MAX_TOKENS:
            raise FormcalcError(f"the text has {len(tokens)} {units}, more than {MAX_TOKENS}: give a shorter one")
        return cls(tokens)

    @property
    def length(self) -> int:
        """T, the number of rows of the input."""
        return len(self.tokens) - 1

    @property
    def vocabulary(self) -> list[str]:
        """The different tokens, sorted."""
        return sorted(set(self.tokens))

    def ids(self) -> np.ndarray:
        """The places of the tokens in the vocabulary, from 0.

        >>> Sentence.of("a b a").ids().tolist()
        [0, 1, 0]
        """
        places = {token: place for place, token in enumerate(self.vocabulary)}
        return np.array([places[token] for token in self.tokens])

    def matrices(self, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The input and the answer, each (T, width): random embeddings of tokens plus sinusoidal positions.

        Equal tokens have equal embeddings; equal seeds give equal embeddings.
        """
        table = np.random.default_rng(seed).normal(size=(len(self.vocabulary), width))
        rows = table[self.ids()] + sinusoidal(len(self.tokens), width)
        return rows[:-1], rows[1:]
