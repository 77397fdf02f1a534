"""Matrix calculus for transformers.

A model is a page of matrix algebra, and so is its backward pass. formcalc takes the first page and gives the second:
for every weight `W` the closed matrix expression ``C_W`` of its coefficient in the pulled-back one-form
``Σ trace(C_W dW)``, readable, verified against independent gradients.

The sign everywhere: the form is ``ω = -d loss``. For half the squared error of ``E = f(X) - F`` it is
``-trace(E^t dE) = trace(E^t dF)``, and ``C_W^t`` is the velocity of `W` under gradient descent.

>>> import formcalc as fc
>>> model = fc.load("encoder", L=1, T=4, d=8)
>>> form = fc.derive(model)
>>> print(form["Q_0"])
n^{-1/2} K_0^t X_0^t U_0 X_0
>>> fc.verify(form).ok
True
"""

from formcalc.algebra import Expression
from formcalc.calculus import (
    Form,
    Words,
    collect,
    cycle,
    d,
    derive,
    expand_all,
    expand_mm,
    flatten,
    form,
    shift_mm,
)
from formcalc.errors import FormcalcError
from formcalc.language import Model, html, latex, parse
from formcalc.models import load, models
from formcalc.numeric import evaluate, sample
from formcalc.numeric.export import export
from formcalc.numeric.program import Program, Result
from formcalc.numeric.program import compile_form as compile
from formcalc.verify import Report, verify

# The manual's spellings, of the same objects.
expandAll = expand_all  # noqa: N816
expandmm = expand_mm
shiftmm = shift_mm

__version__ = "0.1.0"

__all__ = [
    "Expression",
    "Form",
    "FormcalcError",
    "Model",
    "Program",
    "Report",
    "Result",
    "Words",
    "collect",
    "compile",
    "cycle",
    "d",
    "derive",
    "evaluate",
    "expandAll",
    "expand_all",
    "expand_mm",
    "expandmm",
    "export",
    "flatten",
    "form",
    "html",
    "latex",
    "load",
    "models",
    "parse",
    "sample",
    "shift_mm",
    "shiftmm",
    "verify",
]
