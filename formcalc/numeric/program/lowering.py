"""From a page and its form to the steps of a program: words become contractions, everything else maps."""

from __future__ import annotations

import keyword
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from formcalc.algebra import (
    Apply,
    AxisSum,
    Dimension,
    Expression,
    Hadamard,
    LayerSum,
    Letter,
    Number,
    Power,
    Product,
    Sum,
    Trace,
    excerpt,
    fold,
    postorder,
    transpose,
)
from formcalc.calculus import Form
from formcalc.calculus.differential import unfold
from formcalc.calculus.expansion import repeated
from formcalc.errors import FormError
from formcalc.language.statements import Coefficient, Declared, Defined, Family, Layers, Statement
from formcalc.language.unrolling import layer_range
from formcalc.numeric.program.ordering import Factor, Order, cheapest
from formcalc.numeric.program.values import Contract, Kind, Labelled, Loop, Map, Section, State, Step, Value, View
from formcalc.operators import Differential, Operator

#: Operators by rows, and the order of the results of their maps: the value, and what its differential needs besides.
_BY_ROWS = {"a": "softmax", "logsoftmax": "logsoftmax", "norm": "norm", "rms": "rms"}


#: Letters that are no plain arrays, by role.
_KINDS: dict[str, Kind] = {"tokens": "ids", "positions": "ids", "quarterturn": "turn"}


@dataclass
class Lowered:
    """A program before it is written for an engine.

    Attributes:
        sections: the steps in order, layers as loops.
        inputs: the letters that need arrays, as the page writes them, with the value that stands for each.
        constants: the letters that are known, likewise.
        loss: the scalar.
        coefficients: of the weights, as the page writes them.
    """

    sections: list[Section] = field(default_factory=list)
    inputs: dict[Letter, Value] = field(default_factory=dict)
    constants: dict[Letter, Value] = field(default_factory=dict)
    loss: View | None = None
    coefficients: dict[Letter, View] = field(default_factory=dict)


def lower(form: Form, inlined: frozenset[Letter] = frozenset()) -> Lowered:
    """The steps that compute the loss of a model and every coefficient of its form.

    Args:
        inlined: letters with definitions that are not computed: their words become parts of the words they stand in.
    """
    return _Lowering(form, inlined).run()


@dataclass
class _Word:
    """Factors to multiply, with the labels of their slots; and what comes out."""

    factors: list[Labelled]
    output: dict[str, str]
    sizes: dict[str, int]
    scale: float
    ends: tuple[str, str]


