"""Computing again in the backward pass what the forward pass would have to keep for it, layer by layer.

What is dropped first costs the least time for the bytes that it frees. What takes a pass or two over arrays that
are there anyway, such as gain and bias of a norm, is never worth keeping where memory is planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from formcalc.numeric.program.graph import is_map
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.pruning import keep_for_later, prune
from formcalc.numeric.program.values import Accumulated, Loop, Map, Section, Step, Value, again, made

AnyStep = TypeVar("AnyStep", bound=Step)


#: What takes a pass over its operands.
IN_A_PASS = ("sum", "product", "layer_norm", "rms_norm")

#: The operations in products of matrices that take as long as a pass over an array, for each of its entries.
A_PASS = 100

#: More steps than these take longer than what they compute takes to read.
FEW_STEPS = 2


def spare(program: Lowered) -> None:
    """Compute again what takes a pass or two over what is kept anyway; change the program."""
    homes = _homes(program)
    for forward, backward in _pairs(program):
        dropped: set[Value] = set()
        for value in _kept(forward, backward)[::-1]:
            steps = _steps(forward, backward, {value})
            is_short = len(steps) <= FEW_STEPS and all(is_map(step, *IN_A_PASS) for step in steps)
            if is_short and _is_there(forward, backward, _steps(forward, backward, {value} | dropped)):
                dropped.add(value)
        _write_again(backward, _steps(forward, backward, dropped), homes)
    keep_for_later(program.sections, homes)
    prune(program.sections, program.results)


def _is_there(forward: Loop, backward: Loop, steps: Sequence[Step]) -> bool:
    """Whether steps of the forward pass read nothing that it would have to keep for them."""
    computed = {value for step in forward.steps for value in made(step)} | {state.value for state in forward.states}
    made_again = {value for step in steps for value in made(step)}
    read = {value for step in steps for value, _ in step.operands} - made_again
    return all(value in backward.loads for value in read & computed)


def rounds(program: Lowered) -> int:
    """How many values `recomputing` can drop at most."""
    return sum(len(_kept(forward, backward)) for forward, backward in _pairs(program))


def recomputing(program: Lowered, count: int) -> int:
    """Drop the values that are cheapest to compute again; change the program, and return the operations it costs.

    Args:
        count: how many values of a layer are dropped.
    """
    homes = _homes(program)
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


def effort(step: Step) -> int:
    """The time that a step is expected to take, in operations of products of matrices."""
    return step.product_flops + A_PASS * (step.flops - step.product_flops)


def _homes(program: Lowered) -> dict[Value, Section]:
    """The sections in which values are there first."""
    homes = {value: section for section in program.sections for step in section.steps for value in made(step)}
    homes |= {state.value: loop for loop in program.loops for state in loop.states}
    return homes | {value: loop for loop in program.loops for value in loop.inputs}


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
    """The effort for each entry that is freed."""
    return sum(effort(step) for step in _steps(forward, backward, dropped)) / last.entries


def _write_again(backward: Loop, steps: Sequence[Step], homes: dict[Value, Section]) -> list[Step]:
    """Put copies of steps into a loop, each before what reads it first, under names of their own; return the copies."""
    others: dict[Value, Value] = {}
    for step in steps:
        for value in made(step):
            others[value] = again(value, homes)
            homes[others[value]] = backward
    copies: list[Step] = []
    for step in steps:
        copy = _with_operands(step, others)
        copy.out = others[step.out]
        if isinstance(copy, Map):
            copy.more = tuple(others[value] for value in copy.more)
        copies.append(copy)
    own = [_with_operands(step, others) for step in backward.steps]
    makers = {value: copy for copy in copies for value in made(copy)}
    always = len(own) - backward.between
    backward.steps = []
    for step in own[:always]:
        _insert(step, makers, backward.steps)
    start = len(backward.steps)
    for step in own[always:]:
        _insert(step, makers, backward.steps)
    backward.between = len(backward.steps) - start
    for letter, view in backward.coefficients.items():
        backward.coefficients[letter] = replace(view, value=others.get(view.value, view.value))
    backward.sums = [(total, replace(view, value=others.get(view.value, view.value))) for total, view in backward.sums]
    for state in backward.states:
        if state.outgoing is not None:
            state.outgoing = replace(state.outgoing, value=others.get(state.outgoing.value, state.outgoing.value))
    return copies


def _insert(step: Step, makers: Mapping[Value, Step], steps: list[Step]) -> None:
    """Put a step after the copies that it reads."""
    for value, _ in step.operands:
        maker = makers.get(value)
        if maker is not None and maker not in steps:
            _insert(maker, makers, steps)
    steps.append(step)


def _with_operands(step: AnyStep, others: dict[Value, Value]) -> AnyStep:
    found = replace(step, operands=tuple((others.get(value, value), labels) for value, labels in step.operands))
    if isinstance(found, Accumulated):
        found.products = tuple(_with_operands(product, others) for product in found.products)
    return found
