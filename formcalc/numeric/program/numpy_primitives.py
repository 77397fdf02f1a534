"""The primitives of programs in numpy. Operations by rows run along the last axis; arrays keep their type.

What is computed goes to `out`, a new array if none is given; it may be the last operand, or the argument itself.
Functions that need several passes take them in pieces that stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import numpy as np

Array = np.ndarray

#: The bytes of one array that is worked on at once; several of them fit the second level of a cache.
PIECE = 128 * 1024

#: What arrays of the workspace begin at, a multiple of these bytes.
ALIGNMENT = 64


def pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Arrays of one shape, the last of them that of the result, piece by piece."""
    if arrays[-1].nbytes <= PIECE or not all(array.flags.c_contiguous for array in arrays):
        yield arrays
        return
    flat = [array.reshape(-1) for array in arrays]
    length = PIECE // arrays[-1].itemsize
    for start in range(0, flat[-1].size, length):
        yield tuple(array[start : start + length] for array in flat)


def by_pieces(work: Callable[..., Any], *operands: Array, out: Array | None = None) -> Array:
    """An elementwise function: `work` writes its last argument."""
    out = np.empty(np.broadcast_shapes(*(x.shape for x in operands)), operands[0].dtype) if out is None else out
    if any(x.shape != out.shape for x in operands):
        operands = tuple(np.broadcast_to(x, out.shape) for x in operands)
    for piece in pieces(*operands, out):
        work(*piece)
    return out


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


def add_rows(rows: Array, ids: Array, count: int) -> Array:
    """The rows, (*ids, ...), added up by their ids: (count, ...)."""
    flat, places = rows.reshape(ids.size, -1), ids.ravel()
    order = np.argsort(places, kind="stable")
    order = order[np.searchsorted(places[order], 0) :]  # without what has no id
    known = places[order]
    starts = np.flatnonzero(np.diff(known, prepend=-1))
    total = np.zeros((count, flat.shape[1]), rows.dtype)
    if known.size:
        total[known[starts]] = np.add.reduceat(flat[order], starts, axis=0)
    return total.reshape(count, *rows.shape[ids.ndim :])


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


def rotated(x: Array, cosines: Array, sines: Array, out: Array | None = None) -> Array:
    """``X ∘ c + (X J) ∘ s`` for the quarter turn J of `turned`: pairs in rows of x, turned by angles."""
    half = x.shape[-1] // 2
    out = np.multiply(x, cosines, out=out)
    out[..., :half] -= x[..., half:] * sines[..., :half]
    out[..., half:] += x[..., :half] * sines[..., half:]
    return out


def rotated_back(x: Array, cosines: Array, sines: Array, out: Array | None = None) -> Array:
    """``X ∘ c + (X ∘ s) J^t``, the transpose of `rotated`."""
    half = x.shape[-1] // 2
    out = np.multiply(x, cosines, out=out)
    out[..., :half] += x[..., half:] * sines[..., half:]
    out[..., half:] -= x[..., :half] * sines[..., :half]
    return out


def softmax(x: Array, mask: Array | None = None, out: Array | None = None) -> Array:
    """Softmax of each row, over what a mask allows; a row masked everywhere is 0."""
    if mask is not None:
        hidden = np.where(mask != 0, x.dtype.type(0), x.dtype.type(-np.inf))
        out = x = np.add(x, hidden, out=out)
    largest = x.max(-1, keepdims=True)
    if mask is not None:
        largest[largest == -np.inf] = 0
    out = np.subtract(x, largest, out=out)
    np.exp(out, out=out)
    total = out.sum(-1, keepdims=True)
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
    out = np.subtract(x, x.max(-1, keepdims=True), out=out)
    out -= np.log(np.exp(out).sum(-1, keepdims=True))
    return out


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
    out = np.subtract(x, x.mean(-1, keepdims=True), out=out)
    square = rowdot(out, out) / x.dtype.type(x.shape[-1]) + x.dtype.type(epsilon)
    inverse = np.divide(1, np.sqrt(square), out=inverse, dtype=x.dtype)
    out *= inverse[..., None]
    return out, inverse