class _Lowering:
    def __init__(self, form: Form, inlined: frozenset[Letter]) -> None:
        self.model = form.model
        self.inlined = inlined
        self.substitution: dict[Expression, Expression] = {}
        self.backward = tuple(form.backward.statements)
        self.result = Lowered()
        self.section = Section()
        self.result.sections.append(self.section)
        self.loop: Loop | None = None
        #: What is known at the top, and in the layers of each family: views by expression and by letter, and by what is
        #: computed.
        self.views: dict[Family | None, dict[Expression, View]] = {None: {}}
        self.letters: dict[Family | None, dict[str, View]] = {None: {}}
        self.numbered: dict[Family | None, dict[tuple, Value]] = {None: {}}
        self.home: dict[Value, Section] = {}
        self.loops: dict[str, Loop] = {}
        self.taken: set[str] = set()
        self.counts: dict[str, int] = {}
        weights = list(self.model.source.weights())
        #: Axes that weights have, such as heads, stand beside the columns; others, such as batches, come first.
        self.head_axes = {str(axis) for letter in weights for axis in letter.axes}

    def run(self) -> Lowered:
        for statement in self.model.source.statements:
            self.statement(statement, is_backward=False)
        self.result.loss = self.view(self.written(self.model.source.loss))
        for statement in self.backward:
            self.statement(statement, is_backward=True)
        return self.result

    # statements

    def statement(self, statement: Statement, is_backward: bool) -> None:
        match statement:
            case Declared():
                for letter in statement.letters:
                    self.declare(letter)
            case Defined(letter=letter):
                assert letter.definition is not None
                definition = self.written(letter.definition)
                if letter in self.inlined:
                    self.substitution |= {letter: definition, letter.transposed: transpose(definition)}
                else:
                    self.place()[letter.name] = self.oriented(definition, is_backward)
            case Coefficient():
                view = self.oriented(self.written(statement.value), True)
                self.result.coefficients[statement.letter] = view
                if self.loop is not None:
                    self.loop.coefficients[statement.letter] = view
            case Layers():
                self.layers(statement, is_backward)

    def written(self, expression: Expression) -> Expression:
        """An expression with the definitions of inlined letters in their places."""
        if not self.substitution:
            return expression
        return fold(expression, lambda node, parts: node.rebuild(parts), dict(self.substitution))

    def oriented(self, expression: Expression, is_backward: bool) -> View:
        """A view; of the backward pass, through the transpose, so that cotangents lie in memory as values do."""
        return self.view(transpose(expression)).transposed if is_backward else self.view(expression)

    def place(self) -> dict[str, View]:
        return self.letters[self.loop.family if self.loop is not None else None]

    def declare(self, letter: Letter) -> None:
        if letter.role in ("ones", "identity"):
            return
        rows, columns = letter.symbol.shape
        roles = [*map(str, letter.symbol.layout), "row", "col"]
        sizes = dict(zip(roles, (self.size(d) for d in (*letter.symbol.layout, rows, columns)), strict=True))
        kind = _KINDS.get(letter.role, "array")
        slots = tuple(r for r in roles if kind != "array" or r not in ("row", "col") or not _is_one(letter, r))
        value = Value(self.fresh(letter.name), slots, sizes, kind, str(letter))
        target = self.result.constants if letter.symbol.is_constant else self.result.inputs
        target[letter] = value
        self.home[value] = self.section
        if self.loop is not None and not letter.symbol.is_constant:
            self.loop.inputs.append(value)
        self.place()[letter.name] = View(value, {role: role for role in slots})

    def layers(self, block: Layers, is_backward: bool) -> None:
        values = layer_range(block, self.model.sizes, self.model.name)
        loop = Loop(index=block.index, values=values, family=block.family)
        self.result.sections += [loop.prelude, loop]
        for known in (self.views, self.letters, self.numbered):
            known.setdefault(block.family, {})
        starts = [self.letters[None][state.start.name] for state in block.states]
        self.section, self.loop = loop, loop
        for state, start in zip(block.states, starts, strict=True):
            slots = self.state_slots(state.letter, is_backward)
            sizes = {slot: self.slot_size(state.letter, slot) for slot in slots}
            value = Value(self.fresh(state.letter.name), slots, sizes, "array", str(state.letter))
            end = Value(self.fresh(state.end.name), slots, sizes, "array", str(state.end))
            self.home[value] = loop
            loop.states.append(State(value, start, end))
            self.letters[block.family][state.letter.name] = View(value, {slot: slot for slot in slots})
        for statement in block.body:
            self.statement(statement, is_backward)
        for state, made in zip(block.states, loop.states, strict=True):
            made.outgoing = self.letters[block.family][state.next.name]
        self.loops[block.index] = loop
        self.section, self.loop = Section(), None
        self.result.sections.append(self.section)
        for state, made in zip(block.states, loop.states, strict=True):
            self.home[made.end] = self.section
            self.letters[None][state.end.name] = View(made.end, {slot: slot for slot in made.end.slots})

    def state_slots(self, letter: Letter, is_backward: bool) -> tuple[str, ...]:
        axes = tuple(map(str, letter.axes))
        matrix = tuple(role for role in ("row", "col") if not _is_one(letter, role))
        return (*axes, *(matrix[::-1] if is_backward else matrix))

    def slot_size(self, letter: Letter, slot: str) -> int:
        rows, columns = letter.shape
        return self.size({"row": rows, "col": columns}.get(slot) or Dimension(slot))

    # views

    def view(self, node: Expression) -> View:
        """The view of a matrix or of a scalar that is no number; computed where it has not been."""
        family = self.family(node)
        known = self.views[family]
        if node in known:
            return self.reached(known[node])
        turned = transpose(node)
        if turned is not node and turned in known:
            return self.reached(known[turned]).transposed
        before = self.section
        if family is None and self.loop is not None:
            self.section = self.loop.prelude  # the same in every layer
        found = self.lowered(node)
        self.section = before
        known[node] = found
        return self.reached(found)

    def reached(self, view: View) -> View:
        """The view, which another loop saves if it comes from there."""
        value, loop = view.value, self.loop
        home = self.home.get(value)
        if loop is not None and isinstance(home, Loop) and home is not loop and value not in loop.loads:
            loop.loads.append(value)
            if value not in home.inputs and value not in home.saves:
                home.saves.append(value)
        return view

    def family(self, node: Expression) -> Family | None:
        """The family of layers that an expression belongs to; none if it is the same in all of them."""
        if self.loop is None:
            return None
        return self.loop.family if self.varies(node) else None

    def varies(self, node: Expression) -> bool:
        memo = self.varying
        for part in postorder(node, lambda inner: () if inner in memo else inner.children):
            if part not in memo:
                if isinstance(part, Letter):
                    assert self.loop is not None
                    memo[part] = part.name in self.letters[self.loop.family]
                else:
                    memo[part] = any(memo[child] for child in part.children)
        return memo[node]

    @property
    def varying(self) -> dict[Expression, bool]:
        assert self.loop is not None
        return self.loop.varying

    def lowered(self, node: Expression) -> View:
        match node:
            case Letter():
                return self.letter(node)
            case AxisSum() if isinstance(node.direction, Sum):
                return self.view(Sum(*(node.with_direction(repeated(term, node.over)) for term in node.direction)))
            case Product() | AxisSum() if node.shape:
                return self.contraction(node)
            case Product():
                return self.scalar_product(node)
            case Sum():
                return self.sum(node)
            case Hadamard():
                return self.hadamard(node)
            case Trace():
                return self.trace(node)
            case Apply():
                return self.apply(node)
            case LayerSum():
                return self.layer_sum(node)
            case Number() | Power():
                return self.map("constant", [], {}, (self.number(node),))
        raise FormError(f"{excerpt(node)} has no program")

    def letter(self, node: Letter) -> View:
        for family in (self.loop.family if self.loop is not None else None, None):
            if node.name in self.letters[family]:
                found = self.letters[family][node.name]
                return found.transposed if node.is_transposed else found
        if node.symbol.is_constant:  # ones or an identity, alone
            roles = {role: role for role in ("row", "col") if not _is_one(node, role)}
            sizes = {role: self.slot_size(node, role) for role in roles}
            return self.map(node.role, [], sizes, tuple(sizes.values()))
        raise FormError(f"the letter {node.name} has no value here")

    def layer_sum(self, node: LayerSum) -> View:
        loop = self.loops[node.index]
        section, before = self.section, self.loop
        self.section, self.loop = loop, loop
        view = self.view(node[0])
        self.section, self.loop = section, before
        slots = tuple(view.value.slots)
        total = Value(self.fresh("sum"), slots, view.value.sizes, "array", str(node))
        loop.sums.append((total, view))
        self.home[total] = section
        return View(total, view.roles)

    # numbers

    def number(self, node: Expression) -> float:
        if isinstance(node, Number):
            return float(node.value)
        assert isinstance(node, Power)
        base = math.pi if node.base.value == "pi" else self.size(node.base)
        return float(base ** float(node.exponent))

    def size(self, dimension: Dimension) -> int:
        return self.model.size_of(dimension)

    def scaled(self, node: Expression) -> tuple[float, list[Expression], Expression]:
        """A term as a number, scalars that are computed, and the rest."""
        if isinstance(node, (Number, Power)):
            return self.number(node), [], Number(1)
        if not isinstance(node, Product):
            return 1.0, [], node
        number, scalars, matrices = 1.0, [], []
        for factor in _flat(node):
            if isinstance(factor, (Number, Power)):
                number *= self.number(factor)
            elif factor.shape:
                matrices.append(factor)
            else:
                scalars.append(factor)
        return number, scalars, Product(*matrices) if matrices else Number(1)

    # maps

    def map(
        self,
        operation: str,
        views: Sequence[View],
        sizes: dict[str, int] | None = None,
        numbers: tuple[float, ...] = (),
        along: str = "",
        extra: tuple[str, ...] = (),
    ) -> View:
        """A map over views, which is not computed twice, in this or in the other orientation."""
        family = self.loop.family if isinstance(self.section, Loop) and self.loop is not None else None
        known = self.numbered[family]
        sizes = dict(sizes or {})
        for view in views:
            sizes |= {role: view.value.sizes[slot] for role, slot in view.roles.items()}
        key = _map_key(operation, views, numbers, along)
        if key in known:
            return self.reached(View(known[key], {role: role for role in known[key].slots}))
        turned = _map_key(
            operation, [view.transposed for view in views], numbers, {"row": "col", "col": "row"}.get(along, along)
        )
        if turned in known:
            return self.reached(View(known[turned], {role: role for role in known[turned].slots})).transposed
        slots = self.map_slots(views, sizes, along)
        value = Value(self.fresh("t"), slots, sizes)
        more = {name: Value(self.fresh("t"), tuple(s for s in slots if s != along), sizes) for name in extra}
        operands = tuple((view.value, {slot: role for role, slot in view.roles.items()}) for view in views)
        self.emit(Map(value, operands, operation, numbers, along, tuple(more.values())))
        known[key] = value
        for name, made in more.items():
            known[_map_key(f"{operation}.{name}", views, numbers, along)] = made
            self.home[made] = self.section
        return View(value, {slot: slot for slot in slots})

    def more(self, operation: str, name: str, views: Sequence[View], numbers: tuple[float, ...], along: str) -> View:
        """Another result of a map that has been computed."""
        family = self.loop.family if isinstance(self.section, Loop) and self.loop is not None else None
        made = self.numbered[family][_map_key(f"{operation}.{name}", views, numbers, along)]
        return self.reached(View(made, {slot: slot for slot in made.slots}))

    def map_slots(self, views: Sequence[View], sizes: dict[str, int], along: str) -> tuple[str, ...]:
        """The slots of the result in the order of its largest operand; a row that is worked on is last."""
        ranked = sorted(views, key=lambda view: -view.value.entries)
        order: list[str] = []
        for view in ranked:
            by_slot = {slot: role for role, slot in view.roles.items()}
            order += [by_slot[slot] for slot in view.value.slots if by_slot[slot] not in order]
        order += [role for role in sizes if role not in order]
        if along in order:
            order = [role for role in order if role != along] + [along]
        return tuple(order)

    def emit(self, step: Step) -> None:
        self.section.steps.append(step)
        self.home[step.out] = self.section

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
        return self.map("broadcast", [view], {"col": columns}, (float(columns),))

    def slope(self, node: Apply, row: Operator) -> View:
        """A linear operator letter at a direction."""
        *arguments, direction = node.children
        if row.is_elementwise:
            at = self.map(f"{row.name}'", [self.dense(arguments[0])])
            number, scalars, rest = self.scaled(direction)
            return self.map("product", [at, *map(self.view, scalars), self.dense(rest)], None, (number,))
        if not row.is_symmetric:
            return self.view(unfold(node))
        value = self.by_rows(row, tuple(arguments))
        towards = self.full(direction)
        if row.name == "a":
            return self.map("softmax'", [value, towards], None, (), "col")
        views, numbers = self.row_arguments(row, tuple(arguments))
        inverse = self.more(_BY_ROWS[row.name], "inverse", views, numbers, "col")
        return self.map(f"{_BY_ROWS[row.name]}'", [value, inverse, towards], None, (), "col")

    # contractions

    def trace(self, node: Trace) -> View:
        number, scalars, rest = self.scaled(node[0])
        word = self.word(rest, ())
        merged = {word.ends[1]: word.ends[0]}
        factors = [(value, {s: merged.get(x, x) for s, x in labels.items()}) for value, labels in word.factors]
        sizes = {merged.get(label, label): size for label, size in word.sizes.items()}
        scale = word.scale * number * self.repeats(factors, {*sizes, *map(str, node[0].axes)}, sizes)
        return self.with_scalars(self.contracted(_Word(factors, {}, sizes, scale, word.ends)), scalars)

    def contraction(self, node: Expression) -> View:
        number, scalars, rest = self.scaled(node)
        word = self.word(rest, tuple(map(str, node.axes)))
        kept = {*word.output.values(), *word.ends, *map(str, node.axes)}
        word.scale *= number * self.repeats(word.factors, {*word.sizes} - kept, word.sizes)
        return self.with_scalars(self.contracted(word), scalars)

    def repeats(self, factors: list[Labelled], summed: set[str], sizes: dict[str, int]) -> int:
        """How often what no factor depends on is added up: the sizes of labels that only ones have."""
        present = {label for _, labels in factors for label in labels.values()}
        return math.prod(sizes.get(label) or self.size(Dimension(label)) for label in summed - present)

    def with_scalars(self, view: View, scalars: list[Expression]) -> View:
        if not scalars:
            return view
        return self.map("product", [view, *map(self.view, scalars)], None, (1.0,))

    def word(self, node: Expression, axes: tuple[str, ...]) -> _Word:
        """The factors of a product, with labels for the places between them; sums over axes are open."""
        if isinstance(node, AxisSum):
            number, scalars, rest = self.scaled(node.direction)
            if not scalars:
                word = self.word(rest, axes)
                word.scale *= number
                word.sizes |= {str(axis): self.size(axis) for axis in node.over}
                return word
        parts = _flat(node)
        if isinstance(node, AxisSum):
            parts = [node.direction]
        names = [str(place) for place in range(len(parts) + 1)]
        for place, part in enumerate(parts):
            if _is(part, "identity"):
                names[place + 1] = names[place]
        factors: list[Labelled] = []
        sizes = {str(axis): self.size(axis) for part in parts for axis in part.axes}
        for place, part in enumerate(parts):
            sizes |= {names[place]: self.size(part.shape[0]), names[place + 1]: self.size(part.shape[1])}
            if _is(part, "ones") or _is(part, "identity"):
                continue
            view = self.view(part)
            ends = {"row": names[place], "col": names[place + 1]}
            factors.append((view.value, {slot: ends.get(role, role) for role, slot in view.roles.items()}))
        present = {label for _, labels in factors for label in labels.values()}
        wanted = {**{axis: axis for axis in axes}, "row": names[0], "col": names[-1]}
        output = {role: label for role, label in wanted.items() if label in present}
        return _Word(factors, output, sizes, 1.0, (names[0], names[-1]))

    def contracted(self, word: _Word) -> View:
        """The view of a word, its factors multiplied in the cheapest order."""
        if not word.factors:
            return self.map("constant", [], {}, (word.scale,))
        keep = frozenset(word.output.values())
        labels = word.factors[0][1]
        is_whole = keep == frozenset(labels.values()) and len(set(labels.values())) == len(labels)
        if len(word.factors) == 1 and is_whole:
            view = _view(word.factors[0], word.output)
            return view if word.scale == 1 else self.map("product", [self.dense_view(view)], None, (word.scale,))
        factors = [Factor(frozenset(x.values()), x.get("col", "") if v.kind == "ids" else "") for v, x in word.factors]
        parts = [(i, j) for i in range(len(factors)) for j in range(i + 1, len(factors))]
        known = frozenset(part for part in parts if self.key(word, part, keep, 1.0)[0] in self.products())
        order, _ = cheapest(factors, keep, word.sizes, known)
        return _view(self.part(order, word, keep, word.scale), word.output)

    def dense_view(self, view: View) -> View:
        return view if view.value.kind == "array" else self.map("dense", [view])

    def products(self) -> dict[tuple, Value]:
        return self.numbered[self.loop.family if isinstance(self.section, Loop) and self.loop is not None else None]

    def part(self, order: Order, word: _Word, keep: frozenset[str], scale: float) -> Labelled:
        """A part of a word multiplied in an order, which is not computed twice; `keep` are the labels of the result."""
        if isinstance(order, int) and len(word.factors) > 1:
            return word.factors[order]
        places = _places(order)
        key, normal = self.key(word, (places[0], places[-1]), keep, scale)
        known = self.products()
        if key not in known:
            if isinstance(order, int):
                operands = [word.factors[0]]
            else:
                labels = [frozenset(x for k in _places(part) for x in word.factors[k][1].values()) for part in order]
                operands = [self.part(order[k], word, labels[k] & (keep | labels[1 - k]), 1.0) for k in (0, 1)]
            sizes = {normal[label]: word.sizes[label] for label in keep}
            out = Value(self.fresh("t"), tuple(normal[label] for label in self.contraction_order(keep, word)), sizes)
            # labels that the part sums over inside are none of the operands'
            given = tuple((v, {slot: normal[x] for slot, x in labels.items()}) for v, labels in operands)
            self.emit(Contract(out, given, scale))
            known[key] = out
        names = {new: old for old, new in normal.items()}
        out = self.reached(View(known[key], {})).value
        return out, {slot: names[slot] for slot in out.slots}

    def key(
        self, word: _Word, ends: tuple[int, int], keep: frozenset[str], scale: float
    ) -> tuple[tuple, dict[str, str]]:
        """What a part of a word computes, whatever the names of its labels and the order of its factors."""
        factors = word.factors[ends[0] : ends[1] + 1]
        rest = [label for k, (_, x) in enumerate(word.factors) if not ends[0] <= k <= ends[1] for label in x.values()]
        kept = keep.union(rest)
        ordered = sorted(factors, key=lambda factor: (factor[0].name, [factor[1][slot] for slot in factor[0].slots]))
        normal: dict[str, str] = {}
        for value, labels in ordered:
            for slot in value.slots:
                normal.setdefault(labels[slot], f"s{len(normal)}")
        shape = tuple((value.name, tuple(normal[labels[slot]] for slot in value.slots)) for value, labels in ordered)
        return (shape, frozenset(normal[label] for label in normal if label in kept), scale), normal

    def contraction_order(self, keep: frozenset[str], word: _Word) -> list[str]:
        """The order of the labels in memory: batches, rows, heads, columns; of scores, heads before rows."""
        axes = sorted(label for label in keep if not label.isdigit())
        ends = sorted((label for label in keep if label.isdigit()), key=int)
        heads = [axis for axis in axes if axis in self.head_axes]
        batch = [axis for axis in axes if axis not in heads]
        if len(ends) == 2 and word.sizes[ends[0]] == word.sizes[ends[1]]:
            return [*batch, *heads, *ends]
        return [*batch, *ends[:-1], *heads, *ends[-1:]]

    def fresh(self, name: str) -> str:
        """An identifier for a letter of the page, or for what has no name."""
        stem = "".join(c if c.isalnum() else "_" for c in name.replace("+", "_plus_")).strip("_") or "t"
        stem = f"v_{stem}" if stem[0].isdigit() or stem in _RESERVED else stem
        found, count = stem, 0
        while found in self.taken or (stem == "t" and not count):
            count = self.counts[stem] = self.counts.get(stem, 0) + 1
            found = f"{stem}{count}"
        self.taken.add(found)
        return found


