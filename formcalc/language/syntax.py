"""From text to syntax trees, by the grammar; and what is said of a text that the grammar does not know."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

from lark import Lark, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from formcalc.errors import ParseError
from formcalc.language.source import Excerpt

#: Parentheses nested deeper than this are an accident, not mathematics.
MAX_NESTING = 20_000


#: What a line of a page looks like that is no expression, by the rule of the grammar.
_LINES = {
    "dims": "write names and sizes, as in dims T tokens = 6, d width = 8",
    "letters": "write names, a colon and the shape, as in weights Q[h], K[h]: d×k",
    "range": "write an index and where it goes, as in layers i = 0 .. L-1",
}


@lru_cache(maxsize=1)
def _lark() -> Lark:
    # Installed, the grammar lies inside the package; in the source tree it stands beside it, where readers look for it.
    package = files("formcalc")
    places = [folder.joinpath("formcalc.lark") for folder in (package / "grammar", package / ".." / "grammar")]
    text = next(place for place in places if place.is_file()).read_text(encoding="utf-8")
    return Lark(text, parser="lalr", start=["start", "dims", "letters", "range"], maybe_placeholders=True)


def syntax(source: Excerpt, rule: str) -> Tree:
    """The syntax tree of a part of a text, by a rule of the grammar.

    Raises:
        ParseError: with line, column, the text and the likely cure.
    """
    _check_parentheses(source)
    try:
        return _lark().parse(source.text, start=rule)
    except (UnexpectedCharacters, UnexpectedEOF, UnexpectedToken) as error:
        raise _syntax_error(source, error, rule) from None


def _check_parentheses(source: Excerpt) -> None:
    """Find an unbalanced parenthesis before the parser does, where the message can name it."""
    open_at: list[int] = []
    for match in re.finditer(r"[()]", source.text):
        if match.group() == "(":
            open_at.append(match.start())
            if len(open_at) > MAX_NESTING:
                raise source.place(match.start()).error(
                    f"parentheses nested deeper than {MAX_NESTING}", "name the inner part and write it apart"
                )
        elif not open_at:
            raise source.place(match.start()).error(
                "unbalanced parenthesis ')'", "it closes nothing: remove it, or open it"
            )
        else:
            open_at.pop()
    if open_at:
        raise source.place(open_at[-1]).error("unbalanced parenthesis '('", "it is never closed: add ')'")


def _syntax_error(source: Excerpt, error: Exception, rule: str) -> ParseError:
    text = source.text
    if not source.whole.strip():
        return ParseError("the text is empty: write an expression such as 'X Q K^t X^t'")
    line = _LINES.get(rule, "")
    if not text.strip():
        return source.place(-1).error("the line ends too early", line or "an expression is missing after it")
    if isinstance(error, UnexpectedCharacters):
        offset = error.pos_in_stream or 0
        character = text[offset]
        cure = {
            "/": "rationals are written 1/2, without spaces; there is no division of matrices",
            "^": "write ^t for a transpose, or n^{-1/2} for a power of a dimension",
            ".": "write .* for the Hadamard product, and 0.5 for a decimal",
            "@": "a product is written side by side, A B",
            "[": "write axes as in Q[b,h]",
            "’": "write ^t for a transpose",
        }.get(character, "")
        return source.place(offset).error(f"unexpected character {character!r}", line or cure)
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        token = error.token
        offset = token.start_pos or 0
        is_operand_due = "NAME" in error.accepts
        cure = "an operand is missing before it" if is_operand_due else "it separates the arguments of an operator"
        if token == "=":
            cure = "an expression defines nothing: a page does, with a line X = ..."
        if token in ("=", ":") and text.strip() != source.whole.strip() and "\n" in text[:offset]:
            line = "this line is indented deeper than the one before it and goes on with it: indent both alike"
        return source.place(offset, len(token)).error(f"unexpected {str(token)!r}", line or cure)
    end = len(text.rstrip())
    return source.place(max(0, end - 1)).error(
        "the line ends too early" if line else "the expression ends too early", line or "an operand is missing after it"
    )
