"""Computing again in the backward pass what the forward pass would have to keep for it, layer by layer.

What is dropped first costs the fewest operations for the bytes that it frees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from formcalc.numeric.program.lowering import Lowered
from formcalc.numeric.program.pruning import keep_for_later, prune
from formcalc.numeric.program.values import Accumulated, Loop, Map, Section, Step, Value, made

AnyStep = TypeVar("AnyStep", bound=Step)


def rounds(program: Lowered) -> int:
    """How many values `recomputing` can drop at most."""
    return sum(len(_kept(forward, backward)) for forward, backward in _pairs(program))


def recomputing(program: Lowered, count: int) -> int:
    """Drop the values that are cheapest to compute again; change the program, and return the operations it costs.

    Args:
        count: how many values of a layer are dropped.
    """
    homes = {value: section for section in program.sections for step in section.steps for value in made(step)}
    homes |= {state.value: loop for loop in program.loops for state in loop.states}
    homes |= {value: loop for loop in program.loops for value in loop.inputs}
    written: list[tuple[Loop, Step]] = []
    for forward, backward in _pairs(program):
        dropped: set[Value] = set()
        for _ in range(min(count, len(_kept(forward, backward)))):
            left = [value for value in _kept(forward, backward) if value not in dropped]
            dropped.add(min(left, key=lambda value: _price(forward, backward, dropped | {value}, value)))
        count -= len(dropped)
        copies = _write_again(backward, _steps(forward, backward, dropped), homes)
        written += ((backward, step) for step in copies)
    keep_for_later(program.sections, homes)
    prune(program.sections, program.results)
    return sum(loop.times(step) * step.flops for loop, step in written if step in loop.steps)


def _pairs(program: Lowered) -> Iterator[tuple[Loop, Loop]]:
    """Loops of the forward pass with those that read what they keep."""
    loops = program.loops
    for place, forward in enumerate(loops):
        for backward in loops[place + 1 :]:
            if _kept(forward, backward):
                yield forward, backward


def _kept(forward: Loop, backward: Loop) -> list[Value]:
    """What one loop computes and keeps for another; states stay, since everything else is computed from them."""
    computed = {value for step in forward.steps for value in made(step)}
    handed = {state.outgoing.value for state in forward.states if state.outgoing is not None}
    return [value for value in backward.loads if value in computed and value in forward.saves and value not in handed]


def _steps(forward: Loop, backward: Loop, dropped: set[Value]) -> list[Step]:
    """The steps that compute what is dropped from what is kept."""
    available = {value for value in backward.loads if value not in dropped}
    needed, found = set(dropped), []
    for step in reversed(forward.steps):
        if any(value in needed and value not in available for value in made(step)):
            found.append(step)
            needed.update(value for value, _ in step.operands)
    return found[::-1]


def _price(forward: Loop, backward: Loop, dropped: set[Value], last: Value) -> float:
    """The operations for each entry that is freed."""
    return sum(step.flops for step in _steps(forward, backward, dropped)) / last.entries


def _write_again(backward: Loop, again: Sequence[Step], homes: dict[Value, Section]) -> list[Step]:
    """Put copies of steps in front of a loop's own, under names of their own; return the copies."""
    others: dict[Value, Value] = {}
    for step in again:
        for value in made(step):
            other = others[value] = replace(value, name=f"{value.name}_again")
            homes[other] = backward
    copies: list[Step] = []
    for step in again:
        copy = _with_operands(step, others)
        copy.out = others[step.out]
        if isinstance(copy, Map):
            copy.more = tuple(others[value] for value in copy.more)
        copies.append(copy)
    backward.steps = [*copies, *(_with_operands(step, others) for step in backward.steps)]
    for letter, view in backward.coefficients.items():
        backward.coefficients[letter] = replace(view, value=others.get(view.value, view.value))
    backward.sums = [(total, replace(view, value=others.get(view.value, view.value))) for total, view in backward.sums]
    for state in backward.states:
        if state.outgoing is not None:
            state.outgoing = replace(state.outgoing, value=others.get(state.outgoing.value, state.outgoing.value))
    return copies


def _with_operands(step: AnyStep, others: dict[Value, Value]) -> AnyStep:
    found = replace(step, operands=tuple((others.get(value, value), labels) for value, labels in step.operands))
    if isinstance(found, Accumulated):
        found.products = tuple(_with_operands(product, others) for product in found.products)
    return found
