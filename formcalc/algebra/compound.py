"""Products, sums, Hadamard products and traces: the nodes that shapes are checked in.

Constructors check and never simplify; associativity is the business of the pass ``flatten``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from formcalc.algebra.dimension import SCALAR, Shape, shape_text, union
from formcalc.algebra.expression import Expression
from formcalc.errors import ShapeError


def excerpt(node: Expression, limit: int = 60) -> str:
    """The text of a node, cut in the middle, for messages."""
    text = str(node)
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 2 + 5 :]}"


def _count(size: object, noun: str) -> str:
    return f"{size} {noun}" if str(size) == "1" else f"{size} {noun}s"


class Compound(Expression):
    """An n-ary node. It counts, indexes and iterates over its operands, from 0, as the manual's arrays do."""

    __slots__ = ()

    @property
    def length(self) -> int:
        """The number of operands; the manual's spelling of ``len``."""
        return len(self.children)

    def __len__(self) -> int:
        return len(self.children)

    def __getitem__(self, index: int) -> Expression:
        return self.children[index]

    def __iter__(self) -> Iterator[Expression]:
        return iter(self.children)

    def _over(self, children: tuple[Expression, ...]) -> Expression:
        return type(self)(*children)

    def _recipe(self) -> tuple[Callable[..., Expression], tuple]:
        return (type(self), ())


class Product(Compound):
    """The matrix product of factors whose shapes chain; scalar factors may stand anywhere.

    A product of one factor is that factor.

    Raises:
        ShapeError: neighbouring factors do not chain.
    """

    __slots__ = ()

    def __new__(cls, *factors: Expression) -> Expression:  # type: ignore[misc]  # one factor is itself
        if len(factors) == 1:
            return factors[0]
        if not factors:
            raise ShapeError("a product needs at least one factor")
        key = (cls, *factors)
        known = cls._known(key)
        if known is not None:
            return known
        matrices = [factor for factor in factors if factor.shape]
        for left, right in pairwise(matrices):
            if left.shape[1] is not right.shape[0]:
                a, b = excerpt(left), excerpt(right)
                raise ShapeError(
                    f"{a} {b}: {a} has {_count(left.shape[1], 'column')}, {b} has {_count(right.shape[0], 'row')}"
                )
        shape: Shape = (matrices[0].shape[0], matrices[-1].shape[1]) if matrices else SCALAR
        return cls._intern(
            key,
            children=factors,
            shape=shape,
            axes=union(factor.axes for factor in factors),
            degree=sum(factor.degree for factor in factors),
        )


class _SameShape(Compound):
    """Operands of one shape, combined entry by entry; a single matrix combines with every one of a family."""

    __slots__ = ()
    _sign = ""
    _noun = ""

    @classmethod
    def _checked(cls, operands: tuple[Expression, ...]) -> Shape:
        if not operands:
            raise ShapeError(f"a {cls._noun} needs at least one operand")
        first = operands[0]
        for other in operands[1:]:
            if other.shape != first.shape:
                a, b = excerpt(first), excerpt(other)
                raise ShapeError(
                    f"{a} {cls._sign} {b}: {a} is {shape_text(first.shape)}, {b} is {shape_text(other.shape)}"
                )
        return first.shape


class Sum(_SameShape):
    """The sum of terms of one shape. A sum of one term is that term.

    Raises:
        ShapeError: the terms have different shapes.
    """

    __slots__ = ()
    _sign, _noun = "+", "sum"

    def __new__(cls, *terms: Expression) -> Expression:  # type: ignore[misc]  # one term is itself
        if len(terms) == 1:
            return terms[0]
        key = (cls, *terms)
        known = cls._known(key)
        if known is not None:
            return known
        shape = cls._checked(terms)
        return cls._intern(
            key,
            children=terms,
            shape=shape,
            axes=union(term.axes for term in terms),
            degree=max(term.degree for term in terms),
        )


class OneForm(Compound):
    """A one-form: a sum of square words, each read under a trace of its own, so that their shapes may differ.

    ``A dW + B dQ`` stands for ``trace(A dW) + trace(B dQ)``. Words of one shape and the same axes are simply their sum.

    Raises:
        ShapeError: a word that is not square, or carries no differential.
    """

    __slots__ = ()

    def __new__(cls, *words: Expression) -> Expression:  # type: ignore[misc]  # words of one shape are a sum
        if not words:
            raise ShapeError("a one-form needs at least one word")
        if all(word.shape == words[0].shape and word.axes == words[0].axes for word in words):
            return Sum(*words)
        for word in words:
            if len(word.shape) != 2 or word.shape[0] is not word.shape[1]:
                raise ShapeError(f"{excerpt(word)} is {shape_text(word.shape)}: a word under a trace is square")
            if word.degree != 1:
                raise ShapeError(f"{excerpt(word)} carries no differential: it is no word of a one-form")
        return cls._intern((cls, *words), children=words, shape=SCALAR, axes=(), degree=1)


class Hadamard(_SameShape):
    """The product entry by entry of matrices of one shape. Of one operand, it is that operand.

    Raises:
        ShapeError: the operands have different shapes, or are scalars.
    """

    __slots__ = ()
    _sign, _noun = "∘", "Hadamard product"

    def __new__(cls, *operands: Expression) -> Expression:  # type: ignore[misc]  # one operand is itself
        if len(operands) == 1:
            return operands[0]
        key = (cls, *operands)
        known = cls._known(key)
        if known is not None:
            return known
        shape = cls._checked(operands)
        if shape == SCALAR:
            raise ShapeError(f"{excerpt(operands[0])} ∘ {excerpt(operands[1])}: scalars multiply without ∘")
        return cls._intern(
            key,
            children=operands,
            shape=shape,
            axes=union(operand.axes for operand in operands),
            degree=sum(operand.degree for operand in operands),
        )


class Trace(Compound):
    """The trace of a square matrix, a scalar; of a family, the sum of all their traces.

    Raises:
        ShapeError: the operand is not square.
    """

    __slots__ = ()

    def __new__(cls, operand: Expression) -> Trace:
        if len(operand.shape) != 2 or operand.shape[0] is not operand.shape[1]:
            raise ShapeError(f"trace({excerpt(operand)}): the operand is {shape_text(operand.shape)}, not square")
        return cls._intern((cls, operand), children=(operand,), shape=SCALAR, axes=(), degree=operand.degree)
