"""The primitives of exported files in torch that programs have otherwise: autograd differentiates these again.

Programs call backward passes of the library. That of SiLU has no derivative there, and that of LayerNorm is taken for
a function of the rows alone, means and deviations included.
"""

from __future__ import annotations

from typing import Any

import torch

Array = Any


def norm(x: Array, epsilon: float) -> tuple[Array, Array]:
    """LayerNorm of each row without gain, and the inverse deviation."""
    centred = x - x.mean(-1, keepdim=True)
    inverse = torch.rsqrt((centred * centred).mean(-1) + epsilon)
    return centred * inverse[..., None], inverse


def norm_slope(y: Array, inverse: Array, r: Array) -> Array:
    """The differential of LayerNorm at its value y: ``(R - mean(R) - y ∘ mean(y ∘ R)) / σ``."""
    return (r - r.mean(-1, keepdim=True) - y * (y * r).mean(-1, keepdim=True)) * inverse


def silu_slope(x: Array, r: Array) -> Array:
    """sigmoid(x) (1 + x sigmoid(-x)), times r."""
    return r * (torch.sigmoid(x) * (1 + x * torch.sigmoid(-x)))
