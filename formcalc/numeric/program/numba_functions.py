"""Functions of one number that numba can write for whole vectors: exp and what is made of it.

The wheels of numba have no library of vectorised functions, and a call of the C library for each number would take ten
times as long. ``exp(x) = 2^n exp(r)`` with the integer n next to ``x / log 2`` and |r| <= log(2)/2 (W. J. Cody and
W. Waite, Software Manual for the Elementary Functions, 1980): r is x less n log 2, taken away in two parts so that
nothing is lost, and exp(r) is a polynomial.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from formcalc.numeric.program import normal


@dataclass(frozen=True)
class _Format:
    """A type of floating point numbers.

    Attributes:
        number: the type in numpy, `code` that of the module struct.
        bits: of a number, `fraction` of them for its fraction.
        bias: of the exponent.
        magic: what rounds a small number to an integer, when it is added, and leaves it in the lowest bits.
        high, low: log 2 in two parts; n times the first is exact.
        least, most: far below where exp is 0, and where it is infinite.
    """

    number: Any
    bits: int
    fraction: int
    bias: int
    code: str
    high: float
    low: float
    least: float
    most: float

    def numbers(self, *values: float) -> tuple[Any, ...]:
        """Constants of this type."""
        return tuple(map(self.number, values))

    @property
    def magic(self) -> float:
        return 1.5 * 2.0**self.fraction

    @property
    def magic_bits(self) -> int:
        form = f"<{self.code}"
        return int.from_bytes(struct.pack(form, self.magic), "little")


_SCALE, _CUBIC = math.sqrt(2 / math.pi), 0.044715
_DENSITY = 1 / math.sqrt(2 * math.pi)

_SINGLE = _Format(np.float32, 32, 23, 127, "f", 0.693359375, -2.12194440e-4, -120, 89)
_DOUBLE = _Format(np.float64, 64, 52, 1023, "d", 0.6931471803691238, 1.9082149292705877e-10, -800, 710)


#: Makes a function that writes instructions itself a part of kernels.
_instructions: Callable[[Callable[..., Any]], Any] = intrinsic


def _format(x: Any) -> _Format:
    return _SINGLE if x == types.float32 else _DOUBLE


@_instructions
def _times_power(typing: Any, p: Any, z: Any) -> Any:  # noqa: ARG001  (the signature of numba)
    """``p 2^n`` for the integer n that `magic` has left in z, in two steps, since 2^n may be no normal number.

    Where that is 0 a step multiplies by 0: a product that underflows takes a hundred times as long as others.
    """
    kind = _format(p)

    def code(context: Any, builder: Any, signature: Any, operands: Any) -> Any:  # noqa: ARG001
        value, place = operands
        integer = ir.IntType(kind.bits)

        def constant(number: int) -> Any:
            return ir.Constant(integer, number)

        def power(exponent: Any) -> Any:
            moved = builder.shl(builder.add(exponent, constant(kind.bias)), constant(kind.fraction))
            return builder.bitcast(moved, value.type)

        n = builder.sub(builder.bitcast(place, integer), constant(kind.magic_bits))
        half = builder.ashr(n, constant(1))
        is_zero = builder.icmp_signed("<", n, constant(-kind.bias - kind.fraction))
        rest = builder.select(is_zero, ir.Constant(value.type, 0), power(builder.sub(n, half)))
        return builder.fmul(builder.fmul(value, power(half)), rest)

    return p(p, z), code


def _ordering(bits: int, builder: Any, x: Any) -> Any:
    """Integers ordered as floating point numbers are, and back: all bits but the sign of a negative one turned over."""
    integer = ir.IntType(bits)
    signs = builder.ashr(x, ir.Constant(integer, bits - 1))
    return builder.xor(x, builder.and_(signs, ir.Constant(integer, 2 ** (bits - 1) - 1)))


@_instructions
def ordered(typing: Any, x: Any) -> Any:  # noqa: ARG001
    """An integer that is ordered as x is: the largest of many is found by vectors, whatever numbers there are."""
    bits = _format(x).bits
    result = types.int32 if bits == 32 else types.int64

    def code(context: Any, builder: Any, signature: Any, operands: Any) -> Any:  # noqa: ARG001
        return _ordering(bits, builder, builder.bitcast(operands[0], ir.IntType(bits)))

    return result(x), code


@_instructions
def unordered(typing: Any, k: Any) -> Any:  # noqa: ARG001
    """The number that an integer of `ordered` stands for."""
    result = types.float32 if k == types.int32 else types.float64
    bits = _format(result).bits

    def code(context: Any, builder: Any, signature: Any, operands: Any) -> Any:  # noqa: ARG001
        number = ir.FloatType() if bits == 32 else ir.DoubleType()
        return builder.bitcast(_ordering(bits, builder, operands[0]), number)

    return result(k), code


#: Multiplications and additions are contracted, but never moved: the rounding by `magic` depends on their order. Calls
#: are replaced by what is called, however long, since loops with calls are not made loops over vectors.
_IN_PLACE: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy", "forceinline": True}


def _by_type(make: Callable[[_Format], Any]) -> Any:
    """A function for compiled code, made for the type of its argument, so that all its constants are of that type."""

    def function(x: Any) -> Any:
        raise NotImplementedError

    def typed(x: Any) -> Any:
        return make(_format(x))

    function.__name__, function.__doc__ = make.__name__, make.__doc__
    overload(function, jit_options=_IN_PLACE)(typed)
    return function


def _polynomial(single: Sequence[float], double: Sequence[float]) -> Any:
    """The polynomial with these coefficients, from the lowest degree, by the type of its argument."""

    @_instructions
    def polynomial(typing: Any, x: Any) -> Any:  # noqa: ARG001
        kind = _format(x)

        def code(context: Any, builder: Any, signature: Any, operands: Any) -> Any:  # noqa: ARG001
            (place,) = operands
            coefficients = kind.numbers(*(single if kind is _SINGLE else double))
            found, *lower = [ir.Constant(place.type, float(number)) for number in reversed(coefficients)]
            for number in lower:
                product = builder.fmul(found, place, flags=("contract",))
                found = builder.fadd(product, number, flags=("contract",))
            return found

        return x(x), code

    return polynomial


#: ``(exp(r) - 1 - r) / r²`` for |r| <= log(2)/2.
_rest_of_exp = _polynomial(*([1 / math.factorial(k) for k in range(2, last + 1)] for last in (7, 13)))

#: Φ(-x) / exp(-x²/2), in ``t = (x - 4)/(x + 4)``.
_tail = _polynomial(normal.TAIL_SINGLE, normal.TAIL)


@_by_type
def _reduced(kind: _Format) -> Any:
    """``exp(r) - 1``, and the sum of n and `magic`."""
    magic, per_log, high, low = kind.numbers(kind.magic, 1 / math.log(2), kind.high, kind.low)

    def reduced(x: Any) -> Any:
        z = x * per_log + magic
        n = z - magic
        r = (x - n * high) - n * low
        return _rest_of_exp(r) * (r * r) + r, z

    return reduced


@_by_type
def exp(kind: _Format) -> Any:
    """The exponential function."""
    one, least, most = kind.numbers(1, kind.least, kind.most)

    def exponential(x: Any) -> Any:
        x = least if x < least else x  # what is no number stays so
        x = most if x > most else x
        p, z = _reduced(x)
        return _times_power(one + p, z)

    return exponential


@_by_type
def tanh_slope(kind: _Format) -> Any:
    """``1 - tanh²``, without cancellation far out."""
    one, two, four = kind.numbers(1, 2, 4)

    def slope(x: Any) -> Any:
        e = exp(-two * abs(x))
        return four * e / ((one + e) * (one + e))

    return slope


@_by_type
def sigmoid(kind: _Format) -> Any:
    """``1 / (1 + exp(-x))``, to full precision on both sides."""
    zero, one = kind.numbers(0, 1)

    def logistic(x: Any) -> Any:
        e = exp(-abs(x))
        return (e if x < zero else one) / (one + e)

    return logistic


@_by_type
def sigmoid_slope(kind: _Format) -> Any:
    """sigmoid(x) sigmoid(-x)."""
    (one,) = kind.numbers(1)

    def slope(x: Any) -> Any:
        e = exp(-abs(x))
        return e / ((one + e) * (one + e))

    return slope


@_by_type
def silu_and_slope(kind: _Format) -> Any:
    """x sigmoid(x), and its derivative sigmoid(x) (1 + x sigmoid(-x)), which take the same exponential."""
    zero, one = kind.numbers(0, 1)

    def both(x: Any) -> Any:
        e = exp(-abs(x))
        near, far = one / (one + e), e / (one + e)
        s, other = (far, near) if x < zero else (near, far)
        return x * s, s * (one + x * other)

    return both


@_by_type
def gelu_and_slope(kind: _Format) -> Any:
    """x Φ(x), and its derivative Φ(x) + x φ(x): Φ the standard normal distribution function, φ its density."""
    zero, half, one, density = kind.numbers(0, 0.5, 1, _DENSITY)
    middle, most = kind.numbers(normal.MIDDLE, normal.FAR)

    def both(x: Any) -> Any:
        far = abs(x)
        far = most if far > most else far
        e = exp(-half * far * far)
        tail = e * _tail((far - middle) / (far + middle))
        s = one - tail if x > zero else tail
        return x * s, s + x * (density * e)

    return both


@_by_type
def gelu_tanh_and_slope(kind: _Format) -> Any:
    """``x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2``, x times a logistic function, and its derivative."""
    one, three, first, third = kind.numbers(1, 3, 2 * _SCALE, 2 * _SCALE * _CUBIC)

    def both(x: Any) -> Any:
        square = third * x * x
        s = sigmoid(x * (first + square))
        return x * s, s + x * (s * (one - s)) * (first + three * square)

    return both


def _part(both: Any, place: int) -> Any:
    """The function, or the derivative, of what gives both."""

    @_by_type
    def part(kind: _Format) -> Any:  # noqa: ARG001  (the same for every type)
        def function(x: Any) -> Any:
            return both(x)[place]

        return function

    return part


silu, silu_slope = _part(silu_and_slope, 0), _part(silu_and_slope, 1)
gelu, gelu_slope = _part(gelu_and_slope, 0), _part(gelu_and_slope, 1)
gelu_tanh, gelu_tanh_slope = _part(gelu_tanh_and_slope, 0), _part(gelu_tanh_and_slope, 1)
