"""The operator table: one row per operator, read by everything else."""

from formcalc.operators.operator import AnyOperator, Dialect, Differential, Operator
from formcalc.operators.table import OPERATORS, operator_named, operator_names

__all__ = ["OPERATORS", "AnyOperator", "Dialect", "Differential", "Operator", "operator_named", "operator_names"]
