"""Sums of rows and columns: ones beside other factors, read and written as ``rowsum(A)`` and ``colsum(A)``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from formcalc.algebra.constants import is_ones
from formcalc.algebra.dimension import Dimension
from formcalc.algebra.expression import Expression
from formcalc.algebra.letters import Letter

ROW_SUM, COLUMN_SUM = "rowsum", "colsum"

#: The dimension of a single row or column.
_ONE = Dimension(1)


def row_sums(word: Sequence[Expression]) -> Iterator[tuple[tuple[str, ...], Sequence[int]]]:
    """The factors of a product in groups, by their places, each with the sums that ones around it make, from outside.

    ``A B 1_{n×1}`` is ``rowsum(A B)``, a column, and ``1_{1×T} A`` is ``colsum(A)``, a row. A product falls apart where
    it is a column times a row; scalars in front of a part stand alone.
    """
    start = 0
    for stop in range(1, len(word) + 1):
        is_split = bool(word[stop - 1].shape) and word[stop - 1].shape[1] is _ONE
        if not is_split and stop < len(word):
            continue
        scalars = len([*takewhile(lambda factor: not factor.shape, word[start:stop])])
        for place in range(start, start + scalars):
            yield (), (place,)
        part = range(start + scalars, stop)
        names: tuple[str, ...] = ()
        if _has_matrix(word, part[:-1]) and _are_ones(word[part[-1]], 1):
            names, part = (ROW_SUM,), part[:-1]
        if _has_matrix(word, part[1:]) and _are_ones(word[part[0]], 0):
            names, part = (COLUMN_SUM, *names), part[1:]
        if part:
            yield names, part
        start = stop


def _has_matrix(word: Sequence[Expression], places: Sequence[int]) -> bool:
    return any(word[place].shape for place in places)


def _are_ones(factor: Expression, side: int) -> bool:
    """Whether a factor is a row of ones (side 0) or a column of ones (side 1), longer than one."""
    if not isinstance(factor, Letter) or factor.is_differential or factor.axes or not is_ones(factor):
        return False
    return factor.shape[side] is _ONE and factor.shape[1 - side] is not _ONE
