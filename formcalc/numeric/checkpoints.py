"""Weights of pretrained models: what the ``transformers`` package calls them, and how it lays them out.

One table for each stock page says for every parameter which letters it holds, and how its axes are arranged, in the
notation of einops: ``d (s h k) -> s h d k`` takes a fused matrix of queries, keys and values apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from einops import EinopsError, rearrange

from formcalc.errors import ArrayError, FormcalcError, listing
from formcalc.language.indices import numbered
from formcalc.language.names import canonical
from formcalc.numeric.files import load_arrays


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, with ``{i}`` for the layer; the letters it holds; and its layout, theirs -> ours.

    Several letters lie along the first axis of our side, which is ``s``.
    """

    theirs: str
    letters: str
    layout: str

    @property
    def names(self) -> list[str]:
        return [canonical(name) for name in self.letters.split()]

    @property
    def is_layered(self) -> bool:
        return "{i}" in self.theirs


@dataclass(frozen=True)
class Checkpoint:
    """The parameters of a page in the ``transformers`` package.

    Attributes:
        page: the stock page.
        prefix: what the names of files may leave out.
        parameters: the table.
        ignored: names of buffers, and of tied weights, that hold nothing of their own; patterns.
        config: which size of the page stands under which key of ``config.json``.
    """

    page: str
    prefix: str
    parameters: tuple[Parameter, ...]
    ignored: tuple[str, ...]
    config: Mapping[str, str]


def _rows(*rows: tuple[str, str, str]) -> tuple[Parameter, ...]:
    return tuple(Parameter(*row) for row in rows)


GPT2 = Checkpoint(
    page="gpt2",
    prefix="transformer.",
    parameters=_rows(
        ("transformer.wte.weight", "E", "V d -> V d"),
        ("transformer.wpe.weight", "P", "N d -> N d"),
        ("transformer.h.{i}.ln_1.weight", "γ_{1,i}", "d -> 1 d"),
        ("transformer.h.{i}.ln_1.bias", "β_{1,i}", "d -> 1 d"),
        ("transformer.h.{i}.attn.c_attn.weight", "Q_i K_i V_i", "d (s h k) -> s h d k"),
        ("transformer.h.{i}.attn.c_attn.bias", "β_{Q,i} β_{K,i} β_{V,i}", "(s h k) -> s h 1 k"),
        ("transformer.h.{i}.attn.c_proj.weight", "O_i", "(h k) d -> h k d"),
        ("transformer.h.{i}.attn.c_proj.bias", "β_{O,i}", "d -> 1 d"),
        ("transformer.h.{i}.ln_2.weight", "γ_{2,i}", "d -> 1 d"),
        ("transformer.h.{i}.ln_2.bias", "β_{2,i}", "d -> 1 d"),
        ("transformer.h.{i}.mlp.c_fc.weight", "W_i", "d f -> d f"),
        ("transformer.h.{i}.mlp.c_fc.bias", "β_{W,i}", "f -> 1 f"),
        ("transformer.h.{i}.mlp.c_proj.weight", "U_i", "f d -> f d"),
        ("transformer.h.{i}.mlp.c_proj.bias", "β_{U,i}", "d -> 1 d"),
        ("transformer.ln_f.weight", "γ", "d -> 1 d"),
        ("transformer.ln_f.bias", "β", "d -> 1 d"),
    ),
    ignored=(r"lm_head\.weight", r".*\.attn\.(bias|masked_bias)"),
    config={"n_head": "h", "n_layer": "L", "n_embd": "d", "n_positions": "N", "vocab_size": "V", "n_inner": "f"},
)

LLAMA = Checkpoint(
    page="llama",
    prefix="model.",
    parameters=_rows(
        ("model.embed_tokens.weight", "E", "V d -> V d"),
        ("model.layers.{i}.input_layernorm.weight", "γ_{1,i}", "d -> 1 d"),
        ("model.layers.{i}.self_attn.q_proj.weight", "Q_i", "(g r k) d -> g r d k"),
        ("model.layers.{i}.self_attn.k_proj.weight", "K_i", "(g k) d -> g d k"),
        ("model.layers.{i}.self_attn.v_proj.weight", "V_i", "(g k) d -> g d k"),
        ("model.layers.{i}.self_attn.o_proj.weight", "O_i", "d (g r k) -> g r k d"),
        ("model.layers.{i}.post_attention_layernorm.weight", "γ_{2,i}", "d -> 1 d"),
        ("model.layers.{i}.mlp.gate_proj.weight", "W_{1,i}", "f d -> d f"),
        ("model.layers.{i}.mlp.up_proj.weight", "W_{2,i}", "f d -> d f"),
        ("model.layers.{i}.mlp.down_proj.weight", "W_{3,i}", "d f -> f d"),
        ("model.norm.weight", "γ", "d -> 1 d"),
        ("lm_head.weight", "U", "V d -> V d"),
    ),
    ignored=(r".*\.rotary_emb\.inv_freq",),
    config={
        "num_key_value_heads": "g",
        "num_hidden_layers": "L",
        "hidden_size": "d",
        "vocab_size": "V",
        "intermediate_size": "f",
        "head_dim": "k",
    },
)