def _view(product: Labelled, output: dict[str, str]) -> View:
    value, labels = product
    by_label = {label: slot for slot, label in labels.items()}
    return View(value, {role: by_label[label] for role, label in output.items()})


def _is_one(letter: Letter, role: str) -> bool:
    """Whether a letter has one row, or one column, by declaration: then its array has no axis for it."""
    return letter.symbol.shape[("row", "col").index(role)].value == 1


def _is(node: Expression, role: str) -> bool:
    return isinstance(node, Letter) and node.role == role


def _flat(node: Expression) -> list[Expression]:
    return [part for factor in node for part in _flat(factor)] if isinstance(node, Product) else [node]


def _places(order: Order) -> list[int]:
    return [order] if isinstance(order, int) else [place for part in order for place in _places(part)]


def _map_key(operation: str, views: Sequence[View], numbers: tuple[float, ...], along: str) -> tuple:
    operands = [(view.value.name, tuple(sorted(view.roles.items()))) for view in views]
    if operation == "sum":
        return (operation, tuple(sorted(zip(operands, numbers, strict=True))), (), along)
    return (operation, tuple(sorted(operands) if operation == "product" else operands), numbers, along)


#: Names that the source of a program uses itself.
_RESERVED = frozenset(keyword.kwlist) | {"np", "jnp", "jax", "torch", "arrays", "loss", "coefficients", "math"}
