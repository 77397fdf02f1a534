"""Lines of LaTeX that fit a page: where a formula is broken, and how wide it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: What a formula is cut into: commands, with their names if they are words in type, and single characters.
_TOKEN = re.compile(r"\\(?:operatorname|mathrm|text|mathbf|mathbb)\{(?P<word>[^{}]*)\}|\\[a-zA-Z]+|\\.|.")

#: About how wide things are, in the size of the type; anything else is a letter.
_WIDTHS = {r"\,": 0.17, r"\sum": 1.45, r"\circ": 0.95, r"\times": 0.8, r"\tfrac": 0.0, r"\cdot": 0.7}
_WIDTHS |= {"{": 0.0, "}": 0.0, "^": 0.0, "_": 0.0, " ": 0.0, "(": 0.39, ")": 0.39, ",": 0.45, "'": 0.3, ".": 0.28}
_SIGNS = {"+": 1.22, "-": 1.22}
_LETTER, _WORD, _SMALL = 0.62, 0.5, 0.68


@dataclass(frozen=True)
class _Token:
    text: str
    width: float
    #: How many brackets it stands in, and whether the line may end before it.
    depth: int
    is_break: bool


def broken(formula: str, room: float) -> list[str]:
    """A formula in lines that are about as wide as there is room, in ems; where it is nested least, and late.

    >>> broken(r"A \\, B + C \\, (D + E)", 6)
    ['A \\\\, B', '+ C \\\\, (D + E)']
    """
    lines: list[str] = []
    tokens = [*_tokens(formula)]
    while sum(token.width for token in tokens) > room:
        end = _end(tokens, room)
        if not end:
            break
        lines.append("".join(token.text for token in tokens[:end]).strip().removesuffix(r"\,").strip())
        tokens = tokens[end:]
    return [*lines, "".join(token.text for token in tokens).strip()]


def _end(tokens: list[_Token], room: float) -> int:
    """How many tokens go on a line; none where there is no place to break."""
    used, places = 0.0, []
    for place, token in enumerate(tokens):
        if token.is_break and used > room / 5:
            places.append((token.depth, -place))
        used += token.width
        if used > room and places:
            break
    return -min(places)[1] if places else 0


def _tokens(formula: str) -> Iterator[_Token]:
    """The tokens of a formula, those of a script smaller; a line may end before a sign, and within a product."""
    brackets = braces = 0
    is_script, before = False, ""
    for found in _TOKEN.finditer(formula):
        text, word = found[0], found["word"]
        brackets -= text == ")"
        braces -= text == "}"
        is_script = is_script and braces > 0
        width = _WORD * len(word) if word is not None else _WIDTHS.get(text, _SIGNS.get(text, _LETTER))
        is_sign = text in ("+", "-", r"\circ") and before.endswith(" ")
        is_factor = before.endswith(r"\, ") and text.strip() and not text.startswith(")")
        is_free = not braces and bool(before)
        depth = 4 * brackets + (3 if is_factor else 2 if text == r"\circ" else 0)
        yield _Token(text, width * (_SMALL if is_script else 1), depth, is_free and bool(is_sign or is_factor))
        brackets += text == "("
        braces += text == "{"
        is_script = is_script or (text == "{" and before.endswith(("^", "_")))
        before += text
