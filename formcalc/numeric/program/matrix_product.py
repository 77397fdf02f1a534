"""A product of two arrays with many axes as one product of matrices, batched over what both and the result have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from formcalc.numeric.program.values import Contract


@dataclass(frozen=True)
class Side:
    """One operand of a product of matrices.

    Attributes:
        place: which operand of the step it is.
        names: the labels of its axes as they lie in memory, those of `summed` gone.
        summed: the axes that only this operand has, and the result has not: they are summed first.
        groups: the labels of its rows, and those of its columns.
    """

    place: int
    names: tuple[str, ...]
    summed: tuple[int, ...]
    groups: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def is_view(self) -> bool:
        """Whether the array is a matrix as it lies in memory."""
        return is_view(self.names, self.groups)

    @property
    def is_turned(self) -> bool:
        """Whether a copy is to have the columns as its rows: what lies next to each other stays so, which is faster."""
        rows = self.groups[0]
        return not self.is_view and bool(rows) and rows[-1] == self.names[-1]


@dataclass(frozen=True)
class MatrixProduct:
    """Which axes are batches, rows, columns, and summed over.

    Attributes:
        batch: the labels that both operands and the result have.
        sides: the left and the right operand; if `is_outer`, nothing is summed over, and they are multiplied entry by
            entry.
        small: which side is smaller, and takes a scale.
    """

    batch: tuple[str, ...]
    sides: tuple[Side, Side]
    sizes: dict[str, int]
    is_outer: bool
    small: int

    @classmethod
    def of(cls, step: Contract) -> MatrixProduct:
        """The arrangement of a product of two arrays."""
        out = step.out.slots
        sizes = step.sizes()
        names = [[labels[slot] for slot in value.stored] for value, labels in step.operands]
        lone = []
        for k in (0, 1):
            lone.append(tuple(p for p, x in enumerate(names[k]) if x not in out and x not in names[1 - k]))
        names = [[x for p, x in enumerate(names[k]) if p not in lone[k]] for k in (0, 1)]
        first, second = (value for value, _ in step.operands)
        both = [x for x in names[0] if x in names[1]]
        batch = tuple(x for x in out if x in both)
        larger = names[0] if first.entries >= second.entries else names[1]
        inner = tuple(x for x in larger if x in both and x not in out)
        free = [x for x in out if x not in batch]
        order = (1, 0) if free and free[0] in names[1] else (0, 1)
        outer = [tuple(x for x in free if x in names[k]) for k in order]
        groups = ((outer[0], inner), (inner, outer[1]))
        left, right = (Side(k, tuple(names[k]), lone[k], pair) for k, pair in zip(order, groups, strict=True))
        small = min((0, 1), key=lambda k: math.prod(sizes[x] for x in (left, right)[k].names))
        return cls(batch, (left, right), sizes, not inner, small)

    @property
    def least(self) -> int:
        """The entries of the smaller side."""
        return math.prod(self.sizes[x] for x in self.sides[self.small].names)

    @property
    def result(self) -> tuple[str, ...]:
        """The labels of the product in the order in which it comes."""
        return (*self.batch, *self.sides[0].groups[0], *self.sides[1].groups[1])

    def count(self, labels: Sequence[str]) -> int:
        """The size of several labels as one axis."""
        return math.prod(self.sizes[label] for label in labels)

    def shape(self, groups: Sequence[Sequence[str]]) -> tuple[int, ...]:
        """The shape of a stack of matrices."""
        return (*(self.sizes[label] for label in self.batch), *map(self.count, groups))

    @property
    def is_grouped(self) -> bool:
        """Whether the result has several labels as its rows or its columns."""
        return len(self.sides[0].groups[0]) != 1 or len(self.sides[1].groups[1]) != 1


def is_view(names: Sequence[str], groups: Sequence[Sequence[str]]) -> bool:
    """Whether labels that become one axis lie next to each other in memory, in order.

    >>> is_view("BThk", ["BT", "hk"]), is_view("BThk", ["BT", "kh"]), is_view("BThk", ["B", "h", "T", "k"])
    (True, False, True)
    """
    place = {name: k for k, name in enumerate(names)}
    return all(place[b] == place[a] + 1 for group in groups for a, b in pairwise(group))