_BERT = "bert.encoder.layer.{i}."

BERT = Checkpoint(
    page="bert",
    prefix="bert.",
    parameters=_rows(
        ("bert.embeddings.word_embeddings.weight", "E", "V d -> V d"),
        ("bert.embeddings.position_embeddings.weight", "P", "N d -> N d"),
        ("bert.embeddings.token_type_embeddings.weight", "D", "m d -> m d"),
        ("bert.embeddings.LayerNorm.weight", "γ", "d -> 1 d"),
        ("bert.embeddings.LayerNorm.bias", "β", "d -> 1 d"),
        (f"{_BERT}attention.self.query.weight", "Q_i", "(h k) d -> h d k"),
        (f"{_BERT}attention.self.query.bias", "β_{Q,i}", "(h k) -> h 1 k"),
        (f"{_BERT}attention.self.key.weight", "K_i", "(h k) d -> h d k"),
        (f"{_BERT}attention.self.key.bias", "β_{K,i}", "(h k) -> h 1 k"),
        (f"{_BERT}attention.self.value.weight", "V_i", "(h k) d -> h d k"),
        (f"{_BERT}attention.self.value.bias", "β_{V,i}", "(h k) -> h 1 k"),
        (f"{_BERT}attention.output.dense.weight", "O_i", "d (h k) -> h k d"),
        (f"{_BERT}attention.output.dense.bias", "β_{O,i}", "d -> 1 d"),
        (f"{_BERT}attention.output.LayerNorm.weight", "γ_{1,i}", "d -> 1 d"),
        (f"{_BERT}attention.output.LayerNorm.bias", "β_{1,i}", "d -> 1 d"),
        (f"{_BERT}intermediate.dense.weight", "W_i", "f d -> d f"),
        (f"{_BERT}intermediate.dense.bias", "β_{W,i}", "f -> 1 f"),
        (f"{_BERT}output.dense.weight", "U_i", "d f -> f d"),
        (f"{_BERT}output.dense.bias", "β_{U,i}", "d -> 1 d"),
        (f"{_BERT}output.LayerNorm.weight", "γ_{2,i}", "d -> 1 d"),
        (f"{_BERT}output.LayerNorm.bias", "β_{2,i}", "d -> 1 d"),
        ("cls.predictions.transform.dense.weight", "W", "e d -> d e"),
        ("cls.predictions.transform.dense.bias", "β_W", "d -> 1 d"),
        ("cls.predictions.transform.LayerNorm.weight", "γ_Z", "d -> 1 d"),
        ("cls.predictions.transform.LayerNorm.bias", "β_Z", "d -> 1 d"),
        ("cls.predictions.bias", "β_V", "V -> 1 V"),
    ),
    ignored=(
        r"cls\.predictions\.decoder\.(weight|bias)",
        r"bert\.embeddings\.position_ids",
        r"bert\.pooler\..*",
        r"cls\.seq_relationship\..*",
    ),
    config={
        "num_attention_heads": "h",
        "num_hidden_layers": "L",
        "hidden_size": "d",
        "max_position_embeddings": "N",
        "vocab_size": "V",
        "type_vocab_size": "m",
        "intermediate_size": "f",
    },
)

#: The tables, by stock page.
CHECKPOINTS: dict[str, Checkpoint] = {table.page: table for table in (GPT2, LLAMA, BERT)}


