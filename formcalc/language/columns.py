"""Tables in plain text: columns aligned, words to the left and figures to the right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def columns(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """The lines of a table, the header first; the first `left` columns hold words.

    >>> print("\\n".join(columns(("name", "size"), [("X_0", "6"), ("b", "12")])))
    name  size
    X_0      6
    b       12
    """
    lines = [header, *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
