"""Values that lie in the memory of gradients, until these are made.

Gradients are arrays that the caller keeps, and most of them are made at the end of a run. Until then they hold what it
needs. What a layer keeps for its backward pass lies in the gradients of the layer below, which are made after it has
been read; what a layer of the backward pass needs for a moment lies in its own gradients, if they are made later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from formcalc.numeric.program.blocks import Block, Guest, Scope
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.values import Loop, Section, Value

#: Smaller values have a place of their own: to find it anew in every run takes as long as to read them.
LEAST = 4096


class Hosts:
    """The gradients that hold other values.

    Args:
        blocks: by value, those of the workspace and those of gradients.
        bounds: the first and the last moment of each loop.
        itemsize: the bytes of one number.
    """

    def __init__(
        self, program: Lowered, blocks: Mapping[Value, Block], bounds: Mapping[Section, tuple[int, int]], itemsize: int
    ) -> None:
        self.program = program
        self.itemsize = itemsize
        self.bounds = bounds
        self.members: dict[Block, list[Value]] = {}
        for value, block in blocks.items():
            self.members.setdefault(block, []).append(value)
        self.homes = program.loop_of
        #: What is there for longer than one layer, by loop.
        self.lasting = {
            loop: {*loop.saves, *(value for state in loop.states for value in (state.value, state.end))}
            for loop in program.loops
        }
        hosts = [block for block in self.members if block.letter is not None]
        self.hosts = sorted(hosts, key=lambda block: block.start)
        #: What lies in a gradient: of the layer above, and of its own layer or the whole run.
        self.above: dict[Block, list[Block]] = {host: [] for host in hosts}
        self.own: dict[Block, list[Block]] = {host: [] for host in hosts}

    def fill(self) -> None:
        """Find places for as many values as possible, the largest first."""
        inside = [block for block in self.members if block.letter is None and block.size >= LEAST]
        for block in sorted(inside, key=lambda block: (-block.extent, block.start)):
            reader = self.reader(block)
            block.guest = next(self.places(block, reader), None)
            if block.guest is not None:
                others = self.others(block.guest.host, block.guest.scope)
                others.append(block)
                others.sort(key=lambda block: block.guest.offset if block.guest else 0)

    def places(self, block: Block, reader: Loop | None) -> Iterator[Guest]:
        """Where a block can be."""
        for host in self.hosts:
            assert host.letter is not None
            loop = self.homes.get(host.letter)
            if loop is None or len(loop.values) == 1:
                if block.end < host.start:
                    yield from self.inside(host, block, "run")
            elif loop is reader:
                yield from self.inside(host, block, "layers")
            elif self.is_of_a_moment(block, loop, host):
                yield from self.inside(host, block, "layer")

    def inside(self, host: Block, block: Block, scope: Scope) -> Iterator[Guest]:
        """The first place in a gradient beside what meets a block there."""
        offset, size = 0, _size(block, scope)
        for other in self.others(host, scope):
            assert other.guest is not None
            if other.meets(block) and offset + size > other.guest.offset:
                offset = max(offset, other.guest.offset + _size(other, other.guest.scope))
        # what comes after the numbers, up to the next line of the cache, need not be there
        after = block.size - self.bytes_of(block)
        if offset + size - after <= self.bytes_of(host):
            yield Guest(host, offset, scope)

    def bytes_of(self, block: Block) -> int:
        """The bytes of the numbers in one copy of a block."""
        return block.values[0].entries * self.itemsize

    def others(self, host: Block, scope: Scope) -> list[Block]:
        """What lies in a gradient already; what the layer above keeps is gone when its own layer needs it."""
        return (self.above if scope == "layers" else self.own)[host]

    def is_of_a_moment(self, block: Block, loop: Loop, host: Block) -> bool:
        """Whether a value is there within one layer of a loop, and gone before a gradient of that layer is made."""
        first, _ = self.bounds[loop]
        return (
            block.copies == 1
            and first < block.start
            and block.end < host.start
            and self.lasting[loop].isdisjoint(self.members[block])
        )

    def reader(self, block: Block) -> Loop | None:
        """The loop that goes back through the layers, and reads of what they keep that of one layer at a time."""
        members = set(self.members[block])
        keeping = [loop for loop in self.program.loops if not members.isdisjoint(loop.saves)]
        readers = [loop for loop in self.program.loops if not members.isdisjoint(loop.loads)]
        if len(keeping) != 1 or len(readers) != 1 or block.copies == 1:
            return None
        there, back = keeping[0].values, readers[0].values
        read = {value for step in readers[0].steps for value, _ in step.operands} | {
            state.start.value for state in readers[0].states
        }
        is_alone = members.isdisjoint(read.difference(readers[0].loads)) and block.end <= self.bounds[readers[0]][1]
        is_back = there.step == 1 and back.step == -1 and there == back[::-1] and block.copies == len(there)
        return readers[0] if is_alone and is_back else None


def _size(block: Block, scope: Scope) -> int:
    """The bytes that a block needs in one gradient."""
    return block.size if scope == "layers" else block.size * block.copies
