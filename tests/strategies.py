"""Random expressions whose shapes fit, over every kind of node and every row of the operator table.

Dimensions, letters and their sizes are fixed, so that what is drawn can be printed, parsed and evaluated:
``parse(str(e), LETTERS) is e`` holds for every ``e`` of ``expressions()``.
"""

from __future__ import annotations

from itertools import pairwise, product

from hypothesis import strategies as st

from formcalc.algebra import (
    PI,
    Apply,
    Dimension,
    Expression,
    Hadamard,
    Letter,
    Number,
    OneForm,
    Power,
    Product,
    Shape,
    Sum,
    Symbol,
    Trace,
    identity,
    ones,
    transpose,
)
from formcalc.operators import OPERATORS, Differential, Operator, operator_named

#: The sizes of the symbolic dimensions.
SIZES = {"T": 2, "d": 3, "n_0": 2}

#: The dimensions of matrices: names, and an exact 1 for columns and rows.
DIMENSIONS = (*map(Dimension, SIZES), Dimension(1))

SHAPES: tuple[Shape, ...] = tuple(product(DIMENSIONS, repeat=2))

_ROLES = {"W": "weight", "gamma": "weight", "X": "data", "C": "ones", "M": "causal"}

#: Two weights, data, ones and a mask of every shape, by name: ``W_{T,d}``, ``gamma_{T,d}``, ``X_{T,d}``, ...
LETTERS: dict[str, Letter] = {
    name: Letter(Symbol(name, shape, role))
    for shape in SHAPES
    for name, role in ((f"{base}_{{{shape[0]},{shape[1]}}}", role) for base, role in _ROLES.items())
}
LETTERS["J"] = Letter(Symbol("J", ("d", "d"), "identity"))

shapes = st.sampled_from(SHAPES)
fractions = st.fractions(min_value=-4, max_value=4, max_denominator=6)
rows = st.sampled_from(OPERATORS)

_letters_of = {
    shape: tuple(letter for letter in LETTERS.values() if letter.shape == shape)
    + (ones(*shape),)
    + ((identity(shape[0]),) if shape[0] is shape[1] else ())
    for shape in SHAPES
}


def numbers(zero: bool = True) -> st.SearchStrategy[Number]:
    """Exact rationals: negative, fractional, 1, -1, and 0 where it may occur."""
    values = st.one_of(st.sampled_from([1, -1, 2]), fractions)
    return (values if zero else values.filter(bool)).map(Number)


def powers() -> st.SearchStrategy[Power]:
    """Rational powers of dimensions, of positive integers and of pi."""
    bases = st.sampled_from([*SIZES, 1, 2, 9, PI])
    return st.builds(Power, bases, st.one_of(st.just(1), st.fractions(-2, 2, max_denominator=4)))


@st.composite
def letters(draw: st.DrawFn, shape: Shape | None = None, differentials: bool = False) -> Letter:
    """Letters of every role, plain or transposed; weights and data also as differentials, if they may occur."""
    shape = draw(shapes) if shape is None else shape
    is_transposed = draw(st.booleans())
    letter = draw(st.sampled_from(_letters_of[shape[::-1] if is_transposed else shape]))
    is_differential = differentials and not letter.symbol.is_constant and draw(st.booleans())
    letter = letter.differential if is_differential else letter
    return transpose(letter) if is_transposed else letter


def at(row: Operator, inner: Expression, smooth: bool) -> Expression:
    """An argument for a row: in its domain, and, if it is to be smooth there, away from kinks and not huge."""
    if smooth and row.kinks:
        return Sum(inner, LETTERS[f"X_{{{inner.shape[0]},{inner.shape[1]}}}"])
    if smooth and row is operator_named("exp"):
        return Apply(operator_named("tanh"), inner)
    return inner if row.domain == "real" else Sum(Hadamard(inner, inner), ones(*inner.shape))


def along(row: Operator, inner: Expression, smooth: bool) -> Expression:
    """A direction for a row: if it is to be smooth there, not the constant one, in which a row of softmax rests."""
    is_bare = row.is_elementwise or not smooth
    return inner if is_bare else Sum(inner, LETTERS[f"X_{{{inner.shape[0]},{inner.shape[1]}}}"])


@st.composite
def constants(draw: st.DrawFn, row: Operator, shape: Shape, smooth: bool) -> tuple[Expression, ...]:
    """The constant argument of a row that takes one, or none; the norms of a smooth expression are never bare."""
    if row.constant == "mask":
        return draw(st.sampled_from([(), (LETTERS[f"M_{{{shape[0]},{shape[1]}}}"],)]))
    if row.constant == "scalar":
        return (Number(1),) if smooth else draw(st.sampled_from([(), (Number(2),), (Power("T", -1),)]))
    return ()


