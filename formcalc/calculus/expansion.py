"""The passes that multiply out: expand_all, expand_mm and flatten."""

from __future__ import annotations

from itertools import product as cartesian
from typing import TypeAlias

from formcalc.algebra import (
    Apply,
    Axes,
    AxisSum,
    Expression,
    Hadamard,
    LayerSum,
    OneForm,
    Power,
    Product,
    Sum,
    Trace,
    fold,
)
from formcalc.calculus.recording import Recorder
from formcalc.calculus.rules import ASSOCIATE, BILINEAR, DISTRIBUTE, LINEAR, LINEAR_SUM, SCALAR_OUT, Step
from formcalc.errors import FormError
from formcalc.operators import Differential

#: The factors of a word.
Word: TypeAlias = tuple[Expression, ...]

#: Expanded forms grow exponentially with depth; longer ones are counted and drawn from, never built.
MAX_WORDS = 200_000


def factors(expression: Expression) -> Word:
    """The factors of a word: those of a product, or the one expression."""
    return expression.children if isinstance(expression, Product) else (expression,)


def terms(expression: Expression) -> tuple[Expression, ...]:
    """The words of a sum or of a one-form, or the one expression."""
    return expression.children if isinstance(expression, (Sum, OneForm)) else (expression,)


def repeated(expression: Expression, axes: Axes) -> Expression:
    """An expression that is added up over axes: times the size of each one that it does not have.

    A trace closes all axes of its operand; a word of the operand that lacks one of them counts once for each index.
    """
    absent = [axis for axis in axes if axis not in expression.axes]
    return Product(*map(Power, absent), *factors(expression)) if absent else expression


def _sum_of(words: tuple[Word, ...]) -> Expression:
    return Sum(*(Product(*word) for word in words))


def _total(root: Expression, words: tuple[Word, ...]) -> Expression:
    return OneForm(*(Product(*word) for word in words)) if isinstance(root, OneForm) else _sum_of(words)


def _distributed(parts: list[tuple[Word, ...]]) -> tuple[Word, ...]:
    """All products of one word from each part, the leftmost part varying slowest."""
    count = 1
    for part in parts:
        count *= len(part)
    if count > MAX_WORDS:
        raise FormError(
            f"multiplied out this has more than {MAX_WORDS} words: give its factors names, by definitions on a page, "
            "and derive the shared form, whose words are counted and drawn one by one"
        )
    return tuple(sum(choice, ()) for choice in cartesian(*parts))


def expand_all(expression: Expression, steps: list[Step] | None = None) -> Expression:
    """Products distribute over sums, also in the last argument of linear operator letters.

    Arguments of nonlinear operators stay as they are. The manual's ``expandAll``.

    >>> from formcalc.language import parse
    >>> square = {"A": ("n", "n"), "B": ("n", "n")}
    >>> str(expand_all(parse("((A + B) A) ((A + B) A)", square)))
    'A A A A + A A B A + B A A A + B A B A'
    """
    recorder = Recorder(expression, steps)

    def visit(node: Expression, parts: tuple[tuple[Word, ...], ...]) -> tuple[Word, ...]:
        match node:
            case Sum() | OneForm():
                return tuple(word for part in parts for word in part)
            case Product():
                words = _distributed(list(parts))
                if len(words) > 1:
                    recorder.note(DISTRIBUTE, node, Product(*(_sum_of(part) for part in parts)), _sum_of(words))
                return words
            case Apply(is_linear=True) | AxisSum():
                return ((node.with_direction(_sum_of(parts[-1])),),)
            case Hadamard() | Trace() | LayerSum() if node.degree:
                return ((node.rebuild(tuple(_sum_of(part) for part in parts)),),)
        return ((node,),)

    return _total(expression, fold(expression, visit))


def expand_mm(expression: Expression, steps: list[Step] | None = None) -> Expression:
    """Linear operator letters distribute over sums in their last argument, and the words they stand in with them.

    So do sums over axes, and Hadamard products and traces in the operand that carries the differential. Scalars come
    out of the letters (in the manual's dialect they stay where they are). The manual's ``expandmm``.

    >>> from formcalc.language import parse
    >>> square = {name: ("n", "n") for name in "PABC"}
    >>> str(expand_mm(parse("A mm(P, B + 2 C)", square)))
    'A mm(P, B) + A 2 mm(P, C)'
    """
    recorder = Recorder(expression, steps)

    def visit(node: Expression, parts: tuple[tuple[Word, ...], ...]) -> tuple[Word, ...]:
        match node:
            case Sum() | OneForm():
                return tuple(word for part in parts for word in part)
            case Product():
                # Sums that were written as factors stay; only those that come out of a letter distribute.
                kept = [
                    ((_sum_of(part),),) if isinstance(child, Sum) else part
                    for child, part in zip(node.children, parts, strict=True)
                ]
                return _distributed(kept)
            case Apply(is_linear=True):
                words = tuple(_applied(node, word) for word in parts[-1])
                before = node.with_direction(_sum_of(parts[-1]))
                recorder.note(LINEAR if len(words) > 1 else SCALAR_OUT, node, before, _sum_of(words))
                return words
            case AxisSum():
                words = tuple(_summed(node, word) for word in parts[-1])
                recorder.note(LINEAR_SUM, node, node.with_direction(_sum_of(parts[-1])), _sum_of(words))
                return words
            case Hadamard() | Trace() | LayerSum() if node.degree == 1:
                operands = tuple(_sum_of(part) for part in parts)
                place = next(index for index, child in enumerate(node) if child.degree)
                closed = node[place].axes if isinstance(node, Trace) else ()
                words = tuple(
                    (node.rebuild((*operands[:place], repeated(Product(*word), closed), *operands[place + 1 :])),)
                    for word in parts[place]
                )
                if len(words) > 1:
                    recorder.note(BILINEAR, node, node.rebuild(operands), _sum_of(words))
                return words
        return ((node,),)

    return _total(expression, fold(expression, visit))


def _summed(axis_sum: AxisSum, word: Word) -> Word:
    """A sum over axes of one word, its scalars taken out."""
    scalars = tuple(factor for factor in word if not factor.shape)
    summed = axis_sum.with_direction(Product(*(factor for factor in word if factor.shape)))
    return (*scalars, *factors(summed))


def _applied(letter: Apply, word: Word) -> Word:
    """A linear operator letter on one word, its scalars taken out."""
    assert isinstance(letter.operator, Differential)
    scalars = tuple(factor for factor in word if not factor.shape) if letter.operator.dialect == "exact" else ()
    matrices = tuple(factor for factor in word if factor not in scalars)
    return (*scalars, letter.with_direction(Product(*matrices)))


def flatten(expression: Expression, steps: list[Step] | None = None) -> Expression:
    """Nested products and sums become one list of words, everywhere in the expression.

    >>> from formcalc.language import parse
    >>> str(flatten(parse("A (B (A B)) + (A + B)", {"A": ("n", "n"), "B": ("n", "n")})))
    'A B A B + A + B'
    """
    recorder = Recorder(expression, steps)

    def visit(node: Expression, children: tuple[Expression, ...]) -> Expression:
        if not isinstance(node, (Product, Sum, OneForm, Hadamard)):
            return node.rebuild(children)
        kind = type(node)
        merged = tuple(part for child in children for part in (child.children if isinstance(child, kind) else (child,)))
        flat = kind(*merged)
        recorder.note(ASSOCIATE, node, node.rebuild(children), flat)
        return flat

    return fold(expression, visit)
