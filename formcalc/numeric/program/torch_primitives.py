"""The primitives of programs in torch. Operations by rows run along the last axis; arrays keep their type."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Array = Any


def ones_of(shape: tuple[int, ...], like: Array) -> Array:
    """The array of ones."""
    return like.new_ones(shape)


def identity_of(size: int, like: Array) -> Array:
    """The identity matrix."""
    return torch.eye(size, dtype=like.dtype, device=like.device)


def accumulate(x: Array | None, *products: tuple[Any, ...]) -> Array:
    """X and products of matrices ``(L, R)``, or ``(L, R, scale)``, added up; X may be a row, or nothing."""
    (left, right, *scale), *others = products
    alpha = scale[0] if scale else 1
    if x is None:
        total = torch.mm(left, right) if alpha == 1 else scaled_product(left, right, alpha)
    else:
        total = torch.addmm(x, left, right, alpha=alpha)
    for left, right, *scale in others:
        total.addmm_(left, right, alpha=scale[0] if scale else 1)
    return total


def scaled_product(left: Array, right: Array, scale: float) -> Array:
    """The product of two matrices times a number. What is added is 0, not nothing: vmap multiplies it with beta."""
    return torch.addmm(left.new_zeros(()), left, right, beta=0, alpha=scale)


def hidden(mask: Array) -> Array:
    """What is added to scores: nothing where a mask allows, minus infinity elsewhere."""
    return torch.where(mask != 0, 0.0, -torch.inf).to(mask.dtype).contiguous()


def attention(q: Array, k: Array, v: Array, scale: float) -> tuple[Array, Array]:
    """``softmax(scale Q K^t) V``, without scores in memory, and the logarithms of the row sums of exponentials.

    Any number of batches come first, which broadcast.
    """
    return masked_attention(q, k, v, None, scale)


def masked_attention(q: Array, k: Array, v: Array, mask: Array | None, scale: float) -> tuple[Array, Array]:
    """``softmax(scale Q K^t + mask) V`` for a mask that is `hidden`; a row that is masked everywhere is 0."""
    batch = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v, mask = *(_stack(x, batch) for x in (q, k, v)), _mask_stack(mask, batch)
    o, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, attn_mask=mask, scale=scale)
    return (o, sums) if len(batch) == 2 else (o.reshape(*batch, *o.shape[-2:]), sums.reshape(*batch, -1))


def attention_slope(
    r: Array, q: Array, k: Array, v: Array, o: Array, sums: Array, scale: float
) -> tuple[Array, Array, Array]:
    """The derivatives of `attention` by Q, K and V in direction r; `o` and `sums` are its results."""
    return masked_attention_slope(r, q, k, v, o, sums, None, scale)


def masked_attention_slope(
    r: Array, q: Array, k: Array, v: Array, o: Array, sums: Array, mask: Array | None, scale: float
) -> tuple[Array, Array, Array]:
    """The derivatives of `masked_attention` by Q, K and V in direction r."""
    batch, shapes = o.shape[:-2], [(1,) * (o.ndim - x.ndim) + x.shape for x in (q, k, v)]
    r, o, q, k, v, mask = *(_stack(x, batch) for x in (r, o, q, k, v)), _mask_stack(mask, batch)
    slope = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    found = slope(r, q, k, v, o, sums.reshape(o.shape[:-1]), 0.0, False, attn_mask=mask, scale=scale)
    if len(batch) != 2:
        found = [x.reshape(*batch, *x.shape[-2:]) for x in found]
    first, second, third = (_summed(x, shape) for x, shape in zip(found, shapes, strict=True))
    return first, second, third


def _summed(x: Array, shape: tuple[int, ...]) -> Array:
    """The sums over the batches that a shape lacks; rows come before heads in memory, as in what attention gives."""
    axes = tuple(k for k, (size, wanted) in enumerate(zip(x.shape, shape, strict=True)) if size != wanted)
    if not axes:
        return x
    places = tuple(k + 1 if k > 0 else 0 for k in axes)
    return x.movedim(-2, 1).sum(places, keepdim=True).movedim(1, -2) if x.ndim > 3 else x.sum(axes, keepdim=True)


def _stack(x: Array, batch: tuple[int, ...]) -> Array:
    """An array with two batches, its rows contiguous, as attention needs it: the heads of groups become one axis."""
    if len(batch) != 2 or x.shape[:-2] != batch:
        first, *heads = batch if len(batch) > 1 else (1, *batch)
        x = x.expand(*batch, *x.shape[-2:]).reshape(first, math.prod(heads), *x.shape[-2:])
    return x if x.stride(-1) == 1 else x.contiguous()


def _mask_stack(mask: Array | None, batch: tuple[int, ...]) -> Array | None:
    """A mask with two batches; where it is the same in all heads, it is not written out for each."""
    if mask is None:
        return None
    own = (1,) * (len(batch) + 2 - mask.ndim) + mask.shape
    if len(batch) > 1 and math.prod(own[1:-2]) == 1:
        return mask.reshape(own[0], 1, *own[-2:])
    return _stack(mask, batch)


def layer_norm(x: Array, gain: Array, bias: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """LayerNorm of each row, times a gain, plus a bias; and the means and the inverse deviations."""
    return torch.native_layer_norm(x, x.shape[-1:], gain, bias, epsilon)


def layer_norm_slope(
    r: Array, x: Array, mean: Array, inverse: Array, gain: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """The derivatives of `layer_norm` by x, by the gain and by the bias, in direction r."""
    slope = torch.ops.aten.native_layer_norm_backward
    return slope(r.contiguous(), x, x.shape[-1:], mean, inverse, gain, bias, [True] * 3)


def rms_norm(x: Array, gain: Array, epsilon: float) -> tuple[Array, Array]:
    """RMSNorm of each row, times a gain; and the inverse root mean squares."""
    inverse = torch.linalg.vector_norm(x, dim=-1).square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
    return (x * inverse[..., None]).mul_(gain), inverse


def rms_norm_slope(r: Array, x: Array, inverse: Array, gain: Array) -> tuple[Array, Array]:
    """The derivatives of `rms_norm` by x and by the gain, in direction r."""
    scale = inverse[..., None]
    # the backward pass of LayerNorm takes the mean of each row away, which is put back
    slope = torch.ops.aten.native_layer_norm_backward
    found, along, _ = slope(
        r.contiguous(), x, x.shape[-1:], torch.zeros_like(scale), scale, gain, None, [True, True, False]
    )
    return found.add_(torch.matmul(r, gain)[..., None].mul_(scale).div_(x.shape[-1])), along


def select(table: Array, ids: Array) -> Array:
    """The rows of a table, (v, ...), with the ids (...); a row of zeros for a negative id."""
    rows = table[ids.clamp(min=0)]
    return rows * (ids >= 0).reshape(ids.shape + (1,) * (rows.ndim - ids.ndim))


def add_rows(rows: Array, ids: Array, count: int) -> Array:
    """The rows, (*ids, ...), added up by their ids: (count, ...)."""
    flat = rows.reshape(ids.numel(), *rows.shape[ids.ndim :])
    # one more row gathers what has no id
    places = torch.where(ids < 0, count, ids).reshape(-1)
    return flat.new_zeros((count + 1, *flat.shape[1:])).index_add_(0, places, flat)[:count]


def counted(ids: Array, like: Array) -> Array:
    """1 where there is an id, 0 where it is negative."""
    return (ids >= 0).to(like.dtype)


def one_hot(ids: Array, count: int, like: Array) -> Array:
    """The matrix of one-hot rows, (*ids, count)."""
    return (ids[..., None] == torch.arange(count, device=ids.device)).to(like.dtype)


def picked(table: Array, ids: Array) -> Array:
    """The entry of each row, (*ids, v), that its id points at; 0 for a negative id."""
    return table.gather(-1, ids.clamp(min=0)[..., None])[..., 0] * (ids >= 0)


def turned(x: Array) -> Array:
    """A quarter turn of the pairs of the two halves of each row: (-x_2, x_1)."""
    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)


def turned_back(x: Array) -> Array:
    """The inverse of `turned`: (x_2, -x_1)."""
    first, second = x.chunk(2, -1)
    return torch.cat((second, -first), -1)


def rotated(x: Array, cosines: Array, sines: Array, number: float = 1) -> Array:
    """``X ∘ c + (X J) ∘ s`` for the quarter turn J of `turned`, times a number: pairs in rows, turned by angles."""
    cosines, sines = (cosines, sines) if number == 1 else (cosines * number, sines * number)
    half = x.shape[-1] // 2
    out = x * cosines
    out[..., :half].addcmul_(x[..., half:], sines[..., :half], value=-1)
    out[..., half:].addcmul_(x[..., :half], sines[..., half:])
    return out


def rotated_back(x: Array, cosines: Array, sines: Array, number: float = 1) -> Array:
    """``X ∘ c + (X ∘ s) J^t``, the transpose of `rotated`."""
    cosines, sines = (cosines, sines) if number == 1 else (cosines * number, sines * number)
    half = x.shape[-1] // 2
    out = x * cosines
    out[..., :half].addcmul_(x[..., half:], sines[..., half:])
    out[..., half:].addcmul_(x[..., :half], sines[..., :half], value=-1)
    return out


def softmax(x: Array, mask: Array | None = None) -> Array:
    """Softmax of each row, over what a mask allows; a row masked everywhere is 0."""
    if mask is None:
        return torch.softmax(x, -1)
    allowed = mask != 0
    some = allowed.any(-1, keepdim=True)
    hidden = torch.where(allowed | ~some, 0.0, -torch.inf).to(x.dtype)
    return torch.softmax(x + hidden, -1) * some


def softmax_slope(a: Array, r: Array) -> Array:
    """The differential of softmax at its value, ``A ∘ R - A ∘ rowsum(A ∘ R)``."""
    r, a = _alike(r, a)
    return torch._softmax_backward_data(r, a, -1, a.dtype)


def logsoftmax(x: Array) -> Array:
    """The logarithm of softmax of each row."""
    return torch.log_softmax(x, -1)


def cross_entropy_slope(logarithm: Array, ids: Array, factor: Array | float, sign: float = 1) -> Array:
    """``±(Y - exp(L) ∘ rowsum(Y)) ∘ f`` for the logarithm L of softmax, one-hot rows Y, and a factor of each row."""
    weight = (counted(ids, logarithm) * (factor * sign))[..., None]
    out = torch.exp(logarithm).mul_(-weight)
    return out.scatter_add_(-1, ids.clamp(min=0)[..., None], weight)


def norm(x: Array, epsilon: float) -> tuple[Array, Array]:
    """LayerNorm of each row without gain, and the inverse deviation."""
    y, _, inverse = torch.native_layer_norm(x, x.shape[-1:], None, None, epsilon)
    return y, inverse[..., 0]


def norm_slope(y: Array, inverse: Array, r: Array) -> Array:
    """The differential of LayerNorm at its value y: ``(R - mean(R) - y ∘ mean(y ∘ R)) / σ``."""
    y, r = torch.broadcast_tensors(y, r)
    # at y itself, of mean 0, the backward pass of the library is that of unit deviation
    mean = y.new_zeros((*y.shape[:-1], 1))
    wide = torch.ones_like(mean)
    found, _, _ = torch.ops.aten.native_layer_norm_backward(
        r.contiguous(), y.contiguous(), y.shape[-1:], mean, wide, None, None, [True, False, False]
    )
    return found * inverse


def rms(x: Array, epsilon: float) -> tuple[Array, Array]:
    """RMSNorm of each row without gain, and the inverse root mean square."""
    inverse = torch.rsqrt((x * x).mean(-1) + epsilon)
    return x * inverse[..., None], inverse


def rms_slope(y: Array, inverse: Array, r: Array) -> Array:
    """The differential of RMSNorm at its value y: ``(R - y ∘ mean(y ∘ R)) / ρ``."""
    return (r - y * (y * r).mean(-1, keepdim=True)) * inverse


relu, exp, log, sqrt, tanh = torch.relu, torch.exp, torch.log, torch.sqrt, torch.tanh
sigmoid, silu, erf, reciprocal = torch.sigmoid, torch.nn.functional.silu, torch.erf, torch.reciprocal


def step(x: Array) -> Array:
    """1 where positive, else 0."""
    return (x > 0).to(x.dtype)


def _alike(r: Array, x: Array) -> tuple[Array, Array]:
    """A direction and a point in one shape."""
    return (r, x) if r.shape == x.shape else torch.broadcast_tensors(r, x)


def relu_slope(x: Array, r: Array) -> Array:
    """r where x is positive, else 0."""
    return torch.ops.aten.threshold_backward(*_alike(r, x), 0)


def step_slope(x: Array, r: Array) -> Array:
    """0, where there is a derivative."""
    return torch.zeros_like(x * r)


def exp_slope(x: Array, r: Array) -> Array:
    """exp(x), times r."""
    return r * torch.exp(x)


def log_slope(x: Array, r: Array) -> Array:
    """1/x, times r."""
    return r / x


def sqrt_slope(x: Array, r: Array) -> Array:
    """1/(2 √x), times r."""
    return r * (0.5 * torch.rsqrt(x))


def reciprocal_slope(x: Array, r: Array) -> Array:
    """-1/x², times r."""
    return r * (-1 / (x * x))


def tanh_slope(x: Array, r: Array) -> Array:
    """tanh'(x), without cancellation far out, times r."""
    e = torch.exp(-2 * torch.abs(x))
    return r * (4 * e / (1 + e) ** 2)


