"""Statements of source in the layout of the usual formatters, lines of at most 120 characters."""

from __future__ import annotations

import re
import textwrap

#: Longest line of an exported file.
WIDTH = 120

_OPENING, _CLOSING = "([{", ")]}"


def folded(line: str) -> list[str]:
    """A statement, in several lines if it is too long.

    What stands between the brackets of a call goes on a line of its own, or each argument does; the members of a list
    and the terms of a sum go on lines of their own.

    >>> print("\\n".join(folded("def backward(" + ", ".join(f"argument_{k}" for k in range(9)) + "):")))
    def backward(
        argument_0, argument_1, argument_2, argument_3, argument_4, argument_5, argument_6, argument_7, argument_8
    ):
    """
    if len(line) <= WIDTH:
        return [line]
    text = line.lstrip()
    indent = line[: len(line) - len(text)]
    before, sign, after = _assignment(text)
    right = after or text.removeprefix("return ")
    start = f"{before}{sign}" if sign else text[: len(text) - len(right)]
    names = _parts(before, ", ")
    if len(names) > 1 and (not right.endswith(")") or len(indent + start) >= WIDTH):  # many names on the left
        return [f"{indent}(", *_members(indent, names), f"{indent}){sign}{right}"]
    members = _parts(right, ", ")
    if len(members) > 1 and not text.startswith("def "):
        return [f"{indent}{start}(", *_members(indent, members), f"{indent})"]
    for marks in (" + ", " - "), (" * ", " @ "):
        terms = _parts(right, *marks)
        if len(terms) > 1 and len(indent) + 4 + len(right) <= WIDTH:
            return [f"{indent}{start}(", f"{indent}    {right}", f"{indent})"]
        if len(terms) > 1:
            return [f"{indent}{start}(", *(f"{indent}    {term}" for term in terms), f"{indent})"]
    return _bracketed(indent, text, len(start))


def _assignment(text: str) -> tuple[str, str, str]:
    """The left side of an assignment, the sign, and its right side; nothing where it is none."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in _OPENING) - (character in _CLOSING)
        if not depth and text[place : place + 3] == " = ":
            return text[:place], " = ", text[place + 3 :]
    return "", "", ""


def _bracketed(indent: str, text: str, place: int) -> list[str]:
    """A statement whose last bracket that begins early enough, after a place, goes on lines of its own."""
    brackets = [pair for pair in _brackets(text) if pair[0] >= place]
    early = [pair for pair in brackets if len(indent) + pair[0] < WIDTH]
    start, end = (early or brackets)[-1]
    body = text[start + 1 : end]
    is_display = not text[:start] or not re.search(r"[\w\])]$", text[:start])
    if len(indent) + 4 + len(body) <= WIDTH and not (is_display and len(_parts(body, ", ")) > 1):
        lines = [f"{indent}    {body}"]
    else:
        lines = _members(indent, _parts(body, ", "))
    return [f"{indent}{text[: start + 1]}", *lines, f"{indent}{text[end:]}"]


def _members(indent: str, members: list[str]) -> list[str]:
    """Members on lines of their own, with a comma after each."""
    return [f"{indent}    {member.removesuffix(',')}," for member in members]


def documented(text: str, indent: str = "    ") -> list[str]:
    """A docstring in lines that are not too long; where there are several, the marks at its end have their own."""
    if len(indent) + len(text) + 6 <= WIDTH:
        return [f'{indent}"""{text}"""']
    lines = textwrap.wrap(f'"""{text}', WIDTH - 3, initial_indent=indent, subsequent_indent=indent)
    return [*lines, f'{indent}"""']


def bare(text: str) -> str:
    """A text without the parentheses around all of it."""
    return text[1:-1] if _brackets(text) == [(0, len(text) - 1)] and text[0] == "(" else text


def _brackets(text: str) -> list[tuple[int, int]]:
    """The places of the outermost brackets."""
    found, depth, start = [], 0, 0
    for place, character in enumerate(text):
        if character in _OPENING:
            start = place if not depth else start
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if not depth:
                found.append((start, place))
    return found


def _parts(text: str, *marks: str) -> list[str]:
    """A text cut at marks that stand outside of brackets: after commas, before signs."""
    pieces, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += (character in _OPENING) - (character in _CLOSING)
        mark = next((mark for mark in marks if text.startswith(mark, place)), "")
        if not depth and mark:
            pieces.append(text[start:place].strip())
            start = place + (len(mark) if mark == ", " else 0)
    return [*pieces, text[start:].strip()] if text else []
