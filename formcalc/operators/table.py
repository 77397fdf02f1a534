"""The operator table. Adding an operator is adding one row here, and nothing else.

In `unfolded`, ``P`` is the argument, ``R`` the direction, ``J`` the ones of P's shape and ``1_{1×c}`` the row of ones,
as long as P has columns, so that ``rowsum(A) 1_{1×c}`` puts the sum of each row of A into every place of the row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from formcalc.operators import kernels as k
from formcalc.operators.operator import Differential, Operator, index


def _jax_softmax(jax: Any, x: Any, mask: Any = None) -> Any:
    if mask is None:
        return jax.nn.softmax(x, axis=-1)
    x, mask = jax.numpy.broadcast_arrays(x, mask)
    some = (mask != 0).any(-1, keepdims=True)
    return jax.numpy.where(some, jax.nn.softmax(x, axis=-1, where=(mask != 0) | ~some), 0.0)


def _torch_softmax(torch: Any, x: Any, mask: Any = None) -> Any:
    if mask is None:
        return torch.softmax(x, dim=-1)
    x, mask = torch.broadcast_tensors(x, mask)
    some = (mask != 0).any(-1, keepdim=True)
    return torch.softmax(x.masked_fill((mask == 0) & some, -torch.inf), dim=-1) * some


def _sympy_softmax(sp: Any, x: list[Any], mask: list[Any] | None = None) -> list[Any]:
    weights = [sp.exp(entry) * (1 if mask is None else mask[k]) for k, entry in enumerate(x)]
    total = sum(weights)
    return [weight / total if total != 0 else sp.Integer(0) for weight in weights]


def _sympy_norm(sp: Any, x: list[Any], epsilon: Any) -> list[Any]:
    return [entry / sp.sqrt(sum(other**2 for other in x) / len(x) + epsilon) for entry in x]


RELU = Operator(
    name="m",
    spellings=("relu",),
    acts_on="entry",
    formula="max(0, x)",
    differential="mm",
    unfolded="step(P) ∘ R",
    kernel=k.relu,
    push=k.entrywise(k.step),
    jax=lambda jax, x: jax.nn.relu(x),
    torch=lambda torch, x: torch.relu(x),
    sympy=lambda sp, x: sp.Max(0, x),
    latex=r"\mathrm{m}",
    source="Fukushima 1969; m in the GPT Utility Manual. The derivative at 0 is 0.",
    is_rational=True,
    kinks=(0.0,),
)

STEP = Operator(
    name="step",
    spellings=("heaviside",),
    acts_on="entry",
    formula="1 if x > 0 else 0",
    differential="step'",
    unfolded="0 R",
    kernel=k.step,
    push=k.entrywise(k.zero),
    jax=lambda jax, x: jax.numpy.heaviside(x, 0),
    torch=lambda torch, x: torch.heaviside(x, torch.zeros((), dtype=x.dtype)).detach(),
    sympy=lambda sp, x: sp.Heaviside(x, 0),
    latex=r"\operatorname{step}",
    source="Heaviside's step, the derivative of relu.",
    is_rational=True,
    kinks=(0.0,),
)

SOFTMAX = Operator(
    name="a",
    spellings=("softmax",),
    acts_on="row",
    formula="exp(x_ij) / Σ_k exp(x_ik), over the k that a mask allows",
    differential="aa",
    unfolded="a(P{K:, K}) ∘ R - a(P{K:, K}) ∘ (rowsum(a(P{K:, K}) ∘ R) 1_{1×c})",
    kernel=k.softmax,
    push=k.softmax_push,
    jax=_jax_softmax,
    torch=_torch_softmax,
    sympy=_sympy_softmax,
    latex=r"\mathrm{a}",
    source="Bridle 1990; a in the GPT Utility Manual.",
    constant="mask",
)

LOG_SOFTMAX = Operator(
    name="logsoftmax",
    spellings=("log_softmax",),
    acts_on="row",
    formula="x_ij - log Σ_k exp(x_ik)",
    differential="logsoftmax'",
    unfolded="R - rowsum(a(P) ∘ R) 1_{1×c}",
    kernel=k.log_softmax,
    push=k.log_softmax_push,
    jax=lambda jax, x: jax.nn.log_softmax(x, axis=-1),
    torch=lambda torch, x: torch.log_softmax(x, dim=-1),
    sympy=lambda sp, x: [entry - sp.log(sum(map(sp.exp, x))) for entry in x],
    latex=r"\operatorname{logsoftmax}",
    source="The logarithm of softmax; -trace(Y^t logsoftmax(Z)) is the cross-entropy of logits Z against Y.",
    is_symmetric=False,
)

LAYER_NORM = Operator(
    name="norm",
    spellings=("layernorm", "layer_norm"),
    acts_on="row",
    formula="(x - mean) / √(variance + ε) by row; gain and bias are letters of the page",
    differential="norm'",
    unfolded=(
        "(R - {1/c} rowsum(R) 1_{1×c} - {1/c} (norm(P{K:, K}) ∘ (rowsum(norm(P{K:, K}) ∘ R) 1_{1×c})))"
        " ∘ reciprocal(sqrt({1/c} rowsum((P - {1/c} rowsum(P) 1_{1×c}) ∘ (P - {1/c} rowsum(P) 1_{1×c}))"
        " 1_{1×c}{K: + K J}))"
    ),
    kernel=k.layer_norm,
    push=k.layer_norm_push,
    jax=lambda jax, x, epsilon=0.0: (
        (x - x.mean(-1, keepdims=True)) / jax.numpy.sqrt(x.var(-1, keepdims=True) + epsilon)
    ),
    # not torch.nn.functional.layer_norm, whose third derivatives are wrong in torch 2.13
    torch=lambda torch, x, epsilon=0.0: (
        (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, correction=0) + epsilon)
    ),
    sympy=lambda sp, x, epsilon=0: _sympy_norm(sp, [entry - sum(x) / len(x) for entry in x], epsilon),
    latex=r"\operatorname{norm}",
    source="Ba, Kiros and Hinton 2016; the gradient of c √(variance + ε).",
    constant="scalar",
)

RMS_NORM = Operator(
    name="rms",
    spellings=("rmsnorm", "rms_norm"),
    acts_on="row",
    formula="x / √(mean of squares + ε) by row; the gain is a letter of the page",
    differential="rms'",
    unfolded=(
        "(R - {1/c} (rms(P{K:, K}) ∘ (rowsum(rms(P{K:, K}) ∘ R) 1_{1×c})))"
        " ∘ reciprocal(sqrt({1/c} rowsum(P ∘ P) 1_{1×c}{K: + K J}))"
    ),
    kernel=k.rms_norm,
    push=k.rms_norm_push,
    jax=lambda jax, x, epsilon=0.0: x / jax.numpy.sqrt((x * x).mean(-1, keepdims=True) + epsilon),
    torch=lambda torch, x, epsilon=0.0: torch.nn.functional.rms_norm(x, x.shape[-1:], eps=epsilon),
    sympy=lambda sp, x, epsilon=0: _sympy_norm(sp, x, epsilon),
    latex=r"\operatorname{rms}",
    source="Zhang and Sennrich 2019; the gradient of c √(mean of squares + ε).",
    constant="scalar",
)

EXP = Operator(
    name="exp",
    spellings=(),
    acts_on="entry",
    formula="exp(x)",
    differential="exp'",
    unfolded="exp(P) ∘ R",
    kernel=k.exp,
    push=k.entrywise(k.exp),
    jax=lambda jax, x: jax.numpy.exp(x),
    torch=lambda torch, x: torch.exp(x),
    sympy=lambda sp, x: sp.exp(x),
    latex=r"\exp",
    source="The exponential, entry by entry.",
)

LOG = Operator(
    name="log",
    spellings=("ln",),
    acts_on="entry",
    formula="log(x), x > 0",
    differential="log'",
    unfolded="reciprocal(P) ∘ R",
    kernel=np.log,
    push=k.entrywise(k.reciprocal),
    jax=lambda jax, x: jax.numpy.log(x),
    torch=lambda torch, x: torch.log(x),
    sympy=lambda sp, x: sp.log(x),
    latex=r"\log",
    source="The natural logarithm, entry by entry.",
    domain="positive",
)

TANH = Operator(
    name="tanh",
    spellings=(),
    acts_on="entry",
    formula="tanh(x)",
    differential="tanh'",
    unfolded="(J - tanh(P) ∘ tanh(P)) ∘ R",
    kernel=np.tanh,
    push=k.entrywise(k.tanh_slope),
    jax=lambda jax, x: jax.numpy.tanh(x),
    torch=lambda torch, x: torch.tanh(x),
    sympy=lambda sp, x: sp.tanh(x),
    latex=r"\tanh",
    source="The hyperbolic tangent, entry by entry.",
)

ERF = Operator(
    name="erf",
    spellings=(),
    acts_on="entry",
    formula="2 π^{-1/2} ∫_0^x exp(-t²) dt",
    differential="erf'",
    unfolded="(2 pi^{-1/2} exp(-(P ∘ P))) ∘ R",
    kernel=k.erf,
    push=k.entrywise(k.erf_slope),
    jax=lambda jax, x: jax.lax.erf(x),
    torch=lambda torch, x: torch.erf(x),
    sympy=lambda sp, x: sp.erf(x),
    latex=r"\operatorname{erf}",
    source="The error function, entry by entry.",
)

SIGMOID = Operator(
    name="sigmoid",
    spellings=("logistic",),
    acts_on="entry",
    formula="1 / (1 + exp(-x))",
    differential="sigmoid'",
    unfolded="(sigmoid(P) ∘ (J - sigmoid(P))) ∘ R",
    kernel=k.sigmoid,
    push=k.entrywise(k.sigmoid_slope),
    jax=lambda jax, x: jax.nn.sigmoid(x),
    torch=lambda torch, x: torch.sigmoid(x),
    sympy=lambda sp, x: 1 / (1 + sp.exp(-x)),
    latex=r"\operatorname{sigmoid}",
    source="Verhulst 1845, entry by entry.",
)

SILU = Operator(
    name="silu",
    spellings=("swish",),
    acts_on="entry",
    formula="x / (1 + exp(-x))",
    differential="silu'",
    unfolded="(sigmoid(P) + P ∘ sigmoid(P) ∘ (J - sigmoid(P))) ∘ R",
    kernel=k.silu,
    push=k.entrywise(k.silu_slope),
    jax=lambda jax, x: jax.nn.silu(x),
    torch=lambda torch, x: torch.nn.functional.silu(x),
    sympy=lambda sp, x: x / (1 + sp.exp(-x)),
    latex=r"\operatorname{silu}",
    source="Hendrycks and Gimpel 2016; Elfwing, Uchibe and Doya 2018.",
)

GELU = Operator(
    name="gelu",
    spellings=("gelu_erf",),
    acts_on="entry",
    formula="x (1 + erf(x / √2)) / 2",
    differential="gelu'",
    unfolded="(1/2 J + 1/2 erf(2^{-1/2} P) + 2^{-1/2} pi^{-1/2} (P ∘ exp(-1/2 (P ∘ P)))) ∘ R",
    kernel=k.gelu,
    push=k.entrywise(k.gelu_slope),
    jax=lambda jax, x: jax.nn.gelu(x, approximate=False),
    torch=lambda torch, x: torch.nn.functional.gelu(x),
    sympy=lambda sp, x: x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
    latex=r"\operatorname{gelu}",
    source="Hendrycks and Gimpel 2016, the exact form, as in BERT.",
)

GELU_TANH = Operator(
    name="gelu_tanh",
    spellings=("gelu_new",),
    acts_on="entry",
    formula="x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2",
    differential="gelu_tanh'",
    unfolded=(
        "(1/2 J + 1/2 tanh(2^{1/2} pi^{-1/2} (P + 0.044715 (P ∘ P ∘ P)))"
        " + 2^{-1/2} pi^{-1/2} (P"
        " ∘ (J - tanh(2^{1/2} pi^{-1/2} (P + 0.044715 (P ∘ P ∘ P)))"
        " ∘ tanh(2^{1/2} pi^{-1/2} (P + 0.044715 (P ∘ P ∘ P))))"
        " ∘ (J + 0.134145 (P ∘ P)))) ∘ R"
    ),
    kernel=k.gelu_tanh,
    push=k.entrywise(k.gelu_tanh_slope),
    jax=lambda jax, x: jax.nn.gelu(x, approximate=True),
    torch=lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh"),
    sympy=lambda sp, x: x * (1 + sp.tanh(sp.sqrt(2 / sp.pi) * (x + sp.Rational(44715, 10**6) * x**3))) / 2,
    latex=r"\operatorname{gelu}_{\tanh}",
    source="Hendrycks and Gimpel 2016, the tanh approximation, as in GPT-2.",
)

RECIPROCAL = Operator(
    name="reciprocal",
    spellings=("recip",),
    acts_on="entry",
    formula="1 / x, x ≠ 0",
    differential="reciprocal'",
    unfolded="-(reciprocal(P) ∘ reciprocal(P) ∘ R)",
    kernel=k.reciprocal,
    push=k.entrywise(lambda x: -1 / (x * x)),
    jax=lambda jax, x: 1 / x,
    torch=lambda torch, x: torch.reciprocal(x),
    sympy=lambda sp, x: 1 / x,
    latex=r"\operatorname{reciprocal}",
    source="The reciprocal, entry by entry.",
    is_rational=True,
    domain="nonzero",
)

SQRT = Operator(
    name="sqrt",
    spellings=("√",),
    acts_on="entry",
    formula="√x, x > 0",
    differential="sqrt'",
    unfolded="(1/2 reciprocal(sqrt(P))) ∘ R",
    kernel=np.sqrt,
    push=k.entrywise(lambda x: x.dtype.type(0.5) / np.sqrt(x)),
    jax=lambda jax, x: jax.numpy.sqrt(x),
    torch=lambda torch, x: torch.sqrt(x),
    sympy=lambda sp, x: sp.sqrt(x),
    latex=r"\operatorname{sqrt}",
    source="The square root, entry by entry.",
    domain="positive",
)

#: Every operator, in the order in which help texts show them.
OPERATORS: tuple[Operator, ...] = (
    RELU,
    SOFTMAX,
    LOG_SOFTMAX,
    LAYER_NORM,
    RMS_NORM,
    STEP,
    EXP,
    LOG,
    TANH,
    SIGMOID,
    SILU,
    ERF,
    GELU,
    GELU_TANH,
    RECIPROCAL,
    SQRT,
)

index(OPERATORS)

_SPELLED: dict[str, Operator] = {name: row for row in OPERATORS for name in (row.name, *row.spellings)}
_DIFFERENTIALS: dict[str, Operator] = {row.differential: row for row in OPERATORS} | {
    f"{name}'": row for name, row in _SPELLED.items()
}


def operator_names() -> list[str]:
    """Every spelling that may stand before an argument list."""
    return [*_SPELLED, *_DIFFERENTIALS]


def operator_named(name: str, dialect: str = "exact") -> Operator | Differential | None:
    """The operator or linear operator letter with this spelling, or None.

    >>> operator_named("relu"), operator_named("mm"), operator_named("relu'")
    (Operator('m'), Differential('m', 'exact'), Differential('m', 'exact'))
    """
    if name in _SPELLED:
        return _SPELLED[name]
    if name in _DIFFERENTIALS:
        return Differential(_DIFFERENTIALS[name], "manual" if dialect == "manual" else "exact")
    return None
