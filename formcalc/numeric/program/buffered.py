"""The source of a numpy program: every step writes to memory that was planned before the run.

The source defines ``prepare(buffer) -> run``: `buffer` gives an array of a shape at an offset of the workspace. The run
of a part has one argument more, what adds a gradient to the total of its weight, and only gives the loss.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from formcalc.algebra import Letter
from formcalc.language.indices import numbered
from formcalc.numeric.program.blocks import Block, Guest
from formcalc.numeric.program.dialects import Dialect
from formcalc.numeric.program.emission import Emitter
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.matrix_product import MatrixProduct, Side
from formcalc.numeric.program.memory import Memory
from formcalc.numeric.program.scratch import (
    is_scale_inside,
    is_scaled,
    order_of_copy,
    product_scratch,
    result_groups,
    scratch,
)
from formcalc.numeric.program.spelling import indexed, shape_of, spelled, tuple_of
from formcalc.numeric.program.values import Contract, Fused, Loop, Map, Step, Value, View, made

#: What primitives call a second result; for a slope, it is the value of its function.
_MORE = {"norm": "inverse", "rms": "inverse"}


class BufferedEmitter(Emitter):
    """Writes ``prepare``: the arrays of the workspace, and the run that fills them."""

    def __init__(self, program: Lowered, memory: Memory, dialect: Dialect) -> None:
        super().__init__(program, dialect)
        self.memory = memory
        self.unshared = set()  # what the workspace holds is copied for the caller
        self.copy = "" if memory.hands_on else dialect.copy
        loops = program.loops
        named = {value for loop in loops for value in (*loop.saves, *loop.loads)}
        named |= {value for loop in loops for state in loop.states for value in (state.value, state.end)}
        #: Blocks with a copy for each layer, or for this layer and the next; their names change from layer to layer.
        self.changing = {block for value, block in memory.blocks.items() if block.copies > 1 or value in named}
        self.hosts = dict.fromkeys(block.guest.host for block in memory.blocks.values() if block.guest is not None)
        self.homes = program.loop_of
        self.allocated: set[Block] = set()
        self.index = ""

    def text(self) -> str:
        self.write("def prepare(buffer):")
        self.depth += 1
        for block in dict.fromkeys(self.memory.blocks.values()):
            self.declare(block)
        for step, blocks in self.memory.scratch.items():
            for (suffix, shape), block in zip(scratch(step, self.dialect).items(), blocks, strict=True):
                self.write(f"{step.out.name}_{suffix} = buffer({block.offset}, {tuple_of(shape)})")
        text = super().text()
        return f"{text}    return run\n"

    def begin(self) -> None:
        if not self.memory.hands_on:
            super().begin()
            self.open_hosts()
            return
        self.write("def run(arrays, constants, like, add_to_total):")
        self.depth += 1

    def end(self, loss: str) -> None:
        if not self.memory.hands_on:
            super().end(loss)
            return
        self.write(f"return {loss}")
        self.depth -= 1

    def give(self, key: str, text: str, comment: str) -> None:
        if self.memory.hands_on:
            self.write(f"add_to_total({key}, {text})", comment)
        else:
            super().give(key, text, comment)

    def declare(self, block: Block) -> None:
        if block.letter is not None or block.extent == 0:
            return
        shape = tuple_of(block.values[0].shape)
        if block.guest is not None:
            self.write(f"{_first(block)} = buffer({block.offset}, {shape})")
        elif block in self.changing:
            place = f"{block.offset} + k * {block.size}" if block.copies > 1 else str(block.offset)
            self.write(f"{_list(block)} = [buffer({place}, {shape}) for k in range({block.copies})]")
        else:
            self.write(f"{_names(block)} = buffer({block.offset}, {shape})")

    def open_hosts(self) -> None:
        """The gradients that hold other values, and these, but for those of one layer."""
        layers: dict[Loop, list[str]] = {}
        for host in self.hosts:
            assert host.letter is not None
            loop = self.homes.get(host.letter)
            key = indexed(host.letter, loop.index) if loop is not None else f'"{host.letter.name}"'
            line = f"gradients[{key}] = {self.empty(host.letter)}"
            if loop is None:
                self.write(line)
            else:
                layers.setdefault(loop, []).append(line)
        for loop, lines in layers.items():
            self.write(f"for {loop.index} in range({min(loop.values)}, {max(loop.values) + 1}):")
            for line in lines:
                self.write(f"    {line}")
        for block in dict.fromkeys(self.memory.blocks.values()):
            if block.guest is not None and block.guest.scope != "layer":
                self.write(self.placed(block, block.guest))

    def placed(self, block: Block, guest: Guest) -> str:
        """The statement that finds a block in a gradient, or in those of all layers."""
        letter = guest.host.letter
        assert letter is not None
        loop = self.homes.get(letter)
        if guest.scope == "layers":
            assert loop is not None
            array = self.within(block, indexed(letter, loop.index))
            layers = f"for {loop.index} in range({min(loop.values)}, {max(loop.values)})"
            return f"{_list(block)} = [{_first(block)}, *({array} {layers})]"
        key = f'"{letter.name if loop is None else numbered(letter.name, {loop.index: loop.values[0]})}"'
        if block in self.changing:
            copies = [self.within(block, key, k) for k in range(block.copies)]
            return f"{_list(block)} = [{', '.join(copies)}]"
        return f"{_names(block)} = {self.within(block, key)}"

    def within(self, block: Block, key: str, copy: int = 0) -> str:
        """An array in the memory of a gradient."""
        guest, shape = block.guest, block.values[0].shape
        assert guest is not None
        assert guest.host.letter is not None
        offset = guest.offset + copy * block.size
        if offset == 0 and shape == self.shape(guest.host.letter):
            return f"gradients[{key}]"
        return f"np.ndarray({tuple_of(shape)}, like.dtype, gradients[{key}], {offset})"

    def shape(self, letter: Letter) -> tuple[int, ...]:
        """The shape of the array of a weight."""
        return tuple(self.program.inputs[letter].sizes.values())

    def empty(self, letter: Letter) -> str:
        """New memory for a gradient, which the caller keeps."""
        return f"np.empty({tuple_of(self.shape(letter))}, like.dtype)"

    def enter(self, loop: Loop) -> None:
        made_here = dict.fromkeys(value for step in loop.steps for value in made(step))
        for block in dict.fromkeys(self.memory.blocks[value] for value in made_here):
            if block.guest is not None and block.guest.scope == "layer":
                assert block.guest.host.letter is not None
                key = indexed(block.guest.host.letter, loop.index)
                self.write(f"{_names(block)} = {self.within(block, key)}")
            elif block in self.changing:
                names = " = ".join(value.name for value in block.values if value in made_here)
                self.write(f"{names} = {_list(block)}[{_place(block, loop)}]")
        self.allocated.clear()
        self.index = loop.index

    def loop(self, loop: Loop) -> None:
        super().loop(loop)
        self.index = ""

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            for block in map(self.memory.blocks.__getitem__, made(step)):
                if block.letter is not None and block not in self.allocated:
                    self.allocate(block, block.letter)
            for line in self.contracting(step) if isinstance(step, Contract) else self.mapping(step):
                self.write(line)
            self.give_made(step)

    def allocate(self, block: Block, letter: Letter) -> None:
        """Memory for a gradient, if it has none yet."""
        self.allocated.add(block)
        key = indexed(letter, self.index) if letter in self.homes else f'"{letter.name}"'
        text = f"gradients[{key}]"
        new = "" if block in self.hosts else f" = {self.empty(letter)}"
        own = block.values[-1].shape
        if self.shape(letter) == own:
            self.write(f"{_names(block)} = {text}{new}")
        else:
            if new:
                self.write(f"{text}{new}")
            self.write(f"{_names(block)} = {text}.reshape({shape_of(own)})")

    def nothing(self, total: Value) -> str:
        block = self.memory.blocks[total]
        if block.letter is not None:
            self.index = ""
            self.allocate(block, block.letter)
        return f"{total.name}.fill(0)"

    def added(self, total: Value, text: str) -> str:
        return f"np.add({total.name}, {text}, out={total.name})"

    def coefficient(self, letter: Letter, view: View, index: str = "") -> None:
        block = self.memory.blocks.get(view.value)
        if block is None or block.letter is not letter:
            super().coefficient(letter, view, index)

    def scalar(self, view: View) -> str:
        return f"{view.value.name}.copy()"

    # maps

    def mapping(self, step: Map) -> list[str]:
        out = step.out.name
        match step.operation:
            case "sum":
                return self.summing(step)
            case "product":
                return self.multiplying(step)
            case "constant" | "ones":
                return [f"{out}.fill({step.numbers[0]!r})" if step.operation == "constant" else f"{out}.fill(1)"]
            case "dense" | "identity" | "broadcast":
                return [f"{out}[...] = {self.map(step)}"]
        slots = (*step.out.slots, step.along) if step.operation == "rowdot" else step.out.slots
        if isinstance(step, Fused):
            operands, outs = self.fused_operands(step), [self.results(step)]
        else:
            operands = [self.aligned(operand, slots) for operand in step.operands]
            outs = [f"out={out}", *(f"{_MORE.get(step.operation, 'value')}={value.name}" for value in step.more)]
        return [f"{spelled(step.operation)}({', '.join([*operands, *map(repr, step.numbers), *outs])})"]

    def results(self, step: Fused) -> str:
        """The arrays that a primitive fills, with all the axes it has."""
        texts = []
        for value, order in zip((step.out, *step.more), step.results, strict=True):
            shape = shape_of([value.sizes[label] if label in value.slots else 1 for label in order])
            texts.append(value.name if len(value.slots) == len(order) else f"{value.name}.reshape({shape})")
        return f"out={texts[0]}" if len(texts) == 1 else f"out=({', '.join(texts)})"

    def ordered(self, step: Map) -> list[int]:
        """The operands of a sum or a product: first the one that the result is written over, then by size."""
        block = self.memory.blocks[step.out]

        def rank(place: int) -> tuple[bool, int]:
            value, _ = step.operands[place]
            return self.memory.blocks.get(value) is not block or value.entries < step.out.entries, -value.entries

        return sorted(range(len(step.operands)), key=rank)

    def summing(self, step: Map) -> list[str]:
        out, lines = step.out.name, []
        order = self.ordered(step)
        texts = [self.aligned(operand, step.out.slots) for operand in step.operands]
        first = order[0]
        if len(order) == 1 or abs(step.numbers[first]) != 1:
            lines.append(_scaled(texts[first], step.numbers[first], out))
            sign = 1.0
        else:
            sign = step.numbers[first]
        before = out if lines else texts[first]
        for place in order[1:]:
            number = step.numbers[place] * sign  # with the sign of the first term taken out
            if is_scaled(step, place):
                lines.append(f"np.multiply({texts[place]}, {abs(number)!r}, out={out}_term)")
                text = f"{out}_term"
            else:
                text = texts[place] if abs(number) == 1 else f"({abs(number)!r} * {texts[place]})"
            if sign < 0 < step.numbers[place] and len(order) == 2:
                lines.append(f"np.subtract({text}, {before}, out={out})")
                return lines
            lines.append(f"np.{'add' if number > 0 else 'subtract'}({before}, {text}, out={out})")
            before = out
        if sign < 0:
            lines.append(f"np.negative({out}, out={out})")
        return lines

    def multiplying(self, step: Map) -> list[str]:
        out, number = step.out.name, step.numbers[0]
        large: list[str] = []
        small = [] if number == 1 else [repr(number)]
        for place in self.ordered(step):
            text = self.aligned(step.operands[place], step.out.slots)
            is_small = large and 2 * step.operands[place][0].entries <= step.out.entries
            (small if is_small else large).append(text)
        factors = large + ([" * ".join(small)] if small else [])
        if len(factors) == 1:
            return [f"{out}[...] = {factors[0]}"]
        before, lines = factors[0], []
        for factor in factors[1:]:
            lines.append(f"np.multiply({before}, {factor}, out={out})")
            before = out
        return lines

    # contractions

    def contracting(self, step: Contract) -> list[str]:
        if len(step.operands) == 1 or any(value.kind != "array" for value, _ in step.operands):
            return self.summing_up(step) or [self.selecting(step)]
        product = MatrixProduct.of(step)
        if product.is_outer:
            return [f"np.multiply({', '.join(self.outer(step, product))}, out={step.out.name})"]
        return self.multiplying_matrices(step, product)

    def selecting(self, step: Contract) -> str:
        """A product with one-hot rows or a quarter turn; where one primitive is all of it, that fills the array."""
        text = self.contract(step)
        found = ast.parse(text, mode="eval").body
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id in ("select", "add_rows"):
            return f"{text[:-1]}, out={step.out.name})"
        return f"{step.out.name}[...] = {text}"

    def summing_up(self, step: Contract) -> list[str]:
        """Sums over axes of one array."""
        value, labels = step.operands[0]
        names = [labels[slot] for slot in value.stored]
        kept = tuple(x for x in names if x in step.out.slots)
        is_plain = value.kind == "array" and len(set(names)) == len(names) > len(kept)
        if len(step.operands) > 1 or not is_plain or kept != step.out.slots:
            return []
        axes = tuple(k for k, x in enumerate(names) if x not in kept)
        lines = [f"np.add.reduce({value.name}, {axes}, out={step.out.name})"]
        if step.scale != 1:
            lines.append(f"np.multiply({step.out.name}, {step.scale!r}, out={step.out.name})")
        return lines

    def multiplying_matrices(self, step: Contract, product: MatrixProduct) -> list[str]:
        out, lines = step.out.name, []
        needed = product_scratch(step, product, self.dialect)
        is_inside = is_scale_inside(step, product, self.dialect)
        texts = []
        for k, (name, side) in enumerate(zip(("left", "right"), product.sides, strict=True)):
            text = self.side(step, side)
            scale = step.scale if is_inside and k == product.small else 1.0
            own = f"{out}_{name}"
            order = order_of_copy(product, side)
            if name not in needed:
                texts.append(self.grouped(text, side, product))
            elif side.is_view:
                lines.append(_scaled(text, scale, own))
                texts.append(self.grouped(own, side, product))
            else:
                lines.append(_scaled(self.permuted(text, side.names, order), scale, own))
                laid = Side(side.place, order, (), side.groups)
                texts.append(self.grouped(own, laid, product))
        groups = result_groups(product)
        target = f"{out}_result"
        if "result" not in needed:
            target = self.permuted(out, step.out.slots, product.result)
            if product.is_grouped:
                target = f"{target}.reshape({shape_of(product.shape(groups))})"
        is_after = step.scale != 1 and not is_inside
        is_along = is_after and self.dialect.scales_products
        factor = f", scale={step.scale!r}" if is_along else ""
        is_contiguous = "result" in needed or product.result == step.out.slots  # as np.dot wants it
        function = self.dialect.product if is_contiguous and not product.batch else self.dialect.products
        lines.append(f"{function}({texts[0]}, {texts[1]}, out={target}{factor})")
        if "result" in needed:
            whole = f"{target}.reshape({shape_of([product.sizes[x] for x in product.result])})"
            lines.append(f"{out}[...] = {self.permuted(whole, product.result, step.out.slots)}")
        if is_after and not is_along:
            lines.append(f"np.multiply({out}, {step.scale!r}, out={out})")
        return lines


def _scaled(text: str, number: float, out: str) -> str:
    if number == 1:
        return f"{out}[...] = {text}"
    return f"np.negative({text}, out={out})" if number == -1 else f"np.multiply({text}, {number!r}, out={out})"


def _names(block: Block) -> str:
    return " = ".join(value.name for value in block.values)


def _list(block: Block) -> str:
    return f"{block.values[-1].name}_each"


def _first(block: Block) -> str:
    """The one copy of a block that is in the workspace."""
    return f"{block.values[-1].name}_first"


def _place(block: Block, loop: Loop) -> str:
    """Which copy of a block a layer writes."""
    if block.copies == 1:
        return "0"
    if block.copies < len(loop.values):
        return f"{loop.index} % {block.copies}"
    lowest = min(loop.values)
    return f"{loop.index} - {lowest}" if lowest else loop.index
