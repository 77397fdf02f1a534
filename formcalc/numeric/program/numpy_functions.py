"""The functions of programs in numpy that work entry by entry; each has its slope, its derivative times a direction.

Functions that need several passes take arrays in pieces that stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from formcalc.numeric.program import normal

Array = np.ndarray

#: The bytes of one array that is worked on at once; several of them fit the second level of a cache.
PIECE = 128 * 1024


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


def _given(value: Array | None) -> tuple[Array, ...]:
    """An array that is written beside the result, if there is one."""
    return () if value is None else (value,)


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


def silu_slope(x: Array, r: Array, out: Array | None = None, value: Array | None = None) -> Array:
    """sigmoid(x) (1 + x sigmoid(-x)), times r; the value of silu goes to `value`."""

    def work(x: Array, r: Array, *outs: Array) -> None:
        s = _logistic(x)
        slope = np.asarray(1 - s)
        slope *= x
        slope += 1
        slope *= s
        for values in outs[:-1]:
            np.multiply(x, s, out=values)
        np.multiply(r, slope, out=outs[-1])

    return by_pieces(work, x, r, *_given(value), out=out)


_erf: Any = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array, out: Array | None = None) -> Array:
    """The error function."""
    return by_pieces(lambda x, out: np.copyto(out, _erf(x).astype(x.dtype) if x.ndim else _erf(x)), x, out=out)


def erf_slope(x: Array, r: Array, out: Array | None = None) -> Array:
    """2 π^{-1/2} exp(-x²), times r."""
    factor = x.dtype.type(2 / math.sqrt(math.pi))
    return by_pieces(lambda x, r, out: np.multiply(r, factor * np.exp(-x * x), out=out), x, r, out=out)


def _normal(x: Array) -> tuple[Array, Array]:
    """Φ(x), the standard normal distribution function, and exp(-x²/2)."""
    far = np.asarray(np.abs(x))
    np.minimum(far, normal.FAR, out=far)
    exponential = np.asarray(far * far)
    exponential *= -0.5
    np.exp(exponential, out=exponential)
    t = np.asarray(far - normal.MIDDLE)
    far += normal.MIDDLE
    t /= far
    *lower, highest = map(x.dtype.type, normal.TAIL_SINGLE if x.dtype == np.float32 else normal.TAIL)
    found = np.full_like(far, highest)
    for coefficient in reversed(lower):
        found *= t
        found += coefficient
    found *= exponential
    # 1 - Φ(-x) where the sign is +, without a choice for each number, which takes ten times as long
    np.copysign(found, x, out=found)
    return np.asarray(np.logical_not(np.signbit(x)) - found), exponential


def gelu(x: Array, out: Array | None = None) -> Array:
    """x Φ(x), Φ the standard normal distribution function."""
    return by_pieces(lambda x, out: np.multiply(x, _normal(x)[0], out=out), x, out=out)


def gelu_slope(x: Array, r: Array, out: Array | None = None, value: Array | None = None) -> Array:
    """Φ(x) + x φ(x), φ the standard normal density, times r; the value of gelu goes to `value`."""
    factor = x.dtype.type(1 / math.sqrt(2 * math.pi))

    def work(x: Array, r: Array, *outs: Array) -> None:
        distribution, density = _normal(x)
        density *= factor
        density *= x
        density += distribution
        for values in outs[:-1]:
            np.multiply(x, distribution, out=values)
        np.multiply(r, density, out=outs[-1])

    return by_pieces(work, x, r, *_given(value), out=out)


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


def gelu_tanh_slope(x: Array, r: Array, out: Array | None = None, value: Array | None = None) -> Array:
    """The derivative of gelu_tanh, times r; the value of gelu_tanh goes to `value`."""
    scale, cubic, half = map(x.dtype.type, (_SCALE, _SCALE * _CUBIC, 0.5))

    def work(x: Array, r: Array, *outs: Array) -> None:
        square = np.asarray(x * x)
        square *= cubic
        t = np.asarray(np.add(square, scale, out=outs[0] if outs[1:] else None))
        t *= x
        np.tanh(t, out=t)
        # (1 + t + x (scale + 3 cubic x²) (1 - t²)) / 2
        square *= 3
        square += scale
        square *= x
        slope = np.asarray(t * t)
        np.subtract(1, slope, out=slope)
        slope *= square
        t += 1
        slope += t
        slope *= half
        np.multiply(slope, r, out=outs[-1])
        for values in outs[:-1]:
            values *= half
            values *= x

    return by_pieces(work, x, r, *_given(value), out=out)


_SCALE, _CUBIC = math.sqrt(2 / math.pi), 0.044715
