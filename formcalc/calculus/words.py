"""The expanded normal form without building it: its words are counted, drawn and listed from the shared form."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterator
from enum import Enum
from typing import NamedTuple

from formcalc.algebra import (
    Apply,
    AxisSum,
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
from formcalc.language.names import canonical


class _Kind(Enum):
    """Which words of a part are meant, with respect to a letter."""

    ANY = "any"
    WITH = "with the letter"
    WITHOUT = "without the letter"


class _Request(NamedTuple):
    """A word of a node by its number among those of a kind."""

    node: Expression
    position: int
    kind: _Kind


class Words:
    """The summands of a coefficient, or of a whole form, with definitions multiplied out.

    Arguments of nonlinear operators are left as they are, and so are the letters of the loss itself, such as the error.
    A Hadamard product multiplies out in the operand that the error comes through.

    Attributes:
        count: how many there are, an exact integer of any size.
    """

    def __init__(self, expression: Expression, atoms: Collection[Letter], letter: str | None = None) -> None:
        self._expression = expression
        self._atoms = frozenset(atom.plain for atom in atoms)
        self._letter = letter
        # Which parts the error comes through: those that hold an atom, in themselves or in a definition.
        self._carries: dict[Expression, bool] = {}
        for node in postorder(expression, self._parts):
            self._carries[node] = self._is_atom(node) or any(self._carries[part] for part in self._parts(node))
        self._counts: dict[Expression, dict[_Kind, int]] = {}
        for node in postorder(expression, self._below):
            total, without = self._count(node, _Kind.ANY), self._count(node, _Kind.WITHOUT)
            self._counts[node] = {_Kind.ANY: total, _Kind.WITHOUT: without, _Kind.WITH: total - without}
        self._kind = _Kind.ANY if letter is None else _Kind.WITH
        self.count: int = self._counts[expression][self._kind]

    def containing(self, letter: str) -> Words:
        """Those words that have a letter among their factors, also inside linear operator letters, plain or transposed.

        What only stands in the argument of a nonlinear operator, or behind the name of a definition, does not count:
        the words are the paths of the error, and these run through the letter.

        >>> from formcalc.calculus import derive
        >>> from formcalc.language import parse
        >>> letters = dict.fromkeys("ABW", ("n", "n"))
        >>> words = derive(parse("(A + B) W A", letters), wrt=["W"]).words("W")
        >>> [str(word) for word in words.containing("B")]
        ['A E^t B']
        """
        if self._letter is not None:
            raise FormError(f"these are already the words that contain {self._letter}: ask the words of the form")
        return Words(self._expression, self._atoms, canonical(letter))

    def _is_atom(self, node: Expression) -> bool:
        return isinstance(node, Letter) and node.plain in self._atoms

    def _parts(self, node: Expression) -> tuple[Expression, ...]:
        """The parts of a node, and the definition of a letter that is no atom."""
        if isinstance(node, Letter):
            return () if node.definition is None or self._is_atom(node) else (node.definition,)
        return node.children

    def _below(self, node: Expression) -> tuple[Expression, ...]:
        """The parts of a node that expand."""
        match node:
            case Letter() | Product() | Sum() | OneForm():
                return self._parts(node)
            case Apply() | AxisSum():
                return (node.direction,) if node.is_linear else ()
            case Hadamard():
                return tuple(operand for operand in node if self._carries[operand])
        return ()

    def _count(self, node: Expression, kind: _Kind) -> int:
        if isinstance(node, Number) and not node.value:
            return 0  # the coefficient of a weight that the loss does not depend on
        below = self._below(node)
        if kind is _Kind.WITHOUT and not below and isinstance(node, Letter) and node.name == self._letter:
            return 0
        parts = [self._counts[part][kind] for part in below]
        return sum(parts) if isinstance(node, (Sum, OneForm)) else math.prod(parts)

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

    def sample(self, seed: int = 0) -> Expression:
        """One word, each with the same probability.

        Raises:
            FormError: there are none.
        """
        if not self.count:
            raise FormError("there are no words to draw from")
        return self[random.Random(seed).randrange(self.count)]

    def __iter__(self) -> Iterator[Expression]:
        return (self[index] for index in range(self.count))

    def _word(self, position: int) -> Word:
        """The factors of one word. A stack of requests stands in for recursion, which depth would exhaust."""
        root = _Request(self._expression, position, self._kind)
        done: dict[_Request, Word] = {}
        stack = [root]
        while stack:
            request = stack[-1]
            needed = self._requests(request)
            missing = [part for part in needed if part not in done]
            if missing:
                stack.extend(missing)
            else:
                done[request] = self._assembled(request.node, [done[part] for part in needed])
                stack.pop()
        return done[root]

    def _requests(self, request: _Request) -> list[_Request]:
        """Which word of which part makes up this word of a node."""
        node, position, kind = request
        parts = self._below(node)
        if isinstance(node, (Sum, OneForm)):
            for part in parts:
                if position < self._counts[part][kind]:
                    return [_Request(part, position, kind)]
                position -= self._counts[part][kind]
        kinds = [kind] * len(parts)
        if kind is _Kind.WITH:
            # the words in which the letter comes first in the first part, then those where in the second, ...
            for place in range(len(parts)):
                kinds = [_Kind.WITHOUT] * place + [_Kind.WITH] + [_Kind.ANY] * (len(parts) - place - 1)
                block = math.prod(self._counts[part][k] for part, k in zip(parts, kinds, strict=True))
                if position < block:
                    break
                position -= block
        digits = []
        for part, part_kind in reversed([*zip(parts, kinds, strict=True)]):
            position, digit = divmod(position, self._counts[part][part_kind])
            digits.append(_Request(part, digit, part_kind))
        return digits[::-1]

    def _assembled(self, node: Expression, words: list[Word]) -> Word:
        match node:
            case Letter() if words:
                return factors(transpose(Product(*words[0]))) if node.is_transposed else words[0]
            case Apply() | AxisSum() if words:
                scalars, matrix = _split(words[0])
                return (*scalars, *factors(node.with_direction(matrix)))
            case Hadamard() if words:
                # one word for each operand that expands, also where two are the same
                split = [_split(word) for word in words]
                chosen = iter([matrix for _, matrix in split])
                operands = [next(chosen) if self._carries[operand] else operand for operand in node]
                return (*(factor for scalars, _ in split for factor in scalars), Hadamard(*operands))
            case Product() | Sum() | OneForm():
                return tuple(factor for word in words for factor in word)
        return (node,)


def _split(word: Word) -> tuple[Word, Expression]:
    """The scalars of a word, and the product of its matrices."""
    number, factors_in_order = normal_word(word)
    scalars = tuple(factor for factor in factors_in_order if not factor.shape)
    leading = () if number == 1 else (Number(number),)
    return (*leading, *scalars), Product(*(factor for factor in factors_in_order if factor.shape))
