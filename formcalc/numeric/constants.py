"""The letters whose entries follow from their shape: by role, the function that makes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from formcalc.numeric.positions import cosines, distance, first_positions, quarterturn, sines, sinusoidal, slopes

#: Each takes the sizes of its axes, its rows and its columns. ``positions``: the one-hot rows that select the first
#: rows of a table of learned positions. ``causal``: the mask of what a token may attend to, (i, j) is 1 if j <= i.
CONSTANTS: dict[str, Callable[..., np.ndarray]] = {
    "ones": lambda *shape: np.ones(shape),
    "identity": lambda *shape: _over_axes(shape, np.eye(*shape[-2:])),
    "positions": lambda *shape: _over_axes(shape, first_positions(*shape[-2:])),
    "causal": lambda *shape: _over_axes(shape, np.tri(*shape[-2:])),
    "distance": lambda *shape: _over_axes(shape, distance(*shape[-2:])),
    "slopes": slopes,
    "sinusoidal": lambda *shape: _over_axes(shape, sinusoidal(*shape[-2:])),
    "cosines": lambda *shape: _over_axes(shape, cosines(*shape[-2:])),
    "sines": lambda *shape: _over_axes(shape, sines(*shape[-2:])),
    "quarterturn": lambda *shape: _over_axes(shape, quarterturn(*shape[-2:])),
}


def _over_axes(shape: tuple[int, ...], matrix: np.ndarray) -> np.ndarray:
    return np.broadcast_to(matrix, shape)