def norm_slope(y: Array, inverse: Array, r: Array, out: Array | None = None) -> Array:
    """The differential of LayerNorm at its value y: ``(R - mean(R) - y ∘ mean(y ∘ R)) / σ``."""
    along = rowdot(y, r) / y.dtype.type(y.shape[-1])
    centred = r - r.mean(-1, keepdims=True) if out is None else np.subtract(r, r.mean(-1, keepdims=True), out=out)
    return _without(centred, y, along[..., None], inverse, out)


def _without(r: Array, y: Array, along: Array, inverse: Array, out: Array | None) -> Array:
    """``(R - y ∘ along) ∘ inverse``, for vectors `along` and `inverse` of rows."""
    if out is None:
        return (r - y * along) * inverse
    if y.shape != out.shape or not (y.flags.c_contiguous and r.flags.c_contiguous and out.flags.c_contiguous):
        np.subtract(r, y * along, out=out)
        return np.multiply(out, inverse, out=out)
    width = out.shape[-1]
    flat, values, direction = out.reshape(-1, width), y.reshape(-1, width), r.reshape(-1, width)
    factor, scale = along.reshape(-1, 1), np.broadcast_to(inverse, (*out.shape[:-1], 1)).reshape(-1, 1)
    count = max(1, PIECE // (width * out.itemsize))
    for start in range(0, len(flat), count):
        rows = slice(start, start + count)
        np.subtract(direction[rows], values[rows] * factor[rows], out=flat[rows])
        flat[rows] *= scale[rows]
    return out


def rms(x: Array, epsilon: float, out: Array | None = None, inverse: Array | None = None) -> tuple[Array, Array]:
    """RMSNorm of each row without gain, and the inverse root mean square."""
    square = rowdot(x, x) / x.dtype.type(x.shape[-1]) + x.dtype.type(epsilon)
    inverse = np.divide(1, np.sqrt(square), out=inverse, dtype=x.dtype)
    return np.multiply(x, inverse[..., None], out=out), inverse


def rms_slope(y: Array, inverse: Array, r: Array, out: Array | None = None) -> Array:
    """The differential of RMSNorm at its value y: ``(R - y ∘ mean(y ∘ R)) / ρ``."""
    along = rowdot(y, r) / y.dtype.type(y.shape[-1])
    return _without(r, y, along[..., None], inverse, out)


def relu(x: Array, out: Array | None = None) -> Array:
    """max(0, x)."""
    return np.maximum(x, 0, out=out)


def relu_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """r where x is positive, else 0."""
    return np.multiply(r, x > 0, out=out)


def step(x: Array, out: Array | None = None) -> Array:
    """1 where positive, else 0."""
    return np.greater(x, 0, out=out) if out is not None else (x > 0).astype(x.dtype)


def step_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """0, where there is a derivative."""
    return np.multiply(x * 0, r * 0, out=out)


exp, log, sqrt, tanh = np.exp, np.log, np.sqrt, np.tanh


def exp_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """exp(x), times r."""
    return by_pieces(lambda x, r, out: np.multiply(r, np.exp(x), out=out), x, r, out=out)


def log_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """1/x, times r."""
    return np.divide(r, x, out=out)


def sqrt_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """1/(2 √x), times r."""
    return by_pieces(lambda x, r, out: np.multiply(r, x.dtype.type(0.5) / np.sqrt(x), out=out), x, r, out=out)


def reciprocal(x: Array, out: Array | None = None) -> Array:
    """1/x."""
    return np.divide(1, x, out=out, dtype=x.dtype)


def reciprocal_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """-1/x², times r."""
    return by_pieces(lambda x, r, out: np.multiply(r, -1 / (x * x), out=out), x, r, out=out)


def tanh_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """tanh'(x), without cancellation far out, times r."""

    def work(x: Array, r: Array, out: Array) -> None:
        e = np.exp(-2 * np.abs(x))
        np.multiply(r, 4 * e / (1 + e) ** 2, out=out)

    return by_pieces(work, x, r, out=out)


def _logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), which is exact far out: where exp overflows it is 0."""
    e = np.exp(-x)
    e += 1
    return np.divide(1, e, out=e) if e.ndim else 1 / e


def sigmoid(x: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-x)), exact far out."""
    return by_pieces(lambda x, out: np.copyto(out, _logistic(x)), x, out=out)


