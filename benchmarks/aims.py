"""What programs aim at, and how often they reach it: ratios to automatic differentiation on the same work."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.cases import CASES
from benchmarks.measurement import Depth, Measurement
from benchmarks.tables import Table, grouped

#: Milliseconds to load, derive and compile GPT-2 of 96 layers.
DERIVED = 100

#: The time to derive 96 layers, against that of one.
DEEP = 1.2

#: Cases by their titles.
ALL = tuple(case.title for case in CASES.values())
SMALL = tuple(case.title for case in CASES.values() if case.name.startswith("encoder-64"))
LARGER = tuple(title for title in ALL if title not in SMALL)
GPT2 = (CASES["gpt2"].title,)
ADAPTER = (CASES["adapter"].title,)


@dataclass(frozen=True)
class Aim:
    """A ratio of two entrants.

    Attributes:
        program, against: the entrants.
        most: what the ratio is to be at most.
        where: the cases, in words.
        cases: their titles.
        quantity: what the ratio is of.
    """

    program: str
    against: str
    most: float
    where: str = "all"
    cases: tuple[str, ...] = ALL
    quantity: Literal["time", "memory"] = "time"

    def ratios(self, rows: Sequence[Measurement]) -> list[float]:
        """Those that were measured."""
        found = []
        for (case, _, _), group in grouped(rows).items():
            if case in self.cases and self.program in group and self.against in group:
                row, peer = group[self.program], group[self.against]
                if self.quantity == "time":
                    found.append(row.over(peer))
                elif row.peak and peer.peak:
                    found.append(row.peak / peer.peak)
        return found


#: The programs of each engine, and its own automatic differentiation, or that of torch.
PEER = {"numpy program": "torch", "numba program": "torch", "torch program": "torch", "jax program": "jax"}

AIMS = (
    Aim("numpy program", "torch", 0.5, "64×64", SMALL),
    Aim("numpy program", "torch", 1.1, "larger", LARGER),
    Aim("numba program", "torch", 0.95),
    Aim("torch program", "torch", 1.0),
    Aim("torch program", "torch SDPA", 1.0),
    Aim("torch program", "torch.compile", 1.0),
    Aim("jax program", "jax", 1.0),
    Aim("jax program", "jax", 0.8, "GPT-2", GPT2),
    *(Aim(program, peer, 0.6, "adapter", ADAPTER) for program, peer in PEER.items()),
    *(Aim(program, peer, 1.0, quantity="memory") for program, peer in PEER.items()),
    *(
        Aim(f"{program}, half the memory", program, 1.4, "where it fits")
        for program in ("numpy program", "numba program", "torch program")
    ),
)


def aims(rows: Sequence[Measurement], depths: Sequence[Depth]) -> Table:
    """A row for every aim of which something was measured."""
    cells = []
    for aim in AIMS:
        found = aim.ratios(rows)
        if found:
            cells.append([aim.program, aim.against, aim.quantity, aim.where, *_reached(found, aim.most)])
    by_page = {(row.page, row.layers): row for row in depths}
    deep, flat = by_page.get(("gpt2", 96)), by_page.get(("gpt2", 1))
    if deep is not None:
        taken = 1e3 * (deep.derive + deep.compile)
        cells.append(["derive and compile 96 layers", "", "ms", "GPT-2", *_reached([taken], DERIVED)])
    if deep is not None and flat is not None:
        cells.append(["derive 96 layers", "1 layer", "time", "GPT-2", *_reached([deep.derive / flat.derive], DEEP)])
    header = ["program", "against", "of", "where", "at most", "mean", "most", "reached"]
    return "What programs aim at. Means are geometric; differences below 8 % are ties.", header, cells


def _reached(found: Sequence[float], most: float) -> list[str]:
    count = sum(ratio <= most for ratio in found)
    shown = [
        f"{value:.0f}" if value >= 10 else f"{value:.2f}" for value in (statistics.geometric_mean(found), max(found))
    ]
    return [f"{most:g}", *shown, f"{count} of {len(found)}"]
