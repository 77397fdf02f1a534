"""The order in which the factors of a word are multiplied: the cheapest one for given sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Factor:
    """What the order needs to know of a factor: its labels, and whether it is an array.

    Attributes:
        free: the label that costs nothing, the columns of one-hot rows.
    """

    labels: frozenset[str]
    free: str = ""


#: A factor by its place in the word, or the product of two parts.
Order: TypeAlias = "int | tuple[Order, Order]"


def cheapest(
    factors: Sequence[Factor],
    output: frozenset[str],
    sizes: Mapping[str, int],
    known: frozenset[tuple[int, int]] = frozenset(),
) -> tuple[Order, int]:
    """The order with the fewest multiplications, and their number.

    A dynamic programme over the parts of the word that are next to each other. A label is summed over as soon as
    neither the rest of the word nor the result has it.

    Args:
        known: parts, from the first to the last factor, that have been computed already and cost nothing.

    >>> X, Q, K = Factor(frozenset("Td")), Factor(frozenset("dn")), Factor(frozenset("ne"))
    >>> cheapest([X, Q, K], frozenset("Te"), {"T": 100, "d": 10, "n": 2, "e": 10})
    (((0, 1), 2), 4000)
    """
    count = len(factors)
    if count == 1:
        return 0, 0
    outside = {
        (i, j): output.union(*(factor.labels for k, factor in enumerate(factors) if not i <= k <= j))
        for i in range(count)
        for j in range(i, count)
    }
    within = {
        (i, j): frozenset().union(*(factor.labels for factor in factors[i : j + 1])) & outside[i, j]
        for i in range(count)
        for j in range(i, count)
    }
    best: dict[tuple[int, int], tuple[int, Order]] = {(i, i): (0, i) for i in range(count)}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options: list[tuple[int, Order]] = []
            for k in range(i, j):
                free = {factors[i].free if i == k else "", factors[j].free if k + 1 == j else ""}
                work = math.prod(sizes[label] for label in within[i, k] | within[k + 1, j] if label not in free)
                options.append((best[i, k][0] + best[k + 1, j][0] + work, (best[i, k][1], best[k + 1, j][1])))
            cost, order = min(options, key=lambda option: option[0])
            best[i, j] = (0 if (i, j) in known else cost, order)
    return best[0, count - 1][1], best[0, count - 1][0]
