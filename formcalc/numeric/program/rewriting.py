"""Writing a program anew, in the steps of its cheapest outline."""

from __future__ import annotations

from collections.abc import Collection

from formcalc.algebra import Letter
from formcalc.calculus import Form
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.lowering import Lowering
from formcalc.numeric.program.ordering import Part
from formcalc.numeric.program.planning import Outline, Planner
from formcalc.numeric.program.pruning import keep_for_later, prune
from formcalc.numeric.program.scales import place_numbers
from formcalc.numeric.program.values import Contract, Labelled, Loop, Map, Section, Step, Value, View, made
from formcalc.numeric.program.words import Placed, Word


class Rewriting:
    """The steps of an outline, in the order in which the program needs them.

    What is shared by several words is computed where it is needed first; what is the same in all layers, before them.
    """

    def __init__(self, lowering: Lowering, planner: Planner, outline: Outline) -> None:
        self.lowering = lowering
        self.planner = planner
        self.outline = outline
        self.section = Section()
        #: Products that have been made: the value, the number of the label of each slot, and the scale.
        self.made: dict[int, tuple[Value, tuple[int, ...], float]] = {}
        self.aliases: dict[Value, tuple[Value, dict[str, str]]] = {}
        #: Maps that have been put by what they compute: the value, its section, and its slots in an order of their own.
        self.maps: dict[tuple, tuple[Value, Section, list[str]]] = {}
        self.named: dict[int, tuple[Value, Word]] = {}
        for value, words in outline.words.items():
            if len(words) == 1 and not words[0].is_trivial:
                self.named.setdefault(words[0].keys[words[0].whole], (value, words[0]))
        for value, word in planner.named.items():
            if value not in outline.words:
                self.named.setdefault(word.keys[word.whole], (value, word))
        self.added = set(planner.sums.values())
        loops = lowering.result.loops
        states = [state for loop in loops for state in loop.states]
        self.states = {state.value for state in states}
        self.handed_on = {state.outgoing.value for state in states if state.outgoing is not None}

    def run(self) -> Lowered:
        program = self.lowering.result
        for section in program.sections:
            steps, section.steps = section.steps, []
            self.section = section
            for step in steps:
                if step.out in self.planner.polynomials.linears:
                    self.value(step.out)
                else:
                    self.map(self.rewritten(step))
        for section in program.sections:
            if isinstance(section, Loop):
                section.coefficients = {letter: self.view(view) for letter, view in section.coefficients.items()}
                section.sums = [(total, self.view(view)) for total, view in section.sums]
                for state in section.states:
                    state.start = self.view(state.start)
                    state.outgoing = None if state.outgoing is None else self.view(state.outgoing)
        program.coefficients = {letter: self.view(view) for letter, view in program.coefficients.items()}
        program.letters = {letter: self.view(view) for letter, view in program.letters.items()}
        program.values = {letter: (array, self.view(view)) for letter, (array, view) in program.values.items()}
        program.loss = None if program.loss is None else self.view(program.loss)
        return program

    def emit(self, step: Step) -> None:
        """Put a step where all layers can see it, or into the layers if it depends on them."""
        home, loop = self.lowering.home, self.section
        section = self.section
        is_the_same = isinstance(step, Contract) and not any(isinstance(home.get(v), Loop) for v, _ in step.operands)
        if isinstance(loop, Loop) and is_the_same:
            section = loop.prelude
        section.steps.append(step)
        for value in made(step):
            home[value] = section

    def map(self, step: Map) -> None:
        """Put a step, unless what it computes is there: its operands may have turned out to be the same as others."""
        key, labels = _described(step)
        other, home, own = self.maps.get(key, (step.out, self.section, labels))
        is_there = home is self.section or not isinstance(home, Loop)
        is_whole = len(labels) == len(step.out.slots) and not step.more
        if other is not step.out and is_there and is_whole and step.out not in self.handed_on:
            self.aliases[step.out] = other, dict(zip(labels, own, strict=True))
            return
        self.maps[key] = step.out, self.section, labels
        self.emit(step)

    def rewritten(self, step: Step) -> Map:
        """A step that is neither a product nor a sum, on the values that are there now."""
        assert isinstance(step, Map)
        operands = step.operands
        if step.operation == "softmax'" and len(operands) == 3 and self.is_left_out(operands[2][0]):
            operands = operands[:2]
        step.operands = tuple(self.operand(operand) for operand in operands)
        return step

    def is_left_out(self, value: Value) -> bool:
        words = self.outline.words.get(value)
        return words is None or words[0] in self.outline.left_out

    def operand(self, operand: Labelled) -> Labelled:
        value, labels = operand
        if value not in self.aliases:
            return operand
        other, slots = self.aliases[value]
        return other, {slots[slot]: label for slot, label in labels.items()}

    def view(self, view: View) -> View:
        if view.value not in self.aliases:
            return view
        other, slots = self.aliases[view.value]
        return View(other, {role: slots[slot] for role, slot in view.roles.items()})

    def value(self, value: Value) -> None:
        """Compute a value of the outline; what is not in it, is not needed by itself."""
        words = self.outline.words.get(value)
        if words is None or words[0] in self.outline.left_out:
            return
        labels = self.planner.polynomials.linears[value].labels
        slots = dict(zip(labels, value.slots, strict=True))
        if len(words) > 1:
            terms = [self.product(word, word.whole) for word in words]
            operands = tuple((v, {s: slots[x] for s, x in zip(v.slots, own, strict=True)}) for v, own, _ in terms)
            numbers = tuple(_ratio(word.scale, scale) for word, (_, _, scale) in zip(words, terms, strict=True))
            self.map(Map(value, operands, "sum", numbers))
            return
        found, own, scale = self.product(words[0], words[0].whole)
        if found is value:
            self.rowdot(value)
            return
        roles = {slots[label]: slot for slot, label in zip(found.slots, own, strict=True)}
        number = _ratio(words[0].scale, scale)
        if number == 1 and not (value in self.handed_on and self.is_given(found)):
            self.aliases[value] = found, roles
        else:
            self.emit(Map(value, ((found, {slot: role for role, slot in roles.items()}),), "product", (number,)))

    def is_given(self, value: Value) -> bool:
        """Whether a layer has a value from outside."""
        home = self.lowering.home[value]
        return home is not self.section or value in self.states or (isinstance(home, Loop) and value in home.inputs)

    def factor(self, factor: Placed) -> tuple[Value, tuple[int, ...]]:
        """A factor as it is there now; sums that the page does not write are computed when they are needed first."""
        value, labels = factor
        if value in self.added:
            self.added.discard(value)
            value.name = self.lowering.fresh("t")
            self.value(value)
        if value in self.aliases:
            other, slots = self.aliases[value]
            by_slot = {slots[slot]: label for slot, label in zip(value.slots, labels, strict=True)}
            return other, tuple(by_slot[slot] for slot in other.slots)
        return value, labels

    def product(self, word: Word, part: Part) -> tuple[Value, tuple[int, ...], float]:
        """A part of a word: its value, the labels of the slots, and the scale that it has already."""
        key = word.keys.get(part)
        i, j = part
        if key is None:
            return (*self.factor(word.factors[i]), 1.0)
        normal = word.normal(part)
        if key not in self.made:
            if i == j:
                parts = [(*self.factor(word.factors[i]), 1.0)]
            else:
                known = frozenset(inner for inner, k in word.keys.items() if k in self.outline.shared)
                split = word.orders.best(known)[1][part]
                sides = [(i, split), (split + 1, j)]
                parts = [self.product(word, side) for side in sides if not word.is_ones(side)]
            self.contract(key, parts, normal, word.kept(part))
        value, numbers, scale = self.made[key]
        label = {number: label for label, number in normal.items()}
        return value, tuple(label[number] for number in numbers), scale

    def contract(
        self, key: int, parts: list[tuple[Value, tuple[int, ...], float]], normal: dict[int, int], kept: list[int]
    ) -> None:
        """Multiply parts; what the page has a name for gets it."""
        if key in self.named:
            out, word = self.named[key]
            own = word.normal(word.whole)
            numbers = tuple(own[label] for label in self.planner.polynomials.linears[out].labels)
            scale = word.scale
        else:
            order = self.memory_order(parts, kept)
            numbers, scale = tuple(normal[label] for label in order), 1.0
            sizes = {f"s{normal[label]}": self.planner.names.sizes[label] for label in order}
            out = Value(self.lowering.fresh("t"), tuple(sizes), sizes)
        texts = dict(zip(numbers, out.slots, strict=True))
        operands = tuple(
            (v, {slot: texts.get(normal[x], f"#{normal[x]}") for slot, x in zip(v.slots, labels, strict=True)})
            for v, labels, _ in parts
        )
        number = scale
        for _, _, given in parts:
            number = _ratio(number, given)
        self.emit(Contract(out, operands, number))
        self.made[key] = out, numbers, scale

    def memory_order(self, parts: list[tuple[Value, tuple[int, ...], float]], kept: list[int]) -> list[int]:
        """The order of labels in memory: batches, rows, heads, columns; of scores, heads before rows."""
        names = self.planner.names
        order = [x for x in dict.fromkeys(label for _, labels, _ in parts for label in labels) if x in kept]
        axes = sorted((x for x in order if names.axes[x]), key=lambda x: names.axes[x])
        ends = [x for x in order if not names.axes[x]]
        heads = [x for x in axes if names.axes[x] in self.lowering.head_axes]
        batch = [x for x in axes if x not in heads]
        if len(ends) == 2 and names.sizes[ends[0]] == names.sizes[ends[1]]:
            return [*batch, *heads, *ends]
        return [*batch, *ends[:-1], *heads, *ends[-1:]]

    def rowdot(self, value: Value) -> None:
        """Row sums for softmax, entry by entry: no matrices are multiplied."""
        if value not in self.planner.polynomials.optional:
            return
        step = self.section.steps[-1]
        if step.out is not value or not isinstance(step, Contract) or len(step.operands) != 2:
            return
        summed = {x for _, labels in step.operands for x in labels.values()} - {*value.slots}
        if any(not summed <= {*labels.values()} for _, labels in step.operands) or len(summed) != 1:
            return
        if step.scale == 1:
            self.section.steps[-1] = Map(value, step.operands, "rowdot", (), next(iter(summed)))
        else:
            part = Value(self.lowering.fresh("t"), value.slots, value.sizes)
            self.section.steps[-1] = Map(part, step.operands, "rowdot", (), next(iter(summed)))
            self.lowering.home[part] = self.section
            self.emit(Map(value, ((part, {slot: slot for slot in value.slots}),), "product", (step.scale,)))


