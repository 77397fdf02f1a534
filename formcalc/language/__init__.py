"""The language: from text to expressions and models, and from expressions to plain text, LaTeX, HTML and SymPy."""

from formcalc.language.model import Model, half_squared_error, linear_model
from formcalc.language.parser import Declaration, declare, parse

__all__ = ["Declaration", "Model", "declare", "half_squared_error", "linear_model", "parse"]
