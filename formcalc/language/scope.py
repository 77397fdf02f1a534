"""What names mean in a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from formcalc.algebra import Axes, Expression, Letter
from formcalc.language.declaration import size
from formcalc.language.source import Place
from formcalc.language.statements import Function


@dataclass(frozen=True)
class Scope:
    """What names mean in a text: letters, dimensions, functions, and the letters of layers by the index they go with.

    Inside a function its parameters stand for expressions.
    """

    letters: Mapping[str, Letter]
    dimensions: Iterable[str] = ()
    functions: Mapping[str, Function] = field(default_factory=dict)
    layers: Mapping[str, Mapping[str, Letter]] = field(default_factory=dict)
    arguments: Mapping[str, Expression] = field(default_factory=dict)


def axes_of(brackets: str, place: Place) -> Axes:
    """The axes in brackets, in their order: ``[b,h]``.

    Raises:
        ParseError: what stands there is no list of different names.
    """
    sizes = [size(part) for part in brackets[1:-1].split(",")]
    found = tuple(axis for axis in sizes if axis is not None and axis.is_symbolic)
    if len(found) < len(sizes) or len(set(found)) < len(found):
        raise place.error(f"unreadable axes {str(brackets)!r}", "write different names of dimensions, as in Q[b,h]")
    return found
