"""Names with an index: what ``X_i`` of one layer is called in the next, and outside of the layers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from formcalc.language.names import canonical
from formcalc.language.statements import Bound

#: A name with a subscript, in any spelling that may hold an index.
INDEXED = re.compile(r"[A-Za-zͰ-Ͽ][A-Za-z0-9Ͱ-Ͽ]*(?:_\{[^{}]*\}|_[A-Za-z0-9]+)+")


def subscripts(name: str) -> list[str]:
    """The subscripts of a name, which commas separate."""
    return name.partition("_")[2].removeprefix("{").removesuffix("}").split(",")


def _with(name: str, subscripts: list[str]) -> str:
    return canonical(f"{name.partition('_')[0]}_{{{','.join(subscripts)}}}")


def shifted(name: str, index: str, step: int) -> str:
    """A name of a layer as the next layer calls it.

    >>> shifted("X_i", "i", 1), shifted("G_{i+1}", "i", -1)
    ('X_{i+1}', 'G_i')
    """
    moved = {index: f"{index}+1"} if step > 0 else {f"{index}+1": index}
    return _with(name, [moved.get(part, part) for part in subscripts(name)])


def at(name: str, index: str, value: Bound) -> str:
    """A name with its index replaced by a value, as text.

    >>> at("W_{1,i}", "i", Bound(None, 0)), at("X_{i+1}", "i", Bound("L", -1))
    ('W_{1,0}', 'X_L')
    """
    if "_" not in name:
        return name
    places = {index: str(value), f"{index}+1": str(value.plus(1))}
    return _with(name, [places.get(part, part) for part in subscripts(name)])


def numbered(name: str, known: Mapping[str, int]) -> str:
    """A name with numbers for its indices.

    >>> numbered("X_{i+1}", {"i": 2}), numbered("W_{1,i}", {"i": 2}), numbered("C", {"i": 2})
    ('X_3', 'W_{1,2}', 'C')
    """
    if "_" not in name:
        return name

    def value(part: str) -> str:
        match = re.fullmatch(r"([A-Za-z]\w*)([+-]\d+)?", part)
        return str(known[match[1]] + int(match[2] or 0)) if match and match[1] in known else part

    return _with(name, [value(part) for part in subscripts(name)])
