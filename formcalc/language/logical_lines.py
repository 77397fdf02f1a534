"""The lines of a page as its reader takes them: with their continuations, without comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from formcalc.language.source import Excerpt


@dataclass(frozen=True)
class LogicalLine:
    """A logical line: where it stands, how deep it is indented, and its first word."""

    source: Excerpt
    indent: int

    @property
    def word(self) -> str:
        match = re.match(r"[A-Za-z]+(?![A-Za-z0-9_{^(\[])", self.source.text)
        return match.group() if match else ""


def logical_lines(text: str) -> Iterator[LogicalLine]:
    """The logical lines: a line goes on while the next one is indented deeper, except after ``layers``."""
    start = indent = end = -1
    is_block = False
    for match in re.finditer(r"[^\n]*\n?", text):
        content = match.group().split("#", 1)[0].rstrip()
        if not content.strip():
            continue
        depth = len(content) - len(content.lstrip())
        if start >= 0 and depth > indent and not is_block:
            end = match.start() + len(content)
            continue
        if start >= 0:
            yield LogicalLine(Excerpt(text, start, end), indent)
        start, indent, end = match.start() + depth, depth, match.start() + len(content)
        is_block = content.split()[0] == "layers"
    if start >= 0:
        yield LogicalLine(Excerpt(text, start, end), indent)
