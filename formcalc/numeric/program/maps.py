"""Sums, Hadamard products and operators as maps of whole arrays."""

from __future__ import annotations

from formcalc.algebra import Apply, Expression, Hadamard, Number, Product, Sum, transpose
from formcalc.calculus.differential import unfold
from formcalc.numeric.program.contractions import Contractions
from formcalc.numeric.program.values import View
from formcalc.operators import Differential, Operator

#: What the primitives call the operators that act by rows.
_BY_ROWS = {"a": "softmax", "logsoftmax": "logsoftmax", "norm": "norm", "rms": "rms"}


class Maps(Contractions):
    """What acts entry by entry, or row by row."""

    def sum(self, node: Sum) -> View:
        views, numbers = [], []
        for term in node:
            number, scalars, rest = self.scaled(term)
            view = self.dense(rest) if rest is not Number(1) else None
            for scalar in scalars:
                other = self.view(scalar)
                view = other if view is None else self.map("product", [view, other], numbers=(1.0,))
            views.append(view if view is not None else self.map("constant", [], {}, (1.0,)))
            numbers.append(number)
        return self.map("sum", views, None, tuple(numbers))

    def hadamard(self, node: Hadamard) -> View:
        views, number = [], 1.0
        for operand in node:
            factor, scalars, rest = self.scaled(operand)
            number *= factor
            views += [self.view(scalar) for scalar in scalars]
            views.append(self.dense(rest))
        return self.map("product", views, None, (number,))

    def scalar_product(self, node: Product) -> View:
        number, scalars, _ = self.scaled(node)
        return self.map("product", [self.view(scalar) for scalar in scalars], None, (number,))

    def apply(self, node: Apply) -> View:
        if node.by_columns:
            return self.view(transpose(node)).transposed
        operator = node.operator
        if isinstance(operator, Differential):
            return self.slope(node, operator.of)
        assert isinstance(operator, Operator)
        if operator.is_elementwise:
            return self.map(operator.name, [self.dense(node[0])])
        return self.by_rows(operator, node.children)

    def dense(self, node: Expression) -> View:
        """A view that is no selection of rows."""
        view = self.view(node)
        return view if view.value.kind == "array" else self.map("dense", [view])

    def by_rows(self, row: Operator, arguments: tuple[Expression, ...]) -> View:
        views, numbers = self.row_arguments(row, arguments)
        extra = ("inverse",) if row.name in ("norm", "rms") else ()
        return self.map(_BY_ROWS[row.name], views, None, numbers, "col", extra)

    def row_arguments(self, row: Operator, arguments: tuple[Expression, ...]) -> tuple[list[View], tuple[float, ...]]:
        views = [self.full(arguments[0])]
        if row.constant == "mask" and len(arguments) > 1:
            views.append(self.dense(arguments[1]))
        numbers = tuple(self.scaled(argument)[0] for argument in arguments[1:]) if row.constant == "scalar" else ()
        return views, numbers or ((0.0,) if row.constant == "scalar" else ())

    def full(self, node: Expression) -> View:
        """A view that has its columns, for an operation along them."""
        view = self.dense(node)
        columns = self.size(node.shape[1])
        if "col" in view.roles:
            return view
        return self.map("broadcast", [view], {"col": columns}, (columns,))

    def slope(self, node: Apply, row: Operator) -> View:
        """A linear operator letter at a direction."""
        *arguments, direction = node.children
        if row.is_elementwise:
            number, scalars, rest = self.scaled(direction)
            point = self.dense(arguments[0])
            if row.name == "m":  # the value is positive where its argument is, and is kept anyway
                point = self.map(row.name, [point])
            found = self.map(f"{row.name}'", [point, self.dense(rest)])
            if number == 1 and not scalars:
                return found
            return self.map("product", [found, *map(self.view, scalars)], None, (number,))
        if not row.is_symmetric:
            return self.view(unfold(node))
        value = self.by_rows(row, tuple(arguments))
        towards = self.full(direction)
        if row.name == "a":
            inner = None if self.has_fused_softmax else self.inner_sum(value, towards)
            return self.map("softmax'", [value, towards, *([] if inner is None else [inner])], None, (), "col")
        views, numbers = self.row_arguments(row, tuple(arguments))
        inverse = self.more(_BY_ROWS[row.name], "inverse", views, numbers, "col")
        return self.map(f"{_BY_ROWS[row.name]}'", [value, inverse, towards], None, (), "col")
