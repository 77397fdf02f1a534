"""Products as einsum strings: what a program multiplies, for whoever writes kernels."""

from __future__ import annotations

import string

from formcalc.numeric.export.symbolic import Size
from formcalc.numeric.export.writer import Writer
from formcalc.numeric.program.values import Contract


class EinsumWriter(Writer):
    """Writes every product and every sum of one array as an einsum, with letters like the names of dimensions."""

    def product(self, step: Contract) -> str:
        return self.einsum(step)

    def reduced(self, step: Contract) -> str:
        value, _ = step.operands[0]
        return self.einsum(step) if value.kind == "array" else super().reduced(step)

    def einsum(self, step: Contract) -> str:
        """A contraction as ``np.einsum("BTd,hdk->BThk", N_i, Q_i)``."""
        sizes = step.sizes()
        letters: dict[str, str] = {}
        for value, labels in step.operands:
            for slot in value.stored:
                label = labels[slot]
                if label not in letters:
                    letters[label] = _letter(sizes[label], set(letters.values()))
        terms = ["".join(letters[labels[slot]] for slot in value.stored) for value, labels in step.operands]
        result = "".join(letters[label] for label in step.out.slots)
        arrays = ", ".join(value.name for value, _ in step.operands)
        return self.scaled(f'np.einsum("{",".join(terms)}->{result}", {arrays})', step.scale)


def _letter(size: int, taken: set[str]) -> str:
    """A letter that is new: that of the dimension, in the other case if it is there already."""
    name = size.names[0] if isinstance(size, Size) else "a"
    wishes = [*(x for x in name if x in string.ascii_letters), *string.ascii_lowercase, *string.ascii_uppercase]
    first = [wishes[0], wishes[0].swapcase()]
    return next(letter for letter in [*first, *wishes] if letter not in taken)
