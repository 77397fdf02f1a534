"""The passes under the trace: shift_mm, cycle and collect. Each term of a sum is read as ``trace(word)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from formcalc.algebra import (
    Apply,
    Axes,
    AxisSum,
    Expression,
    Hadamard,
    Letter,
    Number,
    OneForm,
    Power,
    Product,
    Shape,
    Sum,
    Trace,
    excerpt,
    identity,
    ones,
    transpose,
)
from formcalc.calculus.differential import unfold
from formcalc.calculus.expansion import Word, factors, repeated, terms
from formcalc.calculus.rules import GATHER, RELEASE, ROTATE, SHIFT, SHIFT_HADAMARD, SHIFT_TRACE, TRANSPOSE, Step
from formcalc.errors import FormError
from formcalc.operators import Differential


def _differential_index(word: Word) -> int | None:
    """Where the differential stands in a word; None if there is none.

    Raises:
        FormError: the word carries more than one.
    """
    places = [index for index, factor in enumerate(word) if factor.degree]
    if len(places) > 1 or any(word[index].degree > 1 for index in places):
        raise FormError(f"{excerpt(Product(*word))} carries more than one differential: it is no one-form")
    return places[0] if places else None


def traced_words(expression: Expression) -> tuple[Expression, ...]:
    """The words of a sum that is read under one trace, each to be read under a trace of its own.

    The trace is summed over the axes of the whole; a word that lacks one of them counts once for each index.
    """
    axes = expression.axes if isinstance(expression, Sum) else ()
    return tuple(repeated(term, axes) for term in terms(expression))


def shift_mm(expression: Expression, steps: list[Step] | None = None) -> Expression:
    """Free the differential of every word: ``trace(A L(P, R) B) = trace(L^t(P^t, B A) R)``, until none is inside.

    The operator moves to the complementary part of the word. The manual's ``shiftmm``; its dialect leaves the mask
    untransposed and re-reads the definition. Hadamard products and traces move likewise, and sums over axes go: the
    trace is a sum over all axes itself.

    Raises:
        FormError: the operand that carries the differential is a sum; expand_all and expand_mm come first.

    >>> from formcalc.language import parse
    >>> letters = {"E": ("T", "d"), "Z": ("T", "v"), "X": ("T", "n"), "V": ("n", "v"), "W": ("v", "d")}
    >>> str(shift_mm(parse("E^t mm(Z, X dV) W", letters)))
    'mm(Z^t, W E^t) X dV'
    """
    return OneForm(*(_shifted(term, (index,), steps) for index, term in enumerate(traced_words(expression))))


def _shifted(term: Expression, place: tuple[int, ...], steps: list[Step] | None) -> Expression:
    word = factors(term)
    while True:
        index = _differential_index(word)
        if index is None or isinstance(word[index], Letter):
            return Product(*word)
        inside = word[index]
        if isinstance(inside, AxisSum):
            after = (*word[:index], *_opened(inside, (*word[:index], *word[index + 1 :])), *word[index + 1 :])
            if steps is not None:
                steps.append(Step(RELEASE, place, Product(*word), Product(*after)))
            word = after
            continue
        scalars = tuple(factor for factor in (*word[:index], *word[index + 1 :]) if not factor.shape)
        # In the manual's dialect scalars stay where they are written.
        is_manual = (
            isinstance(inside, Apply)
            and isinstance(inside.operator, Differential)
            and (inside.operator.dialect == "manual")
        )
        complement = tuple(factor for factor in (*word[index + 1 :], *word[:index]) if factor.shape or is_manual)
        outside = () if is_manual else scalars
        moved, rest = _moved(inside, complement)
        after = (*outside, *moved, *rest)
        if steps is not None:
            rule = {Apply: SHIFT, Hadamard: SHIFT_HADAMARD, Trace: SHIFT_TRACE}[type(inside)]
            steps.append(Step(rule, place, Product(*word), Product(*after)))
        word = after


def _moved(inside: Expression, complement: Word) -> tuple[Word, Word]:
    """The operator on the complementary part of the word, and the factors it set free."""
    if isinstance(inside, Trace):
        # a trace without a complement is a scalar one-form, and its operand is already under the trace
        return (Trace(Product(*complement)),) if complement else (), _released(inside, inside[0])
    other = Product(*complement) if any(f.shape for f in complement) else identity(inside.shape[0])
    if isinstance(inside, Apply):
        operator = inside.operator
        assert isinstance(operator, Differential)
        if operator.dialect == "manual":
            shifted = Apply(operator, inside[0], other)
        elif not operator.of.is_symmetric:
            cure = f"write {excerpt(unfold(inside))} instead"
            raise FormError(f"{operator.name} is not symmetric and does not move under a trace: {cure}")
        else:
            fixed = map(transpose, inside.children[:-1])
            shifted = Apply(operator, *fixed, other, by_columns=not inside.by_columns)
        return (shifted,), _released(inside, inside.direction)
    if isinstance(inside, Hadamard):
        index = next(index for index, operand in enumerate(inside) if operand.degree)
        turned = Hadamard(*(other if place == index else transpose(o) for place, o in enumerate(inside)))
        return (turned,), _released(inside, inside[index])
    raise FormError(f"the differential stands inside {excerpt(inside)}: apply expand_all and expand_mm first")


def _opened(inside: AxisSum, rest: Word) -> Word:
    """The factors under a sum over axes, which the trace around sums over as well."""
    caught = [axis for axis in inside.over if any(axis in factor.axes for factor in rest)]
    if caught:
        raise FormError(
            f"{excerpt(inside)} stands beside another family over {caught[0]}: "
            "give the sum a name of its own, in a definition on a page"
        )
    return _released(inside, inside.direction)


def _released(inside: Expression, word: Expression) -> Word:
    if isinstance(word, Sum):
        raise FormError(f"{excerpt(inside)} holds a sum of words: apply expand_all and expand_mm first")
    return factors(word)


def cycle(expression: Expression, steps: list[Step] | None = None) -> Expression:
    """Rotate every word until its differential comes last: ``trace(A dW B) = trace(B A dW)``.

    A word without a differential letter of its own (there is none, or shift_mm has not freed it) stays as it is.

    >>> from formcalc.language import parse
    >>> str(cycle(parse("A dB C", {name: ("n", "n") for name in "ABC"})))
    'C A dB'
    """
    rotated = []
    for place, term in enumerate(traced_words(expression)):
        word = factors(term)
        index = _differential_index(word)
        if index is not None and isinstance(word[index], Letter):
            after = Product(*word[index + 1 :], *word[:index], word[index])
            if steps is not None and after is not term:
                steps.append(Step(ROTATE, (place,), term, after))
            term = after
        rotated.append(term)
    return OneForm(*rotated)


def collect(expression: Expression, steps: list[Step] | None = None) -> Expression:
    """Gather the words of each differential: a sum of one ``C dW`` per letter, read as ``Σ trace(C dW)``.

    Transposed differentials are turned, ``trace(A dW^t) = trace(A^t dW)``; scalars come to the front, equal words add
    up, and words that cancel go. A coefficient is summed over the axes that its letter does not have.

    Raises:
        FormError: a word whose differential does not stand last, or that has none.

    >>> from formcalc.language import parse
    >>> str(collect(parse("A B dC^t + 2 A dC - B dC", {name: ("n", "n") for name in "ABC"})))
    '(B^t A^t + 2 A - B) dC'
    """
    return _form_of(coefficients(expression, steps))


def coefficients(expression: Expression, steps: list[Step] | None = None) -> dict[Letter, Expression]:
    """The coefficient `C` of ``trace(C dW)`` for every letter `W` of a cycled form, in order of appearance."""
    gathered: dict[Letter, list[Expression]] = {}
    for place, term in enumerate(traced_words(expression)):
        *before, last = factors(term)
        if not (isinstance(last, Letter) and last.is_differential):
            raise FormError(f"{excerpt(term)} does not end in a differential: apply shift_mm and cycle first")
        unit = () if any(factor.shape for factor in before) else (identity(last.shape[0]),)
        rest = closed(Product(*before, *unit), last.axes)
        if last.is_transposed:
            rest = rest if unit else transpose(rest)
            if steps is not None:
                steps.append(Step(TRANSPOSE, (place,), term, Product(rest, last.transposed)))
        gathered.setdefault(last.plain, []).append(rest)
    result = {Letter(letter.symbol): total(words) for letter, words in gathered.items()}
    if steps is not None:
        steps.append(Step(GATHER, (), expression, _form_of(result)))
    return result


def _form_of(collected: dict[Letter, Expression]) -> Expression:
    return OneForm(*(Product(*factors(coefficient), letter.differential) for letter, coefficient in collected.items()))


def closed(word: Expression, kept: Axes) -> Expression:
    """The sum of a word over its axes, but for those that are kept."""
    over = [axis for axis in word.axes if axis not in kept]
    return AxisSum(word, over) if over else word


def total(words: Iterable[Expression]) -> Expression:
    """The sum of words with their scalars in front and equal words added up; words that cancel go.

    Words that are summed over the same axes stand under one sum. If all cancel, it is zero, written ``0 1_{T×d}``.
    """
    expressions = list(words)
    numbers: dict[tuple[Axes, Word], Fraction] = {}
    for expression in expressions:
        for over, term in _summands(expression):
            number, word = normal_word(factors(term))
            numbers[over, word] = numbers.get((over, word), Fraction(0)) + number
    groups: dict[Axes, list[Expression]] = {}
    for (over, word), number in numbers.items():
        if number:
            groups.setdefault(over, []).append(Product(*word) if number == 1 else Product(Number(number), *word))
    kept = [AxisSum(Sum(*group), over) if over else Sum(*group) for over, group in groups.items()]
    return Sum(*(term for part in kept for term in terms(part))) if kept else zero(expressions[0].shape)


def _summands(expression: Expression) -> Iterator[tuple[Axes, Expression]]:
    """The words of an expression, each with the axes that it is summed over."""
    for term in terms(expression):
        *scalars, last = factors(term)
        if isinstance(last, AxisSum) and not any(factor.shape for factor in scalars):
            for inner in terms(last.direction):
                yield last.over, repeated(Product(*scalars, *factors(inner)), last.over)
        else:
            yield (), term


def zero(shape: Shape, axes: Axes = ()) -> Expression:
    """The zero of a shape, or a family of zeros.

    >>> from formcalc.algebra import Dimension
    >>> str(zero((Dimension("T"), Dimension("d"))))
    '0 1_{T×d}'
    """
    return Product(Number(0), ones(shape[0], shape[1], axes)) if shape else Number(0)


def normal_word(word: Word) -> tuple[Fraction, Word]:
    """A word as a rational number times its other scalars, in a fixed order, times its matrices."""
    number = Fraction(1)
    exponents: dict[str, tuple[Power, Fraction]] = {}
    scalars: list[Expression] = []
    matrices: list[Expression] = []
    for factor in word:
        if isinstance(factor, Number):
            number *= factor.value
        elif isinstance(factor, Power):
            key = str(factor.base)
            _, exponent = exponents.get(key, (factor, Fraction(0)))
            exponents[key] = (factor, exponent + factor.exponent)
        elif factor.shape:
            matrices.append(factor)
        else:
            scalars.append(factor)
    powers = [Power(power.base, exponent) for _, (power, exponent) in sorted(exponents.items()) if exponent]
    return number, (*powers, *sorted(scalars, key=str), *matrices)


def under_trace(expression: Expression) -> Expression:
    """A scalar one-form ``Σ c trace(word)`` as the sum of its words ``c word``, to be read under a trace.

    Raises:
        FormError: a term whose differential does not stand inside a trace.
    """
    words = []
    for term in terms(expression):
        word = factors(term)
        index = _differential_index(word)
        inside = None if index is None else word[index]
        if index is None or not isinstance(inside, Trace):
            raise FormError(f"{excerpt(term)} is no trace of a one-form: write the loss with trace(...)")
        words += [Product(*word[:index], *word[index + 1 :], traced) for traced in traced_words(inside[0])]
    return OneForm(*words)
