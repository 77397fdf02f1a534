"""How kernels are compiled: for two types, when they are first needed, and kept on disk for later processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types
from numba.core.caching import FunctionCache

from formcalc.numeric.program import normal


def _signature(letters: str, number: Any) -> tuple[Any, ...]:
    arrays = {
        "r": types.Array(number, 1, "C", readonly=True),
        "w": types.Array(number, 1, "C"),
        "k": types.Array(types.int64, 1, "C", readonly=True),
        "i": types.intp,
        "n": number,
    }
    return tuple(arrays[letter] for letter in letters)


#: Sums may be added up in any order; numbers may be infinite or none.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}

#: Makes a function a part of kernels.
inner: Callable[[Callable[..., Any]], Any] = njit(**_OPTIONS)


@inner
def at(start: Any, k: Any) -> Any:
    """An index that is not negative, as the compiler is to know."""
    return np.uint64(start + k)


class Kernel:
    """A function of arrays, for either type of numbers; the first array says for which.

    The threads are those of the program, so kernels have none of their own, and let others run.
    """

    def __init__(self, function: Callable[..., Any], letters: str) -> None:
        self.function = function
        self.letters = letters
        self.compiled: dict[str, Any] = {}

    def __call__(self, *operands: Any) -> None:
        kind = operands[0].dtype.char
        if kind not in self.compiled:
            self.compiled[kind] = self.compile(types.float32 if kind == "f" else types.float64)
        self.compiled[kind](*operands)

    def compile(self, number: Any) -> Any:
        """The machine code for a type of numbers."""
        return compiled(self.function, types.void(*_signature(self.letters, number)))


#: The sources of all kernels and of their parts. numba itself looks at the file of a kernel alone.
_FILES = [Path(normal.__file__), *sorted(Path(__file__).parent.glob("numba_*.py"))]
_SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in _FILES))


class _Cache(FunctionCache):  # type: ignore[misc]  # numba has no types
    """The cache of a function on disk, which does not outlive a change of any part of it."""

    def _index_key(self, *arguments: Any) -> tuple[Any, ...]:
        return (*super()._index_key(*arguments), _SOURCES.hexdigest())


def compiled(function: Callable[..., Any], signature: Any) -> Any:
    """A function for one signature alone, from the cache on disk if it is there, and if there is a place for one."""
    found = njit(nogil=True, **_OPTIONS)(function)
    try:
        found._cache = _Cache(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
    found.compile(signature)
    found.disable_compile()
    return found


def kernel(letters: str) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a function a kernel.

    Args:
        letters: one for each argument: ``r`` an array that is read, ``w`` one that is written, both of one axis and
            contiguous, ``k`` one of integers, ``i`` an integer, ``n`` a number of the type of the arrays.
    """
    return lambda function: Kernel(function, letters)
