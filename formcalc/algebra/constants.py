"""Letters whose entries follow from their shape."""

from __future__ import annotations

from formcalc.algebra.dimension import Dimension
from formcalc.algebra.letters import Letter, Symbol


def ones(rows: Dimension | str | int, columns: Dimension | str | int) -> Letter:
    """The matrix of ones of a shape, written ``1_{T×d}``.

    >>> str(ones("T", "d"))
    '1_{T×d}'
    """
    return Letter(Symbol(f"1_{{{rows}×{columns}}}", (rows, columns), "ones"))


def identity(size: Dimension | str | int) -> Letter:
    """The identity of a size, written ``I_{T}``.

    >>> str(identity("T"))
    'I_{T}'
    """
    return Letter(Symbol(f"I_{{{size}}}", (size, size), "identity"))
