"""Sums that are accumulated in products of matrices, as source."""

from __future__ import annotations

from formcalc.numeric.program.matrix_product import MatrixProduct
from formcalc.numeric.program.multiplication import Multiplying
from formcalc.numeric.program.spelling import shape_of
from formcalc.numeric.program.values import Accumulated, Labelled


class Accumulating(Multiplying):
    """The part of an emitter that writes them, with operands as the emitter writes these."""

    def aligned(self, operand: Labelled, slots: tuple[str, ...]) -> str:
        """An operand with an axis for every slot."""
        raise NotImplementedError

    def accumulated(self, step: Accumulated) -> str:
        """Products of matrices added to a first term; what is no matrix, and no row of one, is added at the end."""
        out = step.out
        first, rest = "", []
        shape: tuple[int, ...] = ()
        texts = []
        for contract in step.products:
            product = MatrixProduct.of(contract)
            shape = product.shape((product.sides[0].groups[0], product.sides[1].groups[1]))
            columns = product.sides[1].groups[1]
            sides = [self.grouped(self.side(contract, side), side, product) for side in product.sides]
            texts.append(f"({', '.join([*sides, *([] if contract.scale == 1 else [repr(contract.scale)])])})")
        is_folded = len(out.slots) != 2
        for (value, labels), number in zip(step.operands, step.numbers, strict=False):
            own = tuple(labels[slot] for slot in value.stored)
            text = self.aligned((value, labels), out.slots)
            if not first and number == 1 and set(own) == set(out.slots):
                first = f"{text}.reshape({shape_of(shape)})" if is_folded else text
            elif not first and number == 1 and own == columns and value.kind == "array":
                first = f"{value.name}.reshape({shape_of(shape[1:])})" if len(columns) != 1 else value.name
            else:
                rest.append((text, number))
        text = f"accumulate({', '.join([first or 'None', *texts])})"
        if is_folded:
            text = f"{text}.reshape({shape_of(out.shape)})"
        return text + "".join(f".add_({x})" if n == 1 else f".add_({x}, alpha={n!r})" for x, n in rest)
