"""The models of the benchmark as their users write them in jax; tokens gather rows, and are never one-hot.

A loss takes the weights `w` as a peer keeps them, and data `t` by their names on the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

import formcalc as fc


def half_square(E: Any) -> Any:
    """Half the sum of squares."""
    return 0.5 * jnp.sum(jnp.square(E))


def layer_norm(X: Any, gain: Any, bias: Any) -> Any:
    """LayerNorm by rows."""
    X = X - X.mean(-1, keepdims=True)
    return X * jax.lax.rsqrt(jnp.square(X).mean(-1, keepdims=True) + 1e-5) * gain + bias


def rms_norm(X: Any, gain: Any) -> Any:
    """RMSNorm by rows."""
    return X * jax.lax.rsqrt(jnp.square(X).mean(-1, keepdims=True) + 1e-6) * gain


def cross_entropy(Z: Any, ids: Any) -> Any:
    """The mean cross-entropy of logits, (..., V), with target ids."""
    return -jnp.take_along_axis(jax.nn.log_softmax(Z, -1), ids[..., None], -1).mean()


def causal_attention(q: Any, k: Any, v: Any) -> Any:
    """Softmax attention of heads, (b, t, h, k); keys and values may have fewer."""
    repeats = q.shape[2] // k.shape[2]
    k, v = (jnp.repeat(x, repeats, 2) if repeats > 1 else x for x in (k, v))
    S = jnp.einsum("bthk,bshk->bhts", q, k) * q.shape[-1] ** -0.5
    allowed = jnp.tril(jnp.ones(S.shape[-2:], bool))
    A = jax.nn.softmax(jnp.where(allowed, S, jnp.finfo(S.dtype).min), -1)
    return jnp.einsum("bhts,bshk->bthk", A, v)


def _encoder(model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any], has_softmax: bool) -> Any:
    X = t["X_0"]
    for i in range(model.sizes["L"]):
        q, k, v = (X @ w[f"{letter}{i}"] for letter in "QKV")
        S = q @ k.T * model.sizes["n"] ** -0.5
        Z = (jax.nn.softmax(S, -1) if has_softmax else S) @ v + w[f"b{i}"]
        X = jax.nn.relu(Z) @ w[f"W{i}"] + w[f"f{i}"]
    return half_square(t["Y"] - X)


def encoder(model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any]) -> Any:
    """The loss of the encoder of the GPT Utility Manual."""
    return _encoder(model, w, t, True)


def linear_encoder(model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any]) -> Any:
    """The same, attention without softmax."""
    return _encoder(model, w, t, False)


def gpt2(model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any]) -> Any:
    """The loss of GPT-2."""
    batch, tokens, h, k = (model.sizes[name] for name in "BThk")
    X = w["E"][t["x"]] + w["P"][:tokens]
    for i in range(model.sizes["L"]):
        N = layer_norm(X, w[f"gamma1.{i}"], w[f"beta1.{i}"])
        qkv = jnp.split(N @ w[f"qkv.{i}"] + w[f"qkv_bias.{i}"], 3, -1)
        A = causal_attention(*(x.reshape(batch, tokens, h, k) for x in qkv)).reshape(batch, tokens, h * k)
        X = X + A @ w[f"out.{i}"] + w[f"out_bias.{i}"]
        R = layer_norm(X, w[f"gamma2.{i}"], w[f"beta2.{i}"])
        G = jax.nn.gelu(R @ w[f"up.{i}"] + w[f"up_bias.{i}"], approximate=True)
        X = X + G @ w[f"down.{i}"] + w[f"down_bias.{i}"]
    return cross_entropy(layer_norm(X, w["gamma"], w["beta"]) @ w["E"].T, t["y"])


def llama(model: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any]) -> Any:
    """The loss of Llama."""
    batch, tokens, k = (model.sizes[name] for name in "BTk")
    cosines, sines = t["c"][:, None], t["s"][:, None]

    def rotary(X: Any) -> Any:
        first, second = jnp.split(X, 2, -1)
        return X * cosines + jnp.concatenate((-second, first), -1) * sines

    X = w["E"][t["x"]]
    for i in range(model.sizes["L"]):
        N = rms_norm(X, w[f"gamma1.{i}"])
        q, key, v = ((N @ w[f"{letter}.{i}"]).reshape(batch, tokens, -1, k) for letter in "QKV")
        A = causal_attention(rotary(q), rotary(key), v).reshape(batch, tokens, -1)
        X = X + A @ w[f"O.{i}"]
        R = rms_norm(X, w[f"gamma2.{i}"])
        X = X + (jax.nn.silu(R @ w[f"W1.{i}"]) * (R @ w[f"W2.{i}"])) @ w[f"W3.{i}"]
    return cross_entropy(rms_norm(X, w["gamma"]) @ w["U"].T, t["y"])


def adapter(_: fc.Model, w: Mapping[str, Any], t: Mapping[str, Any]) -> Any:
    """The loss of an adapter, as it is written."""
    return half_square(t["Y"] - t["X"] @ (t["W"] + w["A"] @ w["B"]))


LOSSES = {"encoder": encoder, "linear_encoder": linear_encoder, "gpt2": gpt2, "llama": llama, "adapter": adapter}


def value_and_grad(name: str, model: fc.Model) -> Any:
    """``jit(value_and_grad)`` of the loss, of weights and data."""
    loss = LOSSES[name]
    return jax.jit(jax.value_and_grad(lambda w, t: loss(model, w, t)))
