"""The reference evaluator: for truth, not for speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from formcalc.algebra import Expression, Letter, postorder
from formcalc.calculus import Form
from formcalc.errors import ArrayError, EvaluationError
from formcalc.language.model import below
from formcalc.numeric.arrays import bind
from formcalc.numeric.engine import Engine, Evaluation
from formcalc.numeric.engines import ExactEngine, NumpyEngine, fractions


def letters_of(expressions: Iterable[Expression], given: Iterable[str] = ()) -> list[Letter]:
    """The letters that expressions need numbers for, read through the definitions of letters that are not given."""
    stop = frozenset(given)

    def inside(node: Expression) -> tuple[Expression, ...]:
        return () if isinstance(node, Letter) and node.name in stop else below(node)

    found: dict[str, Letter] = {}
    for expression in expressions:
        for node in postorder(expression, inside):
            if isinstance(node, Letter) and (node.definition is None or node.name in stop):
                other = found.setdefault(node.name, node.plain)
                if other is not node.plain:
                    raise EvaluationError(f"two different letters are named {node.name}: rename one of them")
    return list(found.values())


def evaluation(
    expressions: Iterable[Expression],
    arrays: Mapping[str, Any],
    sizes: Mapping[str, int] | None = None,
    dtype: Any = None,
) -> Evaluation:
    """An evaluation over checked arrays, in the kind of number that the arrays hold, or in `dtype`."""
    if not isinstance(arrays, Mapping):
        raise ArrayError(f"arrays are a mapping from letter names to matrices, not {type(arrays).__name__}")
    expressions = list(expressions)
    bound, known = bind(letters_of(expressions, arrays), arrays, sizes)
    engine: Engine
    if dtype is object or (dtype is None and any(array.dtype == object for array in bound.values())):
        engine = ExactEngine()
        bound = {name: fractions(array) for name, array in bound.items()}
    else:
        kinds = [array.dtype for array in bound.values()]
        engine = NumpyEngine(dtype or (np.result_type(*kinds) if kinds else np.float64))
        bound = {name: array.astype(engine.dtype, copy=False) for name, array in bound.items()}
    return Evaluation(engine, bound, known)


def evaluate(what: Expression | Form, arrays: Mapping[str, Any], *, dtype: Any = None, **sizes: int) -> Any:
    """The number that an expression is, or the coefficients that a form has, on given matrices.

    Args:
        what: an expression without differentials, or a form.
        arrays: a two-dimensional array for every letter, by name; ones and identities need none. A letter with a
            definition is computed from it, unless an array is given. Other names are ignored.
        dtype: ``float32``, ``float64``, or ``object`` for exact rationals; by default what the arrays hold.
        sizes: sizes of dimensions that no array shows, as in ``evaluate(e, arrays, n=4)``.

    Returns:
        A matrix or scalar; of a form, a dict from the name of every weight to its coefficient, of the shape of ``W^t``.

    Raises:
        ArrayError: missing, ill-shaped, non-numeric or non-finite arrays.
        EvaluationError: an expression that has no number, naming the part at fault.

    >>> from formcalc.language import parse
    >>> X = np.array([[1.0, 2.0]])
    >>> evaluate(parse("n^{-1/2} X X^t", {"X": ("T", "n")}), {"X": X}).round(3).tolist()
    [[3.536]]
    """
    if isinstance(what, Form):
        form_sizes = {**what.model.sizes, **sizes}
        run = evaluation(what.values(), arrays, form_sizes, dtype)
        return {name: run.of(coefficient) for name, coefficient in what.items()}
    if not isinstance(what, Expression):
        raise EvaluationError(f"evaluate takes an expression or a form, not {type(what).__name__}")
    return evaluation([what], arrays, sizes, dtype).of(what)
