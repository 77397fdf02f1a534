"""Products of matrices that a compiler would put in one kernel, the first one done again for each tile of the other.

XLA does so on CPUs where nothing else reads the first product, and takes ten times as long.
"""

from __future__ import annotations

from formcalc.numeric.program.graph import Graph
from formcalc.numeric.program.matrix_product import MatrixProduct
from formcalc.numeric.program.values import Contract, Labelled, Map, Section, Step, Value

#: The step after which nothing is put in one kernel with what follows.
APART = "apart"


def set_apart(graph: Graph) -> None:
    """An operand of a product that comes from another product, and is read by nothing else, is kept apart.

    The steps between layers do not count: the last layer is without them.
    """
    between = {step for loop in graph.program.loops for step in loop.between_layers}

    def comes_from_product(section: Section, value: Value) -> bool:
        """Whether a product of this section goes into a value, through functions that nothing else reads."""
        maker = graph.makers.get(value)
        if maker is None or graph.home[value] is not section or len({*graph.reading[value]} - between) > 1:
            return False
        if isinstance(maker, Contract):
            return bool(maker.product_flops)
        return any(comes_from_product(section, inner) for inner, _ in maker.operands)

    for section in graph.program.sections:
        steps: list[Step] = []
        for step in section.steps:
            if isinstance(step, Contract) and step not in between and _is_put_with_others(step):
                step.operands = tuple(
                    _apart(steps, operand) if comes_from_product(section, operand[0]) else operand
                    for operand in step.operands
                )
            steps.append(step)
        section.steps = steps


def _is_put_with_others(step: Contract) -> bool:
    """Whether a step is a product that XLA puts in one kernel with another: not one that transposes its left side."""
    if not step.product_flops:
        return False
    left = MatrixProduct.of(step).sides[0]
    rows = left.groups[0]
    return not rows or left.names[-1] not in rows


def _apart(steps: list[Step], operand: Labelled) -> Labelled:
    """The operand, apart from what it is made of."""
    value, labels = operand
    out = Value(f"{value.name}_{APART}", value.slots, value.sizes, value.kind)
    steps.append(Map(out, ((value, {slot: slot for slot in value.slots}),), APART))
    return out, labels
