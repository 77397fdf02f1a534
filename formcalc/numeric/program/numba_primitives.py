"""The primitives of programs in numpy with kernels that numba compiles, and products of matrices by MKL.

What has no kernel is that of `numpy_primitives`. Kernels take numbers that lie in a row; other arrays are copied.
The first process that needs a kernel compiles it, and leaves it on disk for all later ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from formcalc.numeric.program import numba_entries as entries
from formcalc.numeric.program import numba_rows as rows
from formcalc.numeric.program import numpy_primitives as plain
from formcalc.numeric.program.numba_products import matmul  # noqa: F401  (a primitive)
from formcalc.numeric.program.numpy_functions import (  # noqa: F401  (those that have no kernel)
    erf,
    erf_slope,
    exp,
    log,
    log_slope,
    reciprocal,
    reciprocal_slope,
    relu,
    sqrt,
    sqrt_slope,
    step,
    step_slope,
    tanh,
)
from formcalc.numeric.program.numpy_primitives import (  # noqa: F401
    Array,
    add,
    counted,
    cross_entropy_slope,
    identity_of,
    is_finite,
    one_hot,
    ones_of,
    picked,
    prepared,
    rotated,
    rotated_back,
    rowdot,
    select,
    turned,
    turned_back,
    typed,
)


def _flat(x: Array, shape: tuple[int, ...]) -> Array:
    """The numbers of an array, broadcast to a shape, in a row."""
    x = x if x.shape == shape else np.broadcast_to(x, shape)
    return (x if x.flags.c_contiguous else np.ascontiguousarray(x)).reshape(-1)


def _written(work: Callable[..., Any], outs: tuple[Array, ...]) -> None:
    """Let a kernel write arrays; what does not lie in a row is written elsewhere first."""
    flat = [x.reshape(-1) if x.flags.c_contiguous else np.empty(x.size, x.dtype) for x in outs]
    work(*flat)
    for x, numbers in zip(outs, flat, strict=True):
        if not x.flags.c_contiguous:
            x[...] = numbers.reshape(x.shape)


def _made(out: Array | None, *operands: Array) -> Array:
    if out is not None:
        return out
    shape = operands[0].shape if len(operands) == 1 else np.broadcast_shapes(*(x.shape for x in operands))
    return np.empty(shape, operands[0].dtype)


def _function(name: str) -> Callable[..., Array]:
    """A function entry by entry."""
    kernel = getattr(entries, name)

    def function(x: Array, out: Array | None = None) -> Array:
        out = _made(out, x)
        _written(lambda target: kernel(_flat(x, out.shape), target), (out,))
        return out

    function.__name__, function.__doc__ = name, getattr(plain, name).__doc__
    return function


def _slope(name: str) -> Callable[..., Array]:
    """The derivative of a function entry by entry, times a direction; of some, the value of the function, too."""
    kernel = getattr(entries, name)
    both = getattr(entries, f"{name}_and_value", kernel)

    def function(x: Array, r: Array, out: Array | None = None, value: Array | None = None) -> Array:
        out = _made(out, x, r)
        outs = (out,) if value is None else (value, out)
        work = kernel if value is None else both
        _written(lambda *targets: work(_flat(x, out.shape), _flat(r, out.shape), *targets), outs)
        return out

    function.__name__, function.__doc__ = name, getattr(plain, name).__doc__
    return function


sigmoid, silu, gelu, gelu_tanh = (_function(name) for name in ("sigmoid", "silu", "gelu", "gelu_tanh"))
tanh_slope, sigmoid_slope, silu_slope, gelu_slope, gelu_tanh_slope, exp_slope, relu_slope = (
    _slope(name)
    for name in (
        "tanh_slope",
        "sigmoid_slope",
        "silu_slope",
        "gelu_slope",
        "gelu_tanh_slope",
        "exp_slope",
        "relu_slope",
    )
)


def softmax(x: Array, mask: Array | None = None, out: Array | None = None) -> Array:
    """Softmax of each row, over what a mask allows; a row masked everywhere is 0."""
    if x.size == 0 or x.ndim > 4:
        return plain.softmax(x, mask, out)
    out = _made(out, x) if mask is None else _made(out, x, mask)
    width = out.shape[-1]
    if mask is None:
        _written(lambda target: rows.softmax(_flat(x, out.shape), width, target), (out,))
        return out
    lead = (1,) * (4 - out.ndim)
    mask = mask.reshape(*(1,) * (4 - mask.ndim), *mask.shape)
    mask = np.ascontiguousarray(np.broadcast_to(mask, (*mask.shape[:-1], width)))
    sizes = np.array((*lead, *out.shape[:-1]))
    steps = zip(mask.shape[:3], mask.strides[:3], strict=True)
    strides = np.array([0 if size == 1 else bytes_ // mask.itemsize for size, bytes_ in steps])
    numbers = mask.reshape(-1)
    _written(lambda target: rows.masked_softmax(_flat(x, out.shape), width, sizes, strides, numbers, target), (out,))
    return out


def softmax_slope(a: Array, r: Array, inner: Array | None = None, out: Array | None = None) -> Array:
    """The differential of softmax at its value, ``A ∘ R - A ∘ rowsum(A ∘ R)``; `inner` is the row sum where known."""
    out = _made(out, a, r)
    along = np.empty(0, a.dtype) if inner is None else _flat(inner, (*out.shape[:-1], 1))
    width = out.shape[-1]
    _written(lambda to: rows.softmax_slope(_flat(a, out.shape), _flat(r, out.shape), along, width, to), (out,))
    return out


def logsoftmax(x: Array, out: Array | None = None) -> Array:
    """The logarithm of softmax of each row."""
    out = _made(out, x)
    _written(lambda target: rows.logsoftmax(_flat(x, out.shape), x.shape[-1], target), (out,))
    return out


def norm(x: Array, epsilon: float, out: Array | None = None, inverse: Array | None = None) -> tuple[Array, Array]:
    """LayerNorm of each row without gain, and the inverse deviation."""
    return _normalised(rows.norm, x, epsilon, out, inverse)


def rms(x: Array, epsilon: float, out: Array | None = None, inverse: Array | None = None) -> tuple[Array, Array]:
    """RMSNorm of each row without gain, and the inverse root mean square."""
    return _normalised(rows.rms, x, epsilon, out, inverse)


def _normalised(
    kernel: Callable[..., Any], x: Array, epsilon: float, out: Array | None, inverse: Array | None
) -> tuple[Array, Array]:
    outs = _made(out, x), np.empty(x.shape[:-1], x.dtype) if inverse is None else inverse
    _written(lambda *targets: kernel(_flat(x, x.shape), x.shape[-1], epsilon, *targets), outs)
    return outs


def norm_slope(y: Array, inverse: Array, r: Array, out: Array | None = None) -> Array:
    """The differential of LayerNorm at its value y: ``(R - mean(R) - y ∘ mean(y ∘ R)) / σ``."""
    return _normal_slope(rows.norm_slope, y, inverse, r, out)


def rms_slope(y: Array, inverse: Array, r: Array, out: Array | None = None) -> Array:
    """The differential of RMSNorm at its value y: ``(R - y ∘ mean(y ∘ R)) / ρ``."""
    return _normal_slope(rows.rms_slope, y, inverse, r, out)


def _normal_slope(kernel: Callable[..., Any], y: Array, inverse: Array, r: Array, out: Array | None) -> Array:
    out = _made(out, y, r)
    shape, scale = out.shape, _flat(inverse, (*out.shape[:-1], 1))
    _written(lambda target: kernel(_flat(y, shape), scale, _flat(r, shape), shape[-1], target), (out,))
    return out


def layer_norm(x: Array, gain: Array, bias: Array, epsilon: float, out: tuple[Array, Array, Array]) -> None:
    """LayerNorm of each row, times a gain, plus a bias; and the means and the inverse deviations."""
    vectors = _flat(gain, x.shape[-1:]), _flat(bias, x.shape[-1:])
    _written(lambda *targets: rows.layer_norm(_flat(x, x.shape), *vectors, epsilon, *targets), out)


def layer_norm_slope(
    r: Array, x: Array, mean: Array, inverse: Array, gain: Array, bias: Array, out: tuple[Array, Array, Array]
) -> None:
    """The derivatives of `layer_norm` by x, by the gain and by the bias, in direction r."""
    shape, vector = x.shape, _flat(gain, bias.shape)
    statistics = _flat(mean, shape[:-1]), _flat(inverse, shape[:-1])
    _written(lambda *to: rows.layer_norm_slope(_flat(r, shape), _flat(x, shape), *statistics, vector, *to), out)


def add_rows(found: Array, ids: Array, count: int, out: Array | None = None) -> Array:
    """The rows, (*ids, ...), added up by their ids: (count, ...)."""
    out = np.empty((count, *found.shape[ids.ndim :]), found.dtype) if out is None else out
    out.fill(0)
    places = np.ascontiguousarray(ids, np.int64).reshape(-1)
    _written(lambda target: entries.add_rows(_flat(found, found.shape), places, target), (out,))
    return out