def sigmoid_slope(x: Array, r: Array) -> Array:
    """sigmoid(x) sigmoid(-x), times r."""
    return r * (sigmoid(x) * sigmoid(-x))


def silu_slope(x: Array, r: Array) -> Array:
    """sigmoid(x) (1 + x sigmoid(-x)), times r."""
    return torch.ops.aten.silu_backward(*_alike(r, x))


def erf_slope(x: Array, r: Array) -> Array:
    """2 π^{-1/2} exp(-x²), times r."""
    return r * (2 / math.sqrt(math.pi) * torch.exp(-x * x))


def gelu(x: Array) -> Array:
    """x Φ(x), Φ the standard normal distribution function."""
    return torch.nn.functional.gelu(x)


def gelu_slope(x: Array, r: Array) -> Array:
    """Φ(x) + x φ(x), φ the standard normal density, times r."""
    return torch.ops.aten.gelu_backward(*_alike(r, x))


def gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2."""
    return torch.nn.functional.gelu(x, approximate="tanh")


def gelu_tanh_slope(x: Array, r: Array) -> Array:
    """The derivative of gelu_tanh, times r."""
    return torch.ops.aten.gelu_backward(*_alike(r, x), approximate="tanh")


def add(total: Array, array: Array) -> Array:
    """The sum, written over the first array."""
    return total.add_(array)


def is_finite(x: Array) -> bool:
    """Whether no entry is infinite or no number."""
    return bool(torch.isfinite(x).all())


def typed(arrays: dict[str, np.ndarray], dtype: str) -> dict[str, Array]:
    """Arrays in the type of a program; ids stay integers."""
    kind = getattr(torch, dtype)
    # a copy where torch could not share the memory
    tensors = {name: torch.tensor(x) if not x.flags.writeable else torch.as_tensor(x) for name, x in arrays.items()}
    return {name: x.to(kind) if x.is_floating_point() else x for name, x in tensors.items()}


def prepared(run: Callable[..., Any], constants: dict[str, np.ndarray], dtype: str) -> Callable[[dict[str, Any]], Any]:
    """The program as a function of arrays of its type."""
    like = torch.empty(0, dtype=getattr(torch, dtype))
    known = typed(constants, dtype)

    def call(arrays: dict[str, Any]) -> Any:
        with torch.no_grad():
            return run(arrays, known, like)

    return call
