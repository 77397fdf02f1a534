"""Constant matrices of positions."""

from __future__ import annotations

import numpy as np


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
    angle = i / 10000.0 ** (np.where(even, k, k - 1) / width)
    return np.where(even, np.sin(angle), np.cos(angle))
