"""Products of matrices by MKL, called from compiled code, which costs less than a call from Python.

A matrix whose rows or columns are contiguous is taken as it lies, turned or not; no array is copied.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite.binding import add_symbol
from numba import types
from numba.extending import overload

from formcalc.numeric.program import mkl
from formcalc.numeric.program.numba_kernel import compiled, inner

#: How MKL calls matrices by rows, as they lie, and turned.
_BY_ROWS, _PLAIN, _TURNED = 101, 111, 112

_int, _pointer = types.int32, types.intp


def _gemm(name: str, number: Any) -> Any:
    arguments = (*[_int] * 6, number, _pointer, _int, _pointer, _int, number, _pointer, _int)
    return types.ExternalFunction(f"formcalc_{name}", types.void(*arguments))


_sgemm, _dgemm = _gemm("cblas_sgemm", types.float32), _gemm("cblas_dgemm", types.float64)


def _called(number: Any, *arguments: Any) -> Any:
    """The product of MKL for a type of numbers."""
    raise NotImplementedError


def _compiled_call(number: Any, *arguments: Any) -> Any:  # noqa: ARG001
    gemm = _sgemm if number == types.float32 else _dgemm

    def call(number: Any, *arguments: Any) -> Any:  # noqa: ARG001
        gemm(*arguments)

    return call


overload(_called)(_compiled_call)


@inner
def _distance(rows: Any, columns: Any, down: Any, along: Any) -> Any:
    """From one row of a matrix to the next, in numbers; 0 if a row is not contiguous, or rows overlap.

    Where there is but one row, or one column, the step to the next means nothing.
    """
    if along == 1 or columns == 1:
        distance = down if rows > 1 else columns
        return distance if distance >= columns else 0
    return 0


@inner
def _leading(rows: Any, columns: Any, down: Any, along: Any) -> Any:
    """The distance of rows, or minus that of the columns of a matrix that lies turned; 0 if it lies otherwise."""
    distance = _distance(rows, columns, down, along)
    return distance if distance > 0 else -_distance(columns, rows, along, down)


@inner
def _multiply(scale: Any, a: Any, b: Any, c: Any, sizes: Any, first: Any, second: Any, result: Any) -> None:
    """One product: addresses, the three sizes, and what `_leading` says of each matrix."""
    m, k, n = sizes
    if result < 0:  # C^t = B^t A^t
        a, b, m, n, result, first, second = b, a, n, m, -result, -second, -first
    kinds = (_PLAIN if first > 0 else _TURNED, _PLAIN if second > 0 else _TURNED)
    zero = scale * 0
    _called(scale, _BY_ROWS, kinds[0], kinds[1], m, n, k, scale, a, abs(first), b, abs(second), zero, c, result)


@inner
def _ways(a: Any, b: Any, out: Any) -> Any:
    """The sizes of the products, what `_leading` says of the matrices, and whether MKL can take them."""
    x, y = a.ndim - 2, a.ndim - 1
    size = a.itemsize
    first = _leading(a.shape[x], a.shape[y], a.strides[x] // size, a.strides[y] // size)
    second = _leading(b.shape[x], b.shape[y], b.strides[x] // size, b.strides[y] // size)
    result = _leading(out.shape[x], out.shape[y], out.strides[x] // size, out.strides[y] // size)
    sizes = (a.shape[x], a.shape[y], b.shape[y])
    return sizes, first, second, result, first != 0 and second != 0 and result != 0


def _matrices(a: Any, b: Any, scale: Any, out: Any) -> Any:
    sizes, first, second, result, can = _ways(a, b, out)
    if can:
        _multiply(scale, a.ctypes.data, b.ctypes.data, out.ctypes.data, sizes, first, second, result)
    return can


@inner
def _place(x: Any, i: Any, j: Any) -> Any:
    """The address of a matrix in a stack; an axis of length one broadcasts."""
    return x.ctypes.data + (i * x.strides[0] if x.shape[0] > 1 else 0) + (j * x.strides[1] if x.shape[1] > 1 else 0)


def _stacks(a: Any, b: Any, scale: Any, out: Any) -> Any:
    sizes, first, second, result, can = _ways(a, b, out)
    if can:
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                places = _place(a, i, j), _place(b, i, j), _place(out, i, j)
                _multiply(scale, places[0], places[1], places[2], sizes, first, second, result)
    return can


@cache
def _compiled(kind: str, axes: int) -> Any:
    number = types.float32 if kind == "f" else types.float64
    read, written = (types.Array(number, axes, "A", readonly=is_read) for is_read in (True, False))
    return compiled(_matrices if axes == 2 else _stacks, types.boolean(read, read, number, written))


def _stack(x: np.ndarray) -> np.ndarray:
    return x if x.ndim == 4 else x[(None,) * (4 - x.ndim)]


def _by_numpy(a: np.ndarray, b: np.ndarray, out: np.ndarray, scale: float = 1.0) -> None:
    """The product of two stacks of matrices, times a number."""
    np.matmul(a, b, out=out)
    if scale != 1:
        np.multiply(out, scale, out=out)


def _by_mkl(a: np.ndarray, b: np.ndarray, out: np.ndarray, scale: float = 1.0) -> None:
    """The product of two stacks of matrices, times a number."""
    kind = a.dtype.char
    if a.ndim == b.ndim == out.ndim == 2:
        is_done = _compiled(kind, 2)(a, b, scale, out)
    else:
        is_done = 2 < out.ndim <= 4 and out.size and _compiled(kind, 4)(_stack(a), _stack(b), scale, _stack(out))
    if not is_done:
        _by_numpy(a, b, out, scale)


for _name, _address in mkl.addresses().items():
    add_symbol(f"formcalc_{_name}", _address)

matmul = _by_mkl if mkl.addresses() else _by_numpy
