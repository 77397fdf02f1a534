"""The models of the benchmark as their users write them in torch: an encoder, and a stack of GPT-2 blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from formcalc.language import Model


def encoder(model: Model, t: Mapping[str, Any]) -> Any:
    """The loss of the encoder of the GPT Utility Manual."""
    sizes = model.sizes
    X = t["X_0"]
    for i in range(sizes["L"]):
        S = (X @ t[f"Q_{i}"]) @ (X @ t[f"K_{i}"]).T * sizes["n"] ** -0.5
        Z = torch.softmax(S, -1) @ (X @ t[f"V_{i}"]) + t[f"b_{i}"]
        X = torch.relu(Z) @ t[f"W_{i}"] + t[f"f_{i}"]
    return 0.5 * ((t["Y"] - X) ** 2).sum()


def gpt2(model: Model, t: Mapping[str, Any]) -> Any:
    """The loss of GPT-2, with the library's fused attention."""
    sizes = model.sizes
    batch, tokens, d, h, k = (sizes[name] for name in ("B", "T", "d", "h", "k"))
    X = t["E"][t["x"]] + t["P"][:tokens]

    def heads(N: Any, letter: str, i: int) -> Any:
        W = t[f"{letter}_{i}"].transpose(0, 1).reshape(d, h * k)
        bias = t[f"beta_{{{letter},{i}}}"].reshape(h * k)
        return (N @ W + bias).view(batch, tokens, h, k).transpose(1, 2)

    for i in range(sizes["L"]):
        N = F.layer_norm(X, (d,), t[f"gamma_{{1,{i}}}"][0], t[f"beta_{{1,{i}}}"][0], 1e-5)
        A = F.scaled_dot_product_attention(*(heads(N, letter, i) for letter in "QKV"), is_causal=True)
        O = A.transpose(1, 2).reshape(batch, tokens, h * k)  # noqa: E741  # its name on the page
        H = X + O @ t[f"O_{i}"].reshape(h * k, d) + t[f"beta_{{O,{i}}}"][0]
        R = F.layer_norm(H, (d,), t[f"gamma_{{2,{i}}}"][0], t[f"beta_{{2,{i}}}"][0], 1e-5)
        G = F.gelu(R @ t[f"W_{i}"] + t[f"beta_{{W,{i}}}"][0], approximate="tanh")
        X = H + G @ t[f"U_{i}"] + t[f"beta_{{U,{i}}}"][0]
    Z = F.layer_norm(X, (d,), t["gamma"][0], t["beta"][0], 1e-5) @ t["E"].T
    return F.cross_entropy(Z.view(-1, sizes["V"]), t["y"].view(-1))


LOSSES: dict[str, Callable[[Model, Mapping[str, Any]], Any]] = {"encoder": encoder, "gpt2": gpt2}


def autograd(model: Model, tensors: Mapping[str, Any]) -> Callable[[], Any]:
    """Loss and gradients by torch's reverse mode."""
    weights = [tensors[name].requires_grad_() for name in model.weights]

    def run() -> Any:
        loss = LOSSES[model.name](model, tensors)
        return loss.detach(), dict(zip(model.weights, torch.autograd.grad(loss, weights), strict=True))

    return run
