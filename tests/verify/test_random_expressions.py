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

#: For each of them, so that there are at least 500 in all.
EXAMPLES = 20


def test_there_are_five_hundred_examples_and_every_operator_is_in_some():
    assert len(ANSWERED) * EXAMPLES >= 500
    assert {operator.name for operator in ANSWERED} == {n for row in OPERATORS for n in (row.name, row.differential)}


@pytest.mark.parametrize("operator", ANSWERED, ids=lambda operator: operator.name)
def test_derived_coefficients_agree_with_jax(operator):
    agreed = 0

    @settings(
        max_examples=EXAMPLES,
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
            report = fc.verify(fc.derive(model), arrays, oracle="jax")
        except EvaluationError:
            assume(False)  # an overflow, or data that cancel the weights in an argument of relu
        assert report.tolerance == 1e-9
        assert report.ok, report
        agreed += 1

    agree()
    assert agreed >= EXAMPLES
