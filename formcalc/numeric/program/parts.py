"""A batch in parts: the loss is a sum over the batch, so the parts can be run one after the other, or side by side.

One after the other they need less memory, side by side they use the cores. What needs the whole batch, such as the
number of targets that a mean divides by, is computed first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from threading import Condition
from typing import Any

from formcalc.algebra import AxisSum, Dimension, Expression, LayerSum, Letter, Power, Product, Sum, Trace, postorder
from formcalc.calculus import Form
from formcalc.language.statements import Declared, Defined, Layers, inner_statements
from formcalc.numeric.program.threads import alone_in_each


@dataclass(frozen=True)
class Split:
    """How a form is cut along its batch.

    Attributes:
        axis: the axis of the batch, which data have and weights have not.
        given: the letters that are sums over the batch of data alone, in the order of their definitions.
    """

    axis: Dimension
    given: tuple[Letter, ...]


def split(form: Form) -> Split | None:
    """How a form can be cut into parts; none if its loss is no sum over a batch.

    >>> from formcalc.calculus import derive
    >>> from formcalc.models import load
    >>> split(derive(load("gpt2")))
    Split(axis=Dimension('B'), given=(<n>,))
    >>> split(derive(load("encoder"))) is None
    True
    """
    page = form.model.source
    if page.backward:  # nothing is known of a form that is stated
        return None
    declared = [x for s in inner_statements(page.statements) if isinstance(s, Declared) for x in s.letters]
    weights = [letter for letter in declared if letter.role == "weight"]
    axes = dict.fromkeys(axis for letter in declared if letter.role != "weight" for axis in letter.symbol.layout)
    for axis in axes:
        if form.model.size_of(axis) > 1 and not any(axis in (*x.symbol.layout, *x.symbol.shape) for x in weights):
            given = _given(form, axis)
            if given is not None:
                return Split(axis, given)
    return None


def _given(form: Form, axis: Dimension) -> tuple[Letter, ...] | None:
    """The letters that need the whole batch; none if the loss is no sum over its parts."""
    page = form.model.source
    statements = list(inner_statements(page.statements))
    defined = [statement.letter for statement in statements if isinstance(statement, Defined)]
    outside = {statement.letter for statement in page.statements if isinstance(statement, Defined)}
    expressions = [letter.definition for letter in defined if letter.definition is not None] + [page.loss]
    for letter in (x for s in statements if isinstance(s, Declared) for x in s.letters):
        if axis in letter.symbol.shape:
            return None
    if any(isinstance(node, Power) and node.base is axis for e in expressions for node in postorder(e)):
        return None
    known = {x for s in statements if isinstance(s, Declared) for x in s.letters if x.role != "weight"}
    handed = {s.letter for block in page.statements if isinstance(block, Layers) for s in block.states}
    given: list[Letter] = []
    for letter in defined:
        assert letter.definition is not None
        letters = {node.plain for node in postorder(letter.definition) if isinstance(node, Letter)}
        used = {inner for inner in letters if not inner.symbol.is_constant}
        if letter in outside and used <= known and not used & handed:
            known.add(letter)
        if axis in letter.shape:
            return None
        if _closes(letter.definition, axis):
            if letter not in known or axis in letter.axes:
                return None
            given.append(letter)
    return tuple(given) if _is_sum_over(page.loss, axis) else None


def _closes(expression: Expression, axis: Dimension) -> bool:
    """Whether an expression adds up over an axis somewhere."""
    for node in postorder(expression):
        if isinstance(node, AxisSum) and axis in node.over:
            return True
        if isinstance(node, Trace) and axis in node[0].axes:
            return True
    return False


def _is_sum_over(loss: Expression, axis: Dimension) -> bool:
    """Whether a scalar is a sum over an axis, times what does not depend on it."""
    match loss:
        case Sum():
            return all(_is_sum_over(term, axis) for term in loss)
        case Product():
            closing = [factor for factor in loss if _closes(factor, axis)]
            return len(closing) == 1 and _is_sum_over(closing[0], axis)
        case LayerSum():
            return _is_sum_over(loss[0], axis)
        case Trace():
            return axis in loss[0].axes and not _closes(loss[0], axis)
    return False


def at_size(form: Form, axis: Dimension, size: int) -> Form:
    """The form of one part of the batch."""
    model = form.model
    return form.at(replace(model, sizes={**model.sizes, str(axis): size}))


def divisors(number: int) -> Iterator[int]:
    """The numbers of equal parts, from one to all.

    >>> list(divisors(6))
    [1, 2, 3, 6]
    """
    return (count for count in range(1, number + 1) if number % count == 0)


#: A program: from arrays to the loss and the gradients.
Run = Callable[[Mapping[str, Any]], tuple[Any, dict[str, Any]]]

#: Adds a gradient to the total of its weight.
Add = Callable[[str, Any], None]

#: A program of a part: hands its gradients on as they are made; the loss.
PartRun = Callable[[Mapping[str, Any], Add], Any]


class Totals:
    """The gradients of all parts, added up weight by weight as they are made.

    Whatever the threads do, the same is computed in every run: the parts come in their order, but for the first two,
    whose sum is the same in either order, so that neither waits for the other.

    Args:
        add: from a total and an array to their sum, which may be written over the total.
        is_copied: whether the arrays are of the workspace of a program, which writes over them.
    """

    def __init__(self, add: Callable[[Any, Any], Any], is_copied: bool) -> None:
        self.gradients: dict[str, Any] = {}
        self._sum, self._is_copied = add, is_copied
        self._count: dict[str, int] = {}
        self._busy: set[str] = set()
        self._turn = Condition()
        self._is_over = False

    def add(self, part: int, name: str, array: Any) -> None:
        """Add the gradient of a part, when its turn has come."""
        with self._turn:
            self._turn.wait_for(lambda: self._is_over or self._is_next(part, name))
            if self._is_over:
                raise CancelledError
            self._busy.add(name)
        before = self.gradients.get(name)
        if before is not None:
            self.gradients[name] = self._sum(before, array)
        else:
            self.gradients[name] = array.copy() if self._is_copied else array
        with self._turn:
            self._busy.remove(name)
            self._count[name] = self._count.get(name, 0) + 1
            self._turn.notify_all()

    def _is_next(self, part: int, name: str) -> bool:
        count = self._count.get(name, 0)
        return name not in self._busy and (count == part or (part < 2 and count < 2))

    def cancel(self) -> None:
        """Nobody waits any more: a part has failed."""
        with self._turn:
            self._is_over = True
            self._turn.notify_all()


def handing_on(run: Run) -> PartRun:
    """A program that gives all gradients at the end, as one of a part."""

    def call(arrays: Mapping[str, Any], add: Add) -> Any:
        loss, gradients = run(arrays)
        for name in list(gradients):
            add(name, gradients.pop(name))
        return loss

    return call


@dataclass(frozen=True)
class Parts:
    """A program that runs in parts.

    Attributes:
        axes: where the arrays of data have the axis of the batch, by name.
        size: how many sequences, or whatever the batch consists of, a part has, of `total`.
        runs: the program of a part, once for each thread.
        given: the program of what needs the whole batch, if anything does.
        totals: makes what gradients are added up in.
    """

    axes: Mapping[str, int]
    size: int
    total: int
    runs: Sequence[PartRun]
    given: Run | None
    totals: Callable[[], Totals]

    def __call__(self, arrays: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The loss and the gradients of the whole batch."""
        shared = dict(arrays)
        if self.given is not None:
            shared |= self.given(arrays)[1]
        totals = self.totals()
        losses: dict[int, Any] = {}
        if len(self.runs) == 1:
            self.share(0, shared, totals, losses)
        else:
            alone_in_each(lambda: self.together(shared, totals, losses))
        loss = losses[0]
        for part in range(1, self.total // self.size):
            loss = loss + losses[part]
        return loss, totals.gradients

    def together(self, arrays: Mapping[str, Any], totals: Totals, losses: dict[int, Any]) -> None:
        """All shares at once, each in a thread of its own."""
        with ThreadPoolExecutor(len(self.runs)) as pool:
            found = [pool.submit(self.share, k, arrays, totals, losses) for k in range(len(self.runs))]
            try:
                for future in as_completed(found):
                    future.result()
            finally:
                if not all(future.done() for future in found):
                    totals.cancel()

    def share(self, thread: int, arrays: Mapping[str, Any], totals: Totals, losses: dict[int, Any]) -> None:
        """The parts of one thread, one after the other."""
        for part in range(thread, self.total // self.size, len(self.runs)):
            losses[part] = self.runs[thread](self.part(arrays, part * self.size), partial(totals.add, part))

    def part(self, arrays: Mapping[str, Any], start: int) -> dict[str, Any]:
        """The arrays of one part."""
        chosen = slice(start, start + self.size)
        return {
            name: array[(*[slice(None)] * self.axes[name], chosen)] if name in self.axes else array
            for name, array in arrays.items()
        }
