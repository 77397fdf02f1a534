"""Declarations: the letters that a text may use, and the names that no letter can have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from formcalc.algebra import PI, Dimension, Letter, Role, Symbol, identity
from formcalc.errors import ParseError, ShapeError, listing
from formcalc.language.names import FUNCTIONS, NAME, canonical
from formcalc.operators import operator_named

#: What a letter may be declared by: its dimensions, or a letter or symbol made before.
Declaration: TypeAlias = tuple | list | Letter | Symbol

#: The identity of a size, as in ``I_{T}`` or ``I_4``.
UNIT = re.compile(r"I_(?:\{(?P<braced>[^{}]+(?:\{[^{}]*\})?)\}|(?P<bare>[A-Za-z0-9]+))")


def declare(shapes: Mapping[str, Declaration], roles: Mapping[str, Role] | None = None) -> dict[str, Letter]:
    """Letters by canonical name, from shapes such as ``{"X_0": ("T", "d")}``; the default role is weight.

    A shape of more than two dimensions is a family: its axes, then rows and columns.

    Raises:
        ParseError: a name that no letter or dimension may have, or that means something else already.
        ShapeError: a shape that is not two dimensions.
    """
    letters: dict[str, Letter] = {}
    roles = {canonical(name): role for name, role in (roles or {}).items()}
    for given, declaration in shapes.items():
        name = canonical(given)
        if name in letters:
            raise ParseError(f"{given!r} is declared twice: it is another spelling of {name}")
        if isinstance(declaration, Letter):
            letters[name] = declaration.plain
        elif isinstance(declaration, Symbol):
            letters[name] = Letter(declaration)
        else:
            _check_letter(name)
            *layout, rows, columns = _sizes(name, declaration)
            letters[name] = Letter(Symbol(name, (rows, columns), roles.get(name, "weight"), layout=tuple(layout)))
    unknown = [name for name in roles if name not in letters]
    if unknown:
        raise ParseError(f"role given for {unknown[0]}, which has no shape; letters: {listing(letters)}")
    return {name: _unambiguous(name, letter, letters) for name, letter in letters.items()}


def size(text: str) -> Dimension | None:
    """The dimension that a text names, or None.

    >>> size("T₀"), size(" 4 "), size("0"), size("two words")
    (Dimension('T_0'), Dimension(4), None, None)
    """
    name = canonical(text.strip())
    if name.isdecimal() and name.isascii():
        return Dimension(int(name)) if 0 < len(name) < 19 and int(name) else None
    return Dimension(name) if NAME.fullmatch(name) else None


def _check_letter(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ParseError(f"{name!r} cannot name a letter: write a word such as X, X_0, W_Q or gamma_1")
    if name in FUNCTIONS or operator_named(name) is not None:
        raise ParseError(f"{name!r} cannot name a letter: it is an operator; choose another name")


def _sizes(name: str, declaration: object) -> tuple:
    if not isinstance(declaration, tuple | list):
        raise ParseError(f"{name}: a shape is a pair of dimensions such as ('T', 'd'), not {declaration!r}")
    if len(declaration) < 2:
        raise ShapeError(f"{name}: a letter is a matrix and has two dimensions, not {len(declaration)}")
    sizes = tuple(canonical(part) if isinstance(part, str) else part for part in declaration)
    for part in sizes:
        if isinstance(part, str) and not part.isdecimal() and (part == PI or not NAME.fullmatch(part)):
            raise ParseError(f"{name}: {part!r} cannot name a dimension: write a word such as T, d or n_0")
    return sizes


def _unambiguous(name: str, letter: Letter, letters: Mapping[str, Letter]) -> Letter:
    """The letter, unless the notation already reads its name as something else."""
    if name[0] == "d" and name[1:] in letters:
        raise ParseError(f"{name!r} cannot name a letter beside {name[1:]}: it is the differential of {name[1:]}")
    unit = UNIT.fullmatch(name)
    dimension = unit and size(unit["braced"] or unit["bare"])
    if dimension and any(dimension in other.symbol.shape for other in letters.values()):
        if letter.role != "identity" or letter.shape[0] is not dimension:
            raise ParseError(f"{name!r} cannot name a letter: it is the identity of the dimension {dimension}")
        return identity(dimension)
    return letter
