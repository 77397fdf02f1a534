"""Several steps as one primitive of an engine, where it has one: a table of patterns, one row each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from formcalc.numeric.program.attention import attend
from formcalc.numeric.program.cross_entropy import cross_entropy
from formcalc.numeric.program.graph import Graph, is_map
from formcalc.numeric.program.kernels_apart import APART, set_apart
from formcalc.numeric.program.layer_norms import layer_norm, rms_norm
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.matrix_product import MatrixProduct
from formcalc.numeric.program.pruning import keep_for_later, prune
from formcalc.numeric.program.rotary import rotary
from formcalc.numeric.program.scheduling import advance
from formcalc.numeric.program.values import Accumulated, Contract, Labelled, Map, Section


@dataclass(frozen=True)
class Fusion:
    """A pattern of steps, and the primitives that an engine needs for what takes their place."""

    name: str
    primitives: tuple[str, ...]
    apply: Callable[[Graph], None]


def fused(program: Lowered, primitives: Collection[str]) -> Lowered:
    """The same program, with the steps of all patterns replaced for which an engine has the primitives."""
    graph = Graph(program)
    for fusion in FUSIONS:
        if set(fusion.primitives) <= set(primitives):
            before = [[*section.steps] for section in program.sections]
            fusion.apply(graph)
            if before != [section.steps for section in program.sections]:
                keep_for_later(program.sections, Graph(program).home)
                prune(program.sections, program.results)
                graph = Graph(program)
    return program


def accumulate(graph: Graph) -> None:
    """Terms of a sum that are products of matrices, and that nothing else reads, are added as they are multiplied."""
    for section in graph.program.sections:
        for place, step in enumerate(section.steps):
            if not is_map(step, "sum") or not isinstance(step, Map) or len(step.operands) < 2:
                continue
            terms, numbers, products = [], [], []
            for operand, number in zip(step.operands, step.numbers, strict=True):
                product = _product(graph, section, step, operand, number)
                if product is None:
                    terms.append(operand)
                    numbers.append(number)
                else:
                    products.append(product)
            if products:
                operands = (*terms, *(operand for product in products for operand in product.operands))
                section.steps[place] = Accumulated(
                    step.out, operands, "accumulated", tuple(numbers), products=tuple(products)
                )


def _product(graph: Graph, section: Section, step: Map, operand: Labelled, number: float) -> Contract | None:
    """A term as a product of matrices in the labels of its sum."""
    value, labels = operand
    maker = graph.makers.get(value)
    if not isinstance(maker, Contract) or len(maker.operands) != 2 or graph.home[value] is not section:
        return None
    if graph.readers[value] != 1 or set(labels.values()) != set(step.out.slots):
        return None
    if any(factor.kind != "array" for factor, _ in maker.operands):
        return None
    operands = tuple(
        (factor, {slot: labels.get(label, f"#{label}") for slot, label in own.items()})
        for factor, own in maker.operands
    )
    found = Contract(step.out, operands, maker.scale * number)
    product = MatrixProduct.of(found)
    is_plain = not product.batch and not product.is_outer and not any(side.summed for side in product.sides)
    groups = (product.sides[0].groups[0], product.sides[1].groups[1])
    return found if is_plain and all(groups) and product.result == step.out.slots else None


def order_results(graph: Graph) -> None:
    """The axes of a product lie as those of its operands do, where this spares the copy of an operand."""
    # to totals, whose axes lie as theirs do
    added = {view.value for loop in graph.program.loops for _, view in loop.sums}
    for step in graph.sections:
        if not isinstance(step, Contract) or step.product_flops == 0 or step.out in added:
            continue
        product = MatrixProduct.of(step)
        if not all(side.is_view for side in product.sides):
            left, right = product.sides
            rows, columns = (
                sorted(g, key=s.names.index) for s, g in ((left, left.groups[0]), (right, right.groups[1]))
            )
            step.out.slots = (*product.batch, *rows, *columns)


FUSIONS: tuple[Fusion, ...] = (
    Fusion("results in the order of their operands", (), order_results),
    Fusion(
        "attention without scores in memory",
        ("attention", "attention_slope", "masked_attention", "masked_attention_slope", "hidden"),
        attend,
    ),
    Fusion("rotations of pairs", ("rotated", "rotated_back"), rotary),
    Fusion("cross-entropy", ("cross_entropy_slope",), cross_entropy),
    Fusion("LayerNorm with gain and bias", ("layer_norm", "layer_norm_slope"), layer_norm),
    Fusion("RMSNorm with gain", ("rms_norm", "rms_norm_slope"), rms_norm),
    Fusion("what lets go of more than it makes comes before a loop", (), advance),
    Fusion("products in kernels of their own", (APART,), set_apart),
    Fusion("sums accumulated in the product", ("accumulate",), accumulate),
)
