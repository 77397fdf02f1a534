"""Blocks of memory, and places for them. Places are found largest first, each as low as others allow (first fit)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from formcalc.algebra import Letter
from formcalc.numeric.program.values import Value

#: Arrays start at multiples of this many bytes, the length of a line of the cache.
ALIGNMENT = 64

#: How often a value has a place in the memory of a gradient; see `Guest`.
Scope: TypeAlias = Literal["run", "layer", "layers"]


@dataclass(frozen=True)
class Guest:
    """A place in the memory of a gradient.

    Attributes:
        host: the block of the gradient.
        offset: where it begins in that.
        scope: ``run``, there is one such place; ``layer``, each layer has one, in its own gradient; ``layers``, what
            each layer but the lowest keeps is in the gradient of the layer below.
    """

    host: Block
    offset: int
    scope: Scope


@dataclass(eq=False)
class Block:
    """Values that share memory.

    Attributes:
        size: the bytes of one copy.
        copies: how many there are, one for each layer if they are saved.
        start, end: the first and the last step at which they are needed.
        offset: where it begins.
        letter: the weight whose gradient this is; it has memory of its own, which the caller keeps.
        guest: where it is in the memory of a gradient.
    """

    size: int
    start: int
    end: int
    values: list[Value] = field(default_factory=list)
    copies: int = 1
    offset: int = 0
    letter: Letter | None = None
    guest: Guest | None = None

    @property
    def extent(self) -> int:
        """The bytes of all copies in the workspace."""
        if self.guest is None:
            return self.size * self.copies
        return self.size if self.guest.scope == "layers" else 0

    def meets(self, other: Block) -> bool:
        """Whether both are needed at some step."""
        return self.start <= other.end and other.start <= self.end


def aligned(size: int) -> int:
    """Bytes, up to the next line of the cache."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def place(blocks: list[Block]) -> int:
    """Give every block its offset; return the bytes of them all.

    >>> long, early, late = Block(64, 0, 9), Block(128, 0, 3), Block(128, 5, 9)
    >>> place([long, early, late]), early.offset, late.offset, long.offset
    (192, 0, 0, 128)
    """
    placed: list[Block] = []
    for block in sorted(blocks, key=lambda block: (-block.extent, block.start)):
        offset = 0
        for other in sorted((b for b in placed if b.meets(block)), key=lambda b: b.offset):
            if offset + block.extent <= other.offset:
                break
            offset = max(offset, other.offset + other.extent)
        block.offset = offset
        placed.append(block)
    return max((block.offset + block.extent for block in placed), default=0)
