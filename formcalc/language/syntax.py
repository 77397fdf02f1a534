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
        raise _syntax_error(source, error) from None


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


def _syntax_error(source: Excerpt, error: Exception) -> ParseError:
    text = source.text
    if not text.strip():
        return ParseError("the text is empty: write an expression such as 'X Q K^t X^t'")
    if isinstance(error, UnexpectedCharacters):
        offset = error.pos_in_stream or 0
        character = text[offset]
        cure = {
            "/": "rationals are written 1/2, without spaces; there is no division of matrices",
            "^": "write ^t for a transpose, or n^{-1/2} for a power of a dimension",
            ".": "write .* for the Hadamard product, and 0.5 for a decimal",
            "@": "a product is written side by side, A B",
        }.get(character, "")
        return source.place(offset).error(f"unexpected character {character!r}", cure)
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        token = error.token
        place = source.place(token.start_pos or 0, len(token))
        is_operand_due = "NAME" in error.accepts
        cure = "an operand is missing before it" if is_operand_due else "it separates the arguments of an operator"
        if token == "=":
            cure = "an expression defines nothing: a page does, with a line X = ..."
        return place.error(f"unexpected {str(token)!r}", cure)
    end = len(text.rstrip())
    return source.place(max(0, end - 1)).error("the expression ends too early", "an operand is missing after it")
