"""What a row of the operator table holds, and the linear operator letter that every row gives rise to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from formcalc.algebra import Expression, Number, Shape, excerpt, shape_text
from formcalc.algebra.interning import Interned
from formcalc.errors import ShapeError

Kernel = Callable[..., Any]
Push = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Operator:
    """A nonlinear operator ``φ(P)`` whose result has the shape of `P`: one row of the table.

    The parser, the differential, the kernels, the printers, the oracles and the tests read only this row.
    """

    #: The spelling that is printed; `spellings` are read as well.
    name: str
    spellings: tuple[str, ...]
    #: "entry": acts entry by entry, so transposes pass through. "row": acts row by row.
    acts_on: Literal["entry", "row"]
    #: What it computes, for people.
    formula: str
    #: The name of its differential, a linear operator letter: ``mm`` for ``m``.
    differential: str
    #: ``Dφ(P)[R]`` unfolded in the language, over the letters ``P``, ``R`` and ones; d differentiates this again.
    #: The constant argument is ``K``; what stands between ``{K:`` and ``}`` is left out where it is.
    unfolded: str
    #: numpy: the value, and the differential at P in direction R, a constant last. Stable for entries of any size.
    kernel: Kernel
    push: Push
    #: The same function in the independent engines, given the engine's module.
    jax: Callable[..., Any]
    torch: Callable[..., Any]
    #: The same function in SymPy, given the module: of an entry, or of the list of a row's entries.
    sympy: Callable[..., Any]
    latex: str
    source: str
    #: Whether it maps rationals to rationals, so that exact arithmetic applies.
    is_rational: bool = False
    #: Where it is not differentiable, and the arguments on which it is defined.
    kinks: tuple[float, ...] = ()
    domain: Literal["real", "positive", "nonzero"] = "real"
    #: A second argument that it may take and that is not differentiated: a scalar, or a mask of P's shape.
    constant: Literal["scalar", "mask"] | None = None
    #: Whether the differential is symmetric. If not, d writes it unfolded, and no letter has to move under a trace.
    is_symmetric: bool = True

    @property
    def is_elementwise(self) -> bool:
        return self.acts_on == "entry"

    @property
    def is_linear(self) -> bool:
        return False

    @property
    def is_locally_constant(self) -> bool:
        """Whether the differential vanishes wherever it exists."""
        return self.unfolded == "0 R"

    def result_shape(self, arguments: tuple[Expression, ...]) -> Shape:
        """The shape of the first argument, which must be a matrix."""
        if len(arguments) != 1 and not (self.constant and len(arguments) == 2):
            takes = "1 or 2 arguments" if self.constant else "1 argument"
            raise ShapeError(f"{self.name} takes {takes}, not {len(arguments)}")
        self.check_constant(self.name, arguments[0], arguments[1:])
        if not arguments[0].shape:
            raise ShapeError(
                f"{self.name}({excerpt(arguments[0])}): the argument is a scalar, {self.name} takes a matrix"
            )
        return arguments[0].shape

    def check_constant(self, name: str, at: Expression, constants: tuple[Expression, ...]) -> None:
        """Check a constant argument, if there is one: its shape, and that ε is not negative."""
        rest = "" if name == self.name else ", ..."
        for constant in constants:
            expected = () if self.constant == "scalar" else at.shape
            if constant.shape != expected:
                c, p = excerpt(constant), excerpt(at)
                due = "a scalar" if self.constant == "scalar" else f"a mask, {shape_text(at.shape)} as {p}"
                raise ShapeError(f"{name}({p}, {c}{rest}): {c} is {shape_text(constant.shape)}, it should be {due}")
            if isinstance(constant, Number) and constant.value < 0:
                raise ShapeError(f"{name}({excerpt(at)}, {constant}{rest}): {constant} is negative, ε is 0 or more")

    def __reduce__(self) -> tuple:
        return (_by_name, (self.name,))

    def __repr__(self) -> str:
        return f"Operator({self.name!r})"


def _by_name(name: str) -> Operator:
    """Unpickle a row: the table is the only place where rows live."""
    return _ROWS[name]


_ROWS: dict[str, Operator] = {}


def index(rows: tuple[Operator, ...]) -> dict[str, Operator]:
    """Make rows known by name, for unpickling; called once by the table."""
    _ROWS.update({row.name: row for row in rows})
    return _ROWS


#: How differentials are read: ``exact``, or ``manual``, the literal reading of the GPT Utility Manual.
Dialect = Literal["exact", "manual"]


class Differential(Interned):
    """The linear operator letter ``Dφ(P)[R]`` of a row, spelled ``mm(P, R)``.

    Nearly every row is the gradient of a potential, so its differential is symmetric: under a trace the letter moves
    to the complementary part of the word and stays itself, ``trace(A L(P, R) B) = trace(L^t(P^t, B A) R)``.

    In the manual's dialect the mask of a shifted ``mm`` is transposed silently, and softmax's differential is the
    literal one-argument factor ``aa(S)``; both are symbolic only.
    """

    __slots__ = ("dialect", "of")
    of: Operator
    dialect: Dialect

    def __new__(cls, of: Operator, dialect: Dialect = "exact") -> Differential:
        return cls._intern((cls, of, dialect), of=of, dialect=dialect)

    @property
    def name(self) -> str:
        return self.of.differential

    @property
    def is_literal(self) -> bool:
        """Whether it is the manual's four-tensor factor ``aa(S)``, which acts on what follows it."""
        return self.dialect == "manual" and not self.of.is_elementwise

    @property
    def is_elementwise(self) -> bool:
        return self.of.is_elementwise

    @property
    def is_linear(self) -> bool:
        return not self.is_literal

    def result_shape(self, arguments: tuple[Expression, ...]) -> Shape:
        """The shape of the direction R, which is that of P (in the manual's dialect, or of P^t)."""
        if self.is_literal:
            return self._literal_shape(arguments)
        if len(arguments) != 2 and not (self.of.constant and len(arguments) == 3):
            takes = f"2 arguments, {self.name}(P, R)" + (f", or 3, {self.name}(P, K, R)" if self.of.constant else "")
            raise ShapeError(f"{self.name} takes {takes}, not {len(arguments)}")
        at, *constants, direction = arguments
        self.of.check_constant(self.name, at, tuple(constants))
        allowed = {at.shape} if self.dialect == "exact" else {at.shape, at.shape[::-1]}
        if not at.shape or direction.shape not in allowed:
            p, r = excerpt(at), excerpt(direction)
            cure = f"; write {self.name}({p}^t, ...)" if at.shape and direction.shape == at.shape[::-1] else ""
            raise ShapeError(
                f"{self.name}({p}, {r}): {p} is {shape_text(at.shape)}, {r} is {shape_text(direction.shape)}{cure}"
            )
        return direction.shape

    def _literal_shape(self, arguments: tuple[Expression, ...]) -> Shape:
        if len(arguments) != 1:
            raise ShapeError(f"in the manual's dialect {self.name} takes 1 argument, not {len(arguments)}")
        shape = arguments[0].shape
        if len(shape) != 2 or shape[0] is not shape[1]:
            raise ShapeError(
                f"{self.name}({excerpt(arguments[0])}): the manual writes {self.name}(S) for square S, "
                f"this is {shape_text(shape)}"
            )
        return shape

    def __reduce__(self) -> tuple:
        return (Differential, (self.of, self.dialect))

    def __repr__(self) -> str:
        return f"Differential({self.of.name!r}, {self.dialect!r})"


#: Any operator an application may carry.
AnyOperator = Operator | Differential

__all__ = ["AnyOperator", "Dialect", "Differential", "Operator", "index"]
