"""Where a loss is not differentiable: the arguments of operators such as relu, at the values where they bend."""

from __future__ import annotations

from formcalc.algebra import Apply, Expression, postorder
from formcalc.language.model import below
from formcalc.operators import Differential, Operator


def kinked_arguments(loss: Expression) -> list[tuple[Expression, float]]:
    """Every argument of an operator with kinks, or of its differential, and each value it must stay away from.

    >>> from formcalc.language import parse
    >>> kinked_arguments(parse("trace(m(A B))", {"A": ("n", "n"), "B": ("n", "n")}))
    [(<A B>, 0.0)]
    """
    found = []
    for node in postorder(loss, below):
        if isinstance(node, Apply):
            row = node.operator.of if isinstance(node.operator, Differential) else node.operator
            assert isinstance(row, Operator)
            found += [(node[0], kink) for kink in row.kinks]
    return found
