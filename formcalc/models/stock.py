"""The stock models, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from formcalc.errors import FormcalcError, suggestion
from formcalc.language import Model
from formcalc.models.encoder import DEFAULTS, encoder


@dataclass(frozen=True)
class Stock:
    """A stock model: what it is, how it is built from sizes and a number of layers, and its default sizes."""

    title: str
    build: Callable[[Mapping[str, int], int], Model]
    sizes: Mapping[str, int]
    layers: int = 2


_PRODUCT_SIZES = {name: size for name, size in DEFAULTS.items() if name != "d"}

STOCK: dict[str, Stock] = {
    "encoder": Stock("the manual's encoder, equation (1), layers composed", encoder, DEFAULTS),
    "encoder-product": Stock(
        "the manual's formal product of layers, each with its own constant X_i",
        partial(encoder, composed=False),
        _PRODUCT_SIZES,
    ),
    "encoder-linear": Stock(
        "the encoder with attention without softmax, composed", partial(encoder, softmax=False), DEFAULTS
    ),
    "encoder-linear-product": Stock(
        "the formal product of layers without softmax",
        partial(encoder, composed=False, softmax=False),
        _PRODUCT_SIZES,
    ),
}


def models() -> list[str]:
    """The names of the stock models.

    >>> models()
    ['encoder', 'encoder-product', 'encoder-linear', 'encoder-linear-product']
    """
    return list(STOCK)


def load(name: str, **dimensions: int) -> Model:
    """A stock model at given sizes.

    Args:
        name: one of `models()`.
        dimensions: ``L`` layers, ``T`` tokens, ``d`` width, ``n`` key width, ``v`` value width. Those left out have
            defaults; if only the width is given, keys and values are as wide.

    Raises:
        FormcalcError: an unknown model or dimension, or a size that is not a positive integer.

    >>> model = load("encoder", L=2, T=5, d=8)
    >>> model.shapes["Q_1"], model.weights[:3]
    ((8, 8), ['Q_0', 'K_0', 'V_0'])
    """
    if name not in STOCK:
        cure = suggestion(name, STOCK) or f"stock models: {', '.join(STOCK)}"
        raise FormcalcError(f"unknown model {name!r}; {cure}")
    stock = STOCK[name]
    for dimension, size in dimensions.items():
        if dimension != "L" and dimension not in stock.sizes:
            raise FormcalcError(f"{name} has no dimension {dimension!r}; its dimensions: L, {', '.join(stock.sizes)}")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise FormcalcError(f"dimension {dimension} of {name} is a positive integer, not {size!r}")
    width = dimensions.get("d", dimensions.get("T") if "d" not in stock.sizes else None)
    derived = {} if width is None else {"n": width, "v": width}
    sizes = {key: dimensions.get(key, derived.get(key, default)) for key, default in stock.sizes.items()}
    model = stock.build(sizes, dimensions.get("L", stock.layers))
    return Model(name, model.letters, model.definitions, model.loss, model.sizes, model.title)
