"""Places in a text, and the error that points at one."""

from __future__ import annotations

from dataclasses import dataclass

from formcalc.errors import ParseError

_WIDTH = 100


@dataclass(frozen=True)
class Place:
    """A stretch of a text: `offset` characters in, `length` characters long."""

    text: str
    offset: int
    length: int = 1

    @property
    def line(self) -> int:
        return self.text.count("\n", 0, self.offset) + 1

    @property
    def column(self) -> int:
        return self.offset - (self.text.rfind("\n", 0, self.offset) + 1) + 1

    def pointer(self) -> str:
        """The line with carets under the place; a long line is cut around it."""
        start = self.offset - self.column + 1
        end = self.text.find("\n", self.offset)
        line = self.text[start : end if end >= 0 else len(self.text)]
        column = self.column - 1
        cut = max(0, column - _WIDTH // 2)
        shown = line[cut : cut + _WIDTH]
        prefix = "..." if cut else ""
        suffix = "..." if cut + _WIDTH < len(line) else ""
        carets = "^" * max(1, min(self.length, len(shown) - (column - cut)))
        return f"    {prefix}{shown}{suffix}\n    {' ' * (len(prefix) + column - cut)}{carets}"

    def error(self, message: str, cure: str = "") -> ParseError:
        """The error "message at line 1, column 1", the line with carets, and the cure."""
        parts = [f"{message} at line {self.line}, column {self.column}", self.pointer()]
        return ParseError("\n".join([*parts, cure] if cure else parts))


@dataclass(frozen=True)
class Excerpt:
    """A part of a text that is read on its own, while errors point into the whole."""

    whole: str
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.whole[self.start : self.end]

    def place(self, offset: int, length: int = 1) -> Place:
        """The place of something `offset` characters into the part."""
        return Place(self.whole, min(self.start + offset, max(len(self.whole) - 1, 0)), length)

    def after(self, offset: int) -> Excerpt:
        """The rest of the part, from `offset` on."""
        return Excerpt(self.whole, self.start + offset, self.end)
