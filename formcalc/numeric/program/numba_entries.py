"""Kernels of functions entry by entry, and of rows that are added up by ids.

What is written may be what is read: numbers are finished in a piece of memory of their own before they are written,
which lets the compiler write vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from formcalc.numeric.program import numba_functions as functions
from formcalc.numeric.program.numba_kernel import at, inner, kernel

#: How many numbers are finished at once.
_PIECE = 1024


@inner
def _written(piece: Any, start: Any, size: Any, out: Any) -> None:
    for k in range(size):
        out[at(start, k)] = piece[k]


@inner
def _each(function: Any, x: Any, out: Any) -> None:
    """A function of every number."""
    piece = np.empty(_PIECE, x.dtype)
    for start in range(0, x.size, _PIECE):
        size = min(_PIECE, x.size - start)
        for k in range(size):
            piece[k] = function(x[at(start, k)])
        _written(piece, start, size, out)


@inner
def _each_slope(slope: Any, x: Any, r: Any, out: Any) -> None:
    """A derivative at every number, times r."""
    piece = np.empty(_PIECE, x.dtype)
    for start in range(0, x.size, _PIECE):
        size = min(_PIECE, x.size - start)
        for k in range(size):
            piece[k] = r[at(start, k)] * slope(x[at(start, k)])
        _written(piece, start, size, out)


@inner
def _both(both: Any, x: Any, r: Any, value: Any, out: Any) -> None:
    """A function, and its derivative times r."""
    piece, values = np.empty(_PIECE, x.dtype), np.empty(_PIECE, x.dtype)
    for start in range(0, x.size, _PIECE):
        size = min(_PIECE, x.size - start)
        for k in range(size):
            found, slope = both(x[at(start, k)])
            values[k] = found
            piece[k] = r[at(start, k)] * slope
        _written(values, start, size, value)
        _written(piece, start, size, out)


@kernel("rw")
def sigmoid(x: Any, out: Any) -> None:
    """The logistic function."""
    _each(functions.sigmoid, x, out)


@kernel("rw")
def silu(x: Any, out: Any) -> None:
    """x sigmoid(x)."""
    _each(functions.silu, x, out)


@kernel("rw")
def gelu(x: Any, out: Any) -> None:
    """x Φ(x)."""
    _each(functions.gelu, x, out)


@kernel("rw")
def gelu_tanh(x: Any, out: Any) -> None:
    """GELU by its approximation with tanh."""
    _each(functions.gelu_tanh, x, out)


@kernel("rrw")
def tanh_slope(x: Any, r: Any, out: Any) -> None:
    """The derivative of `tanh`, times r."""
    _each_slope(functions.tanh_slope, x, r, out)


@kernel("rrw")
def sigmoid_slope(x: Any, r: Any, out: Any) -> None:
    """The derivative of `sigmoid`, times r."""
    _each_slope(functions.sigmoid_slope, x, r, out)


@kernel("rrw")
def silu_slope(x: Any, r: Any, out: Any) -> None:
    """The derivative of `silu`, times r."""
    _each_slope(functions.silu_slope, x, r, out)


@kernel("rrw")
def gelu_slope(x: Any, r: Any, out: Any) -> None:
    """The derivative of `gelu`, times r."""
    _each_slope(functions.gelu_slope, x, r, out)


@kernel("rrw")
def gelu_tanh_slope(x: Any, r: Any, out: Any) -> None:
    """The derivative of `gelu_tanh`, times r."""
    _each_slope(functions.gelu_tanh_slope, x, r, out)


@kernel("rrww")
def silu_slope_and_value(x: Any, r: Any, value: Any, out: Any) -> None:
    """The derivative of `silu`, times r, and `silu`."""
    _both(functions.silu_and_slope, x, r, value, out)


@kernel("rrww")
def gelu_slope_and_value(x: Any, r: Any, value: Any, out: Any) -> None:
    """The derivative of `gelu`, times r, and `gelu`."""
    _both(functions.gelu_and_slope, x, r, value, out)


@kernel("rrww")
def gelu_tanh_slope_and_value(x: Any, r: Any, value: Any, out: Any) -> None:
    """The derivative of `gelu_tanh`, times r, and `gelu_tanh`."""
    _both(functions.gelu_tanh_and_slope, x, r, value, out)


@kernel("rrw")
def exp_slope(x: Any, r: Any, out: Any) -> None:
    """exp(x), times r."""
    _each_slope(functions.exp, x, r, out)


@kernel("rrw")
def relu_slope(x: Any, r: Any, out: Any) -> None:
    """r where x is positive, else 0."""
    piece, zero = np.empty(_PIECE, x.dtype), x.dtype.type(0)
    for start in range(0, x.size, _PIECE):
        size = min(_PIECE, x.size - start)
        for k in range(size):
            piece[k] = r[at(start, k)] if x[at(start, k)] > zero else zero
        _written(piece, start, size, out)


@kernel("rkw")
def add_rows(rows: Any, ids: Any, total: Any) -> None:
    """Rows added up by their ids; those of negative ids are left out."""
    if ids.size:
        width = rows.size // ids.size
        total[:] = rows.dtype.type(0)
        for place in range(ids.size):
            if ids[place] >= 0:
                start, target = place * width, ids[place] * width
                for k in range(width):
                    total[at(target, k)] += rows[at(start, k)]
