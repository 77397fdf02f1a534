"""The primitives of programs in jax. Operations by rows run along the last axis; arrays keep their type."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any


def ones_of(shape: tuple[int, ...], like: Array) -> Array:
    """The array of ones."""
    return jnp.ones(shape, like.dtype)


def identity_of(size: int, like: Array) -> Array:
    """The identity matrix."""
    return jnp.eye(size, dtype=like.dtype)


def select(table: Array, ids: Array) -> Array:
    """The rows of a table, (v, ...), with the ids (...); a row of zeros for a negative id."""
    rows = table[jnp.maximum(ids, 0)]
    return jnp.where((ids >= 0).reshape(ids.shape + (1,) * (rows.ndim - ids.ndim)), rows, 0)


def add_rows(rows: Array, ids: Array, count: int) -> Array:
    """The rows, (*ids, ...), added up by their ids: (count, ...)."""
    flat = rows.reshape(ids.size, *rows.shape[ids.ndim :])
    # one more row gathers what has no id
    places = jnp.where(ids < 0, count, ids).reshape(-1)
    return jnp.zeros((count + 1, *flat.shape[1:]), rows.dtype).at[places].add(flat)[:count]


def counted(ids: Array, like: Array) -> Array:
    """1 where there is an id, 0 where it is negative."""
    return (ids >= 0).astype(like.dtype)


def one_hot(ids: Array, count: int, like: Array) -> Array:
    """The matrix of one-hot rows, (*ids, count)."""
    return jax.nn.one_hot(ids, count, dtype=like.dtype)


def picked(table: Array, ids: Array) -> Array:
    """The entry of each row, (*ids, v), that its id points at; 0 for a negative id."""
    found = jnp.take_along_axis(table, jnp.maximum(ids, 0)[..., None], -1)[..., 0]
    return found * (ids >= 0)


def turned(x: Array) -> Array:
    """A quarter turn of the pairs of the two halves of each row: (-x_2, x_1)."""
    first, second = jnp.split(x, 2, -1)
    return jnp.concatenate((-second, first), -1)


def turned_back(x: Array) -> Array:
    """The inverse of `turned`: (x_2, -x_1)."""
    first, second = jnp.split(x, 2, -1)
    return jnp.concatenate((second, -first), -1)


def softmax(x: Array, mask: Array | None = None) -> Array:
    """Softmax of each row, over what a mask allows; a row masked everywhere is 0."""
    if mask is None:
        return jax.nn.softmax(x, axis=-1)
    allowed = jnp.broadcast_to(mask != 0, (*mask.shape[:-1], x.shape[-1]))
    some = allowed.any(-1, keepdims=True)
    # a mask is often smaller than scores, and adding it is fused with softmax, as `where=` is not
    hidden = jnp.where(allowed | ~some, 0.0, -jnp.inf).astype(x.dtype)
    return jax.nn.softmax(x + hidden, axis=-1) * some


def rowdot(x: Array, y: Array) -> Array:
    """The row sums of ``X ∘ Y``."""
    return (x * y).sum(-1)


def softmax_slope(a: Array, r: Array, inner: Array | None = None) -> Array:
    """The differential of softmax at its value, ``A ∘ R - A ∘ rowsum(A ∘ R)``; `inner` is the row sum where known."""
    return a * (r - ((a * r).sum(-1, keepdims=True) if inner is None else inner))


def logsoftmax(x: Array) -> Array:
    """The logarithm of softmax of each row."""
    return jax.nn.log_softmax(x, axis=-1)


def cross_entropy_slope(logarithm: Array, ids: Array, factor: Array | float, sign: float = 1) -> Array:
    """``±(Y - exp(L) ∘ rowsum(Y)) ∘ f`` for the logarithm L of softmax, one-hot rows Y, and a factor of each row."""
    weight = (counted(ids, logarithm) * (factor * sign))[..., None]
    return (one_hot(ids, logarithm.shape[-1], logarithm) - jnp.exp(logarithm)) * weight


def norm(x: Array, epsilon: float) -> tuple[Array, Array]:
    """LayerNorm of each row without gain, and the inverse deviation."""
    centred = x - x.mean(-1, keepdims=True)
    inverse = jax.lax.rsqrt((centred * centred).mean(-1) + epsilon)
    return centred * inverse[..., None], inverse


def norm_slope(y: Array, inverse: Array, r: Array) -> Array:
    """The differential of LayerNorm at its value y: ``(R - mean(R) - y ∘ mean(y ∘ R)) / σ``."""
    return (r - r.mean(-1, keepdims=True) - y * (y * r).mean(-1, keepdims=True)) * inverse


def rms(x: Array, epsilon: float) -> tuple[Array, Array]:
    """RMSNorm of each row without gain, and the inverse root mean square."""
    inverse = jax.lax.rsqrt((x * x).mean(-1) + epsilon)
    return x * inverse[..., None], inverse


def rms_slope(y: Array, inverse: Array, r: Array) -> Array:
    """The differential of RMSNorm at its value y: ``(R - y ∘ mean(y ∘ R)) / ρ``."""
    return (r - y * (y * r).mean(-1, keepdims=True)) * inverse


def relu(x: Array) -> Array:
    """max(0, x)."""
    return jnp.maximum(x, 0)


def step(x: Array) -> Array:
    """1 where positive, else 0."""
    return (x > 0).astype(x.dtype)


exp = jnp.exp
log, sqrt, tanh, sigmoid, silu, erf = jnp.log, jnp.sqrt, jnp.tanh, jax.nn.sigmoid, jax.nn.silu, jax.lax.erf
reciprocal = jnp.reciprocal


def relu_slope(x: Array, r: Array) -> Array:
    """r where x is positive, else 0."""
    return jnp.where(x > 0, r, 0)


def step_slope(x: Array, r: Array) -> Array:
    """0, where there is a derivative."""
    return jnp.zeros_like(x * r)


def exp_slope(x: Array, r: Array) -> Array:
    """exp(x), times r."""
    return r * jnp.exp(x)


def log_slope(x: Array, r: Array) -> Array:
    """1/x, times r."""
    return r / x


def sqrt_slope(x: Array, r: Array) -> Array:
    """1/(2 √x), times r."""
    return r * (0.5 * jax.lax.rsqrt(x))


def reciprocal_slope(x: Array, r: Array) -> Array:
    """-1/x², times r."""
    return r * (-1 / (x * x))


def tanh_slope(x: Array, r: Array) -> Array:
    """tanh'(x), without cancellation far out, times r."""
    e = jnp.exp(-2 * jnp.abs(x))
    return r * (4 * e / (1 + e) ** 2)


