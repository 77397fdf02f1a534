"""Interning: an object is built once per typed key, so that equal means identical."""

from __future__ import annotations

import threading
from typing import Any, NoReturn, Self
from weakref import WeakValueDictionary

_TABLE: WeakValueDictionary[tuple, Interned] = WeakValueDictionary()
# Two threads must not build one node twice. Re-entrant, because garbage collection may run inside.
_LOCK = threading.RLock()


class Interned:
    """An immutable object that is looked up before it is built; compared and hashed by identity."""

    __slots__ = ("__weakref__",)

    @classmethod
    def _known(cls, key: tuple) -> Self | None:
        """The object of a key if it has been built, so that what it was checked for then is not checked again."""
        return _TABLE.get(key)  # type: ignore[return-value]  # the first entry of every key is the class

    @classmethod
    def _intern(cls, key: tuple, **fields: Any) -> Self:
        node = _TABLE.get(key)
        if node is None:
            with _LOCK:
                node = _TABLE.get(key)
                if node is None:
                    node = object.__new__(cls)
                    for name, value in fields.items():
                        object.__setattr__(node, name, value)
                    _TABLE[key] = node
        return node  # type: ignore[return-value]  # the first entry of every key is the class

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: build a new one instead of setting {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be deleted")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict) -> Self:
        return self
