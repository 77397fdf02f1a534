"""Kernels of operations by rows: one pass over memory, in which a row stays in the cache.

Arrays come with one axis, and the width of a row beside them. What is written may be what is read: a row is finished in
a row of its own before it is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from formcalc.numeric.program.numba_functions import exp, ordered, unordered
from formcalc.numeric.program.numba_kernel import at, inner, kernel


@inner
def _largest(x: Any, start: Any, width: Any) -> Any:
    """The largest number of a row; one that is none is larger than all others, or is found in the sums."""
    largest = ordered(x[at(start, 0)])
    for k in range(width):
        this = ordered(x[at(start, k)])
        largest = this if this > largest else largest
    return unordered(largest)


@inner
def _dot(x: Any, y: Any, start: Any, width: Any) -> Any:
    """The sum of the products of two rows."""
    total = x.dtype.type(0)
    for k in range(width):
        total += x[at(start, k)] * y[at(start, k)]
    return total


@inner
def _sum(x: Any, start: Any, width: Any) -> Any:
    """The sum of a row."""
    total = x.dtype.type(0)
    for k in range(width):
        total += x[at(start, k)]
    return total


@inner
def _exponentials(x: Any, start: Any, width: Any, row: Any) -> Any:
    """Exponentials of a row less its largest number; their sum."""
    largest = _largest(x, start, width)
    for k in range(width):
        row[k] = exp(x[at(start, k)] - largest)
    return _sum(row, 0, width)


@inner
def _written(row: Any, factor: Any, start: Any, width: Any, out: Any) -> None:
    for k in range(width):
        out[at(start, k)] = row[k] * factor


@kernel("riw")
def softmax(x: Any, width: Any, out: Any) -> None:
    """Softmax of each row."""
    row = np.empty(width, x.dtype)
    for start in range(0, x.size, width):
        total = _exponentials(x, start, width, row)
        _written(row, x.dtype.type(1) / total, start, width, out)


@kernel("rikkrw")
def masked_softmax(x: Any, width: Any, sizes: Any, strides: Any, mask: Any, out: Any) -> None:
    """Softmax of each row over what a mask allows.

    `sizes` are those of the three axes before the rows' own, `strides` the numbers that lie between the mask's rows.
    """
    row, start = np.empty(width, x.dtype), 0
    zero, one, least = x.dtype.type(0), x.dtype.type(1), x.dtype.type(-np.inf)
    for first in range(sizes[0]):
        for second in range(sizes[1]):
            for third in range(sizes[2]):
                place = first * strides[0] + second * strides[1] + third * strides[2]
                for k in range(width):
                    number = x[at(start, k)]
                    row[k] = number if mask[at(place, k)] != zero else least
                largest = _largest(row, 0, width)
                largest = zero if largest == least else largest  # all is hidden
                for k in range(width):
                    row[k] = exp(row[k] - largest)
                total = _sum(row, 0, width)
                _written(row, zero if total == zero else one / total, start, width, out)
                start += width


@kernel("rrriw")
def softmax_slope(a: Any, r: Any, inner: Any, width: Any, out: Any) -> None:
    """``A ∘ (R - inner)`` for the row sums of ``A ∘ R``; they are computed if there are none."""
    row = np.empty(width, a.dtype)
    for start in range(0, a.size, width):
        along = inner[at(0, start // width)] if inner.size else _dot(a, r, start, width)
        for k in range(width):
            row[k] = a[at(start, k)] * (r[at(start, k)] - along)
        _copied(row, start, width, out)


@inner
def _copied(row: Any, start: Any, width: Any, out: Any) -> None:
    for k in range(width):
        out[at(start, k)] = row[k]


@kernel("riw")
def logsoftmax(x: Any, width: Any, out: Any) -> None:
    """The logarithm of softmax of each row."""
    row = np.empty(width, x.dtype)
    for start in range(0, x.size, width):
        total = _exponentials(x, start, width, row)
        least = _largest(x, start, width) + np.log(total)
        for k in range(width):
            row[k] = x[at(start, k)] - least
        _copied(row, start, width, out)


@inner
def _centred(x: Any, start: Any, width: Any, row: Any) -> Any:
    """A row less its mean; the mean."""
    mean = _sum(x, start, width) / x.dtype.type(width)
    for k in range(width):
        row[k] = x[at(start, k)] - mean
    return mean


@kernel("rinww")
def norm(x: Any, width: Any, epsilon: Any, out: Any, inverse: Any) -> None:
    """LayerNorm of each row without gain, and the inverse deviation."""
    row, one = np.empty(width, x.dtype), x.dtype.type(1)
    for start in range(0, x.size, width):
        _centred(x, start, width, row)
        factor = one / np.sqrt(_dot(row, row, 0, width) / x.dtype.type(width) + epsilon)
        inverse[at(0, start // width)] = factor
        _written(row, factor, start, width, out)


@kernel("rrrnwww")
def layer_norm(x: Any, gain: Any, bias: Any, epsilon: Any, out: Any, mean: Any, inverse: Any) -> None:
    """LayerNorm of each row, times a gain, plus a bias; the means and the inverse deviations."""
    width = gain.size
    row, one = np.empty(width, x.dtype), x.dtype.type(1)
    for start in range(0, x.size, width):
        place = at(0, start // width)
        mean[place] = _centred(x, start, width, row)
        factor = one / np.sqrt(_dot(row, row, 0, width) / x.dtype.type(width) + epsilon)
        inverse[place] = factor
        for k in range(width):
            row[k] = row[k] * factor * gain[k] + bias[k]
        _copied(row, start, width, out)


@kernel("rrrrrwww")
def layer_norm_slope(
    r: Any, x: Any, mean: Any, inverse: Any, gain: Any, out: Any, gain_slope: Any, bias_slope: Any
) -> None:
    """The derivatives of `layer_norm` by x, by the gain and by the bias, in direction r."""
    width = gain.size
    y, towards, share = np.empty(width, x.dtype), np.empty(width, x.dtype), x.dtype.type(1) / x.dtype.type(width)
    gain_slope[:], bias_slope[:] = x.dtype.type(0), x.dtype.type(0)
    for start in range(0, x.size, width):
        centre, factor = mean[at(0, start // width)], inverse[at(0, start // width)]
        for k in range(width):
            y[k] = (x[at(start, k)] - centre) * factor
            towards[k] = r[at(start, k)] * gain[k]
        for k in range(width):
            gain_slope[k] += r[at(start, k)] * y[k]
            bias_slope[k] += r[at(start, k)]
        along, level = _dot(y, towards, 0, width) * share, _sum(towards, 0, width) * share
        for k in range(width):
            towards[k] = (towards[k] - level - y[k] * along) * factor
        _copied(towards, start, width, out)


@kernel("rrriw")
def norm_slope(y: Any, inverse: Any, r: Any, width: Any, out: Any) -> None:
    """``(R - mean(R) - y ∘ mean(y ∘ R)) ∘ inverse``."""
    row, share = np.empty(width, y.dtype), y.dtype.type(1) / y.dtype.type(width)
    for start in range(0, y.size, width):
        along, mean = _dot(y, r, start, width) * share, _sum(r, start, width) * share
        factor = inverse[at(0, start // width)]
        for k in range(width):
            row[k] = (r[at(start, k)] - mean - y[at(start, k)] * along) * factor
        _copied(row, start, width, out)


@kernel("rinww")
def rms(x: Any, width: Any, epsilon: Any, out: Any, inverse: Any) -> None:
    """RMSNorm of each row without gain, and the inverse root mean square."""
    row, one = np.empty(width, x.dtype), x.dtype.type(1)
    for start in range(0, x.size, width):
        factor = one / np.sqrt(_dot(x, x, start, width) / x.dtype.type(width) + epsilon)
        inverse[at(0, start // width)] = factor
        for k in range(width):
            row[k] = x[at(start, k)] * factor
        _copied(row, start, width, out)


@kernel("rrriw")
def rms_slope(y: Any, inverse: Any, r: Any, width: Any, out: Any) -> None:
    """``(R - y ∘ mean(y ∘ R)) ∘ inverse``."""
    row, share = np.empty(width, y.dtype), y.dtype.type(1) / y.dtype.type(width)
    for start in range(0, y.size, width):
        along, factor = _dot(y, r, start, width) * share, inverse[at(0, start // width)]
        for k in range(width):
            row[k] = (r[at(start, k)] - y[at(start, k)] * along) * factor
        _copied(row, start, width, out)
