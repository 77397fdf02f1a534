"""What was measured, as text and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.entrants import ENGINES, PEERS
from benchmarks.measurement import Depth, Measurement
from formcalc.language.columns import columns

Table = tuple[str, Sequence[str], list[list[str]]]

CAPTION = (
    "Time of the loss and every gradient, without preparing inputs: medians. Ratios to the peers: medians over rounds; "
    "below 1 is faster. Memory beside weights and data, gradients included; planned: what the program says before the "
    "run, and how far it is off. GFLOP in products of matrices. Share of the peak: of a large product of matrices in "
    "the same run."
)


def _megabytes(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.2f}"


def _ratio(row: Measurement | None, base: Measurement | None) -> str:
    return "" if row is None or base is None else f"{row.over(base):.2f}"


def _planned(row: Measurement) -> str:
    if row.predicted is None:
        return ""
    return _megabytes(row.predicted) + (f" ({100 * (row.predicted / row.peak - 1):+.1f} %)" if row.peak else "")


def _work_done(row: Measurement) -> str:
    return "" if row.flops is None else f"{row.flops / 1e9:.4f}"


def _share(row: Measurement) -> str:
    return "" if row.share is None else f"{row.share:.0%}"


def grouped(rows: Iterable[Measurement]) -> dict[tuple[str, str, int], dict[str, Measurement]]:
    """The rows by case, type and threads, and by entrant."""
    found: dict[tuple[str, str, int], dict[str, Measurement]] = {}
    for row in rows:
        found.setdefault((row.case, row.dtype, row.threads), {})[row.entrant] = row
    return found


def overview(rows: Sequence[Measurement]) -> Table:
    """A row for every case: the time of the first entrant, and the ratios of the others to it."""
    names = list(dict.fromkeys(row.entrant for row in rows))
    first, *others = sorted(names, key=list(ENGINES).index)
    cells = []
    for (case, dtype, threads), found in grouped(rows).items():
        base = found.get(first)
        ratios = [_ratio(found.get(name), base) for name in others]
        cells.append([case, dtype, str(threads), "" if base is None else f"{1e3 * base.seconds:.3f}", *ratios])
    caption = f"Time of the loss and every gradient, without preparing inputs: that of {first}, and ratios to it."
    return caption, ["case", "type", "threads", f"{first} ms", *others], cells


def everything(rows: Sequence[Measurement]) -> Table:
    """A row for every entrant of every case."""
    peers = [peer for peer in PEERS if any(row.entrant == peer for row in rows)]
    header = ["case", "type", "threads", "engine", "ms", *(f"/ {peer}" for peer in peers)]
    header += ["peak MB", "planned MB", "GFLOP", "of peak"]
    cells = []
    for (case, dtype, threads), found in grouped(rows).items():
        for name, row in found.items():
            cells.append(
                [case, dtype, str(threads), name, f"{1e3 * row.seconds:.3f}"]
                + [_ratio(row, found.get(peer)) for peer in peers]
                + [_megabytes(row.peak), _planned(row), _work_done(row), _share(row)]
            )
    return CAPTION, header, cells


def compared(rows: Sequence[Measurement]) -> Table:
    """Every program against every peer, over all cases: the smallest and largest ratio of times, and the mean."""
    cells = []
    groups = list(grouped(rows).values())
    for program in dict.fromkeys(row.entrant for row in rows if row.entrant not in PEERS):
        for peer in PEERS:
            both = [found for found in groups if program in found and peer in found]
            if both:
                times = [found[program].over(found[peer]) for found in both]
                peaks = [
                    a.peak / b.peak for a, b in ((found[program], found[peer]) for found in both) if a.peak and b.peak
                ]
                cells.append([program, peer, str(len(both)), *_spread(times), *_spread(peaks)])
    header = ["program", "against", "cases", "time: least", "mean", "most", "memory: least", "mean", "most"]
    return "Ratios of programs to peers, over all cases; means are geometric.", header, cells


def _spread(ratios: Sequence[float]) -> list[str]:
    if not ratios:
        return ["", "", ""]
    return [f"{found:.2f}" for found in (min(ratios), statistics.geometric_mean(ratios), max(ratios))]


def by_depth(rows: Sequence[Depth]) -> Table:
    """The time to derive and to compile against the number of layers."""
    least = {row.page: row for row in reversed(rows)}
    cells = [
        [
            row.page,
            str(row.layers),
            f"{1e3 * row.derive:.2f}",
            f"{row.derive / least[row.page].derive:.2f}",
            f"{1e3 * row.compile:.2f}",
            f"{1e3 * (row.derive + row.compile):.2f}",
            "" if row.first is None else f"{1e3 * row.first:.0f}",
            row.words,
            f"{1e3 * row.drawing:.0f}",
        ]
        for row in rows
    ]
    header = ["page", "layers", "derive ms", "against 1", "compile ms", "together ms", "first time ms"]
    header += ["words", "three of them ms"]
    caption = "Time to load and derive a page and to compile its form for numpy; to count its words and write three."
    return caption, header, cells


def tables(rows: Sequence[Measurement], depths: Sequence[Depth]) -> list[Table]:
    """All there are."""
    found = [overview(rows), everything(rows), compared(rows)] if rows else []
    return [table for table in (*found, *([by_depth(depths)] if depths else [])) if table[2]]


def text(table: Table) -> str:
    """A table for the terminal."""
    caption, header, cells = table
    return "\n".join([caption, *columns(header, cells, left=_words(header))])


def markdown(table: Table) -> str:
    """A table for a page."""
    caption, header, cells = table
    left = _words(header)
    lines = [header, ["---" if place < left else "---:" for place in range(len(header))], *cells]
    return "\n".join([caption, "", *("| " + " | ".join(line) + " |" for line in lines)])


def _words(header: Sequence[str]) -> int:
    words = ("case", "type", "threads", "engine", "program", "against", "of", "where", "page")
    return sum(name in words for name in header)
