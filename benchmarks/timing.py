"""Entrants that take turns, and the peak of the machine's matrix products, measured between them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

#: Seconds between two entrants, since the threads of one keep spinning into the next.
REST = 0.2

#: Seconds of a turn: short runs are repeated, so that their medians are of many.
TURN = 0.1

#: The side of the matrices whose product is the machine's peak.
SIDE = 1536


def seconds(run: Callable[[], object]) -> float:
    """The time of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def turns(
    runs: Mapping[str, Callable[[], object]], rounds: int, rest: float = REST, turn: float = TURN
) -> dict[str, tuple[float, ...]]:
    """The time of a run of each in seconds, in every round; they take turns.

    A turn gives the median of its runs, without the first, which wakes the threads; a run longer than a turn counts.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            end = time.perf_counter() + turn
            taken = [seconds(run)]
            while time.perf_counter() < end:
                taken.append(seconds(run))
            times[name].append(statistics.median(taken[1:] or taken))
            time.sleep(rest)
    return {name: tuple(found) for name, found in times.items()}


def peak_runs(dtype: str, side: int = SIDE) -> dict[str, Callable[[], Any]]:
    """Large products of matrices, by the libraries there are."""
    A = np.random.default_rng(0).normal(size=(side, side)).astype(dtype)
    out = np.empty_like(A)
    runs: dict[str, Callable[[], Any]] = {"numpy": lambda: np.matmul(A, A, out=out)}
    try:
        import torch
    except ModuleNotFoundError:
        return runs
    B, target = torch.tensor(A), torch.empty(side, side, dtype=getattr(torch, dtype))
    runs["torch"] = lambda: torch.mm(B, B, out=target)
    return runs


def peak_flops(dtype: str, rounds: int) -> float:
    """Operations in a second of a large product of matrices, of the fastest library."""
    return 2 * SIDE**3 / min(map(statistics.median, turns(peak_runs(dtype), rounds).values()))
