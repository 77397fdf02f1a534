"""How long it takes to derive a form, and to count and draw the words of its expanded form, against the depth.

    python benchmarks/derive.py

Deriving reads the page once and pulls one layer back once, so that its time does not depend on the number of layers.
The words are counted on the shared form of all layers, which grows linearly, while their number grows exponentially.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import formcalc as fc
from formcalc.language.columns import columns

DEPTHS = (1, 2, 4, 12, 24, 48, 96)
ROUNDS = 15


def seconds(run: Callable[[], object]) -> float:
    """The time of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def derivation(page: str) -> dict[int, float]:
    """The median time to load and derive a page at every depth; the depths take turns."""
    times: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    for _ in range(ROUNDS):
        for depth in DEPTHS:
            times[depth].append(seconds(lambda depth=depth: fc.derive(fc.load(page, L=depth))))
    return {depth: statistics.median(found) for depth, found in times.items()}


def words(page: str, depth: int) -> tuple[int, float]:
    """The number of words of a form, and the time to count them and to write the first, the 10^40th and the last."""
    form = fc.derive(fc.load(page, L=depth))
    start = time.perf_counter()
    found = form.words()
    for number in {0, min(10**40, found.count - 1), found.count - 1}:
        found[number]
    return found.count, time.perf_counter() - start


def main() -> None:
    for page in ("encoder", "gpt2"):
        times = derivation(page)
        rows = []
        for depth, median in times.items():
            count, drawn = words(page, depth)
            shown = str(count) if count < 10**7 else f"{len(str(count))} digits"
            rows.append(
                (str(depth), f"{1e3 * median:.2f} ms", f"{median / times[1]:.2f}", shown, f"{1e3 * drawn:.0f} ms")
            )
        print(f"{page}: to derive, and to count the words and write the first, the 10^40th and the last")
        print("\n".join(columns(("layers", "derive", "against 1", "words", "three of them"), rows, left=0)))
        print()


if __name__ == "__main__":
    main()
