"""The cheapest way to compute a program: which sums to multiply out, what to factor, which products to share.

The choices meet in one number, the cost of the whole program, forward and backward. They are made one at a time, as
long as the cost falls; for each, the order of multiplication and the products that words share are found anew where
they change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from formcalc.numeric.program.factoring import Group, groups
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.ordering import OPERATION
from formcalc.numeric.program.polynomials import Linear, Polynomials
from formcalc.numeric.program.sharing import Sharing
from formcalc.numeric.program.values import Value
from formcalc.numeric.program.words import Names, Placed, Word

#: More choices than this are not tried.
MAX_CHOICES = 64


@dataclass
class Outline:
    """The values to compute, each as a sum of words; and what these share.

    Attributes:
        left_out: words that are better not computed.
    """

    words: dict[Value, list[Word]]
    cost: int = 0
    shared: frozenset[int] = frozenset()
    left_out: list[Word] = field(default_factory=list)


@dataclass(frozen=True)
class Choices:
    """The sums to multiply out, and the factors to take out of sums, by their keys."""

    distributed: frozenset[Value] = frozenset()
    factored: frozenset[tuple] = frozenset()

    def other(self, choice: Value | tuple) -> Choices:
        """The same choices but one."""
        if isinstance(choice, Value):
            return Choices(self.distributed ^ {choice}, self.factored)
        return Choices(self.distributed, self.factored ^ {choice})


class Planner:
    """The search for the cheapest outline of a program.

    Args:
        repeats: how often a value changes in one run.
    """

    def __init__(self, program: Lowered, repeats: Callable[[Value], int]) -> None:
        self.repeats = dict[Value, int]()
        given = {*program.inputs.values(), *program.constants.values()}
        given |= {state.value for loop in program.loops for state in loop.states}
        self.names = Names(lambda value: self.repeats.get(value) or repeats(value), given)
        self.polynomials = Polynomials(program, self.names)
        self.expanded: dict[tuple[Value, frozenset[Value]], list[Word]] = {}
        self.common: dict[tuple[Value, frozenset[Value]], list[Group]] = {}
        self.sums: dict[tuple, Value] = {}
        self.taken_out: dict[tuple[Value, frozenset[Value], frozenset[tuple]], list[Word]] = {}
        self.reach: dict[Value, frozenset[Value]] = {}
        for linear in self.polynomials.linears.values():
            self.reached(linear)
        #: What the words compute that the program names, in the order in which they are met.
        self.written: set[int] = set()
        #: The words that the program names, in its order.
        self.named = self.named_words()
        self.sharing = Sharing(self.written)

    def named_words(self) -> dict[Value, Word]:
        nothing = frozenset[Value]()
        found = {}
        for value, linear in self.polynomials.linears.items():
            if value in self.polynomials.inlined and len(linear.terms) == 1:
                words = self.words(value, nothing)
                if len(words) == 1 and not words[0].is_trivial:
                    found[value] = words[0]
                    self.written.add(words[0].keys[words[0].whole])
        return found

    def reached(self, linear: Linear) -> None:
        """The sums that may be met when a value is expanded."""
        found: set[Value] = set()
        for term in linear.terms:
            for value, _ in term.factors:
                other = self.polynomials.linears.get(value)
                if other is not None and (value in self.polynomials.inlined or len(other.terms) > 1):
                    found |= self.reach.get(value, frozenset())
                    if value not in self.polynomials.inlined:
                        found.add(value)
        self.reach[linear.value] = frozenset(found)

    def words(self, value: Value, distributed: frozenset[Value]) -> list[Word]:
        """A value as a sum of words."""
        inside = distributed & self.reach[value]
        if (value, inside) not in self.expanded:
            output = self.polynomials.linears[value].labels
            self.expanded[value, inside] = [
                self.word(Word(self.names, monomial.factors, output, monomial.scale))
                for monomial in self.polynomials.polynomial(value, inside)
            ]
        return self.expanded[value, inside]

    def word(self, word: Word) -> Word:
        """A word, with its sums where products stand between them that the program names."""
        other = word.summing_later()
        if other is not None and self.written.intersection(other.keys.values()).difference(word.keys.values()):
            return other
        return word

    def groups(self, value: Value, distributed: frozenset[Value]) -> list[Group]:
        """The common factors of the terms of a value."""
        inside = distributed & self.reach[value]
        if (value, inside) not in self.common:
            words = self.words(value, inside)
            self.common[value, inside] = groups(words, self.names) if len(words) > 1 else []
        return self.common[value, inside]

    def factored(self, value: Value, choices: Choices) -> list[Word]:
        """A value as a sum of words, with the common factors taken out that are chosen."""
        words = self.words(value, choices.distributed)
        chosen = [group for group in self.groups(value, choices.distributed) if group.key in choices.factored]
        if not chosen:
            return words
        place = (value, choices.distributed & self.reach[value], frozenset(group.key for group in chosen))
        if place not in self.taken_out:
            left: list[Word | None] = list(words)
            for group in chosen:
                if all(left[member] is not None for member in group.members):
                    for member in group.members:
                        left[member] = None
                    left.append(self.product(group, words[0].output))
            self.taken_out[place] = [word for word in left if word is not None]
        return self.taken_out[place]

    def product(self, group: Group, output: Collection[int]) -> Word:
        """The common factors of a group times the sum of the rests."""
        inside: Placed = (self.sum(group), group.labels)
        return Word(self.names, (*group.before, inside, *group.after), output, group.scale)

    def sum(self, group: Group) -> Value:
        """The value that is the sum of the rests of a group."""
        if group.key not in self.sums:
            sizes = {f"s{k}": self.names.sizes[label] for k, label in enumerate(group.labels)}
            value = self.sums[group.key] = Value("", tuple(sizes), sizes)
            factors = [factor for rest in group.rests for factor in rest.factors]
            self.repeats[value] = max(self.names.repeats(v) for v, _ in factors)
            linear = self.polynomials.linears[value] = Linear(value, group.labels, group.rests)
            self.reached(linear)
        return self.sums[group.key]

    def outline(self, choices: Choices) -> Outline:
        """All values to compute under some choices, and what they cost."""
        polynomials = self.polynomials
        found: dict[Value, list[Word]] = {}
        stack = [value for value in reversed([*polynomials.linears]) if value in polynomials.needed]
        stack += polynomials.optional
        while stack:
            value = stack.pop()
            if value not in found and value in polynomials.linears:
                found[value] = self.factored(value, choices)
                stack += [v for word in found[value] for v, _ in word.given]
        cost = 0
        for value, step in polynomials.optional.items():
            limit = 2 * step.out.entries * OPERATION * self.names.repeats(step.out)
            if len(found[value]) == 1:
                self.sharing.limits[found[value][0]] = limit
            else:
                del found[value]
                cost += limit
        cost += sum(map(self.passes, found, found.values()))
        products = [word for words in found.values() for word in words if not word.is_trivial]
        together, shared, left_out = self.sharing.best(products)
        return Outline(found, cost + together, shared, left_out)

    def passes(self, value: Value, words: list[Word]) -> int:
        """The cost of adding up words."""
        if len(words) == 1 and (not words[0].is_trivial or words[0].scale == 1):
            return 0
        return (len(words) * OPERATION + 1) * value.entries * self.names.repeats(value)

    def alternatives(self, outline: Outline, choices: Choices) -> Iterator[Value | tuple]:
        """Choices that could make an outline cheaper."""
        sums = {
            v for words in outline.words.values() for word in words if len(word.factors) > 1 for v, _ in word.factors
        }
        for value in self.polynomials.linears:
            is_kept = value in sums and value not in self.polynomials.needed
            if is_kept and len(outline.words.get(value, [])) > 1 and self.is_narrow(value, outline):
                yield value
        seen: set[tuple] = set()
        for value in outline.words:
            for group in self.groups(value, choices.distributed):
                if group.key not in seen:
                    seen.add(group.key)
                    yield group.key

    def is_narrow(self, value: Value, outline: Outline) -> bool:
        """Whether some term of a sum is better multiplied with what the sum is multiplied with, than by itself."""
        return any(not word.is_trivial for word in outline.words[value])

    def best(self) -> Outline:
        """The cheapest outline that is found."""
        choices = Choices()
        best = self.outline(choices)
        is_better = True
        while is_better:
            is_better = False
            for choice in [*self.alternatives(best, choices)][:MAX_CHOICES]:
                other = choices.other(choice)
                found = self.outline(other)
                if found.cost < best.cost:
                    choices, best, is_better = other, found, True
        return best
