"""What other orders would cost: every word multiplied from left to right, and reverse mode on the page as written.

Counted are the operations of matrix products, as in `Plan.product_flops`; what both would compute is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from formcalc.calculus import Form
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.lowering import Lowering
from formcalc.numeric.program.values import Contract, Loop, Section, Step, Value, made


def left_to_right(form: Form) -> int:
    """The operations of the page and its backward page, each word multiplied from left to right.

    >>> from formcalc.calculus import derive
    >>> from formcalc.models import load
    >>> page = "dims n = 100\\ndata Y: n×1   A, B: n×n\\nweights v: n×1\\nloss = trace(Y^t A B v)"
    >>> left_to_right(derive(load(page)))  # A B first, and for the coefficient Y^t A
    2060200
    """
    program = Lowering(form).run()
    return sum(
        section.repeats * sum(cost for cost, _, _ in _products(step))
        for section in program.sections
        for step in section.steps
    )


def reverse_mode(form: Form) -> int:
    """The operations of automatic differentiation: for a product A B of the page also those with the cotangent.

    The words of the page are multiplied from left to right. A factor that no weight goes into has no cotangent.
    """
    program = Lowering(form).run()
    weights = {value for letter, value in program.inputs.items() if letter.role == "weight"}
    return _reverse(program, weights)


def _reverse(program: Lowered, active: set[Value]) -> int:
    total = 0
    for section in program.sections[: program.forward]:
        if isinstance(section, Loop):
            # the first layer may start from data, which needs no cotangent
            first = _through(section, active)
            for state in section.states:
                if state.outgoing is not None and state.outgoing.value in active:
                    active |= {state.value, state.end}
            total += first + (section.repeats - 1) * _through(section, active)
            active |= {sum_ for sum_, view in section.sums if view.value in active}
        else:
            total += _through(section, active)
    return total


def _through(section: Section, active: set[Value]) -> int:
    """The operations of one section; `active` grows by what depends on weights."""
    if isinstance(section, Loop):
        active |= {state.value for state in section.states if state.start.value in active}
    total = 0
    for step in section.steps:
        for cost, left, right in _products(step):
            total += cost * (1 + (not left.isdisjoint(active)) + (not right.isdisjoint(active)))
        if any(value in active for value, _ in step.operands):
            active.update(made(step))
    return total


def _products(step: Step) -> Iterator[tuple[int, set[Value], set[Value]]]:
    """The products of a word from left to right: operations, and the factors on either side."""
    if not isinstance(step, Contract) or len(step.operands) < 2:
        return
    sizes = step.sizes()
    done, labels = {step.operands[0][0]}, {*step.operands[0][1].values()}
    is_array = step.operands[0][0].kind == "array"
    for place, (value, own) in enumerate(step.operands[1:], 2):
        both = labels | {*own.values()}
        cost = 2 * math.prod(sizes[label] for label in both) if is_array and value.kind == "array" else 0
        yield cost, done, {value}
        after = {label for _, other in step.operands[place:] for label in other.values()}
        labels, done, is_array = both & (after | {*step.out.slots}), done | {value}, True
