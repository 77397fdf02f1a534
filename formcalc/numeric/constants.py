"""The letters whose entries follow from their shape: by role, the function that makes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from formcalc.numeric.positions import sinusoidal

#: ``causal``: the mask of what a token may attend to, entry (i, j) is 1 if j <= i, else 0. ``sinusoidal``: positions to
#: add to embeddings. ``distance``: entry (i, j) is j - i, which a slope turns into linear biases of scores (ALiBi).
CONSTANTS: dict[str, Callable[[int, int], np.ndarray]] = {
    "ones": lambda rows, columns: np.ones((rows, columns)),
    "identity": lambda rows, columns: np.eye(rows, columns),
    "causal": lambda rows, columns: np.tri(rows, columns),
    "sinusoidal": sinusoidal,
    "distance": lambda rows, columns: np.arange(columns)[None, :] - np.arange(rows)[:, None] + 0.0,
}
