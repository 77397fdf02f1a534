"""Coefficients against gradients that share no code with their derivation."""

import copy
import sys
from fractions import Fraction

import numpy as np
import pytest

import formcalc as fc
from formcalc.errors import ArrayError, EvaluationError, FormcalcError, MissingEngineError
from formcalc.language import linear_model
from formcalc.operators import OPERATORS
from formcalc.verify import ORACLES

TOLERANCES = {"finite-difference": 1e-6, "jax": 1e-9, "torch": 1e-9, "exact": 0.0, "transformers": 1e-9}

#: The oracles of every page; the last one knows its own models only.
GENERAL = [name for name in ORACLES if name != "transformers"]


def form_of(page, layers, **sizes):
    return fc.derive(fc.load(page, L=layers, **{"T": 4, "n": 4, "v": 3, **sizes}))


def small(text, **shapes):
    letters = shapes or dict.fromkeys("ABW", ("n", "n"))
    return linear_model(fc.parse(text, letters), {"n": 3})


def tampered(form: fc.Form, name: str, factor: Fraction = Fraction(1_000_001, 1_000_000)) -> fc.Form:
    """The form with one coefficient wrong by a factor."""
    wrong = copy.copy(form)
    wrong._coefficients = {**form, name: factor * form[name]}
    return wrong


def test_the_oracles_and_their_tolerances():
    assert {name: oracle.tolerance for name, oracle in ORACLES.items()} == TOLERANCES


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("page", ["encoder", "encoder-product"])
@pytest.mark.parametrize("oracle", ["finite-difference", "jax", "torch"])
def test_encoders_are_verified(oracle, page, layers):
    report = fc.verify(form_of(page, layers), oracle=oracle)
    assert report.ok, report
    assert report.max_relative_error <= report.tolerance == TOLERANCES[oracle]
    assert [row.name for row in report.table] == fc.load(page, L=layers).weights


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("page", ["encoder-linear", "encoder-linear-product"])
def test_encoders_without_softmax_are_exact(page, layers):
    report = fc.verify(
        form_of(page, layers, T=2, v=2, **({"d": 2} if page == "encoder-linear" else {})), oracle="exact"
    )
    assert report.max_relative_error == 0
    assert report.ok
    assert report.tolerance == 0


@pytest.mark.parametrize("seed", range(5))
def test_every_seed_is_a_point_of_agreement(seed):
    assert fc.verify(form_of("encoder", 2), oracle="torch", seed=seed).ok


def test_agreement_in_rounding_only():
    """Autodiff agrees far below its tolerance, so a first wrong digit would show."""
    assert fc.verify(form_of("encoder", 2), oracle="jax").max_relative_error < 1e-12
    assert fc.verify(form_of("encoder", 2), oracle="finite-difference").max_relative_error < 1e-8


@pytest.mark.parametrize("oracle", GENERAL)
@pytest.mark.parametrize("name", ["Q_0", "b_1", "f_1"])
def test_a_wrong_coefficient_is_caught(oracle, name):
    page = "encoder-linear" if oracle == "exact" else "encoder"
    form = form_of(page, 2, T=2, d=4)
    wrong = Fraction(1_000_010, 1_000_000) if oracle == "finite-difference" else Fraction(1_000_001, 1_000_000)
    report = fc.verify(tampered(form, name, wrong), oracle=oracle)
    assert not report.ok
    assert [row.name for row in report.table if row.relative_error > report.tolerance] == [name]


@pytest.mark.parametrize("oracle", GENERAL)
def test_a_wrong_sign_is_caught(oracle):
    form = form_of("encoder-linear", 1, T=2, d=2, v=2)
    report = fc.verify(tampered(form, "W_0", Fraction(-1)), oracle=oracle)
    assert not report.ok
    assert abs(report.max_relative_error - 2) < 1e-6


@pytest.mark.parametrize("oracle", ["finite-difference", "jax", "torch"])
@pytest.mark.parametrize("row", OPERATORS, ids=lambda row: row.name)
@pytest.mark.parametrize("by", ["rows", "columns"])
def test_a_form_of_differentials_is_verified_too(oracle, row, by):
    """Second derivatives: the answer itself holds linear operator letters."""
    mark = "^t" if by == "columns" else ""
    model = small(f"A {row.name}'{mark}(W, B W) B")
    arrays = fc.sample(model, seed=1)
    if row.domain != "real":
        arrays["W"] = abs(arrays["W"]) + 0.5
    report = fc.verify(fc.derive(model), arrays, oracle=oracle)
    assert report.ok, report


