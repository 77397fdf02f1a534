"""A batch in parts: the loss is a sum over the batch, so the parts can be run one after the other, or side by side.

One after the other they need less memory, side by side they use the cores. What needs the whole batch, such as the
number of targets that a mean divides by, is computed first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Parts:
    """A program that runs in parts.

    Attributes:
        axes: where the arrays of data have the axis of the batch, by name.
        size: how many sequences, or whatever the batch consists of, a part has, of `total`.
        runs: the program of a part, once for each thread.
        given: the program of what needs the whole batch, if anything does.
        add: from a total and an array to their sum, which may be written over the total.
    """

    axes: Mapping[str, int]
    size: int
    total: int
    runs: Sequence[Run]
    given: Callable[[Mapping[str, Any]], tuple[Any, dict[str, Any]]] | None
    add: Callable[[Any, Any], Any]

    def __call__(self, arrays: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The loss and the gradients of the whole batch."""
        shared = dict(arrays)
        if self.given is not None:
            shared |= self.given(arrays)[1]
        starts = range(0, self.total, self.size)
        count = len(self.runs)
        shares = [starts[k::count] for k in range(count)]
        if count == 1:
            return self.share(self.runs[0], shared, shares[0])
        return alone_in_each(lambda: self.together(shared, shares))

    def together(self, shared: Mapping[str, Any], shares: Sequence[range]) -> tuple[Any, dict[str, Any]]:
        """All shares at once, each in a thread of its own."""
        count = len(shares)
        with ThreadPoolExecutor(count) as pool:
            found = list(pool.map(lambda k: self.share(self.runs[k], shared, shares[k]), range(count)))
            loss, gradients = found[0]
            for other, _ in found[1:]:
                loss = loss + other
            names = list(gradients)
            list(pool.map(lambda k: self.merge(found, names[k::count]), range(count)))
        return loss, gradients

    def share(self, run: Run, arrays: Mapping[str, Any], starts: range) -> tuple[Any, dict[str, Any]]:
        """The sums over several parts."""
        loss, gradients = run(self.part(arrays, starts[0]))
        for start in starts[1:]:
            loss = loss + self.added(gradients, *run(self.part(arrays, start)))
        return loss, gradients

    def added(self, gradients: dict[str, Any], loss: Any, others: dict[str, Any]) -> Any:
        """Add the gradients of a part, which are gone before the next part runs; its loss."""
        for name in list(others):
            gradients[name] = self.add(gradients[name], others.pop(name))
        return loss

    def merge(self, found: Sequence[tuple[Any, dict[str, Any]]], names: Sequence[str]) -> None:
        """Add the gradients of all threads to those of the first."""
        for _, others in found[1:]:
            for name in names:
                found[0][1][name] = self.add(found[0][1][name], others[name])

    def part(self, arrays: Mapping[str, Any], start: int) -> dict[str, Any]:
        """The arrays of one part."""
        chosen = slice(start, start + self.size)
        return {
            name: array[(*[slice(None)] * self.axes[name], chosen)] if name in self.axes else array
            for name, array in arrays.items()
        }
