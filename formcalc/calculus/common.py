"""What the words of a sum have in common is written once: a linear operator letter at one point, and scalars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from formcalc.algebra import Apply, AxisSum, Expression, Number, Product, Sum
from formcalc.calculus.cyclic import normal_word, total
from formcalc.calculus.expansion import Word, factors, terms


def summed(words: Iterable[Expression]) -> Expression:
    """The `total` of words, as a person writes it."""
    return common(total(words))


def common(expression: Expression) -> Expression:
    """A sum of words with common linear operator letters and common scalars written once, also under sums over axes.

    >>> from formcalc.language import parse
    >>> letters = dict.fromkeys("ABCP", ("n", "n"))
    >>> str(common(parse("A + n^{-1/2} B C - n^{-1/2} C B", letters)))
    'A + n^{-1/2} (B C - C B)'
    >>> str(common(parse("aa(P, A) + 2 aa(P, B C)", letters)))
    'aa(P, A + 2 B C)'
    """
    if isinstance(expression, AxisSum):
        return expression.with_direction(common(expression.direction))
    words = [*_without_repeated_letters(terms(expression))]
    if len(words) == 1:
        return words[0]
    groups: dict[Word, list[Expression]] = {}
    for word in words:
        scalars, signed = _split(common(word))
        groups.setdefault(scalars, []).append(signed)
    return Sum(*(part for scalars, found in groups.items() for part in _joined(scalars, found)))


def _joined(scalars: Word, words: list[Expression]) -> Iterator[Expression]:
    """Words times scalars: written once if there are several words."""
    if not scalars or len(words) == 1:
        yield from (_times(scalars, word) for word in words)
    elif all(_number(word) < 0 for word in words):
        yield _times(scalars, _times((Number(-1),), Sum(*(_times((Number(-1),), word) for word in words))))
    else:
        yield _times(scalars, Sum(*words))


def _number(word: Expression) -> Fraction:
    return normal_word(factors(word))[0]


def _split(word: Expression) -> tuple[Word, Expression]:
    """The scalars of a word without their sign, and its matrices with it."""
    number, parts = normal_word(factors(word))
    scalars = tuple(part for part in parts if not part.shape)
    matrices = tuple(part for part in parts if part.shape)
    size = () if abs(number) == 1 else (Number(abs(number)),)
    return (*size, *scalars), Product(*matrices) if number > 0 else Product(Number(-1), *matrices)


def _times(scalars: Word, word: Expression) -> Expression:
    """Scalars times a word, the number in front."""
    number, parts = normal_word((*scalars, *factors(word)))
    return Product(*parts) if number == 1 else Product(Number(number), *parts)


def _without_repeated_letters(words: Iterable[Expression]) -> Iterator[Expression]:
    """The words, those that are one linear operator letter at one point added up inside of it."""
    at: dict[tuple, list[tuple[Word, Apply]]] = {}
    kept: dict[tuple, Expression] = {}
    for word in words:
        *scalars, last = factors(word)
        if isinstance(last, Apply) and last.is_linear and not any(factor.shape for factor in scalars):
            key = (last.operator, last.by_columns, *last.children[:-1])
            at.setdefault(key, []).append((tuple(scalars), last))
        else:
            key = (word,)
        kept.setdefault(key, word)
    for key, word in kept.items():
        found = at.get(key, [])
        inner = [_times(scalars, letter.direction) for scalars, letter in found]
        yield found[0][1].with_direction(summed(inner)) if len(found) > 1 else word
