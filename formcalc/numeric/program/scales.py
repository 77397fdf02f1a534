"""Numbers and signs where they cost least: a value may be kept as a multiple of what it stands for.

Scores are ``k^{-1/2} q k^t``, and the same number stands in the gradients of both factors. Where ``q`` is kept as
``k^{-1/2} q``, and is made so with scaled weights, no array of the size of the scores or of ``q`` is multiplied by it.
Only engines that multiply by a number in a pass of its own gain by this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.matrix_product import MatrixProduct, is_view
from formcalc.numeric.program.values import Contract, Loop, Map, Section, Step, Value, View, made

#: What a pass costs beside its entries.
CALL = 1000


def place_numbers(program: Lowered, fresh: Callable[[str], str]) -> None:
    """Move the numbers of products and sums through a program, to where applying them costs least.

    Args:
        fresh: a name that is not taken, for a value that is kept as a multiple and had a name.
    """
    _Numbers(program).place(fresh)


class _Numbers:
    """The multiple of each value that is kept; values that are multiples together are told by one of them."""

    def __init__(self, program: Lowered) -> None:
        self.program = program
        self.first: dict[Value, Value] = {}
        self.steps: list[tuple[Step, int]] = []
        self.around: dict[Value, list[tuple[Step, int]]] = {}
        self.makers: dict[Value, Step] = {}
        self.prices: dict[Step, int] = {}
        self.multiples: dict[Value, Fraction] = {}
        for section in program.sections:
            for step in section.steps:
                self.steps.append((step, section.times(step)))
                self.makers |= dict.fromkeys(made(step), step)
                for value in _directions(step):
                    self.first[self.one(step.out)] = self.one(value)
        self.exact = {step: tuple(map(Fraction, _numbers(step))) for step, _ in self.steps}
        for entry in self.steps:
            for value in dict.fromkeys(map(self.one, (*made(entry[0]), *(v for v, _ in entry[0].operands)))):
                self.around.setdefault(value, []).append(entry)
        self.fixed = set(map(self.one, self.given()))
        #: What each step costs under the multiples that were chosen so far.
        self.costs = self.cost(self.steps)

    def one(self, value: Value) -> Value:
        while self.first.get(value, value) is not value:
            value = self.first[value]
        return value

    def given(self) -> Iterator[Value]:
        """The values that are kept as they are: what comes in and what goes out, and what operators act on."""
        program = self.program
        yield from (*program.inputs.values(), *program.constants.values())
        yield from (view.value for view in program.results)
        for section in program.sections:
            if isinstance(section, Loop):
                yield from (view.value for view in section.coefficients.values())
                for total, view in section.sums:
                    yield from (total, view.value)
                for state in section.states:
                    outgoing = () if state.outgoing is None else (state.outgoing.value,)
                    yield from (state.value, state.end, state.start.value, *outgoing)
        for step, _ in self.steps:
            known = {value for value, _ in step.operands if value in self.makers}
            if isinstance(step, Contract) or step.operation in ("sum", "product"):
                continue
            yield from known - _directions(step)
            yield from made(step)[1:] if _directions(step) else made(step)

    def of(self, value: Value) -> Fraction:
        return self.multiples.get(self.one(value), Fraction(1))

    def numbers(self, step: Step) -> tuple[Fraction, ...]:
        """The numbers of a step, given the multiples of what it reads and makes."""
        exact = self.exact[step]
        out, *own = [self.multiples.get(self.one(value)) for value in (step.out, *(v for v, _ in step.operands))]
        if not exact or (out is None and not any(own)):
            return exact
        if out is not None:
            exact = tuple(number * out for number in exact)
        if len(exact) == len(own):  # of a sum, or of one operand
            return tuple(number / one if one else number for number, one in zip(exact, own, strict=True))
        return (exact[0] / math.prod(one for one in own if one),)

    def cost(self, steps: Iterable[tuple[Step, int]]) -> dict[Step, int]:
        """By step, the entries that are multiplied by a number, in passes of their own."""
        return {step: times * self.passes(step) for step, times in steps}

    def passes(self, step: Step) -> int:
        numbers = self.numbers(step)
        if isinstance(step, Map) and step.operation == "sum" and len(numbers) > 1:
            found = 0
            for (value, _), number in zip(step.operands, numbers, strict=True):
                found += CALL + value.entries if abs(number) != 1 else 0
            return found + (CALL + step.out.entries if max(numbers) < 0 else 0)
        if not numbers or numbers[0] == 1:
            return 0
        if step not in self.prices:
            self.prices[step] = _price(step)
        return self.prices[step]

    def place(self, fresh: Callable[[str], str]) -> None:
        is_better = True
        while is_better:
            is_better = False
            for step, _ in self.steps:
                for move in [*self.moves(step)]:
                    kept = self.multiples
                    self.multiples = kept | {value: self.of(value) * number for value, number in move.items()}
                    found = self.cost(dict.fromkeys(entry for value in move for entry in self.around[value]))
                    if sum(found.values()) < sum([self.costs[other] for other in found]):
                        self.costs |= found
                        is_better = True
                        break
                    self.multiples = kept
        self.write(fresh)

    def moves(self, step: Step) -> Iterator[dict[Value, Fraction]]:
        """Multiples that would take the number of a step into what it reads or makes."""
        if not self.costs[step]:
            return
        numbers = self.numbers(step)
        wanted = [(value, numbers[place % len(numbers)]) for place, (value, _) in enumerate(step.operands)]
        for value, factor in [*wanted, (step.out, 1 / numbers[0] if numbers[0] else numbers[0])]:
            one = self.one(value)
            if one not in self.fixed and factor not in (0, 1):
                yield {one: factor}
                yield self.spread(one, factor, step)
                yield {one: factor, **dict.fromkeys(self.partners(one, step), 1 / factor)}

    def partners(self, value: Value, step: Step) -> Iterator[Value]:
        """What a value is multiplied with in other products, which the inverse of its multiple leaves as they are."""
        for other, _ in self.around[value]:
            if other is not step and isinstance(other, Contract) and self.one(other.out) is not value:
                factors = [self.one(factor) for factor, _ in other.operands]
                yield from (factor for factor in factors if factor is not value and factor not in self.fixed)

    def spread(self, start: Value, factor: Fraction, step: Step) -> dict[Value, Fraction]:
        """The multiple of a value, and of what is made of it alone, or is added up to it, as far as they go."""
        found = {start: factor}
        stack = [start]
        while stack:
            value = stack.pop()
            for other, _ in self.around[value]:
                if other is step or not (isinstance(other, Contract) or other.operation in ("sum", "product")):
                    continue
                is_sum = isinstance(other, Map) and other.operation == "sum"
                if self.one(other.out) is not value:
                    following = [] if is_sum or any(n != 1 for n in self.numbers(other)) else [other.out]
                else:
                    following = [v for v, _ in other.operands if len(self.around[self.one(v)]) == 2] if is_sum else []
                for one in map(self.one, following):
                    if one not in found and one not in self.fixed:
                        found[one] = factor
                        stack.append(one)
        return found

    def write(self, fresh: Callable[[str], str]) -> None:
        """Put the numbers into the steps; leave out those that do nothing more."""
        numbers = {step: self.numbers(step) for step, _ in self.steps}
        for section in self.program.sections:
            for step in section.steps:
                found = tuple(map(float, numbers[step]))
                if isinstance(step, Contract):
                    step.scale = found[0]
                elif step.operation in ("sum", "product"):
                    step.numbers = found
        for value in self.makers:
            number = self.of(value)
            if number != 1 and value.source:
                value.name = fresh(f"{'minus' if number == -1 else 'scaled'}_{value.name}")
                value.source = f"{float(number)!r} times {value.source}"
        self.leave_out()

    def leave_out(self) -> None:
        """Products of one value with 1, before or after layers, are that value."""
        others: dict[Value, Value] = {}
        for section in self.program.sections:
            for step in [*section.steps] if not isinstance(section, Loop) else ():
                if not isinstance(step, Map) or step.operation != "product" or len(step.operands) > 1:
                    continue
                [(value, labels)] = step.operands
                is_same = value.slots == step.out.slots == tuple(labels[slot] for slot in value.slots)
                if step.numbers == (1.0,) and is_same and value in self.makers:
                    section.steps.remove(step)
                    others[step.out] = others.get(value, value)
        _replace(self.program, others)


def _numbers(step: Step) -> tuple[float, ...]:
    """The numbers that may be elsewhere: of a product, and of the terms of a sum."""
    if isinstance(step, Contract):
        return (step.scale,)
    return step.numbers if step.operation in ("sum", "product") else ()


def _directions(step: Step) -> set[Value]:
    """What a map is linear in, so that it makes a multiple of a multiple; row sums for softmax are among it."""
    if isinstance(step, Map) and (step.operation.endswith("'") or step.operation in ("dense", "broadcast")):
        first = {"softmax'": 1, "norm'": 2, "rms'": 2}.get(step.operation, len(step.operands) - 1)
        found = {value for value, _ in step.operands[first:]}
        return found - {value for value, _ in step.operands[:first]}
    return set()


def _price(step: Step) -> int:
    """The entries of the pass in which a step applies a number: of the result, or of a smaller operand."""
    out = CALL + step.out.entries
    if isinstance(step, Map):
        small = [value.entries for value, _ in step.operands if 2 * value.entries <= step.out.entries]
        return min([*small, out])
    if len(step.operands) < 2 or any(value.kind != "array" for value, _ in step.operands):
        return out
    product = MatrixProduct.of(step)
    side = product.sides[product.small]
    value = step.operands[side.place][0]
    if product.is_outer or value.entries >= step.out.entries:
        return out
    # an operand that is copied in another order is scaled on the way
    return CALL + value.entries if is_view(side.names, side.groups) else 1


def _replace(program: Lowered, others: dict[Value, Value]) -> None:
    """Put values in the place of others with the same slots."""

    def view(found: View) -> View:
        return View(others.get(found.value, found.value), found.roles)

    def section(found: Section) -> None:
        for step in found.steps:
            step.operands = tuple((others.get(value, value), labels) for value, labels in step.operands)
        if isinstance(found, Loop):
            for state in found.states:
                state.start = view(state.start)

    for found in program.sections if others else ():
        section(found)
    program.coefficients = {letter: view(found) for letter, found in program.coefficients.items()}
    program.letters = {letter: view(found) for letter, found in program.letters.items()}
