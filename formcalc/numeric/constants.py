"""The letters whose entries follow from their shape: by role, the function that makes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from formcalc.algebra import Dimension, Letter
from formcalc.errors import EvaluationError
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


def constant(letter: Letter, size: Callable[[Dimension], int]) -> np.ndarray:
    """The array of a letter whose entries follow from its shape, as it is declared.

    Args:
        size: of a dimension, in numbers.

    Raises:
        EvaluationError: there is none of these sizes; the error names the letter.
    """
    declared = letter.plain
    try:
        return CONSTANTS[letter.role](*(size(d) for d in (*declared.symbol.layout, *declared.symbol.shape)))
    except EvaluationError as error:
        shape = "×".join(map(str, declared.symbol.shape))
        raise EvaluationError(f"{letter.role} {declared}: {shape}: {error}") from None
