"""Token ids as a matrix of one-hot rows that is never written out where it is multiplied."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray


class Selection:
    """One-hot rows, (..., T, v), given by the ids of their ones, (..., T); a negative id is a row of zeros.

    ``Y @ E`` selects rows of `E`, ``Y.mT @ G`` adds the rows of `G` up by id, both without the matrix `Y`.

    >>> Y = Selection(np.array([2, 0, -1]), 3, np.dtype(float))
    >>> (Y @ np.array([[1.0], [2.0], [3.0]])).ravel().tolist()
    [3.0, 1.0, 0.0]
    >>> Y.dense().tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    # numpy leaves products with this class to it
    __array_ufunc__ = None

    def __init__(self, ids: Array, columns: int, dtype: Any, is_transposed: bool = False) -> None:
        self.ids = ids
        self.columns = columns
        self.dtype = dtype
        self.is_transposed = is_transposed

    @property
    def shape(self) -> tuple[int, ...]:
        rows = (*self.ids.shape, self.columns)
        return (*rows[:-2], rows[-1], rows[-2]) if self.is_transposed else rows

    @property
    def mT(self) -> Selection:  # noqa: N802  # the name numpy gave it
        """The transpose, (..., v, T)."""
        return Selection(self.ids, self.columns, self.dtype, not self.is_transposed)

    def __getitem__(self, index: tuple) -> Selection:
        """The same rows over more leading axes; `index` holds slices and None, and the rest is whole."""
        return Selection(self.ids[index], self.columns, self.dtype, self.is_transposed)

    def transpose(self, order: tuple[int, ...]) -> Selection:
        """The leading axes in another order; rows and columns stay last."""
        return Selection(self.ids.transpose(order[:-1]), self.columns, self.dtype, self.is_transposed)

    def dense(self) -> Array:
        """The matrix of zeros and ones."""
        rows = (self.ids[..., None] == np.arange(self.columns)).astype(int).astype(self.dtype)
        return rows.mT if self.is_transposed else rows

    def __matmul__(self, other: Any) -> Array:
        if isinstance(other, Selection):
            other = other.dense()
        return self._added(other) if self.is_transposed else self._selected(other)

    def __rmatmul__(self, other: Array) -> Array:
        # X Y = (Y^t X^t)^t
        return (self.mT @ other.mT).mT

    def _selected(self, table: Array) -> Array:
        if table.ndim == 2:
            rows = table[np.maximum(self.ids, 0)]
        else:
            ids = np.broadcast_to(
                self.ids, np.broadcast_shapes(self.ids.shape[:-1], table.shape[:-2]) + self.ids.shape[-1:]
            )
            table = np.broadcast_to(table, ids.shape[:-1] + table.shape[-2:])
            rows = np.take_along_axis(table, np.where(ids < 0, 0, ids)[..., None], axis=-2)
        return np.where(self.ids[..., None] < 0, rows * 0, rows)

    def _added(self, rows: Array) -> Array:
        leading = np.broadcast_shapes(self.ids.shape[:-1], rows.shape[:-2])
        rows = np.broadcast_to(rows, leading + rows.shape[-2:])
        ids = np.broadcast_to(self.ids, leading + self.ids.shape[-1:])
        # one more row gathers what has no id
        result = np.zeros((*leading, self.columns + 1, rows.shape[-1]), rows.dtype)
        for place in np.ndindex(leading):
            np.add.at(result[place], np.where(ids[place] < 0, self.columns, ids[place]), rows[place])
        return result[..., :-1, :]


def dense(value: Any) -> Any:
    """A value as an array, written out if it is a selection."""
    return value.dense() if isinstance(value, Selection) else value
