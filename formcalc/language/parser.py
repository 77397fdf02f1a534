"""From text to expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

from lark import Token, Tree

from formcalc.algebra import (
    COLUMN_SUM,
    PI,
    ROW_SUM,
    Apply,
    Axes,
    AxisSum,
    Dimension,
    Expression,
    Hadamard,
    LayerSum,
    Letter,
    Number,
    OneForm,
    Power,
    Product,
    Role,
    Sum,
    Trace,
    axes_text,
    excerpt,
    identity,
    ones,
    ordered,
    transpose,
)
from formcalc.errors import ParseError, ShapeError, listing, suggestion
from formcalc.language.declaration import UNIT, Declaration, declare, size
from formcalc.language.names import FUNCTIONS, canonical, superscript
from formcalc.language.scope import Scope, axes_of
from formcalc.language.source import Excerpt, Place
from formcalc.language.statements import Function
from formcalc.language.syntax import syntax
from formcalc.operators import Dialect, Differential, Operator, operator_named, operator_names

#: A number with more digits than this is an accident as well.
_MAX_DIGITS = 1000

_RATIONAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:/[0-9]+)?")


def parse(
    text: str,
    shapes: Mapping[str, Declaration],
    *,
    roles: Mapping[str, Role] | None = None,
    dialect: Dialect = "exact",
) -> Expression:
    """The expression that a text in plain notation denotes.

    Args:
        text: such as ``"n_0^{-1/2} X_0 Q_0 K_0^t X_0^t"``; the grammar file shows the whole notation.
        shapes: the letters, by name: ``{"X_0": ("T", "d"), ...}``. Dimensions are names or integers; axes of a family
            come first, as in ``("h", "d", "k")``. A value may also be a letter made before.
        roles: which letters are not weights, such as ``{"X_0": "data", "C": "ones"}``.
        dialect: how ``mm`` and ``aa`` are read; ``"manual"`` is the GPT Utility Manual's literal reading.

    Raises:
        ParseError: with line, column, the text and the likely cure.

    >>> str(parse("(X Q)^t X + 2*A", {"X": ("T", "d"), "Q": ("d", "n"), "A": ("n", "d")}))
    '(Q^t X^t) X + 2 A'
    """
    return read(Excerpt(text, 0, len(text)), Scope(declare(shapes, roles)), dialect)


def read(source: Excerpt, scope: Scope, dialect: Dialect = "exact") -> Expression:
    """The expression that a part of a text denotes."""
    reader = _Reader(source, scope, dialect)
    expression = reader.read(syntax(source, "start"))
    reader.check_layers(expression)
    return expression


def _is_square(expression: Expression) -> bool:
    return len(expression.shape) == 2 and expression.shape[0] is expression.shape[1]


@dataclass(frozen=True)
class _Value:
    """What a part of the text denotes, and where it starts.

    A sign before it goes to its number, if one leads it, and stays among its factors, if it is a bare product.
    """

    expression: Expression
    start: Token
    leads_with_number: bool = False
    is_bare_product: bool = False


#: A factor, or a letter and the parenthesis right after it, which are two.
_Factors: TypeAlias = tuple[_Value, ...]


class _Reader:
    """Reads a syntax tree bottom-up, without recursion."""

    def __init__(self, source: Excerpt, scope: Scope, dialect: Dialect) -> None:
        self.source = source
        self.scope = scope
        self.letters: dict[str, Expression] = {}
        for family in scope.layers.values():
            self.letters |= family
        self.letters |= {**scope.letters, **scope.arguments}
        self.dialect: Dialect = dialect
        self.dimensions = {
            str(size)
            for letter in scope.letters.values()
            for size in (*letter.symbol.shape, *letter.axes)
            if size.is_symbolic
        } | {PI, *scope.dimensions}
        #: Where each letter was first named, for errors that are found later.
        self.named_at: dict[str, Token] = {}

    def read(self, tree: Tree) -> Expression:
        values: dict[int, Any] = {}
        rules: dict[str, Callable[[list], Any]] = {
            "start": lambda items: items[0],
            "sum": self.sum,
            "hadamard": self.hadamard,
            "product": self.product,
            "factor": self.factor,
            "number": self.number,
            "name": lambda items: items,
            "sigma": self.sigma,
            "application": self.application,
            "parenthesis": lambda items: (_Value(items[0].expression, items[0].start),),
        }
        for part in tree.iter_subtrees():
            items = [values[id(child)] if isinstance(child, Tree) else child for child in part.children]
            values[id(part)] = rules[part.data](items)
        result: _Value = values[id(tree)]
        return result.expression

    def place(self, token: Token) -> Place:
        return self.source.place(token.start_pos or 0, len(token))

    def build(self, kind: Callable[..., Expression], start: Token, *operands: Expression) -> Expression:
        """Build a node; a shape error gets the place in the text."""
        try:
            return kind(*operands)
        except ShapeError as error:
            raise self.place(start).error(str(error)) from None

    def sum(self, items: list) -> _Value:
        terms: list[_Value] = []
        sign = "+"
        for item in items:
            if isinstance(item, Token):
                sign = item
            else:
                terms.append(item if sign == "+" else self.negative(item))
                sign = "+"
        if len(terms) == 1:
            return terms[0]
        expressions = [term.expression for term in terms]
        if all(expression.degree == 1 and _is_square(expression) for expression in expressions):
            return _Value(OneForm(*expressions), terms[0].start)
        for term in terms[1:]:
            if term.expression.shape != expressions[0].shape:
                self.build(Sum, term.start, expressions[0], term.expression)
        return _Value(Sum(*expressions), terms[0].start)

    def negative(self, value: _Value) -> _Value:
        # The sign belongs to a leading number, so that -1/2 A is the product of -1/2 and A.
        factors = value.expression.children if value.is_bare_product else (value.expression,)
        first = factors[0]
        if value.leads_with_number and isinstance(first, Number):
            return _Value(Product(Number(-first.value), *factors[1:]), value.start)
        return _Value(Product(Number(-1), *factors), value.start)

    def hadamard(self, items: list[_Value]) -> _Value:
        for item in items[1:]:
            if item.expression.shape != items[0].expression.shape or not item.expression.shape:
                self.build(Hadamard, item.start, items[0].expression, item.expression)
        return _Value(Hadamard(*(item.expression for item in items)), items[0].start)

    def product(self, factors: list[_Factors | _Value]) -> _Value:
        # a sum over axes may come last
        items = [value for factor in factors for value in (factor if isinstance(factor, tuple) else (factor,))]
        if len(items) == 1:
            return items[0]
        left: Expression | None = None
        for item in items:
            if item.expression.shape:
                if left is not None and left.shape[1] is not item.expression.shape[0]:
                    self.build(Product, item.start, left, item.expression)
                left = item.expression
        return _Value(
            Product(*(item.expression for item in items)),
            items[0].start,
            leads_with_number=items[0].leads_with_number,
            is_bare_product=True,
        )

    def factor(self, items: list) -> _Factors:
        found, *postfixes = items
        if isinstance(found, list):
            token, *brackets = found
            is_raised = bool(postfixes) and superscript(postfixes[0]) != "t"
            found = (self.named(token, brackets[0] if brackets else None, is_raised),)
        *before, value = found
        if postfixes and before and found[0].start is value.start:  # the factors of one application
            before, value = [], _Value(Product(*(part.expression for part in found)), value.start)
        for postfix in postfixes:
            value = self.raised(value, postfix)
        return (*before, value)

    def raised(self, value: _Value, postfix: Token) -> _Value:
        exponent = superscript(postfix)
        if exponent == "t":
            return _Value(transpose(value.expression), value.start)
        base: Dimension | None = None
        match value.expression:
            case Power(base=dimension, exponent=Fraction(numerator=1, denominator=1)):
                base = dimension
            case Number(value=Fraction(numerator=count, denominator=1)) if count > 0:
                base = Dimension(count)
        if not _RATIONAL.fullmatch(exponent):
            raise self.place(postfix).error(
                f"unreadable superscript {str(postfix)!r}", "write ^t for a transpose, or a rational such as ^{-1/2}"
            )
        power = self.rational(exponent, postfix)
        if base is None:
            raise self.place(postfix).error(
                f"{excerpt(value.expression)} cannot be raised to a power",
                "only dimensions, positive integers and pi have powers; write a matrix power as a product, A A",
            )
        return _Value(Power(base, power), value.start)

    def number(self, items: list[Token]) -> _Factors:
        token = items[0]
        if token.type == "ONES":
            return (_Value(self.ones(token, axes_of(items[1], self.place(items[1])) if items[1:] else ()), token),)
        return (_Value(Number(self.rational(token, token)), token, leads_with_number=True),)

    def rational(self, text: str, token: Token) -> Fraction:
        """The number that digits denote; one with more digits than anybody writes is an accident."""
        mantissa, _, denominator = text.partition("/")
        digits, _, exponent = mantissa.lower().partition("e")
        if len(text) > _MAX_DIGITS or abs(int(exponent or 0)) > _MAX_DIGITS:
            raise self.place(token).error(f"a number of more than {_MAX_DIGITS} digits", "write a shorter one")
        if denominator and not int(denominator):
            raise self.place(token).error(f"{text} divides by zero")
        return Fraction(digits) * Fraction(10) ** int(exponent or 0) / int(denominator or 1)

    def ones(self, token: Token, axes: Axes) -> Expression:
        # The first separator that splits it in two: ``x`` alone may also be part of a name.
        for separator in ("×", r"\sx\s", "x"):
            sizes = [size(part) for part in re.split(separator, token[3:-1])]
            if len(sizes) == 2 and sizes[0] and sizes[1]:
                return ones(sizes[0], sizes[1], axes)
        raise self.place(token).error(f"unreadable ones {str(token)!r}", "write the shape, as in 1_{T×d}")

    def sigma(self, items: list) -> _Value:
        token, *sign, value = items
        if sign and sign[0] != "+":
            value = self.negative(value)
        expression = value.expression
        names = canonical(token.partition("_")[2].strip("{}")).split(",")
        if len(names) == 1 and names[0] in self.scope.layers:
            return _Value(LayerSum(expression, names[0]), token)
        axes = axes_of(f"[{','.join(names)}]", self.place(token))
        if not expression.shape:
            raise self.place(token).error("a sum over axes of a scalar", "a trace is already summed over all axes")
        for axis in axes:
            if axis not in expression.axes:
                has = f"it has {axes_text(expression.axes)}" if expression.axes else "it has none"
                raise self.place(token).error(
                    f"{excerpt(expression)} has no axis {axis} to sum over",
                    f"{has}; a letter gets an axis where it is declared, Q[{axis}]: d×k",
                )
        return _Value(AxisSum(expression, axes), token)

    def check_layers(self, expression: Expression) -> None:
        """Letters of layers stand outside of the layers only under a sum over these."""
        if not self.scope.layers:
            return
        stack = [(expression, False)]
        while stack:
            node, is_summed = stack.pop()
            if isinstance(node, Letter) and not is_summed and node.name not in self.scope.letters:
                index = next((index for index, family in self.scope.layers.items() if node.name in family), None)
                if index is not None and node.name in self.named_at and node.name not in self.scope.arguments:
                    raise self.place(self.named_at[node.name]).error(
                        f"{node.name} is a letter of the layers", f"outside of them write Σ_{index} ... {node.name} ..."
                    )
            stack += [(child, is_summed or isinstance(node, LayerSum)) for child in reversed(node.children)]

    def named(self, token: Token, brackets: Token | None, is_raised: bool) -> _Value:
        name = canonical(token)
        found = self.resolve(name)
        self.named_at.setdefault(name.removeprefix("d") if name not in self.letters else name, token)
        if brackets is not None and found is not None:
            written = axes_of(brackets, self.place(brackets))
            if ordered(written) != found.axes:
                said = f"{name} has the axes {axes_text(found.axes)}" if found.axes else f"{name} has no axes"
                raise self.place(token).error(f"{name}{axes_text(written)} is not declared", said)
        if is_raised and (found is None or name in self.dimensions):
            found = Power(name)  # only dimensions have powers, so n_0^{-1/2} declares n_0 by itself
        if found is None:
            # a dimension of one letter resembles too many names
            cure = suggestion(name, [*self.letters, *(size for size in self.dimensions if len(size) > 1)])
            if operator_named(name) is not None:
                cure = f"{name} is an operator: write {name}(...)"
            declared = f"declared letters: {listing(self.letters) or 'none'}"
            raise self.place(token).error(f"unknown letter {str(token)!r}", cure or declared)
        return _Value(found, token)

    def resolve(self, name: str) -> Expression | None:
        if name in self.letters:
            return self.letters[name]
        if name.startswith("d") and isinstance(letter := self.letters.get(name[1:]), Letter):
            return letter.differential
        if name in self.dimensions:
            return Power(name)
        unit = UNIT.fullmatch(name)
        dimension = unit and size(unit["braced"] or unit["bare"])
        return identity(dimension) if dimension else None

    def application(self, items: list) -> _Factors:
        token, arguments = items[0], [item.expression for item in items[1:]]
        match = re.fullmatch(r"(.*?)(\^[tT⊤]|\^\{\s*[tT⊤]\s*\}|[ᵗᵀ⊤])?", str(token))
        assert match is not None
        name, by_columns = canonical(match[1]), match[2] is not None
        if name in FUNCTIONS:
            if len(arguments) != 1:
                raise self.place(token).error(f"{name} takes 1 argument, not {len(arguments)}")
            if name == "trace":
                return (_Value(self.build(Trace, token, arguments[0]), token),)
            return self.row_sum(name, token, items[1], by_columns)
        # m(Z) is the operator, also where a dimension has its name; the dimension before a parenthesis has a space
        is_operator = name not in self.letters and operator_named(name, self.dialect) is not None
        letter = None if is_operator else self.resolve(name)
        if letter is not None:
            if len(arguments) != 1:
                raise self.place(token).error(f"{name} is a letter and takes no list of arguments")
            return (_Value(transpose(letter) if by_columns else letter, token), _Value(arguments[0], items[1].start))
        if name in self.scope.functions:
            return (_Value(self.called(self.scope.functions[name], token, arguments, by_columns), token),)
        operator = operator_named(name, self.dialect)
        if operator is None:
            known = [*operator_names(), *FUNCTIONS, *self.scope.functions]
            cure = suggestion(name, known) or f"operators: {', '.join(known)}"
            raise self.place(token).error(f"unknown operator {match[1]!r}", cure)
        if self.dialect == "exact" and isinstance(operator, Differential) and len(arguments) == 1:
            raise self.place(token).error(
                f"{name} takes 2 arguments, {name}(P, R)",
                f"the one-argument factor {name}(S) belongs to the manual's dialect",
            )
        return (_Value(self.apply(operator, token, arguments, by_columns), token),)

    def row_sum(self, name: str, token: Token, value: _Value, by_columns: bool) -> _Factors:
        """The factors of a sum of rows or columns: those of the argument, and ones."""
        argument = value.expression
        if by_columns or not argument.shape:
            said = f"{name} has no ^t" if by_columns else f"{name}({excerpt(argument)}): the argument is a scalar"
            cure = f"write {name}(...)^t, or {ROW_SUM if name == COLUMN_SUM else COLUMN_SUM}(...)" if by_columns else ""
            raise self.place(token).error(said, cure)
        rows, columns = argument.shape
        inner = argument.children if value.is_bare_product else (argument,)
        factors = (*inner, ones(columns, 1)) if name == ROW_SUM else (ones(1, rows), *inner)
        return tuple(_Value(factor, token) for factor in factors)

    def called(self, function: Function, token: Token, arguments: list[Expression], by_columns: bool) -> Expression:
        """The body of a function, with arguments for its parameters."""
        name, parameters = function.name, function.parameters
        if len(arguments) != len(parameters):
            takes = f"{name}({', '.join(parameters)})"
            count = f"{len(parameters)} argument{'s' if len(parameters) != 1 else ''}"
            raise self.place(token).error(f"{name} takes {count}, not {len(arguments)}", takes)
        # a function knows the functions before it, so that none can call itself
        known = list(self.scope.functions)
        before = {other: self.scope.functions[other] for other in known[: known.index(name)]}
        scope = replace(self.scope, functions=before, arguments=dict(zip(parameters, arguments, strict=True)))
        try:
            found = read(function.body, scope, self.dialect)
        except ParseError as error:
            raise self.place(token).error(f"{name} cannot take these arguments", f"in its body: {error}") from None
        return transpose(found) if by_columns else found

    def apply(
        self, operator: Operator | Differential, token: Token, arguments: list[Expression], by_columns: bool
    ) -> Expression:
        return self.build(lambda *operands: Apply(operator, *operands, by_columns=by_columns), token, *arguments)
