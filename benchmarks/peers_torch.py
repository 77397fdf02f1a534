"""The models of the benchmark as their users write them in torch, and its reverse mode.

A loss takes the weights `w` as a peer keeps them, data `t` by their names on the page, and whether attention is the
library's fused one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

import formcalc as fc


def attention(q: Any, k: Any, v: Any, is_causal: bool, is_fused: bool) -> Any:
    """Softmax attention, (..., tokens, k) each; fused, or in elementary operations."""
    if is_fused:
        return F.scaled_dot_product_attention(q, k, v, is_causal=is_causal, enable_gqa=q.shape[-3] != k.shape[-3])
    k, v = (x.repeat_interleave(q.shape[-3] // k.shape[-3], -3) for x in (k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if is_causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(hidden, -torch.inf)
    return torch.softmax(scores, -1) @ v


def encoder(model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any], is_fused: bool) -> Any:
    """The loss of the encoder of the GPT Utility Manual."""
    X = t["X_0"]
    for i in range(model.sizes["L"]):
        q, k, v = (X @ w[f"{letter}{i}"] for letter in "QKV")
        if is_fused:
            A = attention(q[None, None], k[None, None], v[None, None], False, True)[0, 0]
        else:
            A = torch.softmax(q @ k.T * model.sizes["n"] ** -0.5, -1) @ v
        X = torch.addmm(w[f"f{i}"], torch.relu(A + w[f"b{i}"]), w[f"W{i}"])
    return 0.5 * F.mse_loss(X, t["Y"], reduction="sum")


def linear_encoder(model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any], _: bool) -> Any:
    """The same, attention without softmax."""
    X = t["X_0"]
    for i in range(model.sizes["L"]):
        q, k, v = (X @ w[f"{letter}{i}"] for letter in "QKV")
        A = (q @ k.T * model.sizes["n"] ** -0.5) @ v
        X = torch.addmm(w[f"f{i}"], torch.relu(A + w[f"b{i}"]), w[f"W{i}"])
    return 0.5 * F.mse_loss(X, t["Y"], reduction="sum")


def gpt2(model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any], is_fused: bool) -> Any:
    """The loss of GPT-2."""
    batch, tokens, d, h, k = (model.sizes[name] for name in "BTdhk")
    X = (F.embedding(t["x"], w["E"]) + w["P"][:tokens]).view(-1, d)
    for i in range(model.sizes["L"]):
        N = F.layer_norm(X, (d,), w[f"gamma1.{i}"], w[f"beta1.{i}"], 1e-5)
        qkv = torch.addmm(w[f"qkv_bias.{i}"], N, w[f"qkv.{i}"]).split(h * k, -1)
        A = attention(*(x.view(batch, tokens, h, k).transpose(1, 2) for x in qkv), True, is_fused)
        A = A.transpose(1, 2).reshape(-1, h * k)
        X = X + torch.addmm(w[f"out_bias.{i}"], A, w[f"out.{i}"])
        R = F.layer_norm(X, (d,), w[f"gamma2.{i}"], w[f"beta2.{i}"], 1e-5)
        G = F.gelu(torch.addmm(w[f"up_bias.{i}"], R, w[f"up.{i}"]), approximate="tanh")
        X = X + torch.addmm(w[f"down_bias.{i}"], G, w[f"down.{i}"])
    N = F.layer_norm(X, (d,), w["gamma"], w["beta"], 1e-5)
    return F.cross_entropy(F.linear(N, w["E"]), t["y"].view(-1))


def llama(model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any], is_fused: bool) -> Any:
    """The loss of Llama."""
    batch, tokens, d, k = (model.sizes[name] for name in "BTdk")

    def heads(X: Any) -> Any:
        return X.view(batch, tokens, -1, k).transpose(1, 2)

    def rotary(X: Any) -> Any:
        first, second = X.chunk(2, -1)
        return X * t["c"] + torch.cat((-second, first), -1) * t["s"]

    X = F.embedding(t["x"], w["E"]).view(-1, d)
    for i in range(model.sizes["L"]):
        N = F.rms_norm(X, (d,), w[f"gamma1.{i}"], 1e-6)
        q, key, v = (heads(N @ w[f"{letter}.{i}"]) for letter in "QKV")
        A = attention(rotary(q), rotary(key), v, True, is_fused)
        X = torch.addmm(X, A.transpose(1, 2).reshape(batch * tokens, -1), w[f"O.{i}"])
        R = F.rms_norm(X, (d,), w[f"gamma2.{i}"], 1e-6)
        X = torch.addmm(X, F.silu(R @ w[f"W1.{i}"]) * (R @ w[f"W2.{i}"]), w[f"W3.{i}"])
    N = F.rms_norm(X, (d,), w["gamma"], 1e-6)
    return F.cross_entropy(F.linear(N, w["U"]), t["y"].view(-1))


def adapter(_: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any], __: bool) -> Any:
    """The loss of an adapter, as it is written."""
    return 0.5 * F.mse_loss(t["X"] @ (t["W"] + w["A"] @ w["B"]), t["Y"], reduction="sum")


LOSSES = {"encoder": encoder, "linear_encoder": linear_encoder, "gpt2": gpt2, "llama": llama, "adapter": adapter}


def autograd(
    name: str, model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any], is_fused: bool, is_compiled: bool
) -> Callable[[], Any]:
    """Loss and gradients by torch's reverse mode."""
    loss_of = LOSSES[name]
    weights = {key: value.detach().requires_grad_() for key, value in w.items()}

    def forward(weights: Mapping[str, Any], t: Mapping[str, Any]) -> Any:
        return loss_of(model, weights, t, is_fused)

    chosen = torch.compile(forward, dynamic=False) if is_compiled else forward

    def run() -> Any:
        loss = chosen(weights, t)
        return loss.detach(), dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))

    return run
