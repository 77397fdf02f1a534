"""Numbers: the reference evaluator, random samples, and arrays from files."""

from formcalc.numeric.reference import evaluate
from formcalc.numeric.sample import sample, sized

__all__ = ["evaluate", "sample", "sized"]
