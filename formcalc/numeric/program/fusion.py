"""Several steps as one primitive of an engine, where it has one: a table of patterns, one row each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from formcalc.numeric.program.attention import attend
from formcalc.numeric.program.cross_entropy import cross_entropy
from formcalc.numeric.program.graph import Graph, is_map
from formcalc.numeric.program.layer_norms import layer_norm, rms_norm
from formcalc.numeric.program.lowering import Lowered
from formcalc.numeric.program.matrix_product import MatrixProduct
from formcalc.numeric.program.pruning import keep_for_later, prune
from formcalc.numeric.program.rotary import rotary
from formcalc.numeric.program.values import Accumulated, Contract, Labelled, Loop, Map, Section, Value


@dataclass(frozen=True)
class Fusion:
    """A pattern of steps, and the primitives that an engine needs for what takes their place."""

    name: str
    primitives: tuple[str, ...]
    apply: Callable[[Graph], None]


def fused(program: Lowered, primitives: Collection[str]) -> Lowered:
    """The same program, with the steps of all patterns replaced for which an engine has the primitives."""
    for fusion in FUSIONS:
        if set(fusion.primitives) <= set(primitives):
            fusion.apply(Graph(program))
            keep_for_later(program.sections, Graph(program).home)
            prune(program.sections, program.results)
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
    loops = [section for section in graph.program.sections if isinstance(section, Loop)]
    added = {view.value for loop in loops for _, view in loop.sums}  # to totals, whose axes lie as theirs do
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


def unify(graph: Graph) -> None:
    """A sum, or a product entry by entry, that is computed twice in different orders of axes is computed once."""
    seen: dict[tuple, tuple[Value, Section, list[str]]] = {}
    alike: dict[Value, tuple[Value, dict[str, str]]] = {}
    for section in graph.program.sections:
        for step in section.steps:
            step.operands = tuple(
                (alike[v][0], {alike[v][1][slot]: label for slot, label in own.items()}) if v in alike else (v, own)
                for v, own in step.operands
            )
            if not (is_map(step, "sum") or is_map(step, "product")) or not isinstance(step, Map):
                continue
            key, labels = _alike(step)
            known = seen.setdefault(key, (step.out, section, labels))
            value, home, own = known
            is_there = home is section or not isinstance(home, Loop)
            only_steps = graph.readers[step.out] == len(graph.reading.get(step.out, []))
            if value is not step.out and is_there and only_steps:
                alike[step.out] = value, dict(zip(labels, own, strict=True))


def _alike(step: Map) -> tuple[tuple, list[str]]:
    """What a step computes whatever its labels are called, and the labels in an order that does not depend on that."""
    numbers = step.numbers if step.operation == "sum" else (1.0,) * len(step.operands)
    ordered = sorted(
        zip(step.operands, numbers, strict=True), key=lambda term: (term[0][0].name, term[1], [*term[0][1].values()])
    )
    labels = list(dict.fromkeys(own[slot] for (value, own), _ in ordered for slot in value.slots))
    place = {label: k for k, label in enumerate(labels)}
    terms = tuple((value, number, tuple(place[own[slot]] for slot in value.slots)) for (value, own), number in ordered)
    return (step.operation, step.numbers if step.operation == "product" else (), terms), labels


def sum_rows_of_products(graph: Graph) -> None:
    """The product of the row sums of X with Y is the row sums of X Y, where that is there."""
    for step, section in list(graph.sections.items()):
        if not isinstance(step, Contract) or len(step.operands) != 2:
            continue
        for k in (0, 1):
            found = _rows_of_product(graph, section, step, k)
            if found is not None:
                section.steps[section.steps.index(step)] = found
                break


def _rows_of_product(graph: Graph, section: Section, step: Contract, k: int) -> Contract | None:
    (sums, sum_labels), (other, other_labels) = step.operands[k], step.operands[1 - k]
    maker = graph.makers.get(sums)
    if not isinstance(maker, Contract) or len(maker.operands) != 1:
        return None
    whole, own = maker.operands[0]
    place = {label: sum_labels.get(label, f"#{label}") for label in own.values()}
    labels = {slot: place[label] for slot, label in own.items()}
    for product in graph.reading[whole]:
        if not isinstance(product, Contract) or len(product.operands) != 2 or product is step:
            continue
        if graph.sections[product] is not section or section.steps.index(product) > section.steps.index(step):
            continue
        theirs = dict(product.operands)
        if set(theirs) != {whole, other} or product.out.entries > whole.entries:
            continue
        names = {theirs[whole][slot]: label for slot, label in labels.items()}
        names |= {
            theirs[other][slot]: label for slot, label in other_labels.items() if theirs[other][slot] not in names
        }
        is_alike = all(names[theirs[other][slot]] == label for slot, label in other_labels.items())
        if (
            len(set(names.values())) == len(names)
            and is_alike
            and set(step.out.slots) <= {names[s] for s in product.out.slots}
        ):
            operand = (product.out, {slot: names[slot] for slot in product.out.slots})
            return Contract(step.out, (operand,), step.scale * maker.scale / product.scale)
    return None


FUSIONS: tuple[Fusion, ...] = (
    Fusion("results in the order of their operands", (), order_results),
    Fusion("what is computed twice", (), unify),
    Fusion("row sums of products that are there", (), sum_rows_of_products),
    Fusion(
        "attention without scores in memory",
        ("attention", "attention_slope", "masked_attention", "masked_attention_slope", "hidden"),
        attend,
    ),
    Fusion("rotations of pairs", ("rotated", "rotated_back"), rotary),
    Fusion("cross-entropy", ("cross_entropy_slope",), cross_entropy),
    Fusion("LayerNorm with gain and bias", ("layer_norm", "layer_norm_slope"), layer_norm),
    Fusion("RMSNorm with gain", ("rms_norm", "rms_norm_slope"), rms_norm),
    Fusion("sums accumulated in the product", ("accumulate",), accumulate),
)