def sigmoid_slope(x: Array, r: Array) -> Array:
    """sigmoid(x) sigmoid(-x), times r."""
    return r * (sigmoid(x) * sigmoid(-x))


def silu_slope(x: Array, r: Array) -> Array:
    """sigmoid(x) (1 + x sigmoid(-x)), times r."""
    return r * (sigmoid(x) * (1 + x * sigmoid(-x)))


def erf_slope(x: Array, r: Array) -> Array:
    """2 π^{-1/2} exp(-x²), times r."""
    return r * (2 / math.sqrt(math.pi) * jnp.exp(-x * x))


def gelu(x: Array) -> Array:
    """x Φ(x), Φ the standard normal distribution function."""
    return jax.nn.gelu(x, approximate=False)


def gelu_slope(x: Array, r: Array) -> Array:
    """Φ(x) + x φ(x), φ the standard normal density, times r."""
    density = jnp.exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi))
    return r * (0.5 * jax.lax.erfc(-x * math.sqrt(0.5)) + x * density)


def gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2."""
    return jax.nn.gelu(x, approximate=True)


def gelu_tanh_slope(x: Array, r: Array) -> Array:
    """The derivative of gelu_tanh, times r."""
    square = x * x
    t = jnp.tanh(x * (_SCALE + _SCALE * _CUBIC * square))
    inner = x * (_SCALE + 3 * _SCALE * _CUBIC * square)
    return r * (0.5 * (1 + t + inner * (1 - t * t)))


_SCALE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def apart(x: Array) -> Array:
    """The same numbers, in a kernel of their own; XLA takes barriers away before it makes kernels."""
    kind = jnp.finfo(x.dtype)
    return jax.lax.reduce_precision(x, kind.nexp, kind.nmant)


def add(total: Array, array: Array) -> Array:
    """The sum."""
    return total + array


def is_finite(x: Array) -> bool:
    """Whether no entry is infinite or no number."""
    return bool(jnp.isfinite(x).all())


def typed(arrays: dict[str, np.ndarray], dtype: str) -> dict[str, Array]:
    """Arrays in the type of a program; ids stay integers."""
    with jax.enable_x64(dtype == "float64"):
        return {name: jnp.asarray(x, None if x.dtype.kind in "iu" else dtype) for name, x in arrays.items()}


def prepared(
    run: Callable[..., Any], constants: dict[str, np.ndarray], dtype: str, is_compiled: bool = True
) -> Callable[[dict[str, Any]], Any]:
    """The program as one jit-compiled function of arrays of its type, or to be run step by step."""
    known = typed(constants, dtype)
    with jax.enable_x64(dtype == "float64"):
        like = jnp.empty(0, dtype)

    def whole(arrays: dict[str, Any]) -> Any:
        return run(arrays, known, like)

    chosen = jax.jit(whole) if is_compiled else whole

    def call(arrays: dict[str, Any]) -> Any:
        with jax.enable_x64(dtype == "float64"):
            return chosen(arrays)

    return call
