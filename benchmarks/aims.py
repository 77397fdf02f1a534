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
class Ratio:
    """Of a case, type and number of threads, and the interval that it lies in."""

    case: tuple[str, str, int]
    value: float
    interval: tuple[float, float]


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

    def ratios(self, rows: Sequence[Measurement]) -> list[Ratio]:
        """Those that were measured."""
        found = []
        for case, group in grouped(rows).items():
            if case[0] in self.cases and self.program in group and self.against in group:
                row, peer = group[self.program], group[self.against]
                if self.quantity == "time":
                    found.append(Ratio(case, row.over(peer), row.interval(peer)))
                elif row.peak and peer.peak:
                    ratio = row.peak / peer.peak
                    found.append(Ratio(case, ratio, (ratio, ratio)))
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
    Aim("torch program, compiled", "torch.compile", 1.0),
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
            least = [ratio.interval[0] for ratio in found]
            words = [aim.program, aim.against, aim.quantity, aim.where]
            cells.append(_row(words, aim.most, [ratio.value for ratio in found], least))
    by_page = {(row.page, row.layers): row for row in depths}
    deep, flat = by_page.get(("gpt2", 96)), by_page.get(("gpt2", 1))
    if deep is not None:
        taken = [1e3 * (deep.derive + deep.compile)]
        cells.append(_row(["derive and compile 96 layers", "", "ms", "GPT-2"], DERIVED, taken, taken))
    if deep is not None and flat is not None:
        ratio = [deep.derive / flat.derive]
        cells.append(_row(["derive 96 layers", "1 layer", "time", "GPT-2"], DEEP, ratio, ratio))
    caption = (
        "What programs aim at. Means are geometric. Reached: by the median over rounds. Clearly missed: by all of the "
        "interval that holds the ratio with a probability of nine in ten; the others are in doubt."
    )
    return caption, ["program", "against", "of", "where", "at most", "mean", "most", "reached", "clearly missed"], cells


def missed(rows: Sequence[Measurement]) -> Table:
    """A row for every ratio that is above what it is to be at most."""
    cells = []
    for aim in AIMS:
        for ratio in aim.ratios(rows):
            if ratio.value > aim.most:
                case, dtype, threads = ratio.case
                interval = "" if aim.quantity == "memory" else "{:.2f}–{:.2f}".format(*ratio.interval)
                words = [aim.program, aim.against, aim.quantity, case, dtype, str(threads)]
                cells.append([*words, f"{aim.most:g}", f"{ratio.value:.2f}", interval])
    header = ["program", "against", "of", "case", "type", "threads", "at most", "ratio", "interval"]
    return "The ratios that are above it, with these intervals.", header, cells


def _row(words: Sequence[str], most: float, found: Sequence[float], least: Sequence[float]) -> list[str]:
    reached = sum(ratio <= most for ratio in found)
    clearly = sum(ratio > most for ratio in least)
    shown = [
        f"{value:.0f}" if value >= 10 else f"{value:.2f}" for value in (statistics.geometric_mean(found), max(found))
    ]
    return [*words, f"{most:g}", *shown, f"{reached} of {len(found)}", str(clearly)]
