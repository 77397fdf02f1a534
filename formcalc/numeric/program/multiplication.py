"""Products of two arrays, as source."""

from __future__ import annotations

from collections.abc import Sequence

from formcalc.numeric.program.dialects import Dialect
from formcalc.numeric.program.matrix_product import MatrixProduct, Side
from formcalc.numeric.program.spelling import shape_of
from formcalc.numeric.program.values import Contract


class Multiplying:
    """The part of an emitter that writes them, in the dialect of an engine."""

    dialect: Dialect

    def permuted(self, text: str, labels: Sequence[str], wanted: Sequence[str]) -> str:
        """A text with its axes in the order in which their labels stand in `wanted`."""
        order = [labels.index(label) for label in wanted if label in labels]
        if order == sorted(order):
            return text
        return f"{text}.{self.dialect.permute}({', '.join(map(str, order))})"

    def product(self, step: Contract) -> str:
        """A product of two arrays as one product of matrices."""
        product = MatrixProduct.of(step)
        if product.is_outer:
            return " * ".join(self.outer(step, product))
        texts = []
        is_scaled = self.dialect.scales_products and step.scale != 1 and not product.batch
        # a number goes where there is least to multiply
        is_after = step.scale != 1 and not is_scaled and step.out.entries < product.least
        for k, side in enumerate(product.sides):
            text = self.side(step, side)
            is_here = step.scale != 1 and k == product.small and not is_scaled and not is_after
            texts.append(f"({step.scale!r} * {text})" if is_here else text)
        first, second = (self.grouped(text, side, product) for text, side in zip(texts, product.sides, strict=True))
        text = self.matmul(first, second)
        if is_scaled:
            text = f"scaled_product({first}, {second}, {step.scale!r})"
        if product.is_grouped:
            text = f"{text}.reshape({shape_of([product.sizes[x] for x in product.result])})"
        text = f"{step.scale!r} * {text}" if is_after else text
        return self.permuted(text, product.result, step.out.slots)

    def matmul(self, first: str, second: str) -> str:
        """The product of two stacks of matrices."""
        return f"{self.dialect.module}.matmul({first}, {second})"

    def side(self, step: Contract, side: Side) -> str:
        """An operand of a product, without the axes that it alone has."""
        text = step.operands[side.place][0].name
        return f"{text}.sum({side.summed[0] if len(side.summed) == 1 else side.summed})" if side.summed else text

    def outer(self, step: Contract, product: MatrixProduct) -> list[str]:
        """The operands of a product without a sum, with an axis for every label of the result."""
        aligned, out = [], step.out.slots
        for k, side in enumerate(product.sides):
            text = self.permuted(self.side(step, side), side.names, out)
            marks = [":" if x in side.names else "None" for x in out]
            text = f"{text}[{', '.join(marks)}]" if "None" in marks else text
            aligned.append(f"({step.scale!r} * {text})" if step.scale != 1 and k == product.small else text)
        return aligned

    def grouped(self, text: str, side: Side, product: MatrixProduct) -> str:
        """An array as a stack of matrices: batches first, each group of labels one axis."""
        if all(len(group) == 1 for group in side.groups):
            return self.permuted(text, side.names, [*product.batch, *side.groups[0], *side.groups[1]])
        rows, columns = side.groups
        # a matrix that lies in memory by its columns: compilers see through the last step, not through three axes
        is_turned = side.is_turned or side.names == (*product.batch, *columns, *rows)
        groups = (columns, rows) if is_turned else side.groups
        text = self.permuted(text, side.names, [*product.batch, *groups[0], *groups[1]])
        return f"{text}.reshape({shape_of(product.shape(groups))})" + (".mT" if is_turned else "")
