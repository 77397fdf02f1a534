"""Letters whose entries follow from their shape."""

from __future__ import annotations

from formcalc.algebra.dimension import Axes, Dimension
from formcalc.algebra.letters import Letter, Symbol


def ones(rows: Dimension | str | int, columns: Dimension | str | int, axes: Axes = ()) -> Letter:
    """The matrix of ones of a shape, written ``1_{T×d}``; over axes, the family of such matrices.

    >>> str(ones("T", "d")), str(ones("T", "d", (Dimension("h"),)))
    ('1_{T×d}', '1_{T×d}[h]')
    """
    return Letter(Symbol(_name_of_ones(rows, columns), (rows, columns), "ones", layout=axes))


def is_ones(letter: Letter) -> bool:
    """Whether a letter is written as the ones of its shape, ``1_{T×d}``, and not declared under a name."""
    return letter.role == "ones" and letter.name == _name_of_ones(*letter.symbol.shape)


def _name_of_ones(rows: Dimension | str | int, columns: Dimension | str | int) -> str:
    return f"1_{{{rows}×{columns}}}"


def identity(size: Dimension | str | int) -> Letter:
    """The identity of a size, written ``I_{T}``.

    >>> str(identity("T"))
    'I_{T}'
    """
    return Letter(Symbol(f"I_{{{size}}}", (size, size), "identity"))
