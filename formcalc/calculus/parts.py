"""The parts of a definition that are pulled back under names of their own, so that every intermediate is written once.

``Z = (norm(X) ∘ (C g) + C b) U`` is ``Z = Z1 U`` with ``Z1 = norm(X) ∘ (C g) + C b``. Multiplied out instead, whatever
stands around a part would be written as often as the part has words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from formcalc.algebra import (
    Apply,
    AxisSum,
    Dimension,
    Expression,
    Hadamard,
    LayerSum,
    Letter,
    Product,
    Sum,
    Symbol,
    fold,
    postorder,
    transpose,
)
from formcalc.operators import Differential, Operator


def parts_of(
    expression: Expression, active: Collection[Letter], new_name: Callable[[], str]
) -> tuple[Expression, tuple[Letter, ...]]:
    """An expression over letters for its parts, and these letters, each after those it uses.

    A part is an intermediate that depends on an active letter, and that

    * is used more than once,
    * is a sum among the factors of a product,
    * is a sum over an axis beside other families over this axis, or
    * is no plain word, has several paths to active letters, and is an argument of an operator, a factor, or an operand;
      or is any such argument where the differential of the operator is written out, which has it in several places.

    Args:
        active: the letters that the loss is differentiated through.
        new_name: a new name at each call.
    """
    finder = _Finder(expression, active)
    letters: list[Letter] = []
    written: dict[Expression, Expression] = {}
    for node in finder.order:
        body = fold(node, lambda part, children: part.rebuild(children), written)
        paths = finder.count(node)
        if node is not finder.order[-1] and finder.is_part(node, body, paths):
            letter = Letter(Symbol(new_name(), body.shape, "defined", body))
            letters.append(letter)
            written |= {node: letter, finder.transposed(node): letter.transposed}
            paths = 1
        finder.paths[node] = paths
    return written[expression], tuple(letters)


class _Finder:
    """What is known of the nodes of an expression; of a node and its transpose, one stands for both."""

    def __init__(self, expression: Expression, active: Collection[Letter]) -> None:
        self.active = active
        self.transposes: dict[Expression, Expression] = {}
        self.chosen: dict[Expression, Expression] = {}
        #: The paths from a node to active letters, and to parts.
        self.paths: dict[Expression, int] = {}
        self.uses: dict[Expression, int] = {}
        self.contexts: dict[Expression, set[str]] = {}
        #: The axes of what a node stands in.
        self.around: dict[Expression, set[Dimension]] = {}
        #: The points of the linear operator letters that a node is the direction of.
        self.points: dict[Expression, set[Expression]] = {}
        self.order = [*postorder(self.one(expression), self.below)]
        for node in reversed(self.order):
            axes = self.around.setdefault(node, set()) | {*node.axes}
            for child, context in _operands(node):
                one = self.one(child)
                self.uses[one] = self.uses.get(one, 0) + 1
                self.contexts.setdefault(one, set()).add(context)
                self.around.setdefault(one, set()).update(axes)
            # of a piecewise linear operator, the differential of a letter has the direction once
            if isinstance(node, Apply) and isinstance(node.operator, Differential) and not node.operator.of.kinks:
                self.points.setdefault(self.one(node.direction), set()).add(self.one(node[0]))

    def transposed(self, node: Expression) -> Expression:
        return transpose(node, self.transposes)

    def one(self, node: Expression) -> Expression:
        """The node, or its transpose if that was met before."""
        if node not in self.chosen:
            turned = self.transposed(node)
            self.chosen[node] = turned if turned in self.chosen else node
        return self.chosen[node]

    def below(self, node: Expression) -> Iterator[Expression]:
        return (self.one(child) for child, _ in _operands(node))

    def count(self, node: Expression) -> int:
        if isinstance(node, Letter):
            return int(node.plain in self.active)
        return sum(self.paths[one] for one in self.below(node))

    def is_part(self, node: Expression, body: Expression, paths: int) -> bool:
        """Whether a node, whose body over letters is given, is a part."""
        if not node.shape or not paths or _is_letter(node):
            return False
        contexts = self.contexts[node]
        if self.uses[node] > 1 or "written out" in contexts or (isinstance(node, Sum) and "factor" in contexts):
            return True
        if any(self.paths.get(point) for point in self.points.get(node, ())):
            return True
        if isinstance(node, AxisSum) and self.around[node] & {*node.over}:
            return True
        return paths > 1 and bool(contexts & {"argument", "factor", "operand"}) and _is_composite(body)


def _operands(node: Expression) -> Iterator[tuple[Expression, str]]:
    """The operands that a node is differentiated by, and what they are to it."""
    match node:
        case Apply(operator=Operator() as operator):
            yield node[0], "argument" if operator.is_symmetric else "written out"
        case Apply():
            yield node[0], "written out"
            yield node.direction, "argument"
        case Product():
            is_single = sum(bool(factor.shape) for factor in node) == 1
            # a product in a product is a part of its word
            yield from ((child, "term" if is_single or isinstance(child, Product) else "factor") for child in node)
        case Hadamard():
            yield from ((operand, "operand") for operand in node)
        case LayerSum() | Letter():
            return
        case _:
            yield from ((child, "term") for child in node.children)


def _is_letter(node: Expression) -> bool:
    """Whether a node is a letter up to scalars."""
    factors = node.children if isinstance(node, Product) else (node,)
    matrices = [factor for factor in factors if factor.shape]
    return len(matrices) == 1 and isinstance(matrices[0], Letter)


def _is_composite(node: Expression) -> bool:
    """Whether a node is more than a word of letters; an operator's argument is looked at by itself."""
    if isinstance(node, Product):
        return any(factor.shape and not isinstance(factor, Letter) for factor in node)
    return isinstance(node, (Sum, Hadamard, AxisSum))