@pytest.mark.parametrize("oracle", GENERAL)
def test_a_weight_without_influence_has_the_gradient_zero(oracle):
    report = fc.verify(fc.derive(small("step(A W) B"), wrt=["W", "B"]), oracle=oracle)
    assert report.ok, report
    assert {row.name: row.largest == 0 for row in report.table} == {"W": True, "B": False}


@pytest.mark.parametrize("oracle", GENERAL)
def test_a_loss_without_any_influence_is_verified(oracle):
    report = fc.verify(fc.derive(small("step(A W)"), wrt=["W"]), oracle=oracle)
    assert report.ok
    assert report.max_relative_error == 0


def test_given_arrays_are_the_point():
    form = fc.derive(small("A W"), wrt=["W"])
    arrays = {"A": 2 * np.eye(3), "W": np.eye(3), "E": np.full((3, 3), 5.0)}
    assert fc.verify(form, arrays, oracle="jax").table[0].largest == 10


@pytest.mark.parametrize("oracle", ["finite-difference", "exact"])
def test_progress_is_told_entry_by_entry(oracle):
    told = []
    fc.verify(fc.derive(small("A W"), wrt=["W"]), oracle=oracle, progress=lambda *seen: told.append(seen))
    assert told == [(done, 9) for done in range(1, 10)]


# What cannot be verified


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_a_missing_engine_is_no_pass(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(MissingEngineError) as error:
        fc.verify(form_of("encoder", 1), oracle=engine)
    assert str(error.value) == (
        f"the oracle {engine} is not installed, so nothing was verified: pip install 'formcalc[{engine}]'"
    )


@pytest.mark.parametrize(
    ("oracle", "message"),
    [
        ("toch", "unknown oracle 'toch'; did you mean 'torch'?"),
        ("x", "unknown oracle 'x'; oracles: finite-difference, jax, torch, exact, transformers"),
    ],
)
def test_an_unknown_oracle_is_refused(oracle, message):
    with pytest.raises(FormcalcError) as error:
        fc.verify(form_of("encoder", 1), oracle=oracle)
    assert str(error.value) == message


def test_a_point_on_a_kink_is_refused():
    form = fc.derive(small("m(A W)"), wrt=["W"])
    arrays = {"A": np.zeros((3, 3)), "W": np.ones((3, 3)), "E": np.ones((3, 3))}
    assert fc.verify(form, arrays).ok  # at rest on the kink, whatever W does
    arrays = {"A": np.eye(3), "W": np.zeros((3, 3)), "E": np.ones((3, 3))}
    with pytest.raises(EvaluationError) as error:
        fc.verify(form, arrays)
    assert str(error.value) == (
        "W[0, 0] lies on a kink: any step across it changes the sign of an argument of relu, "
        "where no derivative exists; take other arrays"
    )


def test_steps_shrink_rather_than_cross_a_kink():
    form = fc.derive(small("m(W)"))
    arrays = {"W": np.full((3, 3), 1e-6), "E": np.ones((3, 3))}
    assert fc.verify(form, arrays).ok


def test_exact_refuses_softmax_and_irrational_roots():
    with pytest.raises(EvaluationError, match=r"^a is transcendental and has no exact value"):
        fc.verify(form_of("encoder", 1), oracle="exact")
    with pytest.raises(EvaluationError, match=r"^n\^\{-1/2\} with n = 3 is irrational"):
        fc.verify(form_of("encoder-linear", 1, n=3), oracle="exact")


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ArrayError, match=r"^no array for "):
        fc.verify(form_of("encoder", 1), {})


@pytest.mark.parametrize("oracle", ["finite-difference", "jax"])
def test_a_bare_expression_is_verified_at_sizes_of_its_own(oracle):
    letters = {"X": ("T", "d"), "Q": ("d", "n"), "K": ("d", "n")}
    form = fc.derive(fc.parse("a(n^{-1/2} X Q K^t X^t) X", letters, roles={"X": "data"}))
    report = fc.verify(form, oracle=oracle)
    assert report.ok, report
    assert report.table[0].shape == fc.sample(form.model)["Q"].shape[::-1]