def to_page(table: Checkpoint, tensors: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The arrays of a page's weights, from the tensors of a model or of a file.

    Args:
        sizes: of the page's dimensions that shapes alone do not tell, such as the number of heads ``h``.

    Raises:
        ArrayError: a tensor that is missing, that no row of the table knows, or whose shape does not fit its layout.
    """
    known = {_full_name(table, name): array for name, array in tensors.items()}
    arrays: dict[str, np.ndarray] = {}
    for row, layer in _instances(table, known):
        theirs = row.theirs.replace("{i}", str(layer))
        if theirs not in known:
            raise ArrayError(f"{table.page}: there is no tensor {theirs}, which holds {row.letters}")
        arranged = _arranged(known.pop(theirs), theirs, row, sizes)
        parts = arranged if len(row.names) > 1 else arranged[None]
        for name, part in zip(row.names, parts, strict=True):
            arrays[numbered(name, {"i": layer})] = np.ascontiguousarray(part)
    foreign = [name for name in known if not any(re.fullmatch(pattern, name) for pattern in table.ignored)]
    if foreign:
        raise ArrayError(f"{table.page}: no letter of the page stands for {listing(foreign)}")
    return arrays


def from_page(table: Checkpoint, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of a model, from the arrays of a page's weights: the inverse of `to_page`."""
    tensors = {}
    layers = sum(bool(re.fullmatch(r"Q_\d+", name)) for name in arrays)
    for row in table.parameters:
        for layer in range(layers) if row.is_layered else (0,):
            parts = [arrays[numbered(name, {"i": layer})] for name in row.names]
            ours, theirs = row.layout.split("->")[::-1]
            array = np.stack(parts) if len(parts) > 1 else parts[0]
            arranged = rearrange(array, f"{ours} -> {theirs}")
            tensors[row.theirs.replace("{i}", str(layer))] = np.ascontiguousarray(arranged)
    return tensors


def load_checkpoint(
    page: str, path: str | Path, sizes: Mapping[str, int]
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The weights of a page from a file of the ``transformers`` package, and the sizes that they have.

    Args:
        page: ``gpt2``, ``llama`` or ``bert``.
        path: a ``.safetensors`` file. What shapes do not tell is read from a ``config.json`` beside it.
        sizes: sizes of the page's dimensions, which go before those of ``config.json``.

    Raises:
        ArrayError: a file that cannot be read, or that does not fit the page.
    """
    table = CHECKPOINTS[page]
    known = {**_configured(table, Path(path).parent / "config.json"), **sizes}
    arrays = to_page(table, load_arrays(path), known)
    layers = sum(bool(re.fullmatch(r"Q_\d+", name)) for name in arrays)
    return arrays, {**sizes, "L": layers}


def is_checkpoint(page: str, names: list[str]) -> bool:
    """Whether the names of a file's arrays are those of the ``transformers`` package, not letters of the page."""
    return page in CHECKPOINTS and any("." in name for name in names)


def _instances(table: Checkpoint, known: Mapping[str, object]) -> Iterator[tuple[Parameter, int]]:
    """The rows of the table, those of layers once for each layer that there is."""
    numbers = set()
    for row in table.parameters:
        pattern = re.escape(row.theirs).replace(r"\{i\}", r"(\d+)")
        numbers |= {int(found[1]) for name in known if row.is_layered and (found := re.fullmatch(pattern, name))}
    for row in table.parameters:
        yield from ((row, layer) for layer in (range(max(numbers, default=-1) + 1) if row.is_layered else (0,)))


def _full_name(table: Checkpoint, name: str) -> str:
    """The name with the prefix that files may leave out."""
    first = name.partition(".")[0]
    roots = {row.theirs.partition(".")[0] for row in table.parameters}
    return name if first in roots or first in ("lm_head", "cls") else table.prefix + name


def _arranged(array: np.ndarray, theirs: str, row: Parameter, sizes: Mapping[str, int]) -> np.ndarray:
    axes = set(re.findall(r"[A-Za-z]+", row.layout))
    given = {axis: size for axis, size in {**sizes, "s": len(row.names)}.items() if axis in axes}
    try:
        return np.asarray(rearrange(array, row.layout, **given))
    except EinopsError as error:
        cause = str(error).strip().splitlines()[-1].strip()
        said = ", ".join(f"{axis} = {size}" for axis, size in given.items())
        raise ArrayError(
            f"{theirs}: the tensor is {'×'.join(map(str, array.shape))}, which does not fit {row.layout!r}"
            f"{f' with {said}' if said else ''}: {cause}; give sizes such as h=12, or put config.json beside the file"
        ) from None


def _configured(table: Checkpoint, path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FormcalcError(f"{path}: this is no configuration: {error}") from None
    sizes = {ours: found[key] for key, ours in table.config.items() if isinstance(found.get(key), int)}
    if "g" in sizes and isinstance(found.get("num_attention_heads"), int):
        sizes["r"] = found["num_attention_heads"] // sizes["g"]
    return sizes
