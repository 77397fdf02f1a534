"""The language: from text to expressions and models, and from expressions to plain text, LaTeX, HTML and SymPy."""

from formcalc.algebra import Expression
from formcalc.language.declaration import Declaration, declare
from formcalc.language.html import html, notebook_html
from formcalc.language.latex import latex
from formcalc.language.model import Model, linear_model
from formcalc.language.page import Page, read_page
from formcalc.language.parser import parse
from formcalc.language.sympy_expressions import to_sympy

Expression.kinds = Expression.kinds._replace(html=notebook_html)

__all__ = [
    "Declaration",
    "Model",
    "Page",
    "declare",
    "html",
    "latex",
    "linear_model",
    "parse",
    "read_page",
    "to_sympy",
]
