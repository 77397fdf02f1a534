"""Names for cotangents, which never collide with the page's own."""

from __future__ import annotations

import itertools
import re

from formcalc.algebra import Letter
from formcalc.language.statements import Layers, Page

#: Names in the order in which the pull-back meets definitions: of X, of Z and of S in an encoder.
_COTANGENT_NAMES = ("G", "M", "U", "H", "N", "R", "P", "J", "B", "D")


class CotangentNames:
    """Names that never collide with the page's own: ``G_i`` for ``X_i``, ``M_i`` for ``Z_i``, ``U_i`` for ``S_i``.

    Each block of layers has names of its own, for what comes out of one block and goes into the next has two
    cotangents: what the later block hands back, and the sum of that and of all other uses.
    """

    def __init__(self, page: Page) -> None:
        self.taken = {_base(name) for name in (*page.letter_names(), *(x.name for x in page.dimensions))}
        self.free = [name for name in _COTANGENT_NAMES if name not in self.taken and f"d{name}" not in self.taken]
        self.bases: dict[tuple[Layers | None, str], str] = {}

    def of(self, letter: Letter, block: Layers | None) -> str:
        base = _base(letter.name)
        key = (block, base)
        if key not in self.bases:
            self.bases[key] = self.new(base)
        return self.bases[key] + letter.name[len(base) :]

    def gathered(self, letter: Letter) -> str:
        """A name for what layers add to the coefficient of a letter outside."""
        base = self.fresh("A")
        self.taken.add(base)
        return base + letter.name[len(_base(letter.name)) :]

    def factor(self, letter: Letter) -> str:
        """A name for a factor of what a definition contributes."""
        base = self.new(_base(letter.name))
        return base + letter.name[len(_base(letter.name)) :]

    def part(self, letter: Letter | None) -> str:
        """A name for a part of a definition: ``X1_i``, ``X2_i``, ... of ``X_i``; of the loss, ``E1``, ``E2``, ..."""
        name = "E" if letter is None else letter.name
        base = _base(name)
        stem = base.rstrip("'")
        found = next(f"{stem}{k}" for k in itertools.count(1) if not {f"{stem}{k}", f"d{stem}{k}"} & self.taken)
        self.taken.add(found)
        return found + name[len(base) :]

    def new(self, base: str) -> str:
        name = self.free.pop(0) if self.free else self.fresh(base)
        self.taken.add(name)
        return name

    def fresh(self, name: str) -> str:
        """The name itself, or with the first mark before it that makes it new: ``G``, ``M``, ..., ``GG``, ..."""
        marks = itertools.chain.from_iterable(itertools.product(_COTANGENT_NAMES, repeat=k) for k in itertools.count())
        candidates = ("".join(mark) + name for mark in marks)
        return next(found for found in candidates if found not in self.taken and f"d{found}" not in self.taken)


def _base(name: str) -> str:
    return re.split(r"_", name, maxsplit=1)[0]
