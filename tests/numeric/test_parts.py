"""Programs that run a batch in parts, side by side."""

from functools import partial

import numpy as np
import pytest
from against_reference import check

import formcalc as fc
from formcalc.numeric.program import arrangement, threads
from formcalc.numeric.program.parts import Parts, Totals, split

MEAN = """dims B = {B}, T = 3, d = 4
data X[B], Y[B]: T×d   p[B]: 1×T
ones C: T×1
weights W: d×d
E[B] = Y - m(X W)
n = Σ_B p C
"""


@pytest.fixture
def in_threads(monkeypatch):
    """All programs in numpy are worth sharing among four threads."""
    monkeypatch.setattr(arrangement, "WORTH_SHARING", -1)
    monkeypatch.setattr(threads, "workers", lambda: 4)


def mean(loss, batch=4):
    return f"{MEAN.format(B=batch)}loss = {loss}\n"


@pytest.mark.parametrize(
    ("page", "axis", "given"),
    [
        (fc.load("gpt2"), "B", ["n"]),
        (fc.load("llama"), "B", ["n"]),
        (fc.load("bert"), "B", ["n"]),
        (fc.load("encoder"), None, []),
        (mean("1/2 trace(E^t E)"), "B", ["n"]),
        (mean("trace(reciprocal(n)) trace(E^t E)"), "B", ["n"]),
        (mean("1/2 trace(E^t E) + 2 trace(reciprocal(n)) trace(Y^t E)"), "B", ["n"]),
        (mean("1/2 trace(E^t E) + trace(W^t W)"), None, []),  # the weights are in every part
        (mean("trace(E^t E) trace(Y^t E)"), None, []),  # a product of sums over the batch is none
        (mean("trace(tanh(Σ_B E^t E))"), None, []),
        (mean("1/2 trace(E^t E)", batch=1), None, []),
    ],
)
def test_a_batch_is_cut_where_the_loss_is_a_sum_over_it(page, axis, given):
    model = fc.load(page) if isinstance(page, str) else page
    found = split(fc.derive(model))
    assert (None if found is None else str(found.axis)) == axis
    assert [letter.name for letter in (found.given if found is not None else ())] == given


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize(
    ("name", "batch"),
    [
        *((name, batch) for name in ("gpt2", "llama", "bert", "summary") for batch in (2, 4, 6)),
        ("algorithm-1", 6),
        ("algorithm-1-usual", 4),
    ],
)
def test_parts_add_up(name, batch):
    axis = "M" if name.startswith("algorithm") else "B"
    form = fc.derive(fc.load(name, **{axis: batch}))
    assert fc.compile(form).parts == {2: 2, 4: 4, 6: 3}[batch]
    check(form, fc.sample(form.model), "numpy")


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("loss", ["trace(reciprocal(n)) trace(E^t E)", "1/2 trace(E^t E) + trace(Y^t E)"])
def test_what_needs_the_whole_batch_is_computed_first(loss):
    form = fc.derive(fc.load(mean(loss)))
    assert fc.compile(form).parts == 4
    check(form, fc.sample(form.model), "numpy")


def test_small_programs_and_single_threads_run_whole(monkeypatch):
    form = fc.derive(fc.load("gpt2"))
    assert fc.compile(form).parts == 1
    monkeypatch.setattr(arrangement, "WORTH_SHARING", -1)
    monkeypatch.setattr(threads, "workers", lambda: 1)
    assert fc.compile(form).parts == 1


@pytest.mark.usefixtures("in_threads")
def test_gradients_of_one_run_stay_when_the_program_runs_again():
    form = fc.derive(fc.load("gpt2"))
    program, arrays = fc.compile(form), fc.sample(form.model)
    first = program(arrays)
    kept = {name: np.array(gradient) for name, gradient in first.gradients.items()}
    program(fc.sample(form.model, seed=1))
    assert all(np.array_equal(first.gradients[name], kept[name]) for name in kept)


@pytest.mark.usefixtures("in_threads")
def test_parts_add_up_in_their_order_whatever_the_threads_do():
    form = fc.derive(fc.load("gpt2", B=4, T=8, N=8))
    program, arrays = fc.compile(form, dtype="float32"), fc.sample(form.model)
    assert program.parts == 4
    first = program(arrays)
    for _ in range(5):
        again = program(arrays)
        assert again.loss == first.loss
        assert all((again.gradients[name] == first.gradients[name]).all() for name in form)


def test_the_first_two_parts_do_not_wait_for_each_other():
    totals = Totals(np.add, False)
    one, two, three = np.array([1e8, 1.0]), np.array([-1e8, 2.0]), np.array([1e-8, 3.0])
    totals.add(1, "W", two)
    totals.add(0, "W", one)
    totals.add(2, "W", three)
    np.testing.assert_array_equal(totals.gradients["W"], (one + two) + three)


def test_a_part_that_fails_ends_the_others():
    def run(arrays, add):
        if arrays["x"][0] == 1:
            raise ZeroDivisionError
        add("W", arrays["x"])
        return 0.0

    totals = partial(Totals, lambda total, array: total + array, False)
    parts = Parts({"x": 0}, 1, 4, [run] * 4, None, totals)
    with pytest.raises(ZeroDivisionError):
        parts({"x": np.arange(4)})
