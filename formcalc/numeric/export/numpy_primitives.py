"""The primitives of exported files in numpy, as a reader expects them: no workspace, no pieces.

Programs that formcalc runs itself have others of the same names, which write into memory that is planned.
"""

from __future__ import annotations

import math

import numpy as np

from formcalc.numeric.program.normal import FAR, MIDDLE, TAIL

Array = np.ndarray


def ones_of(shape: tuple[int, ...], like: Array) -> Array:
    """The array of ones."""
    return np.ones(shape, like.dtype)


def identity_of(size: int, like: Array) -> Array:
    """The identity matrix."""
    return np.eye(size, dtype=like.dtype)


def select(table: Array, ids: Array) -> Array:
    """The rows of a table, (v, ...), with the ids (...); a row of zeros for a negative id."""
    rows = table[np.maximum(ids, 0)]
    rows[ids < 0] = 0
    return rows


def add_rows(rows: Array, ids: Array, count: int) -> Array:
    """The rows, (*ids, ...), added up by their ids: (count, ...)."""
    known = ids >= 0
    total = np.zeros((count, *rows.shape[ids.ndim :]), rows.dtype)
    np.add.at(total, ids[known], rows[known])
    return total


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
    first, second = np.split(x, 2, -1)
    return np.concatenate((-second, first), -1)


def turned_back(x: Array) -> Array:
    """The inverse of `turned`: (x_2, -x_1)."""
    first, second = np.split(x, 2, -1)
    return np.concatenate((second, -first), -1)


def softmax(x: Array, mask: Array | None = None) -> Array:
    """Softmax of each row, over what a mask allows; a row masked everywhere is 0."""
    if mask is not None:
        x = np.where(mask != 0, x, -np.inf)
    largest = x.max(-1, keepdims=True)
    e = np.exp(x - np.where(largest == -np.inf, 0, largest))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def rowdot(x: Array, y: Array) -> Array:
    """The row sums of ``X ∘ Y``."""
    return np.einsum("...i,...i->...", x, y)


def softmax_slope(a: Array, r: Array, inner: Array | None = None) -> Array:
    """The differential of softmax at its value, ``A ∘ R - A ∘ rowsum(A ∘ R)``; `inner` is the row sum where known."""
    return a * (r - (rowdot(a, r)[..., None] if inner is None else inner))


def logsoftmax(x: Array) -> Array:
    """The logarithm of softmax of each row."""
    centred = x - x.max(-1, keepdims=True)
    return centred - np.log(np.exp(centred).sum(-1, keepdims=True))


def norm(x: Array, epsilon: float) -> tuple[Array, Array]:
    """LayerNorm of each row without gain, and the inverse deviation."""
    centred = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt((centred * centred).mean(-1) + epsilon)
    return centred * inverse[..., None], inverse


def norm_slope(y: Array, inverse: Array, r: Array) -> Array:
    """The differential of LayerNorm at its value y: ``(R - mean(R) - y ∘ mean(y ∘ R)) / σ``."""
    return (r - r.mean(-1, keepdims=True) - y * (y * r).mean(-1, keepdims=True)) * inverse


def rms(x: Array, epsilon: float) -> tuple[Array, Array]:
    """RMSNorm of each row without gain, and the inverse root mean square."""
    inverse = 1 / np.sqrt((x * x).mean(-1) + epsilon)
    return x * inverse[..., None], inverse


def rms_slope(y: Array, inverse: Array, r: Array) -> Array:
    """The differential of RMSNorm at its value y: ``(R - y ∘ mean(y ∘ R)) / ρ``."""
    return (r - y * (y * r).mean(-1, keepdims=True)) * inverse


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


exp, log, sqrt, tanh, reciprocal = np.exp, np.log, np.sqrt, np.tanh, np.reciprocal


def exp_slope(x: Array, r: Array) -> Array:
    """exp(x), times r."""
    return r * np.exp(x)


def log_slope(x: Array, r: Array) -> Array:
    """1/x, times r."""
    return r / x


def sqrt_slope(x: Array, r: Array) -> Array:
    """1/(2 √x), times r."""
    return r * (0.5 / np.sqrt(x))


def reciprocal_slope(x: Array, r: Array) -> Array:
    """-1/x², times r."""
    return r * (-1 / (x * x))


def tanh_slope(x: Array, r: Array) -> Array:
    """tanh'(x), without cancellation far out, times r."""
    e = np.exp(-2 * np.abs(x))
    return r * (4 * e / (1 + e) ** 2)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def sigmoid_slope(x: Array, r: Array) -> Array:
    """sigmoid(x) sigmoid(-x), times r."""
    return r * (sigmoid(x) * sigmoid(-x))


def silu(x: Array) -> Array:
    """x sigmoid(x)."""
    return x * sigmoid(x)


def silu_slope(x: Array, r: Array) -> Array:
    """sigmoid(x) (1 + x sigmoid(-x)), times r."""
    return r * (sigmoid(x) * (1 + x * sigmoid(-x)))


def erf(x: Array) -> Array:
    """The error function."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


def erf_slope(x: Array, r: Array) -> Array:
    """2 π^{-1/2} exp(-x²), times r."""
    return r * (2 / math.sqrt(math.pi) * np.exp(-x * x))


def gelu(x: Array) -> Array:
    """x Φ(x), Φ the standard normal distribution function."""
    return x * _normal(x)


def gelu_slope(x: Array, r: Array) -> Array:
    """Φ(x) + x φ(x), φ the standard normal density, times r."""
    density = np.exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi))
    return r * (_normal(x) + x * density)


def _normal(x: Array) -> Array:
    """Φ(x): NumPy has no error function. Φ(-x) is exp(-x²/2) times a polynomial in (x - 4)/(x + 4) for x >= 0."""
    far = np.minimum(np.abs(x), FAR)
    place, tail = (far - MIDDLE) / (far + MIDDLE), 0 * far
    for coefficient in reversed(TAIL):
        tail = tail * place + coefficient
    tail = np.exp(-far * far / 2) * tail
    return np.where(x < 0, tail, 1 - tail)


def gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2."""
    return 0.5 * x * (1 + np.tanh(x * (_SCALE + _SCALE * _CUBIC * x * x)))


def gelu_tanh_slope(x: Array, r: Array) -> Array:
    """The derivative of gelu_tanh, times r."""
    square = x * x
    t = np.tanh(x * (_SCALE + _SCALE * _CUBIC * square))
    inner = x * (_SCALE + 3 * _SCALE * _CUBIC * square)
    return r * (0.5 * (1 + t + inner * (1 - t * t)))


_SCALE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715
