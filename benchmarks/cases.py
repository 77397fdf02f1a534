"""The models of the benchmark, and their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

import formcalc as fc

#: A layer with a low-rank adapter beside a weight that is kept as it is, the way it is written on paper.
ADAPTER = """# A layer with a low-rank adapter
dims     T tokens = 128, d width = 1024, r rank = 8
data     X, Y: T×d   W: d×d
weights  A: d×r   B: r×d
E    = Y - X (W + A B)
loss = 1/2 trace(E^t E)
"""


@dataclass(frozen=True)
class Case:
    """A model at the sizes of the benchmark.

    Attributes:
        name: as it is selected on the command line.
        title: as it is shown.
        kind: which of the peers' models it is.
        page: a stock page, or the text of a page.
        sizes: those of the benchmark.
        small: those of the tests.
        has_softmax: whether its attention has one, so that the peers' fused attention applies.
    """

    name: str
    title: str
    kind: str
    page: str
    sizes: Mapping[str, int]
    small: Mapping[str, int] = field(default_factory=dict)
    has_softmax: bool = True

    def model(self, is_small: bool = False) -> fc.Model:
        """The model at its sizes."""
        return fc.load(self.page, **{**self.sizes, **(self.small if is_small else {})})


def _encoder(tokens: int, width: int, layers: int) -> Case:
    return Case(
        f"encoder-{tokens}-{width}-{layers}",
        f"encoder {tokens}×{width}, {layers} layer{'s' * (layers > 1)}",
        "encoder",
        "encoder",
        {"T": tokens, "d": width, "n": width, "v": width, "L": layers},
        {"T": 5, "d": 4, "n": 4, "v": 4},
    )


_GPT2 = {"B": 8, "T": 128, "N": 128, "d": 256, "h": 8, "k": 32, "f": 1024, "L": 4, "V": 512}
_SMALL_GPT2 = {"B": 2, "T": 6, "N": 8, "d": 8, "h": 2, "k": 4, "f": 16, "L": 2, "V": 13}
_LLAMA = {"B": 8, "T": 128, "d": 256, "g": 4, "r": 2, "k": 32, "f": 688, "L": 4, "V": 512}
_SMALL_LLAMA = {"B": 2, "T": 6, "d": 8, "g": 2, "k": 4, "f": 12, "L": 2, "V": 13}
_THIN = {"T": 4096, "d": 64, "n": 64, "v": 64, "L": 1}
_SMALL_THIN = {"T": 32, "d": 4, "n": 4, "v": 4}

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        *(_encoder(tokens, width, layers) for tokens, width in ((64, 64), (128, 256), (512, 512)) for layers in (1, 4)),
        Case("gpt2", "GPT-2, 4 blocks", "gpt2", "gpt2", _GPT2, _SMALL_GPT2),
        Case("llama", "Llama, 4 blocks", "llama", "llama", _LLAMA, _SMALL_LLAMA),
        Case("adapter", "adapter, rank 8, 128×1024", "adapter", ADAPTER, {}, {"T": 6, "d": 16, "r": 2}, False),
        Case("thin", "no softmax, 4096×64", "linear_encoder", "encoder-linear", _THIN, _SMALL_THIN, False),
    )
}

#: Those of a minute.
QUICK = ("encoder-64-64-1", "encoder-128-256-4", "adapter", "depth")


def arrays_of(model: fc.Model) -> dict[str, np.ndarray]:
    """Arrays for every letter; all tokens are there, no padding, as in the peers."""
    arrays = fc.sample(model)
    return {
        name: np.ones_like(array) if model.letters[name].role == "mask" else array for name, array in arrays.items()
    }
