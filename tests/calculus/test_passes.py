"""Confluence: every pass is idempotent, independent of the order of terms, and sound in numbers."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import formcalc as fc
from formcalc.algebra import Expression, Letter, OneForm, Product, Sum, Trace
from formcalc.calculus import PIPELINE, stages
from formcalc.calculus.expansion import MAX_WORDS, factors, terms
from formcalc.errors import EvaluationError, FormError
from strategies import SIZES, expressions, shapes
from substitution import fresh, random_arrays

#: The pipeline, and what comes after it.
PASSES = {**dict(PIPELINE), "collect": fc.collect}

each_pass = pytest.mark.parametrize("name", PASSES)

drawn = settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def forms(draw: st.DrawFn) -> Expression:
    """``E^t dF`` of a random expression, differentiated by every weight."""
    form = fc.form(draw(shapes.flatmap(lambda shape: expressions(shape, smooth=True))))
    assume(form.degree == 1)
    return form


def before_and_after(form: Expression, name: str) -> tuple[Expression, Expression]:
    """What a pass of the pipeline starts from, and what it makes of it."""
    found = {stage.name: stage for stage in stages(form, record=False)}
    if name == "collect":
        cycled = found["cycle"].after
        return cycled, fc.collect(cycled)
    return found[name].before, found[name].after


def traces(*forms: Expression) -> Iterator[tuple[float, float]]:
    """For each form the sum of the traces of its words, and of their sizes; on the same random matrices."""
    words = [[Trace(fresh(word)) for word in terms(form)] for form in forms]
    arrays = random_arrays(Sum(*chain(*words)), SIZES)
    for own in words:
        values = [fc.evaluate(word, arrays, **SIZES) for word in own]
        yield sum(values), sum(map(abs, values))


@each_pass
@drawn
@given(form=forms())
def test_passes_are_idempotent(name, form):
    _, after = before_and_after(form, name)
    assert PASSES[name](after, None) is after


@each_pass
@drawn
@given(form=forms())
def test_passes_keep_the_trace(name, form):
    before, after = before_and_after(form, name)
    try:
        (left, size), (right, other) = traces(before, after)
    except EvaluationError:
        assume(False)
    assert abs(left - right) <= 1e-11 * max(size, other)


@each_pass
@drawn
@given(form=forms())
def test_a_pass_on_one_summand_is_that_summand_of_the_pass_on_the_whole(name, form):
    before, after = before_and_after(form, name)
    if name == "collect":
        assert [fc.collect(word) for word in terms(after)] == list(terms(after))
    else:
        alone = [word for term in terms(before) for word in terms(PASSES[name](term, None))]
        assert alone == list(terms(after))


@each_pass
@drawn
@given(form=forms(), seed=st.integers(0, 100))
def test_passes_do_not_depend_on_the_order_of_terms(name, form, seed):
    before, after = before_and_after(form, name)
    shuffled = list(terms(before))
    random.Random(seed).shuffle(shuffled)
    again = PASSES[name](OneForm(*shuffled), None)
    if name == "collect":
        assert {unordered(word) for word in terms(again)} == {unordered(word) for word in terms(after)}
    else:
        assert Counter(terms(again)) == Counter(terms(after))


def unordered(word: Expression) -> tuple:
    """A collected word ``C dW`` as the summands of `C`, in no order, and `dW`."""
    *coefficient, last = word
    return frozenset(Counter(terms(Product(*coefficient))).items()), last


@drawn
@given(form=forms())
def test_the_pipeline_frees_every_differential(form):
    for word in terms(stages(form, record=False)[-1].after):
        *coefficient, last = factors(word)
        assert isinstance(last, Letter)
        assert last.is_differential
        assert not any(factor.degree for factor in coefficient)


def square(text, **options):
    return fc.parse(text, dict.fromkeys("ABCPQW", ("n", "n")), **options)


# Collecting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dW + A dW", "2 A dW"),
        ("A dW + B dQ + C dW", "(A + C) dW + B dQ"),
        ("A dW - A dW", "0 1_{n×n} dW"),
        ("A dW - A dW + B dW", "B dW"),
        ("2 A 3 B dW", "6 A B dW"),
        ("n^{1/2} A n^{1/2} dW", "n A dW"),
        ("n^{1/2} A n^{-1/2} dW", "A dW"),
        ("A B dW^t + A dW", "(B^t A^t + A) dW"),
        ("dW", "I_{n} dW"),
        ("dW^t", "I_{n} dW"),
        ("-dW + A dW", "(-I_{n} + A) dW"),
        ("1/2 trace(B A) A dW + 1/2 A trace(B A) dW", "trace(B A) A dW"),
    ],
)
def test_collect_merges_and_cancels(text, expected):
    assert str(fc.collect(square(text))) == expected


# What the passes leave alone


def test_a_word_without_a_differential_stays_as_it_is():
    for apply in (fc.shift_mm, fc.cycle):
        assert apply(square("A B")) is square("A B")


def test_cycle_waits_for_shift_mm():
    assert fc.cycle(square("A mm(P, dW) B")) is square("A mm(P, dW) B")


def test_arguments_of_nonlinear_operators_do_not_expand():
    assert fc.expand_all(square("m((A + B) C)")) is square("m((A + B) C)")


def test_expand_mm_leaves_sums_that_were_written_as_factors():
    assert fc.expand_mm(square("(A + B) mm(P, A + B)")) is square("(A + B) mm(P, A) + (A + B) mm(P, B)")


def test_a_lone_operator_moves_to_the_identity():
    assert str(fc.shift_mm(square("mm(P, dW)"))) == "mm(P^t, I_{n}) dW"


def test_a_scalar_one_form_is_read_under_its_own_trace():
    assert str(fc.shift_mm(square("2 trace(A dW)"))) == "2 A dW"
    assert str(fc.shift_mm(square("trace(B) trace(A dW)"))) == "trace(B) A dW"


def test_nested_operators_are_shifted_one_by_one():
    steps = []
    assert str(fc.shift_mm(square("A mm(P, B aa(Q, dW C))"), steps)) == "aa^t(Q^t, mm(P^t, A) B) dW C"
    assert [step.rule.name for step in steps] == ["shift", "shift"]


# Errors


@pytest.mark.parametrize(
    ("apply", "text", "message"),
    [
        (fc.shift_mm, "A dW dQ", "A dW dQ carries more than one differential: it is no one-form"),
        (fc.cycle, "dW A dW", "dW A dW carries more than one differential: it is no one-form"),
        (
            fc.shift_mm,
            "A (dW + dQ)",
            "the differential stands inside dW + dQ: apply expand_all and expand_mm first",
        ),
        (fc.shift_mm, "mm(P, dW + dQ)", "mm(P, dW + dQ) holds a sum of words: apply expand_all and expand_mm first"),
        (fc.shift_mm, "A ∘ (dW + B dQ)", "A ∘ (dW + B dQ) holds a sum of words: apply expand_all and expand_mm first"),
        (fc.collect, "dW A", "dW A does not end in a differential: apply shift_mm and cycle first"),
        (fc.collect, "A B", "A B does not end in a differential: apply shift_mm and cycle first"),
        (
            fc.expand_all,
            " ".join(["(A + B)"] * 18),
            f"multiplied out this has more than {MAX_WORDS} words: give its factors names, by definitions on a page, "
            "and derive the shared form, whose words are counted and drawn one by one",
        ),
        (
            fc.expand_mm,
            " ".join(["mm(P, A + B)"] * 18),
            f"multiplied out this has more than {MAX_WORDS} words: give its factors names, by definitions on a page, "
            "and derive the shared form, whose words are counted and drawn one by one",
        ),
    ],
)
def test_a_pass_that_cannot_go_on_says_why(apply, text, message):
    with pytest.raises(FormError) as error:
        apply(square(text))
    assert str(error.value) == message


def test_as_many_words_as_there_may_be_are_built():
    assert MAX_WORDS == 200_000
    assert len(fc.expand_all(square(" ".join(["(A + B)"] * 12)))) == 4096
