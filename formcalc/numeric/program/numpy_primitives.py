"""The primitives of programs in numpy. Operations by rows run along the last axis; arrays keep their type."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray


def ones_of(shape: tuple[int, ...], like: Array) -> Array:
    """The array of ones."""
    return np.ones(shape, like.dtype)


def identity_of(size: int, like: Array) -> Array:
    """The identity matrix."""
    return np.eye(size, dtype=like.dtype)


def select(table: Array, ids: Array) -> Array:
    """The rows of a table, (v, ...), with the ids (...); a row of zeros for a negative id."""
    if ids.min() >= 0:
        return table[ids]
    rows = table[np.maximum(ids, 0)]
    rows[ids < 0] = 0
    return rows


def add_rows(rows: Array, ids: Array, count: int) -> Array:
    """The rows, (*ids, ...), added up by their ids: (count, ...)."""
    flat = rows.reshape(ids.size, -1)
    width = flat.shape[1]
    places = np.where(ids < 0, count, ids).reshape(-1, 1) * width + np.arange(width)
    # one more row gathers what has no id
    total = np.bincount(places.ravel(), flat.ravel(), (count + 1) * width)[: count * width]
    return total.astype(rows.dtype, copy=False).reshape(count, *rows.shape[ids.ndim :])


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


def softmax(x: Array, mask: Array | None = None) -> Array:
    """Softmax of each row, over what a mask allows; a row masked everywhere is 0."""
    if mask is None:
        e = x - x.max(-1, keepdims=True)
        np.exp(e, out=e)
    else:
        allowed = mask != 0
        e = np.where(allowed, x, -np.inf)
        largest = e.max(-1, keepdims=True)
        e -= np.where(np.isfinite(largest), largest, 0)
        np.exp(e, out=e)
    total = e.sum(-1, keepdims=True)
    if mask is not None:
        total[total == 0] = 1
    e /= total
    return e


def rowdot(x: Array, y: Array) -> Array:
    """The row sums of ``X ∘ Y``."""
    return np.einsum("...i,...i->...", x, y)


def softmax_slope(a: Array, r: Array, inner: Array | None = None) -> Array:
    """The differential of softmax at its value, ``A ∘ R - A ∘ rowsum(A ∘ R)``; `inner` is the row sum where known."""
    if inner is None:
        inner = np.einsum("...i,...i->...", a, r)[..., None]
    result: Array = r - inner
    if result.shape != np.broadcast_shapes(result.shape, a.shape):
        return result * a
    result *= a
    return result


def logsoftmax(x: Array) -> Array:
    """The logarithm of softmax of each row."""
    shifted = x - x.max(-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(-1, keepdims=True))
    return shifted


def norm(x: Array, epsilon: float) -> tuple[Array, Array]:
    """LayerNorm of each row without gain, and the inverse deviation."""
    centred = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt(np.einsum("...i,...i->...", centred, centred) / x.shape[-1] + x.dtype.type(epsilon))
    centred *= inverse[..., None]
    return centred, inverse


def norm_slope(y: Array, inverse: Array, r: Array) -> Array:
    """The differential of LayerNorm at its value y: ``(R - mean(R) - y ∘ mean(y ∘ R)) / σ``."""
    result: Array = r - r.mean(-1, keepdims=True) - y * (np.einsum("...i,...i->...", y, r) / y.shape[-1])[..., None]
    result *= inverse
    return result


def rms(x: Array, epsilon: float) -> tuple[Array, Array]:
    """RMSNorm of each row without gain, and the inverse root mean square."""
    inverse = 1 / np.sqrt(np.einsum("...i,...i->...", x, x) / x.shape[-1] + x.dtype.type(epsilon))
    return x * inverse[..., None], inverse


def rms_slope(y: Array, inverse: Array, r: Array) -> Array:
    """The differential of RMSNorm at its value y: ``(R - y ∘ mean(y ∘ R)) / ρ``."""
    result = r - y * (np.einsum("...i,...i->...", y, r) / y.shape[-1])[..., None]
    result *= inverse
    return result


def relu(x: Array) -> Array:
    """max(0, x)."""
    return np.maximum(x, 0)


def relu_slope(x: Array, r: Array) -> Array:
    """r where x is positive, else 0."""
    return r * (x > 0)


def step(x: Array) -> Array:
    """1 where positive, else 0."""
    return (x > 0).astype(x.dtype)


def step_slope(x: Array, r: Array) -> Array:
    """0, where there is a derivative."""
    return np.zeros_like(x * r)


exp = np.exp


def exp_slope(x: Array, r: Array) -> Array:
    """exp(x), times r."""
    return r * np.exp(x)


log, sqrt, tanh = np.log, np.sqrt, np.tanh


def log_slope(x: Array, r: Array) -> Array:
    """1/x, times r."""
    return r * (1 / x)


def sqrt_slope(x: Array, r: Array) -> Array:
    """1/(2 √x), times r."""
    return r * (x.dtype.type(0.5) / np.sqrt(x))


def reciprocal(x: Array) -> Array:
    """1/x."""
    return 1 / x


def reciprocal_slope(x: Array, r: Array) -> Array:
    """-1/x², times r."""
    return r * (-1 / (x * x))


def tanh_slope(x: Array, r: Array) -> Array:
    """tanh'(x), without cancellation far out, times r."""
    e = np.exp(-2 * np.abs(x))
    return r * (4 * e / (1 + e) ** 2)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), which is exact far out: where exp overflows it is 0."""
    return 1 / (1 + np.exp(-x))


def sigmoid_slope(x: Array, r: Array) -> Array:
    """sigmoid(x) sigmoid(-x), times r."""
    return r * (sigmoid(x) * sigmoid(-x))


def silu(x: Array) -> Array:
    """x sigmoid(x)."""
    return x * sigmoid(x)


def silu_slope(x: Array, r: Array) -> Array:
    """sigmoid(x) (1 + x sigmoid(-x)), times r."""
    s = sigmoid(x)
    return r * (s * (1 + x * (1 - s)))


_erf: Any = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    """The error function."""
    return np.asarray(_erf(x), x.dtype)


def erf_slope(x: Array, r: Array) -> Array:
    """2 π^{-1/2} exp(-x²), times r."""
    return r * (x.dtype.type(2 / math.sqrt(math.pi)) * np.exp(-x * x))


def gelu(x: Array) -> Array:
    """x Φ(x), Φ the standard normal distribution function."""
    return x * (x.dtype.type(0.5) * (1 + erf(x * x.dtype.type(math.sqrt(0.5)))))


def gelu_slope(x: Array, r: Array) -> Array:
    """Φ(x) + x φ(x), φ the standard normal density, times r."""
    density = np.exp(-x * x / 2) * x.dtype.type(1 / math.sqrt(2 * math.pi))
    return r * (x.dtype.type(0.5) * (1 + erf(x * x.dtype.type(math.sqrt(0.5)))) + x * density)


def gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2."""
    t = np.tanh(x * (x.dtype.type(_SCALE) + x.dtype.type(_SCALE * _CUBIC) * (x * x)))
    t += 1
    t *= x
    t *= x.dtype.type(0.5)
    return t


def gelu_tanh_slope(x: Array, r: Array) -> Array:
    """The derivative of gelu_tanh, times r."""
    square = x * x
    t = np.tanh(x * (x.dtype.type(_SCALE) + x.dtype.type(_SCALE * _CUBIC) * square))
    inner = x * (x.dtype.type(_SCALE) + x.dtype.type(3 * _SCALE * _CUBIC) * square)
    return r * (x.dtype.type(0.5) * (1 + t + inner * (1 - t * t)))


_SCALE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def typed(arrays: dict[str, Array], dtype: str) -> dict[str, Array]:
    """Arrays in the type of a program; ids stay integers."""
    return {name: x if x.dtype.kind in "iu" else x.astype(dtype, copy=False) for name, x in arrays.items()}


def prepared(run: Callable[..., Any], constants: dict[str, Array], dtype: str) -> Callable[[dict[str, Array]], Any]:
    """The program as a function of arrays of its type."""
    like = np.empty(0, dtype)
    known = typed(constants, dtype)

    def call(arrays: dict[str, Array]) -> Any:
        with np.errstate(all="ignore"):
            return run(arrays, known, like)

    return call
