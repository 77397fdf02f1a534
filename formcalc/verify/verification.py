"""Hold the coefficients of a form against an independent gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from formcalc.calculus import Form
from formcalc.errors import FormcalcError, suggestion
from formcalc.language import Model
from formcalc.numeric import evaluate, sample, sized
from formcalc.verify import autodiff, exact, finite_difference, pretrained
from formcalc.verify.report import Report, Row, Table, compare

Gradients = Callable[..., dict[str, np.ndarray]]


@dataclass(frozen=True)
class Oracle:
    """An independent source of gradients, the tolerance that agreement with it means, and how it works."""

    gradients: Gradients
    tolerance: float
    note: str


ORACLES: dict[str, Oracle] = {
    "finite-difference": Oracle(finite_difference.gradients, 1e-6, "central differences of the loss in every entry"),
    "jax": Oracle(autodiff.jax_gradients, 1e-9, "jax.grad in float64"),
    "torch": Oracle(autodiff.torch_gradients, 1e-9, "torch autograd in float64"),
    "exact": Oracle(exact.gradients, 0.0, "dual numbers over the rationals"),
    "transformers": Oracle(pretrained.gradients, 1e-9, "the transformers package, in float64"),
}


def verify(
    form: Form,
    arrays: Mapping[str, Any] | None = None,
    oracle: str = "finite-difference",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Compare every coefficient of a form with the gradient that an oracle computes.

    The relative error of a weight is ``max|C - C_ref|`` over the larger of ``max|C_ref|`` and 1e-6 times the largest
    entry of all coefficients.

    Args:
        form: as derived.
        arrays: the point at which to compare; by default a random sample, away from kinks.
        oracle: ``finite-difference`` (tolerance 1e-6), ``jax`` or ``torch`` (1e-9, in float64), ``exact`` (rationals,
            no tolerance; for models without transcendental functions), ``transformers`` (1e-9; for gpt2, llama and
            bert, whose logits and loss it compares as well).
        seed: of the sample.
        progress: called with the entries done and all entries, by the oracles that go entry by entry.

    Raises:
        FormcalcError: an unknown oracle.
        MissingEngineError: the oracle is not installed; nothing was verified.
        EvaluationError: a loss that the oracle cannot evaluate.
    """
    if oracle not in ORACLES:
        cure = suggestion(oracle, ORACLES) or f"oracles: {', '.join(ORACLES)}"
        raise FormcalcError(f"unknown oracle {oracle!r}; {cure}")
    chosen = ORACLES[oracle]
    if arrays is None:
        form = form.at(sized(form.model))
    given = dict(arrays) if arrays is not None else _point(form.model, seed, oracle)
    # Definitions are computed, even where an array of their name is given: the loss is a function of the letters.
    point = {name: array for name, array in given.items() if name in form.model.letters}
    dtype = object if oracle == "exact" else np.float64
    coefficients = evaluate(form, point, dtype=dtype)
    weights = list(form)
    gradients = chosen.gradients(form.model, weights, {n: np.asarray(a) for n, a in point.items()}, progress)
    reference = {name: -gradients[name].swapaxes(-1, -2) for name in weights}
    # some oracles have values of their own, of definitions and of the loss
    values = {name: value for name, value in gradients.items() if name not in reference}
    rows = (*_compared_values(form.model, point, values), *compare(coefficients, reference))
    return Report(oracle, Table(rows), chosen.tolerance, chosen.note)


def _compared_values(model: Model, point: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> Iterator[Row]:
    run = {letter.name: letter for letter in model.definitions}
    for name, value in values.items():
        expression = model.loss if name == "loss" else run[name]
        found = np.asarray(evaluate(expression, point, dtype=np.float64, **model.sizes))
        yield from compare({name: found}, {name: value})


def _point(model: Model, seed: int, oracle: str) -> dict[str, np.ndarray]:
    point = sample(model, seed)
    if oracle != "exact":
        return point
    return {n: x if model.letters[n].role == "tokens" else exact.rounded(x) for n, x in point.items()}
