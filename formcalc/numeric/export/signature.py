"""The arguments of exported functions: one array for each letter, the letters of layers stacked along a first axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from formcalc.algebra import Dimension, Letter
from formcalc.language import Model
from formcalc.language.statements import Bound, Declared, Family, Layers
from formcalc.numeric.arrays import dimensions_of
from formcalc.numeric.export.naming import Names, argument


@dataclass(frozen=True)
class Argument:
    """An argument of an exported function.

    Attributes:
        name: in the file, and `letter` on the page.
        family: the layers whose letters are stacked, if any.
        shape: the names of its dimensions, a count such as ``L`` or ``L-K`` first if it is stacked.
    """

    name: str
    letter: Letter
    family: Family | None
    shape: tuple[str, ...]

    @property
    def is_real(self) -> bool:
        """Whether a loss can be differentiated by it."""
        return self.letter.role in ("weight", "data")


@dataclass
class Signature:
    """The arguments of a page's functions, and the identifiers of its dimensions and of the indices of its layers."""

    arguments: dict[Letter, Argument] = field(default_factory=dict)
    dimensions: dict[str, str] = field(default_factory=dict)
    indices: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, names: Names, known: Signature | None = None) -> Signature:
        """Names for all inputs and dimensions of a model; those of letters that are known stay."""
        found = cls()
        before = {x.letter.name: x.name for x in known.arguments.values()} if known else {}
        names.taken |= {*before.values(), *(known.dimensions.values() if known else ())}
        for dimension in model.dimensions:
            old = known.dimensions.get(dimension) if known else None
            found.dimensions[dimension] = old or names.new(dimension)
        indices = {block.index: None for block in model.source.statements if isinstance(block, Layers)}
        for letter, family in _declared(model):
            if letter.symbol.is_constant:
                continue
            whole = tuple(found.size(dimension) for dimension in dimensions_of(letter))
            shape = (found.count(family), *whole) if family else whole
            name = before.get(letter.name) or names.new(argument(letter, indices))
            found.arguments[letter] = Argument(name, letter, family, shape)
        found.indices = {index: names.new(index) for index in indices}
        return found

    def size(self, dimension: Dimension) -> str:
        """A dimension as the file calls it, or its size."""
        return self.dimensions[str(dimension)] if dimension.is_symbolic else str(dimension)

    def bound(self, bound: Bound, more: int = 0) -> str:
        """The end of a range of layers, as text."""
        offset = bound.offset + more
        if bound.dimension is None:
            return str(offset)
        return self.dimensions[bound.dimension] + (f" {'+' if offset > 0 else '-'} {abs(offset)}" if offset else "")

    def count(self, family: Family) -> str:
        """How many layers there are, as text."""
        _, first, last = family
        if first.dimension is None:
            return self.bound(last, 1 - first.offset)
        if last.dimension == first.dimension:
            return str(last.offset - first.offset + 1)
        start = self.bound(first)
        return f"{self.bound(last, 1)} - {start if start.isidentifier() else f'({start})'}"

    def place(self, family: Family) -> str:
        """The place of a layer among the stacked ones."""
        name, first, _ = family
        index, start = self.indices[name], self.bound(first)
        return index if start == "0" else f"{index} - {start}" if " " not in start else f"{index} - ({start})"

    def known_sizes(self, wanted: set[str], within: Iterable[Argument], default: Mapping[str, int]) -> list[str]:
        """Statements that read the sizes of dimensions from the shapes of arguments; of none, as it was at export."""
        lines, missing = [], set(wanted)
        for given in within:
            fresh = [name for name in dict.fromkeys(given.shape) if name in missing]
            if fresh:
                first = {name: place for place, name in reversed([*enumerate(given.shape)])}
                targets = [
                    name if name in fresh and first[name] == place else "_" for place, name in enumerate(given.shape)
                ]
                lines.append(f"{', '.join(targets)}{',' if len(targets) == 1 else ''} = {given.name}.shape")
                missing -= set(fresh)
        for name in [name for name in self.dimensions.values() if name in missing]:
            original = next(dimension for dimension, found in self.dimensions.items() if found == name)
            lines.append(f"{name} = {default[original]}  # no argument shows it")
        return lines


def _declared(model: Model) -> Iterator[tuple[Letter, Family | None]]:
    """The declared letters as the page writes them, with the layers they belong to."""
    for statement in model.source.statements:
        if isinstance(statement, Declared):
            yield from ((letter, None) for letter in statement.letters)
        elif isinstance(statement, Layers):
            for inner in statement.body:
                if isinstance(inner, Declared):
                    yield from ((letter, statement.family) for letter in inner.letters)
