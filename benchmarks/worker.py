"""All cases with one number of threads, in a process of its own, since libraries read that number when they are loaded.

Its arguments are one line of JSON; it writes a message a line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks import depth
from benchmarks.cases import CASES, Case
from benchmarks.entrants import LIMITED, Entrant, Entrants
from benchmarks.measurement import Depth, Measurement, Note, written
from benchmarks.timing import REST, peak_flops, turns

#: The largest relative difference of gradients that rounding explains.
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


def differences(entrants: Mapping[str, Entrant]) -> dict[str, float]:
    """The largest difference of each one's gradients to those of the first, relative to the largest of their weight."""
    first, *others = entrants.values()
    reference = first.gradients()
    largest = max(abs(x).max() for x in reference.values())
    found = {}
    for entrant in others:
        gradients = entrant.gradients()
        found[entrant.name] = max(
            float(abs(gradients[name] - x).max() / max(abs(x).max(), 1e-3 * largest)) for name, x in reference.items()
        )
    return found


def entered(entrants: Entrants, say: Callable[[str], None]) -> tuple[dict[str, Entrant], dict[str, int]]:
    """Those that take part, and their peaks of memory; one that fails, or differs from the others, is left out."""
    found: dict[str, Entrant] = {}
    peaks: dict[str, int] = {}
    for name in sorted(entrants.names, key=LIMITED.__contains__):
        title = f"{entrants.case.title}, {entrants.dtype}, {name}"
        autodiff = peaks.get("torch", peaks.get("jax"))
        if name in LIMITED and autodiff is None:
            say(f"{title}: left out, for there is no autodiff to halve the memory of")
            continue
        try:
            found[name] = entrants.make(name, autodiff // 2 if name in LIMITED and autodiff else None)
            peaks[name] = found[name].peak()
        except Exception as error:  # the others are measured nevertheless
            found.pop(name, None)
            say(f"{title}: left out, {type(error).__name__}: {str(error).strip().splitlines()[0]}")
    for name, difference in (differences(found) if len(found) > 1 else {}).items():
        if not difference < TOLERANCE[entrants.dtype]:
            del found[name]
            say(f"{entrants.case.title}, {entrants.dtype}, {name}: left out, gradients differ by {difference:.1e}")
    return found, peaks


def measured(case: Case, dtype: str, options: Mapping[str, Any]) -> Iterator[Measurement | Note]:
    """The rows of a case."""
    notes: list[str] = []
    entrants = Entrants(case, dtype, tuple(options["entrants"]), options.get("small", False))
    found, peaks = entered(entrants, notes.append)
    yield from map(Note, notes)
    if not found:
        return
    machine = peak_flops(dtype, max(3, options["rounds"] // 3))
    # with one thread nothing spins, and the turns of a round lie closer together
    rest = REST if options["threads"] > 1 else 0
    times = turns({name: entrant.run for name, entrant in found.items()}, options["rounds"], rest)
    for name, entrant in found.items():
        yield Measurement(
            case.title,
            dtype,
            options["threads"],
            name,
            times[name],
            entrant.flops,
            peaks.get(name),
            entrant.predicted,
            machine,
        )


def pin(threads: int) -> None:
    """As many threads for all libraries, on as many cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        import torch
    except ModuleNotFoundError:
        return
    torch.set_num_threads(threads)


def messages(options: Mapping[str, Any]) -> Iterator[Measurement | Depth | Note]:
    """Everything, as it is found."""
    for name, dtype in options["work"]:
        yield from depth.measured(options["rounds"]) if name == depth.NAME else measured(CASES[name], dtype, options)
        yield Note(title(name, dtype, options["threads"]), is_done=True)


def title(name: str, dtype: str, threads: int) -> str:
    """What is told when a part of the work is done."""
    return name if name == depth.NAME else f"{CASES[name].title}, {dtype}, {threads} threads"


def main() -> None:
    """Write the messages of the work that the first argument describes."""
    options = json.loads(sys.argv[1])
    pin(options["threads"])
    with np.errstate(all="ignore"):
        for message in messages(options):
            print(written(message), flush=True)


if __name__ == "__main__":
    main()
