"""The order in which the factors of a word are multiplied: the cheapest one for given sizes.

A cost is a whole number: operations first, then the entries of what is made, so that of two orders with the same number
of operations the one with the smaller intermediate values is the cheaper. Of ties the one is taken that ends with a
factor that is given, and needs no memory of its own; then the one from left to right.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

#: An operation costs as much as this many entries: more than any program makes.
OPERATION = 1 << 44


@dataclass(frozen=True)
class Factor:
    """What the order needs to know of a factor: its labels, and whether it is an array.

    Attributes:
        free: the label that costs nothing, the columns of one-hot rows.
        repeats: how often it changes in one run, as the layers do.
        is_ones: whether all its entries are 1: what it is multiplied with is added up.
        is_given: whether it comes in, as weights and data do.
    """

    labels: frozenset
    free: Hashable = None
    repeats: int = 1
    is_ones: bool = False
    is_given: bool = False


#: The factors from the first to the last of a part of a word.
Part: TypeAlias = tuple[int, int]


class Orders:
    """All orders in which neighbours of a word can be multiplied, and what they cost.

    A label is summed over as soon as neither the rest of the word nor the result has it.

    >>> X, Q, K = Factor(frozenset("Td")), Factor(frozenset("dn")), Factor(frozenset("ne"))
    >>> costs, splits = Orders([X, Q, K], "Te", {"T": 100, "d": 10, "n": 2, "e": 10}).best()
    >>> costs[0, 2] // OPERATION, splits[0, 2]  # X Q first, then K
    (8000, 1)
    """

    def __init__(self, factors: Sequence[Factor], output: Collection[Hashable], sizes: Any) -> None:
        self.count = len(factors)
        #: Sets of labels are bits of a number.
        bits = {label: 1 << place for place, label in enumerate({x: None for f in factors for x in f.labels})}
        self.bits = bits
        self.sizes = [int(sizes[label]) for label in bits]
        self.products: dict[int, int] = {0: 1}
        self.steps: dict[tuple[int, int, int], int] = {}
        self.labels = labels = [sum(bits[label] for label in factor.labels) for factor in factors]
        self.free = [bits.get(factor.free, 0) for factor in factors]
        self.repeats = [factor.repeats for factor in factors]
        self.ones = [factor.is_ones for factor in factors]
        self.given = [factor.is_given for factor in factors]
        kept = sum(bits[label] for label in {*output} if label in bits)
        before, after = [kept], [0]  # labels of the result and of what stands before, and of what stands after
        for mask, other in zip(labels, reversed(labels), strict=True):
            before.append(before[-1] | mask)
            after.append(after[-1] | other)
        #: The labels that a part keeps.
        self.within: dict[Part, int] = {}
        for i in range(self.count):
            inside = 0
            for j in range(i, self.count):
                inside |= labels[j]
                self.within[i, j] = inside & (before[i] | after[self.count - 1 - j])
        self.known: dict[frozenset[Part], tuple[dict[Part, int], dict[Part, int]]] = {}

    def size(self, mask: int) -> int:
        """The product of the sizes of labels."""
        if mask not in self.products:
            low = mask & -mask
            self.products[mask] = self.sizes[low.bit_length() - 1] * self.size(mask ^ low)
        return self.products[mask]

    def reduction(self, i: int) -> int:
        """The cost of summing a factor over what nothing else has."""
        if self.labels[i] == self.within[i, i] or self.free[i]:
            return 0
        return (self.size(self.labels[i]) * OPERATION + self.size(self.within[i, i])) * self.repeats[i]

    def step(self, i: int, k: int, j: int) -> int:
        """The cost of the product of the parts from i to k, and from k + 1 to j."""
        known = self.steps.get((i, k, j))
        if known is None:
            known = self.steps[i, k, j] = self._step(i, k, j)
        return known

    def _step(self, i: int, k: int, j: int) -> int:
        free = (self.free[i] if i == k else 0) | (self.free[j] if k + 1 == j else 0)
        is_sum = (i == k and self.ones[i]) or (k + 1 == j and self.ones[j])
        operations = self.size((self.within[i, k] | self.within[k + 1, j]) & ~free) * (1 if free or is_sum else 2)
        return (operations * OPERATION + self.size(self.within[i, j])) * max(self.repeats[i : j + 1])

    def is_at_end(self, split: int) -> bool:
        """Whether a split of the whole word leaves a given factor alone."""
        last = self.count - 1
        return (split == 0 and self.given[0]) or (split == last - 1 and self.given[last])

    def best(self, known: frozenset[Part] = frozenset()) -> tuple[dict[Part, int], dict[Part, int]]:
        """For each part, what the cheapest order costs, and after which factor it splits the part.

        Args:
            known: parts that have been computed already, and cost nothing in larger ones.
        """
        if known in self.known:
            return self.known[known]
        costs = {(i, i): self.reduction(i) for i in range(self.count)}
        used = {part: 0 if part in known else cost for part, cost in costs.items()}
        splits: dict[Part, int] = {}
        for length in range(1, self.count):
            for i in range(self.count - length):
                j = i + length
                best = split = -1
                for k in range(j - 1, i - 1, -1):
                    cost = used[i, k] + used[k + 1, j]
                    if best < 0 or cost <= best:
                        cost += self.step(i, k, j)
                        if (
                            best < 0
                            or cost < best
                            or (cost == best and length == self.count - 1 and self.is_at_end(k) > self.is_at_end(split))
                        ):
                            best, split = cost, k
                costs[i, j], splits[i, j] = best, split
                used[i, j] = 0 if (i, j) in known else best
        self.known[known] = costs, splits
        return costs, splits
