"""The time to derive and to compile, and to count and draw words, against the number of layers.

Deriving reads the page once and pulls one layer back once, and programs have layers as loops, so that neither depends
on the number of layers. Words are counted on the shared form of all layers, which grows linearly, while their number
grows exponentially. What a cold process pays is measured first, at the largest depth.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import formcalc as fc
from benchmarks.measurement import Depth
from benchmarks.timing import seconds

#: As it is selected on the command line.
NAME = "depth"

DEPTHS = (1, 2, 4, 12, 24, 48, 96)
PAGES = ("encoder", "gpt2")


def once(page: str, layers: int) -> tuple[float, float]:
    """The time to load and derive a page, and to compile its form."""
    forms = []
    derive = seconds(lambda: forms.append(fc.derive(fc.load(page, L=layers))))
    return derive, seconds(lambda: fc.compile(forms[0], "numpy", "float32"))


def words(page: str, layers: int) -> tuple[str, float]:
    """The number of words of a form, and the time to count them and to write the first, the 10^40th and the last."""
    form = fc.derive(fc.load(page, L=layers))
    start = time.perf_counter()
    found = form.words()
    for number in {0, min(10**40, found.count - 1), found.count - 1}:
        str(found[number])
    taken = time.perf_counter() - start
    return str(found.count) if found.count < 10**7 else f"{len(str(found.count))} digits", taken


def measured(rounds: int, depths: tuple[int, ...] = DEPTHS) -> Iterator[Depth]:
    """The median times at every depth; the depths take turns."""
    for page in PAGES:
        first = sum(once(page, depths[-1]))
        times: dict[int, list[tuple[float, float]]] = {layers: [] for layers in depths}
        for _ in range(rounds):
            for layers in depths:
                times[layers].append(once(page, layers))
        for layers, taken in times.items():
            derive, compiled = (statistics.median(column) for column in zip(*taken, strict=True))
            yield Depth(page, layers, derive, compiled, *words(page, layers), first if layers == depths[-1] else None)
