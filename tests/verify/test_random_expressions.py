"""The claim of the whole project: the coefficients of any expression are what automatic differentiation finds."""

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import formcalc as fc
from formcalc.algebra import Apply, contains
from formcalc.errors import EvaluationError
from formcalc.language import linear_model
from formcalc.operators import OPERATORS, Differential
from strategies import SIZES, answers

#: Every operator, and every linear operator letter.
ANSWERED = [operator for row in OPERATORS for operator in (row, Differential(row))]

#: For each of them and each oracle; at least 500 in all. XLA compiles each of its own.
EXAMPLES = {"torch": 20, "jax": 4}


def test_there_are_five_hundred_examples_and_every_operator_is_in_some():
    assert len(ANSWERED) * EXAMPLES["torch"] >= 500
    assert {operator.name for operator in ANSWERED} == {n for row in OPERATORS for n in (row.name, row.differential)}


@pytest.mark.parametrize("oracle", EXAMPLES)
@pytest.mark.parametrize("operator", ANSWERED, ids=lambda operator: operator.name)
def test_derived_coefficients_agree_with_automatic_differentiation(operator, oracle):
    agreed = 0

    @settings(
        max_examples=EXAMPLES[oracle],
        derandomize=True,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(answer=answers(operator), seed=st.integers(0, 9))
    def agree(answer, seed):
        nonlocal agreed
        assert contains(answer, lambda node: isinstance(node, Apply) and node.operator is operator)
        model = linear_model(answer, SIZES)
        try:
            arrays = fc.sample(model, seed)
            report = fc.verify(fc.derive(model), arrays, oracle=oracle)
        except EvaluationError:
            assume(False)  # an overflow, or data that cancel the weights in an argument of relu
        largest = max(row.largest for row in report.table)
        assume(largest == 0 or largest > 1e-4)  # where tanh is all but 1, the oracles subtract it from 1
        assert report.tolerance == 1e-9
        assert report.ok, report
        agreed += 1

    agree()
    assert agreed >= EXAMPLES[oracle]
