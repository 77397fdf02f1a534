"""The arrays that a step of a numpy program needs for itself: operands in another order, or scaled."""

from __future__ import annotations

from formcalc.numeric.program.dialects import Dialect
from formcalc.numeric.program.matrix_product import MatrixProduct, Side, is_view
from formcalc.numeric.program.values import Contract, Map, Step


def scratch(step: Step, dialect: Dialect) -> dict[str, tuple[int, ...]]:
    """The arrays that a step needs for itself, by a suffix of their names: operands in another order or scaled."""
    needed: dict[str, tuple[int, ...]] = {}
    if isinstance(step, Contract):
        if len(step.operands) == 2 and all(value.kind == "array" for value, _ in step.operands):
            needed = product_scratch(step, MatrixProduct.of(step), dialect)
    elif step.operation == "sum" and any(is_scaled(step, k) for k in range(len(step.operands))):
        needed["term"] = step.out.shape
    return needed


def product_scratch(step: Contract, product: MatrixProduct, dialect: Dialect) -> dict[str, tuple[int, ...]]:
    """Those of a product of two arrays: copies of operands, and the product where it is not yet in its order."""
    if product.is_outer:
        return {}
    needed = {}
    for k, (name, side) in enumerate(zip(("left", "right"), product.sides, strict=True)):
        if not side.is_view:
            needed[name] = tuple(product.sizes[x] for x in order_of_copy(product, side))
        elif k == product.small and is_scale_inside(step, product, dialect):
            needed[name] = tuple(product.sizes[x] for x in side.names)
    if not is_view(step.out.slots, result_groups(product)):
        needed["result"] = product.shape(result_groups(product))
    return needed


def result_groups(product: MatrixProduct) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The axes that the rows and the columns of a product stand for."""
    return product.sides[0].groups[0], product.sides[1].groups[1]


def order_of_copy(product: MatrixProduct, side: Side) -> tuple[str, ...]:
    """The axes of a copy of an operand."""
    groups = side.groups[::-1] if side.is_turned else side.groups
    return (*product.batch, *groups[0], *groups[1])


def is_scale_inside(step: Contract, product: MatrixProduct, dialect: Dialect) -> bool:
    """Whether the scale of a product goes to an operand, which is smaller than the result."""
    return not dialect.scales_products and step.scale != 1 and product.least < step.out.entries


def is_scaled(step: Map, place: int) -> bool:
    """Whether a term of a sum is a large array times a number other than 1 and -1."""
    value, _ = step.operands[place]
    return abs(step.numbers[place]) != 1 and 4 * value.entries > step.out.entries