def sigmoid_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """sigmoid(x) sigmoid(-x), times r."""
    return by_pieces(lambda x, r, out: np.multiply(r, _logistic(x) * _logistic(-x), out=out), x, r, out=out)


def silu(x: Array, out: Array | None = None) -> Array:
    """x sigmoid(x)."""
    return by_pieces(lambda x, out: np.multiply(x, _logistic(x), out=out), x, out=out)


def silu_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """sigmoid(x) (1 + x sigmoid(-x)), times r."""

    def work(x: Array, r: Array, out: Array) -> None:
        s = _logistic(x)
        np.multiply(r, s * (1 + x * (1 - s)), out=out)

    return by_pieces(work, x, r, out=out)


_erf: Any = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array, out: Array | None = None) -> Array:
    """The error function."""
    return by_pieces(lambda x, out: np.copyto(out, _erf(x).astype(x.dtype) if x.ndim else _erf(x)), x, out=out)


def erf_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """2 π^{-1/2} exp(-x²), times r."""
    factor = x.dtype.type(2 / math.sqrt(math.pi))
    return by_pieces(lambda x, r, out: np.multiply(r, factor * np.exp(-x * x), out=out), x, r, out=out)


def _normal(x: Array) -> Array:
    """Φ(x), the standard normal distribution function."""
    half, root = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    return half * (1 + erf(x * root))


def gelu(x: Array, out: Array | None = None) -> Array:
    """x Φ(x), Φ the standard normal distribution function."""
    return by_pieces(lambda x, out: np.multiply(x, _normal(x), out=out), x, out=out)


def gelu_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """Φ(x) + x φ(x), φ the standard normal density, times r."""
    factor = x.dtype.type(1 / math.sqrt(2 * math.pi))

    def work(x: Array, r: Array, out: Array) -> None:
        density = np.exp(-x * x / 2) * factor
        np.multiply(r, _normal(x) + x * density, out=out)

    return by_pieces(work, x, r, out=out)


def gelu_tanh(x: Array, out: Array | None = None) -> Array:
    """x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2."""
    scale, cubic, half = map(x.dtype.type, (_SCALE, _SCALE * _CUBIC, 0.5))

    def work(x: Array, out: Array) -> None:
        t = np.asarray(x * x)
        t *= cubic
        t += scale
        t *= x
        np.tanh(t, out=t)
        t += 1
        t *= half
        np.multiply(t, x, out=out)

    return by_pieces(work, x, out=out)


def gelu_tanh_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """The derivative of gelu_tanh, times r."""
    scale, cubic, half = map(x.dtype.type, (_SCALE, _SCALE * _CUBIC, 0.5))

    def work(x: Array, r: Array, out: Array) -> None:
        square = np.asarray(x * x)
        square *= cubic
        t = np.asarray(square + scale)
        t *= x
        np.tanh(t, out=t)
        # (1 + t + x (scale + 3 cubic x²) (1 - t²)) / 2
        square *= 3
        square += scale
        square *= x
        slope = np.asarray(t * t)
        np.subtract(1, slope, out=slope)
        slope *= square
        slope += t
        slope += 1
        slope *= half
        np.multiply(slope, r, out=out)

    return by_pieces(work, x, r, out=out)


_SCALE, _CUBIC = math.sqrt(2 / math.pi), 0.044715


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

    def call(arrays: dict[str, Array]) -> Any:
        with lock, np.errstate(all="ignore"):
            return run(arrays, known, like)

    return call
