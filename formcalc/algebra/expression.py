"""The one base of all expressions, and the iterative traversals that every pass is written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple, TypeVar

from formcalc.algebra.dimension import Axes, Shape
from formcalc.algebra.interning import Interned

Result = TypeVar("Result")


class Kinds(NamedTuple):
    """What Python's operators on expressions build."""

    product: Callable[..., Expression]
    sum: Callable[..., Expression]
    number: Callable[[int | Fraction], Expression]
    transpose: Callable[[Expression], Expression]
    text: Callable[[Expression], str]
    #: How notebooks show an expression; formcalc.language binds it.
    html: Callable[[Expression], str] | None = None


class Expression(Interned):
    """A typed matrix or scalar expression: immutable, interned, compared by identity.

    Attributes:
        shape: ``(rows, columns)``, or ``()`` for a scalar.
        axes: over which axes it is a family of such matrices, as ``Q[h]`` over heads; ``()`` for a single one.
        degree: how many differential letters a word of it carries (0: a matrix, 1: a one-form).
        children: the expressions it is built from.
    """

    __slots__ = ("axes", "children", "degree", "shape")
    shape: Shape
    axes: Axes
    degree: int
    children: tuple[Expression, ...]

    def rebuild(self, children: tuple[Expression, ...]) -> Expression:
        """The same kind of node over other children; over its own it is itself, which is all a leaf can be."""
        return self if children == self.children else self._over(children)

    def _over(self, children: tuple[Expression, ...]) -> Expression:
        raise NotImplementedError(type(self).__name__)

    # Python's operators. The kinds of nodes they build are subclasses, so they are bound by formcalc.algebra.
    kinds: ClassVar[Kinds]

    def __matmul__(self, other: Expression) -> Expression:
        return self.kinds.product(self, other) if isinstance(other, Expression) else NotImplemented

    def __mul__(self, scalar: int | Fraction) -> Expression:
        if isinstance(scalar, bool) or not isinstance(scalar, (int, Fraction)):
            return NotImplemented
        return self.kinds.product(self.kinds.number(scalar), self)

    __rmul__ = __mul__

    def __add__(self, other: Expression) -> Expression:
        return self.kinds.sum(self, other) if isinstance(other, Expression) else NotImplemented

    def __sub__(self, other: Expression) -> Expression:
        return self.kinds.sum(self, -other) if isinstance(other, Expression) else NotImplemented

    def __neg__(self) -> Expression:
        return self * -1

    @property
    def T(self) -> Expression:  # noqa: N802  # the name numpy gave it
        """The transpose, pushed to the letters."""
        return self.kinds.transpose(self)

    def __str__(self) -> str:
        return self.kinds.text(self)

    def __repr__(self) -> str:
        return f"<{self}>"

    def _repr_html_(self) -> str | None:
        return None if self.kinds.html is None else self.kinds.html(self)

    def __reduce__(self) -> tuple:
        # A flat record: pickling must not recurse through an expression nested ten thousand deep.
        return (_rebuild_from_records, (_records(self),))

    def _dependencies(self) -> tuple[Expression, ...]:
        """What must be rebuilt before this node when it is unpickled."""
        return self.children

    def _recipe(self) -> tuple[Callable[..., Expression], tuple]:
        """A function, and its arguments before the rebuilt dependencies, that make this node again."""
        raise NotImplementedError(type(self).__name__)


def postorder(
    root: Expression, children: Callable[[Expression], Iterable[Expression]] | None = None
) -> Iterator[Expression]:
    """Every distinct node below `root`, children before parents, without recursion.

    `children` chooses what counts as below (by default the operands of a node).
    """
    seen: set[Expression] = set()
    stack: list[Expression | None] = [root]
    while stack:
        node = stack.pop()
        if node is None:  # all below the node before it has been met
            yield stack.pop()  # type: ignore[misc]  # there is a node below every None
        elif node not in seen:
            seen.add(node)
            below = node.children if children is None else (*children(node),)
            if below:
                stack += (node, None, *below[::-1])
            else:
                yield node


def fold(
    root: Expression, visit: Callable[[Expression, tuple], Result], memo: dict[Expression, Result] | None = None
) -> Result:
    """Compute `visit(node, results of its children)` bottom-up, once per distinct node."""
    memo = {} if memo is None else memo
    stack: list[Expression | None] = [root]
    while stack:
        node = stack.pop()
        if node is None:  # all below the node before it has been visited
            node = stack.pop()
            assert node is not None
            memo[node] = visit(node, tuple([memo[child] for child in node.children]))
        elif node not in memo:
            if node.children:
                stack += (node, None, *node.children[::-1])
            else:
                memo[node] = visit(node, ())
    return memo[root]


def first_paths(root: Expression) -> dict[Expression, tuple[int, ...]]:
    """For every node below `root`, the child indices that lead to its first occurrence.

    Paths are as long as the expression is deep, so this is for showing steps, not for computing.
    """
    paths: dict[Expression, tuple[int, ...]] = {}
    stack: list[tuple[Expression, tuple[int, ...]]] = [(root, ())]
    while stack:
        node, path = stack.pop()
        if node not in paths:
            paths[node] = path
            stack.extend((child, (*path, index)) for index, child in reversed([*enumerate(node.children)]))
    return paths


def contains(root: Expression, test: Callable[[Expression], bool]) -> bool:
    """Whether some node below `root` passes `test`."""
    return any(test(node) for node in postorder(root))


def as_fraction(value: Any) -> Fraction:
    """An exact rational from an `int` or a `Fraction`; anything inexact is refused."""
    if isinstance(value, bool) or not isinstance(value, (int, Fraction)):
        raise TypeError(f"scalars are exact: an int or a Fraction, not {value!r} ({type(value).__name__})")
    return Fraction(value)


def _records(root: Expression) -> tuple:
    order = list(postorder(root, lambda node: node._dependencies()))
    index = {node: position for position, node in enumerate(order)}
    return tuple((*node._recipe(), tuple(index[child] for child in node._dependencies())) for node in order)


def _rebuild_from_records(records: tuple) -> Expression:
    built: list[Expression] = []
    for make, arguments, places in records:
        built.append(make(*arguments, *(built[place] for place in places)))
    return built[-1]
