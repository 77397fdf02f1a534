"""Words of a program as the planner sees them: factors with labels, and the same number for what computes the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias

from formcalc.numeric.program.ordering import Factor, Orders, Part
from formcalc.numeric.program.values import Value

#: A value, and the label of each of its slots, in their order.
Placed: TypeAlias = tuple[Value, tuple[int, ...]]


class Monomial(NamedTuple):
    """A number times factors; and labels that were summed over, which no factor needs to have."""

    scale: float
    factors: tuple[Placed, ...]
    summed: frozenset[int] = frozenset()


class Names:
    """Numbers for labels, for values, and for products: equal where the same is computed.

    Attributes:
        sizes: of labels.
        axes: of labels: the axis, or nothing for a place between two factors.
        repeats: how often a value changes in one run.
        given: the values that are there in any case: weights, data, and what layers hand on.
    """

    def __init__(self, repeats: Callable[[Value], int], given: Collection[Value] = frozenset()) -> None:
        self.given = given
        self.sizes: list[int] = []
        self.axes: list[str] = []
        self.repeats = repeats
        self.values: dict[Value, int] = {}
        self.keys: dict[tuple, int] = {}

    def label(self, size: int, axis: str = "") -> int:
        self.sizes.append(size)
        self.axes.append(axis)
        return len(self.sizes) - 1

    def again(self, label: int) -> int:
        """A new label like another one."""
        return self.label(self.sizes[label], self.axes[label])

    def value(self, value: Value) -> int:
        return self.values.setdefault(value, len(self.values))

    def key(self, pattern: tuple) -> int:
        return self.keys.setdefault(pattern, len(self.keys))


#: What a factor is multiplied with to be summed over labels that nothing else has.
ONES = Value("1", (), {})


def with_ones(factors: Sequence[Placed], output: Collection[int], later: Collection[int] = ()) -> tuple[Placed, ...]:
    """Factors with ones beside those that have labels of their own: it is left open when they are summed over.

    Args:
        later: labels of several factors that are summed over with those of one of them.
    """
    counts = Counter(label for _, labels in factors for label in labels)
    found: list[Placed] = []
    for value, labels in factors:
        lone = tuple(x for x in labels if counts[x] == 1 and x not in output)
        if lone:
            lone += tuple(x for x in labels if x in later)
        if not lone or len(set(labels)) < len(labels):
            found.append((value, labels))
        else:
            found += [(value, labels), (ONES, lone)] if found else [(ONES, lone), (value, labels)]
    return tuple(found)


class Word:
    """Factors to multiply, and the labels of what comes out.

    Attributes:
        given: the factors as they are written; `factors` has ones between them.
        keys: of each part that has to be computed, the number of what it computes.
    """

    def __init__(
        self,
        names: Names,
        factors: Sequence[Placed],
        output: Collection[int],
        scale: float,
        later: Collection[int] = (),
    ) -> None:
        self.names = names
        self.given = tuple(factors)
        self.output = frozenset(output)
        self.scale = scale
        self.factors = with_ones(self.given, self.output, later)
        described = [
            Factor(
                frozenset(labels),
                labels[v.slots.index("col")] if v.kind == "ids" else None,
                1 if v is ONES else names.repeats(v),
                v is ONES,
                v in names.given,
            )
            for v, labels in self.factors
        ]
        self.orders = Orders(described, self.output, names.sizes)
        self.numbered = [
            (-2 - len(labels) if value is ONES else names.value(value), labels) for value, labels in self.factors
        ]
        self.keys: dict[Part, int] = {}
        for (i, j), kept in self.orders.within.items():
            if i < j or self.is_reduced(i):
                self.keys[i, j] = names.key(self.pattern((i, j), kept)[0])

    def summing_later(self) -> Word | None:
        """The same word, where it has sums over places, with its sums over axes together with these, if it has any.

        ``Σ_B C^t G[B] k[B]`` is then ``C^t`` with ``B`` times ``G[B] k[B]``, and not ``C^t`` times ``Σ_B G[B] k[B]``.
        """
        if len(self.factors) == len(self.given) or len(self.given) == 1:
            return None
        axes = {x for _, labels in self.given for x in labels if self.names.axes[x]} - self.output
        return Word(self.names, self.given, self.output, self.scale, axes) if axes else None

    @property
    def whole(self) -> Part:
        return 0, len(self.factors) - 1

    @property
    def is_trivial(self) -> bool:
        """Whether it is one value, and nothing is summed over."""
        return self.whole not in self.keys

    def is_reduced(self, place: int) -> bool:
        """Whether a factor has two equal labels: its diagonal is taken before it is multiplied."""
        return self.orders.within[place, place].bit_count() < len(self.factors[place][1])

    def is_ones(self, part: Part) -> bool:
        """Whether a part is nothing but ones."""
        return part[0] == part[1] and self.factors[part[0]][0] is ONES

    def kept(self, part: Part) -> list[int]:
        """The labels that a part keeps."""
        mask, bits = self.orders.within[part], self.orders.bits
        return [label for label in bits if bits[label] & mask]

    def normal(self, part: Part) -> dict[int, int]:
        """Numbers for the labels of a part, the same wherever it stands, in either direction."""
        return self.pattern(part, self.orders.within[part])[1]

    def pattern(self, part: Part, kept: int) -> tuple[tuple, dict[int, int]]:
        factors = self.numbered[part[0] : part[1] + 1]
        first, last = factors[0][0], factors[-1][0]
        if first != last:  # the numbers of the factors tell the direction
            return self.one_way(factors if first < last else factors[::-1], kept)
        forth, back = self.one_way(factors, kept), self.one_way(factors[::-1], kept)
        return forth if forth[0] <= back[0] else back

    def one_way(self, factors: Sequence[tuple[int, tuple[int, ...]]], kept: int) -> tuple[tuple, dict[int, int]]:
        normal: dict[int, int] = {}
        shape: list[int] = []
        for number, labels in factors:
            shape.append(number)
            shape += [normal.setdefault(label, len(normal)) for label in labels]
        bits = self.orders.bits
        shape.append(-1 - sum([1 << place for label, place in normal.items() if bits[label] & kept]))
        return tuple(shape), normal
