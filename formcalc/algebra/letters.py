"""Letters: named matrices, their transposes and their differentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

from formcalc.algebra.dimension import Dimension, Shape
from formcalc.algebra.expression import Expression
from formcalc.algebra.interning import Interned
from formcalc.errors import ShapeError

#: What a letter stands for. Only weights are differentiated; constants, from ones to distance, need no numbers.
Role: TypeAlias = Literal["weight", "data", "ones", "identity", "causal", "sinusoidal", "distance", "defined"]


class Symbol(Interned):
    """What a letter names: a matrix with a shape, a role, and perhaps a definition.

    The letters ``K``, ``K^t``, ``dK`` and ``dK^t`` share one symbol.
    """

    __slots__ = ("definition", "name", "role", "shape")
    name: str
    shape: Shape
    role: Role
    definition: Expression | None

    def __new__(cls, name: str, shape: tuple, role: Role = "weight", definition: Expression | None = None) -> Symbol:
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
        key = (cls, name, dimensions, role, definition)
        return cls._intern(key, name=name, shape=dimensions, role=role, definition=definition)

    @property
    def is_constant(self) -> bool:
        """Whether its entries are known from its shape alone (ones, identity, causal mask, ...)."""
        return self.role not in ("weight", "data", "defined")

    def __repr__(self) -> str:
        return f"Symbol({self.name!r}, {'×'.join(map(str, self.shape))}, {self.role})"

    def __reduce__(self) -> tuple:
        return (Symbol, (self.name, self.shape, self.role, self.definition))


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
        shape = symbol.shape[::-1] if is_transposed else symbol.shape
        key = (cls, symbol, bool(is_transposed), bool(is_differential))
        return cls._intern(
            key, symbol=symbol, is_transposed=bool(is_transposed), degree=int(is_differential), shape=shape, children=()
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
        return (_letter, (self.is_transposed, self.is_differential, self.name, self.symbol.shape, self.role))


def _letter(is_transposed: bool, is_differential: bool, *symbol: Any) -> Letter:
    return Letter(Symbol(*symbol), is_transposed, is_differential)
