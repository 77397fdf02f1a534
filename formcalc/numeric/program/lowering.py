"""From a page and its form to the steps of a program."""

from __future__ import annotations

from collections.abc import Collection

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
    postorder,
    transpose,
)
from formcalc.calculus import Form
from formcalc.calculus.expansion import repeated
from formcalc.errors import FormError
from formcalc.language.statements import Coefficient, Declared, Defined, Family, Layers, Statement
from formcalc.language.unrolling import layer_range
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.maps import Maps
from formcalc.numeric.program.pruning import prune
from formcalc.numeric.program.signs import turned
from formcalc.numeric.program.values import Kind, Loop, Section, State, Value, View

#: Letters that are no plain arrays, by role.
_KINDS: dict[str, Kind] = {"tokens": "ids", "positions": "ids", "quarterturn": "turn"}


class Lowering(Maps):
    """The steps that compute the loss of a model and every coefficient of its form, as the pages write them.

    Words are products of all their factors, in no order yet.

    Args:
        has_fused_softmax: whether the engine takes the differential of softmax in one pass, its row sums included.
        given: letters with definitions that are not computed, since they come in as arrays.
        outputs: names of letters to compute in the place of the loss.
    """

    def __init__(
        self,
        form: Form,
        has_fused_softmax: bool = False,
        given: Collection[Letter] = frozenset(),
        outputs: Collection[str] = (),
    ) -> None:
        super().__init__(form)
        self.given = given
        self.outputs = outputs
        self.has_fused_softmax = has_fused_softmax
        self.backward = tuple(form.backward.statements)
        self.turned = turned(form)
        self.result = Lowered(self.size, sections=[self.section], is_turned=self.turned is not None)
        #: What is known at the top, and in the layers of each family: views by expression, and by the name of a letter.
        self.views: dict[Family | None, dict[Expression, View]] = {None: {}}
        self.letters: dict[Family | None, dict[str, View]] = {None: {}}
        self.transposes: dict[Expression, Expression] = {}
        self.loops: dict[str, Loop] = {}
        #: Values that are those of letters, with the definitions of these.
        self.defined: dict[Value, tuple[Letter, Expression, View]] = {}
        #: Values that are gradients, with the coefficients.
        self.contributed: dict[Value, tuple[Letter, Expression]] = {}

    def run(self) -> Lowered:
        for statement in self.model.source.statements:
            self.statement(statement, is_backward=False)
            if isinstance(statement, Defined) and statement.letter.name in self.outputs:
                self.give(statement.letter)
        if not self.outputs:
            self.result.loss = self.view(self.model.source.loss)
        self.section = Section()
        self.result.forward = len(self.result.sections)
        self.result.sections.append(self.section)
        for statement in self.backward:
            self.statement(statement, is_backward=True)
        self.name_values()
        prune(self.result.sections, self.result.results)
        return self.result

    def run_values(self, letters: Collection[Letter]) -> Lowered:
        """The steps that compute letters of the page which stand outside of its layers."""
        result, statements = self.result, self.model.source.statements
        needed = {*letters}
        for statement in reversed(statements):
            if isinstance(statement, Defined) and statement.letter in needed:
                assert statement.letter.definition is not None
                parts = postorder(statement.letter.definition)
                needed.update(part.plain for part in parts if isinstance(part, Letter))
        for statement in statements:
            if isinstance(statement, Declared) or (isinstance(statement, Defined) and statement.letter in needed):
                self.statement(statement, is_backward=False)
            if isinstance(statement, Defined) and statement.letter in letters:
                self.give(statement.letter)
        prune(result.sections, result.results)
        used = {value for section in result.sections for step in section.steps for value, _ in step.operands}
        result.inputs = {letter: value for letter, value in result.inputs.items() if value in used}
        result.constants = {letter: value for letter, value in result.constants.items() if value in used}
        return result

    def give(self, letter: Letter) -> None:
        """Make a letter that has been computed a result."""
        self.result.values[letter] = self.as_array(letter), self.letters[None][letter.name]

    def name_values(self) -> None:
        """Give values the names of letters, transposes a ``_t`` after it, and gradients those of differentials."""
        made = {step.out for section in self.result.sections for step in section.steps}
        for value, (letter, definition, view) in self.defined.items():
            if value not in made:
                continue  # it is a letter of its own already
            roles = {slot: role for role, slot in view.roles.items()}
            sides = [roles[slot] for slot in value.slots if roles[slot] in ("row", "col")]
            value.name = self.fresh(f"{letter.name}{'_t' if sides == ['col', 'row'] else ''}")
            value.source = f"{letter} = {definition}"
        for value, (letter, coefficient) in self.contributed.items():
            if value in made and value not in self.defined:
                value.name = self.fresh(f"d{letter.name}")
                value.source = f"{letter.differential} : {coefficient}"

    def statement(self, statement: Statement, is_backward: bool) -> None:
        match statement:
            case Declared():
                for letter in statement.letters:
                    self.declare(letter)
            case Defined(letter=letter):
                assert letter.definition is not None
                if letter in self.given:
                    self.declare(letter)
                    return
                definition = letter.definition
                if is_backward and self.turned is not None:
                    definition = self.turned.definitions[letter]
                view = self.place()[letter.name] = self.oriented(definition, is_backward)
                self.result.letters[letter] = view
                self.defined.setdefault(view.value, (letter, definition, view))
            case Coefficient():
                value = statement.value if self.turned is None else self.turned.coefficients[statement.letter]
                view = self.oriented(value, True)
                self.contributed.setdefault(view.value, (statement.letter, value))
                self.result.coefficients[statement.letter] = view
                if self.loop is not None:
                    self.loop.coefficients[statement.letter] = view
            case Layers():
                self.layers(statement, is_backward)

    def oriented(self, expression: Expression, is_backward: bool) -> View:
        """A view; of the backward pass, through the transpose, so that cotangents lie in memory as values do."""
        return self.view(self.transposed(expression)).transposed if is_backward else self.view(expression)

    def transposed(self, expression: Expression) -> Expression:
        return transpose(expression, self.transposes)

    def place(self) -> dict[str, View]:
        return self.letters[self.loop.family if self.loop is not None else None]

    def declare(self, letter: Letter) -> None:
        if letter.role in ("ones", "identity"):
            return
        value = self.as_array(letter)
        target = self.result.constants if letter.symbol.is_constant else self.result.inputs
        target[letter] = value
        self.home[value] = self.section
        if self.loop is not None and not letter.symbol.is_constant:
            self.loop.inputs.append(value)
        self.place()[letter.name] = View(value, {role: role for role in value.slots})

    def as_array(self, letter: Letter) -> Value:
        """The value that is given as the array of a letter."""
        rows, columns = letter.symbol.shape
        roles = [*map(str, letter.symbol.layout), "row", "col"]
        sizes = dict(zip(roles, (self.size(d) for d in (*letter.symbol.layout, rows, columns)), strict=True))
        kind = _KINDS.get(letter.role, "array")
        slots = tuple(r for r in roles if kind != "array" or r not in ("row", "col") or not _is_one(letter, r))
        return Value(self.fresh(letter.name), slots, sizes, kind, str(letter))

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
        for state, into in zip(block.states, loop.states, strict=True):
            going = self.letters[block.family][state.next.name]
            # what goes out is made in this layer, if only as a copy
            is_given = going.value in loop.inputs or any(going.value is other.value for other in loop.states)
            is_made = self.home.get(going.value) is loop and not is_given
            into.outgoing = going if is_made else self.map("product", [going], None, (1.0,))
        self.loops[block.index] = loop
        self.section, self.loop = Section(), None
        self.result.sections.append(self.section)
        for state, into in zip(block.states, loop.states, strict=True):
            self.home[into.end] = self.section
            self.letters[None][state.end.name] = View(into.end, {slot: slot for slot in into.end.slots})

    def state_slots(self, letter: Letter, is_backward: bool) -> tuple[str, ...]:
        axes = tuple(map(str, letter.axes))
        matrix = tuple(role for role in ("row", "col") if not _is_one(letter, role))
        return (*axes, *(matrix[::-1] if is_backward else matrix))

    def slot_size(self, letter: Letter, slot: str) -> int:
        rows, columns = letter.shape
        return self.size({"row": rows, "col": columns}.get(slot) or Dimension(slot))

    def view(self, node: Expression) -> View:
        """The view of a matrix or of a scalar that is no number; computed where it has not been."""
        family = self.family(node)
        known = self.views[family]
        if node in known:
            return known[node]
        turned = self.transposed(node)
        if turned is not node and turned in known:
            return known[turned].transposed
        if family is None and self.loop is not None:
            before, self.section = self.section, self.loop.prelude  # the same in every layer
            found = self.lowered(node)
            self.section = before
        else:
            found = self.lowered(node)
        known[node] = found
        return found

    def family(self, node: Expression) -> Family | None:
        """The family of layers that an expression belongs to; none if it is the same in all of them."""
        if self.loop is None:
            return None
        return self.loop.family if self.varies(node) else None

    def varies(self, node: Expression) -> bool:
        assert self.loop is not None
        memo = self.loop.varying
        for part in postorder(node, lambda inner: () if inner in memo else inner.children):
            if part not in memo:
                if isinstance(part, Letter):
                    memo[part] = part.name in self.letters[self.loop.family]
                else:
                    memo[part] = any(memo[child] for child in part.children)
        return memo[node]

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
        """A sum over layers: added up in the loop of these, or in one of its own if it needs what came after."""
        loop = self.loops[node.index]
        self.loop = loop
        is_varying = self.varies(node[0])
        self.loop = None
        count = self.layer_count(loop)
        if not is_varying and count is not None:
            return self.map("product", [self.view(node[0])], None, (count,))
        after = self.section
        if not self.is_before(node[0], loop):
            loop = Loop(index=loop.index, values=loop.values, family=loop.family)
            after = Section()
            self.result.sections += [loop.prelude, loop, after]
        self.section = self.loop = loop
        view = self.view(node[0])
        self.section, self.loop = after, None
        total = Value(self.fresh("sum"), tuple(view.value.slots), view.value.sizes, "array", str(node))
        loop.sums.append((total, view))
        self.home[total] = after
        return View(total, view.roles)

    def layer_count(self, loop: Loop) -> int | None:
        """How many layers there are, if a dimension or the page says it."""
        assert loop.family is not None
        _, first, last = loop.family
        if first.dimension == last.dimension:
            return len(loop.values)
        if last.dimension and not first.dimension and last.offset + 1 == first.offset:
            return self.size(Dimension(last.dimension))
        return None

    def is_before(self, node: Expression, loop: Loop) -> bool:
        """Whether all that an expression needs is known before, or in, a loop."""
        sections = {section: place for place, section in enumerate(self.result.sections)}
        top = self.views[None]
        for part in postorder(node):
            known = [top[part]] if part in top else []
            if part.shape and self.transposed(part) in top:
                known.append(top[self.transposed(part)])
            if isinstance(part, Letter) and part.name not in self.letters[loop.family]:
                known += [self.letters[None][part.name]] if part.name in self.letters[None] else []
            for view in known:
                if sections[self.home[view.value]] > sections[loop.prelude]:
                    return False
        return True


def _is_one(letter: Letter, role: str) -> bool:
    """Whether a letter has one row, or one column, by declaration: then its array has no axis for it."""
    return letter.symbol.shape[("row", "col").index(role)].value == 1
