"""Constant matrices of positions: added to embeddings, to scores, or turning queries and keys."""

from __future__ import annotations

import numpy as np

from formcalc.errors import EvaluationError

#: The base of the wave lengths, in every source.
_BASE = 10000.0


def sinusoidal(tokens: int, width: int, first: int = 1) -> np.ndarray:
    """Sinusoidal positions, (tokens, width), with ``i`` and ``k`` counted from 1.

    Entry ``(i, k)`` is ``sin(i / 10000^{k/d})`` for even k and ``cos(i / 10000^{(k-1)/d})`` for odd k.

    Args:
        first: the position of the first row.

    Source: Vaswani et al. 2017, in the indexing of Cooper 2024.

    >>> sinusoidal(2, 2).round(4).tolist()
    [[0.5403, 0.0001], [-0.4161, 0.0002]]
    """
    i = np.arange(first, first + tokens)[:, None]
    k = np.arange(1, width + 1)[None, :]
    even = k % 2 == 0
    angle = i / _BASE ** (np.where(even, k, k - 1) / width)
    return np.where(even, np.sin(angle), np.cos(angle))


def first_positions(tokens: int, positions: int) -> np.ndarray:
    """The one-hot rows that select the first rows of a table of learned positions."""
    if tokens > positions:
        raise EvaluationError(f"there are {tokens} tokens, but the table has {positions} positions: give it more")
    return np.eye(tokens, positions)


def distance(rows: int, columns: int) -> np.ndarray:
    """How far a key stands behind a query, negative before it: entry (i, j) is j - i.

    >>> distance(2, 3).tolist()
    [[0.0, 1.0, 2.0], [-1.0, 0.0, 1.0]]
    """
    return np.arange(columns)[None, :] - np.arange(rows)[:, None] + 0.0


def slopes(*shape: int) -> np.ndarray:
    """The slopes of linear biases of scores, ALiBi: a geometric sequence over the heads, 1×1 for each.

    The h-th of n heads, counted from 1, has the slope ``2^{-8h/n}``; the bias is the slope times the distance.

    Source: Press, Smith and Lewis 2022, for n a power of 2.

    >>> slopes(4, 1, 1).ravel().tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    if len(shape) != 3:
        raise EvaluationError("slopes are declared over one axis, the heads, as in: slopes s[h]: 1×1")
    heads, rows, columns = shape
    return np.broadcast_to(2.0 ** (-8 * np.arange(1, heads + 1) / heads)[:, None, None], (heads, rows, columns))


def _angles(tokens: int, width: int) -> np.ndarray:
    if width % 2:
        raise EvaluationError(f"rotary positions turn pairs of columns: the width {width} is odd, take an even one")
    wave = _BASE ** (-2 * (np.arange(width) % (width // 2)) / width)
    return np.arange(tokens)[:, None] * wave[None, :]


def cosines(tokens: int, width: int) -> np.ndarray:
    """The cosines of rotary positions: entry (t, j) is ``cos(t 10000^{-2p/k})``, p = j mod k/2, t counted from 0.

    With ``S`` the sines and ``J`` the quarter turn, the rows of ``X ∘ C + (X J) ∘ S`` are turned by their positions.

    Source: Su et al. 2021, with columns j and j + k/2 as a pair, as in Llama.
    """
    return np.cos(_angles(tokens, width))


def sines(tokens: int, width: int) -> np.ndarray:
    """The sines of rotary positions; see `cosines`."""
    return np.sin(_angles(tokens, width))


def quarterturn(rows: int, columns: int) -> np.ndarray:
    """The quarter turn of the pairs (j, j + k/2) of columns: ``X J`` is ``(-X_2, X_1)`` for ``X = (X_1, X_2)``.

    >>> (np.array([[1.0, 2.0, 3.0, 4.0]]) @ quarterturn(4, 4)).tolist()
    [[-3.0, -4.0, 1.0, 2.0]]
    """
    if rows != columns or rows % 2:
        raise EvaluationError(f"a quarter turn is square and of even size, not {rows}×{columns}")
    half = rows // 2
    return np.eye(rows, k=half) - np.eye(rows, k=-half)
