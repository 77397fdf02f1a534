"""The threads of numpy: those of its matrix products, or as many that each work on a part."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import numpy as np  # noqa: F401  (its library of matrix products must be loaded before it is found)
from threadpoolctl import ThreadpoolController

_T = TypeVar("_T")


@cache
def _libraries() -> ThreadpoolController:
    """The libraries that multiply matrices."""
    return ThreadpoolController().select(user_api="blas")


def look_again() -> None:
    """Another library has been loaded."""
    _libraries.cache_clear()


def workers() -> int:
    """How many threads the products of matrices use."""
    return max((library["num_threads"] for library in _libraries().info()), default=1)


def alone_in_each(work: Callable[[], _T]) -> _T:
    """Do what has threads of its own; each of them multiplies matrices alone."""
    with _libraries().limit(limits=1):
        found: _T = work()
    return found