@st.composite
def expressions(
    draw: st.DrawFn,
    shape: Shape | None = None,
    differentials: bool = False,
    depth: int = 3,
    zero: bool = True,
    smooth: bool = False,
) -> Expression:
    """Expressions of a shape (by default any, scalars included), at most `depth` nodes deep.

    Args:
        differentials: whether differential letters and one-forms may occur.
        zero: whether the number 0 may occur.
        smooth: whether every expression is to have a derivative on random arrays: relu and step act on sums with data,
            exp on a bounded argument.
    """
    if shape is None:
        shape = draw(st.one_of(shapes, st.just(())))

    def part(shape: Shape, differentials: bool = differentials) -> Expression:
        return draw(expressions(shape, differentials, depth - 1, zero, smooth))

    def scalar_leaf() -> Expression:
        return draw(st.one_of(numbers(zero), powers()))

    def word() -> Expression:
        count = draw(st.integers(1, 3))
        inner = [draw(st.sampled_from(DIMENSIONS)) for _ in range(count - 1)]
        path = [shape[0], *inner, shape[1]]
        factors = [part(pair) for pair in pairwise(path)]
        for _ in range(draw(st.integers(0, 2))):
            factors.insert(draw(st.integers(0, len(factors))), part(()))
        return Product(*factors)

    def several(kind: type[Expression]) -> Expression:
        return kind(*(part(shape) for _ in range(draw(st.integers(2, 3)))))

    def applied() -> Expression:
        row = draw(rows)
        by_columns = draw(st.booleans())
        fixed = draw(constants(row, shape, smooth))
        if draw(st.booleans()):
            argument, direction = at(row, part(shape, False), smooth), along(row, part(shape), smooth)
            if direction.degree and not row.is_symmetric:
                return direction  # only symmetric letters move under a trace; d writes the others unfolded
            return Apply(Differential(row), argument, *fixed, direction, by_columns=by_columns)
        return Apply(row, at(row, part(shape, False), smooth), *fixed, by_columns=by_columns)

    def form() -> Expression:
        drawn = draw(one_forms(depth - 1))
        return Trace(drawn) if drawn.shape else drawn  # words of one shape are a matrix, their sum

    if shape:
        kinds = [
            lambda: draw(letters(shape, differentials)),
            word,
            lambda: several(Sum),
            lambda: several(Hadamard),
            applied,
        ]
        leaf = kinds[0]
    else:
        kinds = [
            scalar_leaf,
            lambda: Product(*(part(()) for _ in range(draw(st.integers(2, 3))))),
            lambda: several(Sum),
            lambda: Trace(part((size := draw(st.sampled_from(DIMENSIONS)), size))),
            *([form] if differentials else []),
        ]
        leaf = scalar_leaf
    return draw(st.sampled_from(kinds))() if depth > 0 else leaf()


@st.composite
def answers(draw: st.DrawFn, operator: Operator | Differential) -> Expression:
    """Smooth answers ``A φ(P) + W``, or ``A Dφ(P)[R] + W``, with random A, P and R."""
    rows, shape = draw(st.sampled_from(DIMENSIONS)), draw(shapes)

    def part(shape: Shape) -> Expression:
        return draw(expressions(shape, depth=2, zero=False, smooth=True))

    row = operator.of if isinstance(operator, Differential) else operator
    argument = at(row, part(shape), smooth=True)
    directions = (along(row, part(shape), smooth=True),) if operator.is_linear else ()
    fixed = draw(constants(row, shape, smooth=True))
    applied = Apply(operator, argument, *fixed, *directions, by_columns=draw(st.booleans()))
    return Sum(Product(part((rows, shape[0])), applied), LETTERS[f"W_{{{rows},{shape[1]}}}"])


@st.composite
def one_forms(draw: st.DrawFn, depth: int = 2) -> Expression:
    """Sums of square words with one differential each, ``A dW + B dQ``, whose shapes may differ."""

    def word() -> Expression:
        before, size = draw(st.sampled_from(DIMENSIONS)), draw(st.sampled_from(DIMENSIONS))
        base = draw(st.sampled_from(["W", "gamma", "X"]))
        differential = LETTERS[f"{base}_{{{before},{size}}}"].differential
        factors = [draw(expressions((size, before), depth=depth)), differential]
        scalar = draw(st.one_of(st.none(), numbers(), powers()))
        return Product(*(factors if scalar is None else [scalar, *factors]))

    return OneForm(*(word() for _ in range(draw(st.integers(1, 3)))))
