"""Random arrays for the letters of a model: well scaled, and away from the kinks of its operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from formcalc.algebra import Apply, Expression, Letter, postorder
from formcalc.errors import EvaluationError
from formcalc.language import Model
from formcalc.language.model import below
from formcalc.numeric.constants import constant
from formcalc.numeric.kinks import kinked_arguments
from formcalc.numeric.reference import evaluation
from formcalc.operators import Operator

_ATTEMPTS = 200


#: Sizes for dimensions that have none: small, mostly different, and first a square, so that a root stays rational.
_SIZES = (4, 9, 5, 3, 6, 7, 2, 8)


def sized(model: Model) -> Model:
    """The model with a small size for every dimension that has none, as those of a bare expression."""
    missing = [dimension for dimension in model.dimensions if dimension not in model.sizes]
    chosen = {dimension: _SIZES[place % len(_SIZES)] for place, dimension in enumerate(missing)}
    return replace(model, sizes={**model.sizes, **chosen}) if chosen else model


def sample(model: Model, seed: int = 0, given: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Random float64 arrays for every letter, drawn so that no entry lies on a kink of relu.

    Matrices have normal entries of variance 1 over their rows, so that products keep their scale; data have variance 1,
    row vectors (biases) 1/4. Tokens are drawn evenly, masks are 1 in three of four places. Letters that log, sqrt or
    reciprocal act on directly are positive.

    Args:
        model: dimensions without a size, as those of a bare expression, get small ones.
        seed: equal seeds give equal arrays.
        given: arrays to keep as they are.

    Returns:
        An array for every declared letter, ones included.

    Raises:
        EvaluationError: no draw was away from the kinks.
    """
    model = sized(model)
    generator = np.random.default_rng(seed)
    kept = dict(given or {})
    restricted = _restricted(model)
    kinked = kinked_arguments(model.loss)
    for _ in range(_ATTEMPTS):
        arrays = {
            name: kept[name] if name in kept else _draw(letter, model, name in restricted, generator)
            for name, letter in model.letters.items()
        }
        if _is_away(kinked, model, arrays):
            return arrays
    raise EvaluationError(
        f"{model.name}: {_ATTEMPTS} draws all lay on a kink of an operator; "
        "check the given arrays: an argument of relu that is exactly 0 has no derivative"
    )


def _draw(letter: Letter, model: Model, is_positive: bool, generator: np.random.Generator) -> np.ndarray:
    shape = model.shape_of(letter)
    if letter.symbol.is_constant:
        return constant(letter, model.size_of)
    if letter.role == "tokens":
        return generator.integers(model.size_of(letter.symbol.shape[1]), size=shape)
    if letter.role == "mask":
        # three of four are allowed, and the first column always is, so that few rows are masked everywhere
        return np.maximum(generator.random(shape) < 0.75, np.arange(shape[-1]) == 0) + 0.0
    rows = shape[-2]
    scale = 1.0 if letter.role == "data" else 0.5 if rows == 1 else rows**-0.5
    array = generator.normal(size=shape) * scale
    return np.abs(array) + 0.5 if is_positive else array


def _restricted(model: Model) -> set[str]:
    """The letters that an operator with a restricted domain acts on directly."""
    return {
        node[0].name
        for node in postorder(model.loss, below)
        if isinstance(node, Apply) and isinstance(node.operator, Operator) and node.operator.domain != "real"
        if isinstance(node[0], Letter)
    }


def _is_away(kinked: list[tuple[Expression, float]], model: Model, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether every argument keeps a distance from its kinks that a draw of its size can be expected to keep."""
    if not kinked:
        return True
    run = evaluation([argument for argument, _ in kinked], arrays, model.sizes)
    distances = [np.abs(run.of(argument) - kink) for argument, kink in kinked]
    entries = sum(distance.size for distance in distances)
    margin = min(1e-2, 0.2 / entries)
    return all(distance.min() > margin for distance in distances)
