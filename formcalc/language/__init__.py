"""The language: from text to expressions and pages, and back to LaTeX and HTML; SymPy has a module of its own."""

from formcalc.algebra import Expression
from formcalc.language.declaration import Declaration, declare
from formcalc.language.html import html, notebook_html
from formcalc.language.latex import latex
from formcalc.language.model import Model, linear_model
from formcalc.language.page import read_page
from formcalc.language.parser import parse
from formcalc.language.statements import Page

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
]
