"""Letters replaced in expressions, so that one-forms can be evaluated: every ``dW`` becomes a matrix of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from formcalc.algebra import Expression, Letter, Symbol, fold, postorder, transpose


def replaced(expression: Expression, letter: Callable[[Letter], Expression]) -> Expression:
    """The expression with `letter(L)` in the place of every letter `L`."""
    return fold(expression, lambda node, parts: letter(node) if isinstance(node, Letter) else node.rebuild(parts))


def fresh(expression: Expression) -> Expression:
    """The expression with a matrix named ``dW`` for every differential letter ``dW``."""

    def letter(node: Letter) -> Expression:
        if not node.is_differential:
            return node
        matrix = Letter(Symbol(f"d{node.name}", node.symbol.shape, "data", layout=node.symbol.layout))
        return transpose(matrix) if node.is_transposed else matrix

    return replaced(expression, letter)


def sizes_of(expression: Expression, sizes: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """The numeric shape of every letter of an expression that needs an array."""
    return {
        node.name: tuple(sizes.get(str(size), size.value) for size in (*node.symbol.layout, *node.symbol.shape))
        for node in postorder(expression)
        if isinstance(node, Letter) and not node.symbol.is_constant
    }


def random_arrays(expression: Expression, sizes: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    """A normal array for every letter of an expression."""
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=shape) for name, shape in sorted(sizes_of(expression, sizes).items())}
