"""The names of the GPT Utility Manual, so that its own lines run in Python.

>>> from formcalc.manual import *
>>> z = flatten(expandmm(expandAll(form(encoder(2)))))
>>> z.length
16
>>> show(z[15])
E^t C f_1 C df_0

This is the manual's dialect, the literal reading: layers are combined as a formal product, only Q, K, W and f are
differentiated, the differential of softmax is a left factor ``aa(S)``, and the mask of a shifted ``mm`` is transposed
silently. It is symbolic only. Numbers come from the exact dialect, ``formcalc.derive``.

A formal product of layers chains only if every answer is square, so here the width is the number of tokens ``T``.
"""

from __future__ import annotations

import re

from formcalc.algebra import Expression, Letter, Product, Sum, Symbol, postorder
from formcalc.calculus import collect, cycle, expand_all, expand_mm, flatten, shift_mm
from formcalc.calculus import d as _d
from formcalc.calculus import form as _form
from formcalc.errors import FormError
from formcalc.language import Declaration, html, parse

#: Equation (1).
LAYER = "m(a(n_i^{-1/2} X_i Q_i K_i^t X_i^t) X_i V_i + C b_i) W_i + C f_i"

expandAll = expand_all  # noqa: N816  # the manual's spelling
expandmm = expand_mm
shiftmm = shift_mm


def matrix(name: str) -> Letter:
    """A square matrix object, as the manual makes one with ``A=["A"]; A.op=""``.

    >>> A, B = matrix("A"), matrix("B")
    >>> Y = otimes(oplus(A, B), A)
    >>> show(expandAll(otimes(Y, Y)))
    A A A A + A A B A + B A A A + B A B A
    """
    return Letter(Symbol(name, ("T", "T")))


def layer_letters(i: int) -> dict[str, Declaration]:
    """The shapes of the letters of layer `i`."""
    n, v = f"n_{i}", f"v_{i}"
    return {
        f"X_{i}": ("T", "T"),
        f"Q_{i}": ("T", n),
        f"K_{i}": ("T", n),
        f"V_{i}": ("T", v),
        f"b_{i}": (1, v),
        f"W_{i}": (v, "T"),
        f"f_{i}": (1, "T"),
        "C": ("T", 1),
    }


def _checked_count(n: object) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise FormError(f"encoder(n) takes a number of layers, 1 or more, not {n!r}")
    return n


def layer(i: int) -> Expression:
    """Equation (1) for layer `i`."""
    roles = {f"X_{i}": "data", "C": "ones"}
    return parse(LAYER.replace("_i", f"_{i}"), layer_letters(i), roles=roles)  # type: ignore[arg-type]  # literals


def encoder(n: int) -> Expression:
    """`n` encoder layers combined as the formal product ``F_{n-1} ... F_1 F_0``.

    >>> show(encoder(1))
    m(a(n_0^{-1/2} X_0 Q_0 K_0^t X_0^t) X_0 V_0 + C b_0) W_0 + C f_0
    """
    return Product(*(layer(i) for i in reversed(range(_checked_count(n)))))


def oplus(*terms: Expression) -> Expression:
    """The sum of matrix objects."""
    return Sum(*terms)


def otimes(*factors: Expression) -> Expression:
    """The product of matrix objects."""
    return Product(*factors)


def _weights(expression: Expression) -> set[str] | None:
    """The letters the manual differentiates, if the expression has letters of an encoder; else all weights (None)."""
    names = {part.name for part in postorder(expression) if isinstance(part, Letter)}
    return {name for name in names if re.fullmatch(r"[QKWf]_\d+", name)} or None


def d(expression: Expression) -> Expression:
    """The differential, with ``dm(X) = mm(X, dX)`` and ``da(X) = aa(X) dX``."""
    return _d(expression, _weights(expression), "manual")


def form(expression: Expression) -> Expression:
    """``-E^t dE``, that is ``E^t dF`` of an answer `F`."""
    return _form(expression, _weights(expression), "manual")


def string(expression: Expression) -> str:
    """The plain text of an expression."""
    return str(expression)


def show(view: Expression | str) -> None:
    """Display an expression, or a view of it made by `string` or `html`."""
    print(view)


def forms(n: int, k: int | None = None) -> Expression:
    """The whole form of an encoder of `n` layers after all passes, or its k-th summand, counting from 1.

    Raises:
        FormError: there is no k-th summand.

    >>> show(forms(2, 8))
    C f_0 E^t C df_1
    """
    whole = cycle(shiftmm(flatten(expandmm(expandAll(form(encoder(n)))))))
    if k is None:
        return whole
    count = len(whole)  # type: ignore[arg-type]  # a form of an encoder is a sum of words
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= count:
        raise FormError(f"forms({n}, {k}): there are {count} summands, counted from 1")
    return whole[k - 1]  # type: ignore[index]


__all__ = [
    "collect",
    "cycle",
    "d",
    "encoder",
    "expandAll",
    "expand_all",
    "expand_mm",
    "expandmm",
    "flatten",
    "form",
    "forms",
    "html",
    "matrix",
    "oplus",
    "otimes",
    "shift_mm",
    "shiftmm",
    "show",
    "string",
]