def _described(step: Map) -> tuple[tuple, list[str]]:
    """What a map computes whatever its slots are called, and these in an order that does not depend on that."""
    is_sum, terms = step.operation == "sum", [(value, own, 1.0) for value, own in step.operands]
    if is_sum:
        terms = [(value, own, number) for (value, own), number in zip(step.operands, step.numbers, strict=True)]
    if is_sum or step.operation == "product":
        terms.sort(key=lambda term: (term[0].name, [*term[1].values()], term[2]))
    labels = list(dict.fromkeys(own[slot] for value, own, _ in terms for slot in value.slots))
    place = {label: k for k, label in enumerate(labels)}
    parts = tuple((value, tuple(place[own[slot]] for slot in value.slots), number) for value, own, number in terms)
    key = (step.operation, () if is_sum else step.numbers, place.get(step.along, -1), parts)
    return key, [label for label in labels if label in step.out.slots]


def cheapest(
    form: Form,
    has_fused_softmax: bool = False,
    given: Collection[Letter] = frozenset(),
    outputs: Collection[str] = (),
    has_free_numbers: bool = True,
) -> Lowered:
    """The steps that compute the loss of a model and every coefficient of its form, at the least cost that is found.

    Args:
        has_fused_softmax: whether the engine takes the differential of softmax in one pass, its row sums included.
        given: letters with definitions that are not computed, since they come in as arrays.
        outputs: names of letters to compute in the place of the loss.
        has_free_numbers: whether the engine multiplies by a number on the way; others do it where it costs least.
    """
    lowering = Lowering(form, has_fused_softmax, given, outputs)
    program = _at_least_cost(lowering, lowering.run())
    if not has_free_numbers:
        place_numbers(program, lowering.fresh)
        keep_for_later(program.sections, lowering.home)
    return program


def cheapest_values(form: Form, letters: Collection[Letter]) -> Lowered:
    """The steps that compute some letters of a page, at the least cost that is found."""
    lowering = Lowering(form)
    return _at_least_cost(lowering, lowering.run_values(letters))


def _at_least_cost(lowering: Lowering, program: Lowered) -> Lowered:
    planner = Planner(program, lambda value: lowering.home[value].repeats if value in lowering.home else 1)
    Rewriting(lowering, planner, planner.best()).run()
    keep_for_later(program.sections, lowering.home)
    prune(program.sections, program.results)
    return program


def _ratio(number: float, scale: float) -> float:
    """A scale over another; without rounding, and with its name, where there is nothing to divide by."""
    return 1.0 if number == scale else number if scale == 1 else number / scale
