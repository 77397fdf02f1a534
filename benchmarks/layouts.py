"""How peers keep the weights of a page: heads side by side in one matrix, query, key and value in one, vectors flat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import formcalc as fc


@dataclass(frozen=True)
class Parameter:
    """A parameter of a peer.

    Attributes:
        parts: the weights of the page that lie in it, one beside the other.
        kind: ``columns``, heads side by side, (h, d, k) -> (d, h k); ``rows``, heads one below the other,
            (h, k, d) -> (h k, d); ``vector``, as columns, and flat.
    """

    parts: tuple[str, ...]
    kind: str = "columns"

    def pack(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """The parameter from the arrays of the page."""
        packed = np.concatenate([_flat(arrays[name], self.kind) for name in self.parts], -1)
        return packed.reshape(-1) if self.kind == "vector" else packed

    def unpack(self, array: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        """The arrays of the page from the parameter, or of gradients from its gradient."""
        widths = [shapes[n][-1] if self.kind == "rows" else math.prod(shapes[n]) // shapes[n][-2] for n in self.parts]
        pieces = np.split(array, np.cumsum(widths)[:-1], -1)
        return {n: _unflat(piece, shapes[n], self.kind) for n, piece in zip(self.parts, pieces, strict=True)}


def _flat(array: np.ndarray, kind: str) -> np.ndarray:
    if kind == "rows":
        return array.reshape(-1, array.shape[-1])
    return np.moveaxis(array, -2, 0).reshape(array.shape[-2], -1)


def _unflat(array: np.ndarray, shape: tuple[int, ...], kind: str) -> np.ndarray:
    if kind == "rows":
        return array.reshape(shape)
    *axes, rows, columns = shape
    return np.moveaxis(array.reshape(rows, *axes, columns), 0, -2)


def _encoder(layers: int) -> dict[str, Parameter]:
    found = {}
    for i in range(layers):
        found |= {f"{name}{i}": Parameter((f"{name}_{i}",)) for name in "QKVW"}
        found |= {f"{name}{i}": Parameter((f"{name}_{i}",), "vector") for name in "bf"}
    return found


def _gpt2(layers: int) -> dict[str, Parameter]:
    found = {"E": Parameter(("E",)), "P": Parameter(("P",))}
    found |= {name: Parameter((name,), "vector") for name in ("gamma", "beta")}
    for i in range(layers):
        for j in (1, 2):
            found[f"gamma{j}.{i}"] = Parameter((f"gamma_{{{j},{i}}}",), "vector")
            found[f"beta{j}.{i}"] = Parameter((f"beta_{{{j},{i}}}",), "vector")
        found[f"qkv.{i}"] = Parameter(tuple(f"{name}_{i}" for name in "QKV"))
        found[f"qkv_bias.{i}"] = Parameter(tuple(f"beta_{{{name},{i}}}" for name in "QKV"), "vector")
        found[f"out.{i}"] = Parameter((f"O_{i}",), "rows")
        found |= {name: Parameter((f"{letter}_{i}",)) for name, letter in ((f"up.{i}", "W"), (f"down.{i}", "U"))}
        for name, letter in (("out", "O"), ("up", "W"), ("down", "U")):
            found[f"{name}_bias.{i}"] = Parameter((f"beta_{{{letter},{i}}}",), "vector")
    return found


def _llama(layers: int) -> dict[str, Parameter]:
    found = {"E": Parameter(("E",)), "U": Parameter(("U",)), "gamma": Parameter(("gamma",), "vector")}
    for i in range(layers):
        found |= {f"gamma{j}.{i}": Parameter((f"gamma_{{{j},{i}}}",), "vector") for j in (1, 2)}
        found |= {f"{name}.{i}": Parameter((f"{name}_{i}",)) for name in "QKV"}
        found[f"O.{i}"] = Parameter((f"O_{i}",), "rows")
        found |= {f"W{j}.{i}": Parameter((f"W_{{{j},{i}}}",)) for j in (1, 2, 3)}
    return found


def parameters(kind: str, model: fc.Model) -> dict[str, Parameter]:
    """The parameters of a peer by its own names."""
    if kind == "adapter":
        return {name: Parameter((name,)) for name in model.weights}
    return {"encoder": _encoder, "linear_encoder": _encoder, "gpt2": _gpt2, "llama": _llama}[kind](model.sizes["L"])


def pack(kind: str, model: fc.Model, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights as a peer keeps them."""
    return {name: parameter.pack(arrays) for name, parameter in parameters(kind, model).items()}


def unpack(kind: str, model: fc.Model, gradients: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The gradients by the names, and in the shapes, of the page."""
    found: dict[str, np.ndarray] = {}
    for name, parameter in parameters(kind, model).items():
        found |= parameter.unpack(np.asarray(gradients[name]), model.shapes)
    return found
