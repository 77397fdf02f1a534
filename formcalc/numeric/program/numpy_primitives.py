"""The primitives of programs in numpy. Operations by rows run along the last axis; arrays keep their type.

What is computed goes to `out`, a new array if none is given; it may be the last operand, or the argument itself.
Functions entry by entry are those of `numpy_functions`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from formcalc.numeric.program.numpy_functions import (  # noqa: F401  (they are primitives, too)
    PIECE,
    erf,
    erf_slope,
    exp,
    exp_slope,
    gelu,
    gelu_slope,
    gelu_tanh,
    gelu_tanh_slope,
    log,
    log_slope,
    reciprocal,
    reciprocal_slope,
    relu,
    relu_slope,
    sigmoid,
    sigmoid_slope,
    silu,
    silu_slope,
    sqrt,
    sqrt_slope,
    step,
    step_slope,
    tanh,
    tanh_slope,
)

Array = np.ndarray

#: What arrays of the workspace begin at, a multiple of these bytes.
ALIGNMENT = 64

#: The bytes of one array of rows that are worked on at once.
ROWS = 2 * PIECE


def ones_of(shape: tuple[int, ...], like: Array) -> Array:
    """The array of ones."""
    return np.ones(shape, like.dtype)


def identity_of(size: int, like: Array) -> Array:
    """The identity matrix."""
    return np.eye(size, dtype=like.dtype)


def select(table: Array, ids: Array, out: Array | None = None) -> Array:
    """The rows of a table, (v, ...), with the ids (...); a row of zeros for a negative id."""
    rows = np.take(table, ids, axis=0, out=out, mode="clip")
    if ids.size and ids.min() < 0:
        rows[ids < 0] = 0
    return rows


def add_rows(rows: Array, ids: Array, count: int, out: Array | None = None) -> Array:
    """The rows, (*ids, ...), added up by their ids: (count, ...)."""
    flat, places = rows.reshape(ids.size, -1), ids.ravel()
    order = np.argsort(places, kind="stable")
    order = order[np.searchsorted(places[order], 0) :]  # without what has no id
    known = places[order]
    starts = np.flatnonzero(np.diff(known, prepend=-1))
    out = np.empty((count, *rows.shape[ids.ndim :]), rows.dtype) if out is None else out
    out.fill(0)
    if known.size:
        out.reshape(count, -1)[known[starts]] = np.add.reduceat(flat[order], starts, axis=0)
    return out


def counted(ids: Array, like: Array) -> Array:
    """1 where there is an id, 0 where it is negative."""
    return (ids >= 0).astype(like.dtype)


def one_hot(ids: Array, count: int, like: Array) -> Array:
    """The matrix of one-hot rows, (*ids, count)."""
    return (ids[..., None] == np.arange(count)).astype(like.dtype)


def picked(table: Array, ids: Array) -> Array:
    """The entry of each row, (*ids, v), that its id points at; 0 for a negative id."""
    found = np.take_along_axis(table, np.maximum(ids, 0)[..., None], -1)[..., 0]
    return found * (ids >= 0)


def turned(x: Array) -> Array:
    """A quarter turn of the pairs of the two halves of each row: (-x_2, x_1)."""
    half = x.shape[-1] // 2
    return np.concatenate((-x[..., half:], x[..., :half]), -1)


def turned_back(x: Array) -> Array:
    """The inverse of `turned`: (x_2, -x_1)."""
    half = x.shape[-1] // 2
    return np.concatenate((x[..., half:], -x[..., :half]), -1)


def _times(x: Array, number: float) -> Array:
    return x if number == 1 else x * x.dtype.type(number)


def rotated(x: Array, cosines: Array, sines: Array, number: float = 1, out: Array | None = None) -> Array:
    """``X ∘ c + (X J) ∘ s`` for the quarter turn J of `turned`, times a number: pairs in rows, turned by angles."""
    half = x.shape[-1] // 2
    cosines, sines = _times(cosines, number), _times(sines, number)
    out = np.multiply(x, cosines, out=out)
    out[..., :half] -= x[..., half:] * sines[..., :half]
    out[..., half:] += x[..., :half] * sines[..., half:]
    return out


def rotated_back(x: Array, cosines: Array, sines: Array, number: float = 1, out: Array | None = None) -> Array:
    """``X ∘ c + (X ∘ s) J^t``, the transpose of `rotated`."""
    half = x.shape[-1] // 2
    cosines, sines = _times(cosines, number), _times(sines, number)
    out = np.multiply(x, cosines, out=out)
    out[..., :half] += x[..., half:] * sines[..., half:]
    out[..., half:] -= x[..., :half] * sines[..., :half]
    return out


def by_rows(work: Callable[..., Any], *operands: Array, out: Array | None = None) -> Array:
    """A function of rows, as many at a time as stay in the cache: `work` writes its last argument."""
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    out = np.empty(shape, operands[0].dtype) if out is None else out
    wide = [x if x.shape[:-1] == shape[:-1] else np.broadcast_to(x, (*shape[:-1], x.shape[-1])) for x in operands]
    if out.nbytes <= ROWS or not all(x.flags.c_contiguous for x in (*wide, out)):
        work(*wide, out)
        return out
    flat = [x.reshape(-1, x.shape[-1]) for x in (*wide, out)]
    count = max(1, ROWS // (out.shape[-1] * out.itemsize))
    for start in range(0, len(flat[-1]), count):
        work(*(x[start : start + count] for x in flat))
    return out


def _largest(x: Array) -> Array:
    """The largest entry of each row, as a column; NumPy finds its place faster than its value."""
    rows = x.reshape(-1, x.shape[-1])
    return rows[np.arange(len(rows)), rows.argmax(-1)].reshape(*x.shape[:-1], 1)


def _row_sums(x: Array) -> Array:
    """The sum of each row, as a column: BLAS multiplies by ones in less time than NumPy takes to add."""
    if not x.flags.c_contiguous:
        return np.add.reduce(x, -1, keepdims=True)
    width = x.shape[-1]
    return np.dot(x.reshape(-1, width), np.ones(width, x.dtype)).reshape(*x.shape[:-1], 1)


def softmax(x: Array, mask: Array | None = None, out: Array | None = None) -> Array:
    """Softmax of each row, over what a mask allows; a row masked everywhere is 0."""
    if mask is not None:
        hidden = np.where(mask != 0, x.dtype.type(0), x.dtype.type(-np.inf))
        out = x = np.add(x, hidden, out=out)
    largest = _largest(x)
    if mask is not None:
        largest[largest == -np.inf] = 0
    out = np.subtract(x, largest, out=out)
    np.exp(out, out=out)
    total = _row_sums(out)
    if mask is not None:
        total[total == 0] = 1
    np.reciprocal(total, out=total)
    out *= total
    return out


def rowdot(x: Array, y: Array, out: Array | None = None) -> Array:
    """The row sums of ``X ∘ Y``."""
    if out is None:
        return np.einsum("...i,...i->...", x, y)
    return np.einsum("...i,...i->...", x, y, out=out)


def softmax_slope(a: Array, r: Array, inner: Array | None = None, out: Array | None = None) -> Array:
    """The differential of softmax at its value, ``A ∘ R - A ∘ rowsum(A ∘ R)``; `inner` is the row sum where known."""
    if inner is None:
        inner = rowdot(a, r)[..., None]
    if out is None:
        return (r - inner) * a
    np.subtract(r, inner, out=out)
    return np.multiply(out, a, out=out)


def logsoftmax(x: Array, out: Array | None = None) -> Array:
    """The logarithm of softmax of each row."""

    def work(x: Array, out: Array) -> None:
        np.subtract(x, _largest(x), out=out)
        out -= np.log(_row_sums(np.exp(out)))

    return by_rows(work, x, out=out)


def cross_entropy_slope(
    logarithm: Array, ids: Array, factor: Array | float, sign: float = 1, out: Array | None = None
) -> Array:
    """``±(Y - exp(L) ∘ rowsum(Y)) ∘ f`` for the logarithm L of softmax, one-hot rows Y, and a factor of each row."""
    weight = (counted(ids, logarithm) * (factor * logarithm.dtype.type(sign)))[..., None]
    out = np.exp(logarithm, out=out)
    np.multiply(out, -weight, out=out)
    place = np.maximum(ids, 0)[..., None]
    np.put_along_axis(out, place, np.take_along_axis(out, place, -1) + weight, -1)
    return out


def norm(x: Array, epsilon: float, out: Array | None = None, inverse: Array | None = None) -> tuple[Array, Array]:
    """LayerNorm of each row without gain, and the inverse deviation."""
    out = np.subtract(x, _row_sums(x) / x.dtype.type(x.shape[-1]), out=out)
    square = rowdot(out, out) / x.dtype.type(x.shape[-1]) + x.dtype.type(epsilon)
    inverse = np.divide(1, np.sqrt(square), out=inverse, dtype=x.dtype)
    out *= inverse[..., None]
    return out, inverse


def norm_slope(y: Array, inverse: Array, r: Array, out: Array | None = None) -> Array:
    """The differential of LayerNorm at its value y: ``(R - mean(R) - y ∘ mean(y ∘ R)) / σ``."""
    width = y.dtype.type(y.shape[-1])

    def work(y: Array, inverse: Array, r: Array, out: Array) -> None:
        along = rowdot(y, r)[..., None] / width
        np.subtract(r, _row_sums(r) / width, out=out)
        out -= y * along
        out *= inverse

    return by_rows(work, y, inverse, r, out=out)


def rms(x: Array, epsilon: float, out: Array | None = None, inverse: Array | None = None) -> tuple[Array, Array]:
    """RMSNorm of each row without gain, and the inverse root mean square."""
    square = rowdot(x, x) / x.dtype.type(x.shape[-1]) + x.dtype.type(epsilon)
    inverse = np.divide(1, np.sqrt(square), out=inverse, dtype=x.dtype)
    return np.multiply(x, inverse[..., None], out=out), inverse


def rms_slope(y: Array, inverse: Array, r: Array, out: Array | None = None) -> Array:
    """The differential of RMSNorm at its value y: ``(R - y ∘ mean(y ∘ R)) / ρ``."""
    width = y.dtype.type(y.shape[-1])

    def work(y: Array, inverse: Array, r: Array, out: Array) -> None:
        along = rowdot(y, r)[..., None] / width
        np.subtract(r, y * along, out=out)
        out *= inverse

    return by_rows(work, y, inverse, r, out=out)


def add(total: Array, array: Array) -> Array:
    """The sum, written over the first array."""
    return np.add(total, array, out=total)


def is_finite(x: Array) -> bool:
    """Whether no entry is infinite or no number."""
    return bool(np.isfinite(x).all())


def typed(arrays: dict[str, Array], dtype: str) -> dict[str, Array]:
    """Arrays in the type of a program, in the order of their axes; ids stay integers."""
    kinds = {name: x.dtype if x.dtype.kind in "iu" else np.dtype(dtype) for name, x in arrays.items()}
    return {name: np.ascontiguousarray(x, kinds[name]).reshape(x.shape) for name, x in arrays.items()}


def prepared(
    prepare: Callable[..., Any], constants: dict[str, Array], dtype: str, workspace: int
) -> Callable[[dict[str, Array]], Any]:
    """The program as a function of arrays of its type; runs take turns, since they share their workspace."""
    like = np.empty(0, dtype)
    known = typed(constants, dtype)
    memory = np.empty(workspace + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    lock = Lock()

    def buffer(offset: int, shape: tuple[int, ...]) -> Array:
        return np.ndarray(shape, dtype, memory, start + offset)

    run = prepare(buffer)

    def call(arrays: dict[str, Array], *more: Callable[[str, Array], None]) -> Any:
        with lock, np.errstate(all="ignore"):
            return run(arrays, known, like, *more)

    return call
