"""The rules as data: each example is what its pass does."""

import numpy as np
import pytest

import formcalc as fc
from formcalc.algebra import Trace
from formcalc.calculus import RULES, rules
from substitution import fresh, random_arrays

#: Which pass uses which rule.
PASS_OF = {
    rules.DISTRIBUTE: fc.expand_all,
    rules.LINEAR: fc.expand_mm,
    rules.SCALAR_OUT: fc.expand_mm,
    rules.BILINEAR: fc.expand_mm,
    rules.LINEAR_SUM: fc.expand_mm,
    rules.ASSOCIATE: fc.flatten,
    rules.SHIFT: fc.shift_mm,
    rules.SHIFT_HADAMARD: fc.shift_mm,
    rules.SHIFT_TRACE: fc.shift_mm,
    rules.RELEASE: fc.shift_mm,
    rules.ROTATE: fc.cycle,
    rules.TRANSPOSE: fc.collect,
    rules.GATHER: fc.collect,
}

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def square(text):
    return fc.parse(text, dict.fromkeys("ABCGPW", ("n", "n")) | {"H": ("h", "n", "n")})


def test_every_rule_is_in_the_table_and_has_a_pass():
    written = {value for value in vars(rules).values() if isinstance(value, rules.Rule)}
    assert written == set(RULES) == set(PASS_OF)


def test_names_of_rules_are_distinct():
    assert len({rule.name for rule in RULES}) == len(RULES)


@each_rule
def test_the_pass_turns_the_example_into_its_result(rule):
    assert PASS_OF[rule](square(rule.before)) is square(rule.after)


@each_rule
def test_the_pass_records_the_use_of_the_rule(rule):
    steps = []
    PASS_OF[rule](square(rule.before), steps)
    assert rule in {step.rule for step in steps}
    assert steps[-1].after is square(rule.after)


@each_rule
def test_the_pass_does_the_same_whether_recorded_or_not(rule):
    before = square(rule.before)
    assert PASS_OF[rule](before, []) is PASS_OF[rule](before)


@each_rule
def test_both_sides_of_the_example_have_the_same_trace(rule):
    before, after = fresh(square(rule.before)), fresh(square(rule.after))
    arrays = random_arrays(before, {"n": 4, "h": 3})
    found, expected = (fc.evaluate(Trace(side), arrays) for side in (after, before))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_step_prints_its_rule_its_place_and_both_sides():
    steps = []
    fc.expand_all(square("A + (A + B) C"), steps)
    assert [str(step) for step in steps] == ["distribute at 1:  (A + B) C  ->  A C + B C"]
    fc.collect(square("A dW"), steps)
    assert str(steps[-1]) == "gather at whole:  A dW  ->  A dW"
