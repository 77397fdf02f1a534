"""Programs: straight-line steps from a form, multiplied in the cheapest order, written for an engine."""

from formcalc.numeric.program.compiled import ENGINES, Program, Result, compile_form
from formcalc.numeric.program.plan import Plan, PlannedStep

__all__ = ["ENGINES", "Plan", "PlannedStep", "Program", "Result", "compile_form"]
