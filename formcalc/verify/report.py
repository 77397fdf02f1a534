"""The outcome of a verification: one row per weight, and whether all agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from formcalc.language.columns import columns

#: A coefficient smaller than this share of the largest one is measured against that share instead: in deep encoders
#: without residuals the coefficients of Q and K collapse, in every engine.
COLLAPSE = 1e-6


@dataclass(frozen=True)
class Row:
    """One weight: the largest entry of its coefficient, the largest difference, and the relative error."""

    name: str
    shape: tuple[int, ...]
    largest: float
    difference: float
    relative_error: float


class Table(Sequence[Row]):
    """The rows of a report; its text is a table."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def cells(self) -> list[tuple[str, ...]]:
        """The rows as text, under the header ``weight, shape, max |C|, max |C - C_ref|, relative error``."""
        return [
            (r.name, "×".join(map(str, r.shape)), f"{r.largest:.3e}", f"{r.difference:.1e}", f"{r.relative_error:.1e}")
            for r in self
        ]

    def __str__(self) -> str:
        return "\n".join(columns(HEADER, self.cells(), left=2))


HEADER = ("weight", "C: shape", "max |C|", "max |C - C_ref|", "relative error")


@dataclass(frozen=True)
class Report:
    """What an oracle said of the coefficients of a form.

    Attributes:
        oracle: which one.
        table: one row per weight.
        tolerance: the largest relative error that passes; 0 for exact arithmetic.
        note: how the oracle computed its reference.
    """

    oracle: str
    table: Table
    tolerance: float
    note: str

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of all weights."""
        return max(row.relative_error for row in self.table)

    @property
    def ok(self) -> bool:
        """Whether every coefficient agrees. An error that is not a number never passes."""
        return all(row.relative_error <= self.tolerance for row in self.table)

    def __str__(self) -> str:
        verdict = "verified" if self.ok else "DISAGREES"
        bound = "no tolerance" if self.tolerance == 0 else f"tolerance {self.tolerance:.0e}"
        return f"{self.table}\n{verdict}: {self.note}; largest relative error {self.max_relative_error:.1e}, {bound}"

    def __repr__(self) -> str:
        return f"<report of {self.oracle}: ok={self.ok}, max_relative_error={self.max_relative_error:.1e}>"


def compare(coefficients: Mapping[str, Any], reference: Mapping[str, Any]) -> Table:
    """Relative errors ``max|C - C_ref| / max(max|C_ref|, 1e-6 max over all coefficients)``, one row per weight."""
    largest = {name: _largest(value) for name, value in reference.items()}
    floor = COLLAPSE * max(largest.values(), default=0)
    rows = []
    for name, value in coefficients.items():
        difference = _largest(value - reference[name])
        scale = max(largest[name], floor)
        # both may be exactly zero, as for a weight that the loss does not depend on
        relative = 0.0 if difference == 0 else float("inf") if scale == 0 else float(difference / scale)
        rows.append(Row(name, value.shape, float(largest[name]), float(difference), relative))
    return Table(rows)


def _largest(array: np.ndarray) -> Any:
    # in exact arithmetic the maximum stays a Fraction, so that no difference is rounded away
    return abs(array).max() if array.size else 0
