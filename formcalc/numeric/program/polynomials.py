"""What a program computes by products and sums alone, as polynomials in its other values.

A value that is a word is inlined wherever it is multiplied: whether it is computed by itself is decided with the order
of multiplication. A sum is inlined where products are to distribute over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.values import Contract, Labelled, Loop, Map, Step, Value
from formcalc.numeric.program.words import Monomial, Names, Placed

#: Words that would have more factors keep some of them as values that are computed.
MAX_FACTORS = 12

#: Definitions inside of each other are inlined to this depth.
MAX_DEPTH = 12

#: Sums that would have more terms are not multiplied out.
MAX_TERMS = 32


@dataclass(eq=False)
class Linear:
    """A value that is a sum of words: the labels of its slots, and its terms."""

    value: Value
    labels: tuple[int, ...]
    terms: list[Monomial]


class Polynomials:
    """The linear values of a program, and what else needs them.

    Attributes:
        linears: in the order of the program.
        needed: values that must be computed, as they are used otherwise than in products and sums.
        optional: row sums that softmax can take itself, with the step that would use them.
    """

    def __init__(self, program: Lowered, names: Names) -> None:
        self.names = names
        self.linears: dict[Value, Linear] = {}
        self.needed: set[Value] = set()
        self.optional: dict[Value, Map] = {}
        for section in program.sections:
            for step in section.steps:
                self.read(step)
            if isinstance(section, Loop):
                self.needed.update(view.value for view in section.coefficients.values())
                self.needed.update(view.value for _, view in section.sums)
                for state in section.states:
                    self.needed.add(state.start.value)
                    self.needed.update([state.outgoing.value] if state.outgoing is not None else [])
        self.needed.update(view.value for view in program.results)
        #: Words are inlined where they are multiplied or added; so are sums that are a term of one other sum alone.
        self.inlined: set[Value] = set()
        self.uses = Counter(v for x in self.linears.values() for term in x.terms for v, _ in term.factors)
        self.terms = {
            term.factors[0][0]
            for x in self.linears.values()
            for term in x.terms
            if len(x.terms) > 1 and len(term.factors) == 1
        }
        self.lengths: dict[Value, int] = {}
        self.depths: dict[Value, int] = {}
        for linear in self.linears.values():
            self.measure(linear)

    def read(self, step: Step) -> None:
        if isinstance(step, Contract):
            self.linears[step.out] = self.linear(step, [(step.scale, step.operands)])
        elif step.operation == "sum" and not step.more:
            terms = [(number, (operand,)) for number, operand in zip(step.numbers, step.operands, strict=True)]
            self.linears[step.out] = self.linear(step, terms)
        elif step.operation == "product" and len(step.operands) == 1 and step.operands[0][0].kind == "array":
            self.linears[step.out] = self.linear(step, [(step.numbers[0], step.operands)])
        else:
            operands = step.operands
            if step.operation == "softmax'" and len(operands) == 3:
                self.optional[operands[2][0]] = step
                operands = operands[:2]
            self.needed.update(value for value, _ in operands)

    def linear(self, step: Step, terms: Sequence[tuple[float, Sequence[Labelled]]]) -> Linear:
        numbers: dict[str, int] = {}
        for _, operands in terms:
            for value, labels in operands:
                for slot, label in labels.items():
                    if label not in numbers:
                        axis = "" if label.isdigit() or label in ("row", "col") else label
                        numbers[label] = self.names.label(value.sizes[slot], axis)
        placed = [
            Monomial(scale, tuple((value, tuple(numbers[labels[slot]] for slot in value.slots)) for value, labels in x))
            for scale, x in terms
        ]
        return Linear(step.out, tuple(numbers[slot] for slot in step.out.slots), placed)

    def measure(self, linear: Linear) -> None:
        """Whether a value is inlined; words that would become too long keep factors that are computed."""
        for term in linear.terms:
            while sum(self.lengths[v] for v, _ in term.factors if v in self.inlined) > MAX_FACTORS:
                self.inlined.discard(max((v for v, _ in term.factors), key=lambda v: self.lengths.get(v, 0)))
        value, factors = linear.value, [v for term in linear.terms for v, _ in term.factors]
        depth = 1 + max((self.depths[v] for v in factors if v in self.inlined), default=0)
        is_term = value in self.terms and self.uses[value] == 1 and value not in self.needed
        if depth <= MAX_DEPTH and (len(linear.terms) == 1 or is_term):
            self.inlined.add(value)
            self.depths[value] = depth
            self.lengths[value] = sum(self.lengths[v] if v in self.inlined else 1 for v in factors)

    def polynomial(self, value: Value, distributed: Collection[Value]) -> list[Monomial]:
        """A value as a sum of words, in values that are computed."""
        linear = self.linears[value]
        return [self.closed(monomial, linear) for monomial in self.instances(linear, linear.labels, distributed)]

    def closed(self, monomial: Monomial, linear: Linear) -> Monomial:
        """A monomial that counts how often it is added up over what none of its factors has."""
        present = {label for _, labels in monomial.factors for label in labels}
        scale = monomial.scale
        for label in monomial.summed - present - {*linear.labels}:
            scale *= self.names.sizes[label]
        return Monomial(scale, monomial.factors)

    def instances(self, linear: Linear, labels: Sequence[int], distributed: Collection[Value]) -> Iterator[Monomial]:
        """The terms of a linear value, with other labels for its slots."""
        for term in linear.terms:
            renamed = dict(zip(linear.labels, labels, strict=True))
            factors = [
                (v, tuple(renamed[x] if x in renamed else self.fresh(renamed, x) for x in own))
                for v, own in term.factors
            ]
            present = {label for _, own in factors for label in own}
            products = [Monomial(term.scale, (), frozenset({*labels} - present))]
            for factor, after in zip_longest(factors, factors[1:]):
                options = list(self.options(factor, distributed))
                if len(products) * len(options) > MAX_TERMS:
                    options = [Monomial(1.0, (factor,))]
                products = [self.joined(product, option, after) for product in products for option in options]
            yield from products

    def fresh(self, renamed: dict[int, int], label: int) -> int:
        renamed[label] = self.names.again(label)
        return renamed[label]

    def options(self, factor: Placed, distributed: Collection[Value]) -> Iterator[Monomial]:
        """The terms to put in the place of a factor: itself, unless it is inlined."""
        value, labels = factor
        if value in self.inlined or value in distributed:
            yield from self.instances(self.linears[value], labels, distributed)
        else:
            yield Monomial(1.0, (factor,))

    def joined(self, before: Monomial, option: Monomial, after: Placed | None) -> Monomial:
        """A product with further factors, in the direction in which they are neighbours of what stands beside them."""
        factors = option.factors
        if len(factors) > 1:
            left = self.places(before.factors[-1]) if before.factors else frozenset[int]()
            right = self.places(after) if after is not None else frozenset[int]()
            first, last = self.places(factors[0]), self.places(factors[-1])
            if len(last & left) + len(first & right) > len(first & left) + len(last & right):
                factors = factors[::-1]
        return Monomial(before.scale * option.scale, (*before.factors, *factors), before.summed | option.summed)

    def places(self, factor: Placed) -> frozenset[int]:
        """The labels of a factor that are no axes."""
        return frozenset(label for label in factor[1] if not self.names.axes[label])
