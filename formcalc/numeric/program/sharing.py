"""The search for products that words share: those which are computed for one word cost nothing in another.

Given which products are shared, every word takes its own cheapest order, and what the whole costs is counted: each
product once. Products are taken in and left out, one or two at a time, as long as the whole becomes cheaper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from formcalc.numeric.program.ordering import Part
from formcalc.numeric.program.words import Word

#: How many costs are counted for words that share products, in one search for two at a time.
MAX_PAIRS = 400

#: The products that a word needs, those of a part before the others: the number of what each computes, its cost, and
#: how many of the products that follow are its own parts.
Tree = list[tuple[int, int, int]]


class Sharing:
    """Searches, remembered for words that have been met together before.

    Attributes:
        written: products that the page names; they are shared to begin with.
        limits: words that need not be computed, at a cost that is known.
    """

    def __init__(self, written: Collection[int]) -> None:
        self.written = frozenset(written)
        self.limits: dict[Word, int] = {}
        self.found: dict[tuple[Word, ...], tuple[int, frozenset[int], list[Word]]] = {}

    def best(self, words: Sequence[Word]) -> tuple[int, frozenset[int], list[Word]]:
        """The cost of all words together, the products that they share, and the words that are better not computed."""
        total, shared, left_out = 0, set[int](), list[Word]()
        for group in components(words):
            if group not in self.found:
                self.found[group] = Related(group, self.limits).best(self.written)
            cost, keys, words_left = self.found[group]
            total += cost
            shared |= keys
            left_out += words_left
        return total, frozenset(shared), left_out


class Related:
    """Words that have products in common. Sets of products are bits of a number."""

    def __init__(self, words: Sequence[Word], limits: Mapping[Word, int]) -> None:
        self.words = [word for word in words if word not in limits]
        self.optional = [(word, limits[word]) for word in words if word in limits]
        counts = Counter(key for word in words for key in word.keys.values())
        results = {word.keys[word.whole] for word in self.words}
        self.bits = {key: 1 << place for place, key in enumerate(k for k in counts if counts[k] > 1 or k in results)}
        self.results = sum(self.bits[key] for key in results)
        self.masks = {word: sum({self.bits.get(key, 0) for key in word.keys.values()}) for word in words}
        #: By word, its trees; by which of its products are shared.
        self.trees: dict[Word, dict[int, Tree]] = {word: {} for word in words}
        self.costs: dict[int, int] = {}

    def best(self, written: frozenset[int]) -> tuple[int, frozenset[int], list[Word]]:
        """The cheapest set of shared products that is found, its cost, and the words to leave out."""
        free = [bit for bit in self.bits.values() if not bit & self.results]
        if free:
            named = sum(bit for key, bit in self.bits.items() if key in written) | self.results
            starts = dict.fromkeys([named, self.in_turn(named), self.results, self.in_turn(self.results)])
            cost, shared = min((self.descent(start, free) for start in starts), key=lambda found: found[0])
            shared = self.few(*self.in_pairs(cost, shared, free), free)
        else:
            shared = self.results
        cost = self.cost(shared)
        return cost, frozenset(k for k, bit in self.bits.items() if bit & shared), self.counted(shared)[1]

    def in_turn(self, shared: int) -> int:
        """Each word in its cheapest order, given what the words before it have computed."""
        for word in self.words:
            for key, _, _ in self.tree(word, shared):
                shared |= self.bits.get(key, 0)
        return shared

    def descent(self, shared: int, free: list[int]) -> tuple[int, int]:
        """Products are taken in and left out, one at a time, while that pays."""
        cost, since, place = self.cost(shared), 0, 0
        while since < len(free):
            other = shared ^ free[place]
            found = self.cost(other)
            since += 1
            if found < cost:
                cost, shared, since = found, other, 0
            place = (place + 1) % len(free)
        return cost, shared

    def in_pairs(self, cost: int, shared: int, free: list[int]) -> tuple[int, int]:
        """Two at a time."""
        if len(free) ** 2 > 2 * MAX_PAIRS:
            return cost, shared
        for one, two in combinations(free, 2):
            found = self.cost(shared ^ one ^ two)
            if found < cost:
                return self.in_pairs(*self.descent(shared ^ one ^ two, free), free)
        return cost, shared

    def few(self, cost: int, shared: int, free: list[int]) -> int:
        """Products whose sharing spares nothing are not shared, since what is shared has to be kept."""
        for bit in free:
            if bit & shared and self.cost(shared ^ bit) == cost:
                shared ^= bit
        return shared

    def cost(self, shared: int) -> int:
        """What the words cost together."""
        if shared not in self.costs:
            self.costs[shared] = self.counted(shared)[0]
        return self.costs[shared]

    def counted(self, shared: int) -> tuple[int, list[Word]]:
        """What the words cost together, and which of them are better not computed."""
        done: set[int] = set()
        total = 0
        for word in self.words:
            total += _count(self.tree(word, shared), done)
        left_out = []
        for word, limit in self.optional:
            own = set(done)
            cost = _count(self.tree(word, shared), own)
            if cost < limit:
                done = own
            else:
                left_out.append(word)
            total += min(cost, limit)
        return total, left_out

    def tree(self, word: Word, shared: int) -> Tree:
        """The products that a word needs, given which are computed anyway."""
        trees, place = self.trees[word], shared & self.masks[word]
        if place not in trees:
            known = frozenset([part for part, key in word.keys.items() if self.bits.get(key, 0) & place])
            found = trees[place] = Tree()
            _grow(word, word.orders.best(known)[1], word.whole, found)
        return trees[place]


def _grow(word: Word, splits: Mapping[Part, int], part: Part, found: Tree) -> None:
    """Put the products of a part into a tree."""
    key = word.keys.get(part)
    if key is None:
        return
    i, j = part
    place = len(found)
    found.append((key, 0, 0))
    if i == j:
        cost = word.orders.reduction(i)
    else:
        k = splits[part]
        cost = word.orders.step(i, k, j)
        _grow(word, splits, (i, k), found)
        _grow(word, splits, (k + 1, j), found)
    found[place] = key, cost, len(found)


def _count(tree: Tree, done: set[int]) -> int:
    """The cost of the products of a tree that are not done; they are done then."""
    place = total = 0
    end = len(tree)
    while place < end:
        key, cost, following = tree[place]
        if key in done:
            place = following
        else:
            done.add(key)
            total += cost
            place += 1
    return total


def components(words: Iterable[Word]) -> Iterator[tuple[Word, ...]]:
    """Words in groups, so that no product stands in two of them."""
    groups: dict[int, list[Word]] = {}
    owner: dict[int, int] = {}
    for number, word in enumerate(words):
        together = sorted({owner[key] for key in word.keys.values() if key in owner})
        first = together[0] if together else number
        group = groups.setdefault(first, [])
        for other in together[1:]:
            group += groups.pop(other)
        group.append(word)
        for member in group if together[1:] else [word]:
            owner.update(dict.fromkeys(member.keys.values(), first))
    return (tuple(group) for group in groups.values())
