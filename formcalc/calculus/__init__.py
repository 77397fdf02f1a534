"""The calculus: d, the passes to the normal form, and the pull-back to the weights."""

from formcalc.calculus.cyclic import collect, cycle, shift_mm
from formcalc.calculus.differential import d, unfold
from formcalc.calculus.expansion import expand_all, expand_mm, flatten
from formcalc.calculus.form import Form, derive, form
from formcalc.calculus.pipeline import PIPELINE, Stage, normal_form, stages
from formcalc.calculus.rules import RULES, Rule, Step
from formcalc.calculus.words import Words

__all__ = [
    "PIPELINE",
    "RULES",
    "Form",
    "Rule",
    "Stage",
    "Step",
    "Words",
    "collect",
    "cycle",
    "d",
    "derive",
    "expand_all",
    "expand_mm",
    "flatten",
    "form",
    "normal_form",
    "shift_mm",
    "stages",
    "unfold",
]
