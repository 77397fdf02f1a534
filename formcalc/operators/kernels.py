"""The numpy kernels of the operator table: values and derivatives, stable for entries of any size.

Kernels that map rationals to rationals also run on object arrays of ``fractions.Fraction``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Array = np.ndarray

_erf = np.frompyfunc(math.erf, 1, 1)
_erfc = np.frompyfunc(math.erfc, 1, 1)

#: The constants of the tanh-GELU, sqrt(2/pi) and the cubic coefficient.
_GELU_SCALE = math.sqrt(2 / math.pi)
_GELU_CUBIC = 0.044715


def entrywise(slope: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """The differential of an elementwise function: its derivative, times the direction entry by entry."""
    return lambda P, R: slope(P) * R


def relu(x: Array) -> Array:
    """max(0, x), entry by entry."""
    return np.where(x > 0, x, x * 0)


def step(x: Array) -> Array:
    """1 where positive, 0 elsewhere, and 0 at 0."""
    return np.where(x > 0, x * 0 + 1, x * 0)


def zero(x: Array) -> Array:
    """0, entry by entry: the derivative of a step."""
    return x * 0


def exp(x: Array) -> Array:
    """e^x, entry by entry."""
    return np.exp(x)


def reciprocal(x: Array) -> Array:
    """1/x, entry by entry, x ≠ 0."""
    return 1 / x


def erf(x: Array) -> Array:
    """The error function, entry by entry, in the kind of number that x holds."""
    return _erf(x).astype(x.dtype)


def erf_slope(x: Array) -> Array:
    """erf'(x) = 2 π^{-1/2} exp(-x²)."""
    return x.dtype.type(2 / math.sqrt(math.pi)) * np.exp(-x * x)


def tanh_slope(x: Array) -> Array:
    """tanh'(x) = 4 e / (1 + e)² with e = exp(-2|x|), without the cancellation of 1 - tanh(x)² far out."""
    e = np.exp(-2 * np.abs(x))
    return 4 * e / (1 + e) ** 2


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^{-x}), entry by entry."""
    # exp of a negative number only, so nothing overflows
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def sigmoid_slope(x: Array) -> Array:
    """sigmoid'(x) = sigmoid(x) sigmoid(-x), which keeps its digits where sigmoid is near 1."""
    return sigmoid(x) * sigmoid(-x)


def silu(x: Array) -> Array:
    """x sigmoid(x), entry by entry."""
    return x * sigmoid(x)


def silu_slope(x: Array) -> Array:
    """silu'(x) = sigmoid(x) + x sigmoid'(x)."""
    s = sigmoid(x)
    return s + x * s * sigmoid(-x)


def _normal_distribution(x: Array) -> Array:
    """The standard normal distribution function, erfc(-x/√2) / 2, which does not cancel far out."""
    return _erfc(-x * x.dtype.type(math.sqrt(0.5))).astype(x.dtype) / 2


def gelu(x: Array) -> Array:
    """x Φ(x), Φ the standard normal distribution function."""
    return x * _normal_distribution(x)


def gelu_slope(x: Array) -> Array:
    """Φ(x) + x φ(x), φ the standard normal density."""
    density = np.exp(-x * x / 2) * x.dtype.type(1 / math.sqrt(2 * math.pi))
    return _normal_distribution(x) + x * density


def _gelu_tanh_inner(x: Array) -> Array:
    return x.dtype.type(_GELU_SCALE) * (x + x.dtype.type(_GELU_CUBIC) * x**3)


def gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(u)) / 2 for u = √(2/π) (x + 0.044715 x³); (1 + tanh(u)) / 2 is sigmoid(2u)."""
    return x * sigmoid(2 * _gelu_tanh_inner(x))


def gelu_tanh_slope(x: Array) -> Array:
    """The derivative of gelu_tanh, by the product and chain rules."""
    inner = _gelu_tanh_inner(x)
    inner_slope = x.dtype.type(_GELU_SCALE) * (1 + x.dtype.type(3 * _GELU_CUBIC) * x**2)
    return sigmoid(2 * inner) + x * tanh_slope(inner) * inner_slope / 2


def softmax(x: Array, mask: Array | None = None) -> Array:
    """Softmax of each row, (rows, columns) -> same; the largest entry is subtracted first, so 1e4 does not overflow.

    Where the mask is 0 the result is 0, so a row that is masked everywhere is 0.
    """
    if mask is None:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)
    x, mask = np.broadcast_arrays(x, mask)  # a mask may be a family where x is not
    allowed = mask != 0
    largest = np.max(x, axis=-1, keepdims=True, where=allowed, initial=-np.inf)
    e = np.where(allowed, np.exp(np.where(allowed, x - largest, 0)), 0)
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total > 0, total, 1)


def softmax_push(P: Array, R: Array, mask: Array | None = None) -> Array:
    """A∘R - A∘((A∘R) 1 1^t) for A = softmax(P)."""
    A = softmax(P, mask)
    AR = A * R
    return AR - A * AR.sum(axis=-1, keepdims=True)


def log_softmax(x: Array) -> Array:
    """The logarithm of softmax of each row, without taking the logarithm of a small number."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_softmax_push(P: Array, R: Array) -> Array:
    """R - ((A∘R) 1) 1^t for A = softmax(P)."""
    return R - (softmax(P) * R).sum(axis=-1, keepdims=True)


def _deviation(x: Array, epsilon: float) -> Array:
    return np.sqrt(x.var(axis=-1, keepdims=True) + x.dtype.type(epsilon))


def layer_norm(x: Array, epsilon: float = 0.0) -> Array:
    """(x - mean) / σ of each row, σ² = variance + ε."""
    return (x - x.mean(axis=-1, keepdims=True)) / _deviation(x, epsilon)


def layer_norm_push(P: Array, R: Array, epsilon: float = 0.0) -> Array:
    """(R - mean(R) - y∘mean(y∘R)) / σ of each row, for y the normalised P."""
    y = layer_norm(P, epsilon)
    centred = R - R.mean(axis=-1, keepdims=True) - y * (y * R).mean(axis=-1, keepdims=True)
    return centred / _deviation(P, epsilon)


def _root_mean_square(x: Array, epsilon: float) -> Array:
    return np.sqrt((x * x).mean(axis=-1, keepdims=True) + x.dtype.type(epsilon))


def rms_norm(x: Array, epsilon: float = 0.0) -> Array:
    """x / ρ of each row, ρ² = mean of squares + ε."""
    return x / _root_mean_square(x, epsilon)


def rms_norm_push(P: Array, R: Array, epsilon: float = 0.0) -> Array:
    """(R - y∘mean(y∘R)) / ρ of each row, for y the normalised P."""
    y = rms_norm(P, epsilon)
    return (R - y * (y * R).mean(axis=-1, keepdims=True)) / _root_mean_square(P, epsilon)
