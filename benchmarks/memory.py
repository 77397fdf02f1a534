"""The peak of memory of a run: what it needs beside weights and data, gradients included, in bytes.

Each engine is asked what it allocates, since the memory of the process also holds compilers, libraries and what their
allocators keep for later: numpy by tracemalloc, where the memory that a program keeps for its runs counts as well;
torch by the events of its allocator in the profiler; XLA by the plan of the compiled program. What a library of matrix
products packs for itself is seen by none of them.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

from numpy.lib import tracemalloc_domain

import formcalc as fc


def of_numpy(compiled: Callable[[], fc.Program], prepared: Mapping[str, Any]) -> int:
    """The peak of a numpy program: the arrays that it keeps from when it is compiled, and those that a run makes."""
    gc.collect()
    tracemalloc.start()
    try:
        program = compiled()
        program.run(prepared)
        gc.collect()
        of_arrays = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, tracemalloc_domain)])
        kept = sum(trace.size for trace in of_arrays.traces)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        program.run(prepared)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return kept + peak - before


def of_torch(run: Callable[[], Any]) -> int:
    """The peak of a run in torch, from what its allocator reports."""
    from torch.profiler import ProfilerActivity, profile

    run()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        result = run()
    changes = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    del result  # until here, as a caller keeps it
    return peak


def of_xla(compiled: Any) -> int:
    """The memory that XLA plans for a compiled function: its temporary arrays and its results."""
    found = compiled.memory_analysis()
    return found.temp_size_in_bytes + found.output_size_in_bytes
