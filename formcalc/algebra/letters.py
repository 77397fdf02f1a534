"""Letters: named matrices, their transposes and their differentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

from formcalc.algebra.dimension import Axes, Dimension, Shape, axes_text, ordered
from formcalc.algebra.expression import Expression
from formcalc.algebra.interning import Interned
from formcalc.errors import ShapeError

#: What a letter stands for. Weights are differentiated; data are any numbers, masks are 0 or 1 (or scaled, as dropout
#: is), tokens are one-hot rows given as indices. The constants after them follow from their shape.
Role: TypeAlias = Literal[
    "weight",
    "data",
    "mask",
    "tokens",
    "defined",
    "ones",
    "identity",
    "positions",
    "causal",
    "distance",
    "slopes",
    "sinusoidal",
    "cosines",
    "sines",
    "quarterturn",
]

#: Roles whose letters are given or computed; the others are constants, known from their shape alone.
GIVEN = ("weight", "data", "mask", "tokens", "defined")


class Symbol(Interned):
    """What a letter names: a matrix with a shape, or a family of them over axes, a role, and perhaps a definition.

    The letters ``K``, ``K^t``, ``dK`` and ``dK^t`` share one symbol.

    Attributes:
        layout: the axes in the order in which arrays have them, before rows and columns.
    """

    __slots__ = ("definition", "layout", "name", "role", "shape")
    name: str
    shape: Shape
    layout: Axes
    role: Role
    definition: Expression | None

    def __new__(
        cls,
        name: str,
        shape: tuple,
        role: Role = "weight",
        definition: Expression | None = None,
        layout: tuple = (),
    ) -> Symbol:
        dimensions = tuple(Dimension(size) for size in shape)
        if role not in get_args(Role):
            raise ShapeError(f"{name}: unknown role {role!r}; the roles are {', '.join(get_args(Role))}")
        if len(dimensions) != 2:
            raise ShapeError(f"{name}: a letter is a matrix and has two dimensions, not {len(dimensions)}")
        if (role == "defined") != (definition is not None):
            raise ShapeError(f"{name}: a letter has the role 'defined' exactly when it has a definition")
        if role == "identity" and dimensions[0] is not dimensions[1]:
            raise ShapeError(f"{name}: an identity is square, not {dimensions[0]}×{dimensions[1]}")
        if definition is not None and definition.shape != dimensions:
            raise ShapeError(f"{name}: its definition has another shape")
        axes = _checked_axes(name, layout) if definition is None else definition.axes
        key = (cls, name, dimensions, role, definition, axes)
        return cls._intern(key, name=name, shape=dimensions, role=role, definition=definition, layout=axes)

    @property
    def is_constant(self) -> bool:
        """Whether its entries are known from its shape alone (ones, identity, causal mask, ...)."""
        return self.role not in GIVEN

    def renamed(self, name: str) -> Symbol:
        """A symbol of the same shape and axes under another name, to be replaced by what has that name."""
        return Symbol(name, self.shape, "data", layout=self.layout)

    def __repr__(self) -> str:
        return f"Symbol({self.name + axes_text(self.layout)!r}, {'×'.join(map(str, self.shape))}, {self.role})"

    def __reduce__(self) -> tuple:
        return (Symbol, (self.name, self.shape, self.role, self.definition, self.layout))


def _checked_axes(name: str, layout: tuple) -> Axes:
    axes = tuple(Dimension(axis) for axis in layout)
    if len(set(axes)) < len(axes) or not all(axis.is_symbolic for axis in axes):
        raise ShapeError(f"{name}: axes are different names of dimensions, not {axes_text(axes)}")
    return axes


class Letter(Expression):
    """A symbol as it stands in a word: plain, transposed, or a differential.

    >>> K = Letter(Symbol("K", ("d", "n")))
    >>> str(K), str(K.transposed), str(K.differential.transposed)
    ('K', 'K^t', 'dK^t')
    >>> K.transposed.transposed is K
    True
    """

    __slots__ = ("is_transposed", "symbol")
    symbol: Symbol
    is_transposed: bool

    def __new__(cls, symbol: Symbol, is_transposed: bool = False, is_differential: bool = False) -> Letter:
        key = (cls, symbol, bool(is_transposed), bool(is_differential))
        return cls._known(key) or cls._intern(
            key,
            symbol=symbol,
            is_transposed=bool(is_transposed),
            degree=int(is_differential),
            shape=symbol.shape[::-1] if is_transposed else symbol.shape,
            axes=ordered(symbol.layout),
            children=(),
        )

    @property
    def name(self) -> str:
        return self.symbol.name

    @property
    def role(self) -> Role:
        return self.symbol.role

    @property
    def definition(self) -> Expression | None:
        """What the symbol (not its transpose) abbreviates, if anything."""
        return self.symbol.definition

    @property
    def is_differential(self) -> bool:
        return self.degree == 1

    @property
    def transposed(self) -> Letter:
        """The same letter with its transpose toggled."""
        return Letter(self.symbol, not self.is_transposed, self.is_differential)

    @property
    def differential(self) -> Letter:
        """The letter ``dK`` of ``K``, ``dK^t`` of ``K^t``."""
        return Letter(self.symbol, self.is_transposed, True)

    @property
    def plain(self) -> Letter:
        """The symbol's own letter, neither transposed nor a differential."""
        return Letter(self.symbol)

    def _dependencies(self) -> tuple[Expression, ...]:
        return () if self.definition is None else (self.definition,)

    def _recipe(self) -> tuple[Callable[..., Expression], tuple]:
        symbol = self.symbol
        layout = symbol.layout if symbol.definition is None else ()
        return (_letter, (layout, self.is_transposed, self.is_differential, self.name, symbol.shape, self.role))


def _letter(layout: tuple, is_transposed: bool, is_differential: bool, name: str, shape: tuple, *rest: Any) -> Letter:
    role, definition = (*rest, None)[:2]
    return Letter(Symbol(name, shape, role, definition, layout), is_transposed, is_differential)
