"""The expanded normal form without building it: its words are counted, drawn and listed from the shared form."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from formcalc.algebra import (
    Apply,
    Expression,
    Hadamard,
    Letter,
    Number,
    OneForm,
    Product,
    Sum,
    postorder,
    transpose,
)
from formcalc.calculus.cyclic import normal_word
from formcalc.calculus.expansion import Word, factors
from formcalc.errors import FormError


class Words:
    """The summands of a coefficient, or of a whole form, with definitions multiplied out.

    Arguments of nonlinear operators are left as they are, and so are the letters of the loss itself, such as the error.

    Attributes:
        count: how many there are, an exact integer of any size.
    """

    def __init__(self, expression: Expression, atoms: Collection[Letter]) -> None:
        self._expression = expression
        self._atoms = frozenset(letter.plain for letter in atoms)
        self._counts: dict[Expression, int] = {}
        for node in postorder(expression, self._below):
            self._counts[node] = self._count(node)
        self.count: int = self._counts[expression]

    def _below(self, node: Expression) -> tuple[Expression, ...]:
        """The parts of a node that expand."""
        match node:
            case Letter():
                return () if node.definition is None or node.plain in self._atoms else (node.definition,)
            case Apply():
                return (node.direction,) if node.is_linear else ()
            case Hadamard():
                return ()
            case Product() | Sum() | OneForm():
                return node.children
        return ()

    def _count(self, node: Expression) -> int:
        if isinstance(node, Number) and not node.value:
            return 0  # the coefficient of a weight that the loss does not depend on
        parts = [self._counts[part] for part in self._below(node)]
        if isinstance(node, (Sum, OneForm)):
            return sum(parts)
        count = 1
        for part in parts:
            count *= part
        return count

    def __len__(self) -> int:
        return self.count

    def __bool__(self) -> bool:
        return self.count > 0

    def __getitem__(self, index: int) -> Expression:
        """The word number `index`, counted from 0, or from the end if negative.

        Raises:
            FormError: there is no such word.
        """
        if not isinstance(index, int) or isinstance(index, bool):
            raise FormError(f"a word's number is an integer, not {index!r}")
        position = index + self.count if index < 0 else index
        if not 0 <= position < self.count:
            raise FormError(f"there is no word number {index}: there are {self.count}, numbered from 0")
        number, word = normal_word(self._word(position))
        return Product(*word) if number == 1 else Product(Number(number), *word)

    def __iter__(self) -> Iterator[Expression]:
        return (self[index] for index in range(self.count))

    def _word(self, position: int) -> Word:
        """The factors of one word. A stack of requests stands in for recursion, which depth would exhaust."""
        root = (self._expression, position)
        done: dict[tuple[Expression, int], Word] = {}
        stack = [root]
        while stack:
            request = stack[-1]
            needed = self._requests(*request)
            missing = [part for part in needed if part not in done]
            if missing:
                stack.extend(missing)
            else:
                done[request] = self._assembled(request[0], [done[part] for part in needed])
                stack.pop()
        return done[root]

    def _requests(self, node: Expression, position: int) -> list[tuple[Expression, int]]:
        """Which word of which part makes up this word of a node."""
        parts = self._below(node)
        if isinstance(node, (Sum, OneForm)):
            for part in parts:
                if position < self._counts[part]:
                    return [(part, position)]
                position -= self._counts[part]
        digits = []
        for part in reversed(parts):
            position, digit = divmod(position, self._counts[part])
            digits.append((part, digit))
        return digits[::-1]

    def _assembled(self, node: Expression, words: list[Word]) -> Word:
        match node:
            case Letter() if words:
                return factors(transpose(Product(*words[0]))) if node.is_transposed else words[0]
            case Apply() if words:
                number, word = normal_word(words[0])
                scalars = tuple(factor for factor in word if not factor.shape)
                matrices = tuple(factor for factor in word if factor.shape)
                leading = () if number == 1 else (Number(number),)
                return (*leading, *scalars, node.with_direction(Product(*matrices)))
            case Product() | Sum() | OneForm():
                return tuple(factor for word in words for factor in word)
        return (node,)
