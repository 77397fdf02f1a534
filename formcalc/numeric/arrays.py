"""Given arrays: checked against the letters they belong to, and the sizes of dimensions read off them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from formcalc.algebra import Dimension, Letter
from formcalc.errors import ArrayError, listing, suggestion
from formcalc.numeric.constants import CONSTANTS

Array = np.ndarray


def checked_array(letter: Letter, value: Any) -> Array:
    """The array of a letter: its axes, rows and columns, of real numbers, every entry finite.

    Integers become float64; object arrays hold `int` or `fractions.Fraction` and stay exact. Of tokens it has the axes
    and rows, and stays integer.

    Raises:
        ArrayError: naming the letter, what is wrong, and the cure.
    """
    name = letter.name
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ArrayError(f"{name}: no array: {error}") from None
    due = dimensions_of(letter)
    if array.ndim != len(due):
        cure = f"; reshape it with {name}.reshape(1, -1)" if array.ndim == 1 and len(due) == 2 else ""
        what = f"a letter is a matrix with {len(due)} axes"
        if letter.role == "tokens" or letter.axes:
            what = f"the array has {len(due)} axes, {'×'.join(map(str, due))}"
        raise ArrayError(f"{name}: {what}, this array has {array.ndim}{cure}")
    if array.size == 0:
        raise ArrayError(f"{name}: the array is empty, its shape is {shape_of(array)}")
    if letter.role == "tokens":
        return _ids(name, array)
    if array.dtype == object:
        return _exact(name, array)
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise ArrayError(f"{name}: entries are {array.dtype}, not real numbers; convert the array to float64")
    if array.dtype == np.float16:
        raise ArrayError(f"{name}: float16 is too coarse for a reference; convert the array to float32 or float64")
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        place = tuple(map(int, bad[0]))
        raise ArrayError(f"{name}: entry {list(place)} is {array[place]}; every entry must be finite")
    return array


def dimensions_of(letter: Letter) -> tuple[Dimension, ...]:
    """The dimensions of the array of a letter: axes, rows and columns; of tokens, given by ids, no columns."""
    rows, columns = letter.symbol.shape
    return (*letter.symbol.layout, rows) if letter.role == "tokens" else (*letter.symbol.layout, rows, columns)


def _ids(name: str, array: Array) -> Array:
    is_whole = array.dtype.kind in "iu"
    if array.dtype.kind == "f":
        is_whole = bool(np.isfinite(array).all() and (array % 1 == 0).all() and (abs(array) < 2**62).all())
    if not is_whole:
        raise ArrayError(f"{name}: tokens are given by their ids, integers from 0, and a negative one for no token")
    return array.astype(np.int64)


def _exact(name: str, array: Array) -> Array:
    for place, entry in np.ndenumerate(array):
        if isinstance(entry, bool) or not isinstance(entry, (int, Fraction)):
            raise ArrayError(f"{name}: entry {list(place)} is {entry!r}; exact arrays hold int or Fraction")
    return array


def shape_of(array: Array) -> str:
    """A numeric shape as people write it: ``4×8``."""
    return "×".join(map(str, array.shape))


def bind(
    letters: Iterable[Letter], arrays: Mapping[str, Any], sizes: Mapping[str, int] | None = None
) -> tuple[dict[str, Array], dict[str, int]]:
    """Match arrays with letters: the checked arrays by name, and the sizes of all symbolic dimensions they fix.

    Args:
        letters: those that need numbers; ones and identities may be given and are then checked.
        arrays: by name; those of other letters are ignored.
        sizes: sizes of dimensions, for those that no array shows.

    Raises:
        ArrayError: missing or ill-shaped arrays, or two arrays that disagree on a dimension.
    """
    known = {letter.name: letter.plain for letter in letters}
    missing = [n for n, x in known.items() if n not in arrays and not x.symbol.is_constant and x.definition is None]
    if missing:
        close = [suggestion(name, set(arrays) - set(known)) for name in missing[:1]]
        cure = f"; {close[0]}" if close[0] else f"; given: {listing(arrays)}" if arrays else ""
        raise ArrayError(f"no array for {listing(missing)}{cure}")
    bound: dict[str, Array] = {}
    found: dict[str, tuple[int, str]] = {}
    for name, letter in known.items():
        if name not in arrays:
            continue
        array = bound[name] = checked_array(letter, arrays[name])
        due = dimensions_of(letter)
        for axis, (dimension, size) in enumerate(zip(due, array.shape, strict=True)):
            noun = ([str(x) for x in letter.symbol.layout] + ["rows", "columns"])[axis]
            if not dimension.is_symbolic:
                if dimension.value != size:
                    raise ArrayError(
                        f"{name}: the array is {shape_of(array)}, it should have {dimension} {noun} "
                        f"({'×'.join(map(str, due))})"
                    )
                continue
            key = str(dimension)
            expected, witness = found.setdefault(key, (size, f"{name} has {size} {noun}"))
            if expected != size:
                raise ArrayError(f"{name}: the array is {shape_of(array)}, but {key} = {expected}, since {witness}")
    known_sizes = {**(sizes or {}), **{key: size for key, (size, _) in found.items()}}
    for name, letter in known.items():
        if letter.role == "tokens" and name in bound:
            _check_range(letter, bound[name], known_sizes)
    _check_constants(known, bound)
    return bound, known_sizes


def _check_range(letter: Letter, ids: Array, sizes: Mapping[str, int]) -> None:
    columns = letter.symbol.shape[1]
    count = sizes.get(str(columns)) if columns.is_symbolic else int(columns.value)
    if count is None:
        raise ArrayError(f"{letter.name}: how many tokens there are is unknown: give {columns}=...")
    if ids.max() >= count:
        raise ArrayError(f"{letter.name}: there is an id {ids.max()}, but {columns} = {count}: ids count from 0")


def _check_constants(known: Mapping[str, Letter], bound: dict[str, Array]) -> None:
    for name, array in bound.items():
        role = known[name].role
        if role in CONSTANTS and abs(array - CONSTANTS[role](*array.shape)).max() > 1e-6:
            raise ArrayError(f"{name}: this letter is {role}; leave its array out, or give exactly that")
