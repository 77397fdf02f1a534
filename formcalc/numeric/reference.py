"""The reference evaluator: for truth, not for speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from formcalc.algebra import Expression, Letter, is_ones, postorder
from formcalc.calculus import Form, derive
from formcalc.errors import ArrayError, EvaluationError
from formcalc.language.model import Model, below
from formcalc.numeric.arrays import bind
from formcalc.numeric.engine import Engine, Evaluation
from formcalc.numeric.engines import ExactEngine, NumpyEngine, fractions
from formcalc.numeric.selection import Selection, dense


def letters_of(expressions: Iterable[Expression], given: Iterable[str] = ()) -> list[Letter]:
    """The letters that expressions need numbers for, read through the definitions of letters that are not given."""
    stop = frozenset(given)

    def inside(node: Expression) -> tuple[Expression, ...]:
        return () if isinstance(node, Letter) and node.name in stop else below(node)

    found: dict[str, Letter] = {}
    for expression in expressions:
        for node in postorder(expression, inside):
            if isinstance(node, Letter) and not is_ones(node) and (node.definition is None or node.name in stop):
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
    letters = letters_of(expressions, arrays)
    bound, known = bind(letters, arrays, sizes)
    ids = {
        letter.name: known[str(columns)] if columns.is_symbolic else int(columns.value)
        for letter in letters
        if letter.role == "tokens"
        for columns in [letter.symbol.shape[1]]
    }
    engine: Engine
    if dtype is object or (dtype is None and any(array.dtype == object for array in bound.values())):
        engine = ExactEngine()
        bound = {name: array if name in ids else fractions(array) for name, array in bound.items()}
    else:
        kinds = [array.dtype for name, array in bound.items() if name not in ids]
        engine = NumpyEngine(dtype or (np.result_type(*kinds) if kinds else np.float64))
        bound = {name: a if name in ids else a.astype(engine.dtype, copy=False) for name, a in bound.items()}
    kind = getattr(engine, "dtype", np.dtype(object))
    selections = {name: Selection(bound[name], columns, kind) for name, columns in ids.items()}
    return Evaluation(engine, bound | selections, known)


def evaluate(what: Expression | Form | Model, arrays: Mapping[str, Any], *, dtype: Any = None, **sizes: int) -> Any:
    """The number that an expression is, or the coefficients that a form has, on given matrices.

    Args:
        what: an expression without differentials, a form, or a model whose page states its form.
        arrays: an array for every letter, by name: its axes if it is a family, rows and columns; ids of tokens.
            Constants need none. A letter with a definition is computed from it, unless an array is given. Other names
            are ignored.
        dtype: ``float32``, ``float64``, or ``object`` for exact rationals; by default what the arrays hold.
        sizes: sizes of dimensions that no array shows, as in ``evaluate(e, arrays, n=4)``.

    Returns:
        A matrix or scalar, of a family with its axes first, in the order of their names; of a form, a dict from the
        name of every weight to its coefficient, of the shape of ``W^t``, its axes as those of the weight.

    Raises:
        ArrayError: missing, ill-shaped, non-numeric or non-finite arrays.
        EvaluationError: an expression that has no number, naming the part at fault.

    >>> from formcalc.language import parse
    >>> X = np.array([[1.0, 2.0]])
    >>> evaluate(parse("n^{-1/2} X X^t", {"X": ("T", "n")}), {"X": X}).round(3).tolist()
    [[3.536]]
    """
    if isinstance(what, Model):
        if not what.source.backward:
            raise EvaluationError(f"{what.name} states no form: evaluate its loss, or derive(...) its form first")
        what = derive(what)
    if isinstance(what, Form):
        form_sizes = {**what.model.sizes, **sizes}
        run = evaluation(what.values(), arrays, form_sizes, dtype)
        return {name: _coefficient(run, what.model.letters[name], value) for name, value in what.items()}
    if not isinstance(what, Expression):
        raise EvaluationError(f"evaluate takes an expression or a form, not {type(what).__name__}")
    return dense(evaluation([what], arrays, sizes, dtype).of(what))


def _coefficient(run: Evaluation, weight: Letter, coefficient: Expression) -> np.ndarray:
    """The value of a coefficient, over all axes of its weight, in the order of the weight's array."""
    value = dense(run.of(coefficient))
    if not weight.axes:
        return value
    *_, rows, columns = value.shape
    value = value[tuple(slice(None) if axis in coefficient.axes else None for axis in weight.axes)]
    places = [weight.axes.index(axis) for axis in weight.symbol.layout]
    value = value.transpose(*places, len(places), len(places) + 1)
    return np.broadcast_to(value, (*(run.size(axis) for axis in weight.symbol.layout), rows, columns))
