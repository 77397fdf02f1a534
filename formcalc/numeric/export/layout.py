"""Lines of source that are not too long."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

#: Longest line of an exported file.
WIDTH = 100

_OPENING, _CLOSING = "([{", ")]}"


def folded(line: str) -> list[str]:
    """A statement, in several lines if it is too long: what stands in its longest bracket between lines of its own.

    >>> print("\\n".join(folded("def forward(" + ", ".join(f"argument_{k}" for k in range(12)) + "):")))
    def forward(
        argument_0, argument_1, argument_2, argument_3, argument_4, argument_5, argument_6, argument_7,
        argument_8, argument_9, argument_10, argument_11,
    ):
    """
    if len(line) <= WIDTH:
        return [line]
    indent = re.match(r" *", line)[0]  # type: ignore[index]  # it matches always
    text = line.strip()
    left, sign, right = text.partition(" = ")
    if left.count("(") != left.count(")"):  # a default of a parameter, no assignment
        left = sign = right = ""
    if sign and len(left) > WIDTH // 2 and not _brackets(left):
        first = [f"{indent}(", *filled(_parts(left), indent + "    ")]
        return [*first, *folded(f"{indent}) = {right}")]
    brackets = _brackets(text)
    start, end = max(brackets, key=lambda pair: pair[1] - pair[0], default=(0, 0))
    if end - start < len(text) // 2:  # a sum, or names without brackets
        head, body = (f"{left} = (", right) if sign else ("return (", text.removeprefix("return "))
        return [
            indent + head,
            *filled(_parts(body), indent + "    ", is_list=", " in body and not brackets),
            f"{indent})",
        ]
    return [
        f"{indent}{text[: start + 1]}",
        *filled(_parts(text[start + 1 : end]), indent + "    ", is_list=_is_list(text, start, end)),
        f"{indent}{text[end:]}",
    ]


def reflowed(source: str) -> str:
    """The source of a function, with its long statements folded and its long docstrings and comments wrapped."""
    lines: list[str] = []
    for line in source.splitlines():
        text = line.lstrip()
        indent = line[: len(line) - len(text)]
        if len(line) <= WIDTH:
            lines.append(line)
        elif text.startswith(('"""', "#")):
            more = indent + ("# " if text.startswith("#") else "")
            lines += textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=more)
        else:
            lines += folded(line)
    return "\n".join(lines)


def bare(text: str) -> str:
    """A text without the parentheses around all of it."""
    return text[1:-1] if _brackets(text) == [(0, len(text) - 1)] and text[0] == "(" else text


def filled(parts: Sequence[str], indent: str, is_list: bool = True) -> list[str]:
    """Parts one after the other in lines that are not too long; those of a list with a comma after the last."""
    lines = [indent]
    for place, part in enumerate(parts):
        piece = part if part.endswith(",") or place < len(parts) - 1 or not is_list else f"{part},"
        if lines[-1].strip() and len(lines[-1]) + len(piece) + 1 > WIDTH:
            lines.append(indent)
        lines[-1] += f"{' ' if lines[-1].strip() else ''}{piece}"
    return lines


def _is_list(text: str, start: int, end: int) -> bool:
    """Whether a comma may stand after the last part in a bracket: it has several, or is a call with one argument."""
    inner = text[start + 1 : end]
    has_several = any(part.endswith(",") for part in _parts(inner))
    return has_several or (text[start] == "(" and text[:start][-1:].isalnum() and " for " not in inner)


def _brackets(text: str) -> list[tuple[int, int]]:
    """The places of the outermost brackets."""
    found, depth, start = [], 0, 0
    for place, character in enumerate(text.removeprefix(")"), int(text.startswith(")"))):
        if character in _OPENING:
            start = place if not depth else start
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if not depth:
                found.append((start, place))
    return found


def _parts(text: str) -> list[str]:
    """A text cut after commas and before signs that stand outside of brackets."""
    pieces, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth:
            continue
        if text[place : place + 2] == ", ":
            pieces.append(text[start : place + 1].strip())
            start = place + 1
        elif text[place : place + 3] in (" + ", " - "):
            pieces.append(text[start:place].strip())
            start = place
    return [*pieces, text[start:].strip()]
