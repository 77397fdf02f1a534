"""The pipeline from a differential to its normal form, with every step visible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from formcalc.algebra import Expression
from formcalc.calculus.cyclic import cycle, shift_mm
from formcalc.calculus.expansion import expand_all, expand_mm, flatten
from formcalc.calculus.rules import Step

Pass = Callable[[Expression, list[Step] | None], Expression]

#: The passes in order, under the manual's names.
PIPELINE: tuple[tuple[str, Pass], ...] = (
    ("expandAll", expand_all),
    ("expandmm", expand_mm),
    ("flatten", flatten),
    ("shiftmm", shift_mm),
    ("cycle", cycle),
)


@dataclass(frozen=True)
class Stage:
    """What one pass did: the expression before and after, and each use of a rule."""

    name: str
    before: Expression
    after: Expression
    steps: tuple[Step, ...]


def stages(one_form: Expression, record: bool = True) -> list[Stage]:
    """Run the pipeline and keep every stage; with `record` False, without the steps inside them."""
    result = []
    for name, apply in PIPELINE:
        steps: list[Step] | None = [] if record else None
        after = apply(one_form, steps)
        result.append(Stage(name, one_form, after, tuple(steps or ())))
        one_form = after
    return result


def normal_form(one_form: Expression) -> Expression:
    """The sum of words, each with its differential last: the whole pipeline.

    >>> from formcalc.language import parse
    >>> letters = {"E": ("T", "d"), "X": ("T", "d"), "W": ("d", "d")}
    >>> str(normal_form(parse("E^t (mm(X W, X dW))", letters)))
    'mm(W^t X^t, E^t) X dW'
    """
    for _, apply in PIPELINE:
        one_form = apply(one_form, None)
    return one_form
