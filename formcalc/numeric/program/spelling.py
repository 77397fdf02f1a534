"""How the source of a program spells operations, shapes, sums and names."""

from __future__ import annotations

from collections.abc import Sequence

from formcalc.algebra import Letter
from formcalc.language.indices import subscripts

#: What the source calls an operation; a slope is called by its operator, ``relu_slope``.
_SPELLED = {"m": "relu", "a": "softmax"}


def spelled(operation: str) -> str:
    """What the primitives call an operation."""
    name = operation.removesuffix("'")
    return _SPELLED.get(name, name) + ("_slope" if operation.endswith("'") else "")


def shape_of(sizes: Sequence[int]) -> str:
    """Sizes as the arguments of a reshape."""
    return ", ".join(map(str, sizes)) if sizes else "()"


def tuple_of(sizes: Sequence[int]) -> str:
    """Sizes as a tuple."""
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


def sum_of(terms: Sequence[str], numbers: Sequence[float]) -> str:
    """A sum of terms, each with its factor."""
    text = ""
    for term, number in zip(terms, numbers, strict=True):
        factor = "" if abs(number) == 1 else f"{abs(number)!r} * "
        sign = "-" if number < 0 else "+"
        text += f" {sign} {factor}{term}" if text else f"{'-' if number < 0 else ''}{factor}{term}"
    return text


def indexed(letter: Letter, index: str) -> str:
    """The name of a letter of layers as a formatted string: ``f"Q_{i}"``."""
    base = letter.name.partition("_")[0]
    parts = [f"{{{part}}}" if part == index else part for part in subscripts(letter.name)]
    inner = ",".join(parts)
    return f'f"{base}_{inner}"' if len(parts) == 1 else f'f"{base}_{{{{{inner}}}}}"'
