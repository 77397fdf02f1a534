"""The oracles jax and torch: their own operators, differentiated by their own reverse mode, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from formcalc.algebra import Apply, Expression, Number, Power
from formcalc.errors import MissingEngineError
from formcalc.language import Model
from formcalc.numeric.engine import Evaluation
from formcalc.numeric.reference import evaluation
from formcalc.numeric.selection import dense
from formcalc.operators import Differential, Operator

#: Up to so many steps, jax compiles a gradient whole; the time of XLA grows with their square.
WHOLE = 1000


def _missing(name: str) -> MissingEngineError:
    return MissingEngineError(
        f"the oracle {name} is not installed, so nothing was verified: pip install 'formcalc[{name}]'"
    )


class _AutodiffEngine:
    """What the two engines have in common: scalars are Python floats, and nothing is checked on the way."""

    def number(self, number: Number) -> float:
        return float(number.value)

    def power(self, base: int | None, power: Power) -> float:
        return float((math.pi if base is None else base) ** float(power.exponent))

    def total(self, array: Any) -> Any:
        return array.sum()

    def check(self, node: Expression, value: Any) -> None:
        """The comparison of coefficients fails on its own where something is not finite."""


class JaxEngine(_AutodiffEngine):
    """Evaluates with jax's own functions; differentials by jax's forward mode."""

    def __init__(self, jax: Any) -> None:
        self.jax = jax

    def constant(self, array: np.ndarray) -> Any:
        return self.jax.numpy.asarray(array)

    def reordered(self, array: Any, order: tuple[int, ...]) -> Any:
        return array.transpose(order)

    def apply(self, node: Apply, arguments: list[Any]) -> Any:
        operator = node.operator
        if isinstance(operator, Operator):
            return operator.jax(self.jax, *arguments)
        assert isinstance(operator, Differential)
        at, *constants, direction = arguments
        at, direction = self.jax.numpy.broadcast_arrays(at, direction)
        return self.jax.jvp(lambda x: operator.of.jax(self.jax, x, *constants), (at,), (direction,))[1]


class TorchEngine(_AutodiffEngine):
    """Evaluates with torch's own functions; differentials by its reverse mode, run twice."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def constant(self, array: np.ndarray) -> Any:
        return self.torch.tensor(array, dtype=self.torch.float64)

    def reordered(self, array: Any, order: tuple[int, ...]) -> Any:
        return array.permute(order)

    def apply(self, node: Apply, arguments: list[Any]) -> Any:
        operator = node.operator
        if isinstance(operator, Operator):
            return operator.torch(self.torch, *arguments)
        assert isinstance(operator, Differential)
        at, *constants, direction = arguments
        at, direction = self.torch.broadcast_tensors(at, direction)

        def function(x: Any) -> Any:
            return operator.of.torch(self.torch, x, *constants)

        return self.torch.autograd.functional.jvp(function, at, direction, create_graph=True)[1]


def _inputs(model: Model, arrays: Mapping[str, np.ndarray]) -> Evaluation:
    prepared = evaluation([model.loss], arrays, model.sizes, np.float64)
    return Evaluation(prepared.engine, {name: dense(x) for name, x in prepared.arrays.items()}, prepared.sizes)


def jax_gradients(
    model: Model,
    weights: list[str],
    arrays: Mapping[str, np.ndarray],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """``jax.grad`` of the loss, in float64.

    Raises:
        MissingEngineError: jax is not installed.
    """
    try:
        import jax
    except ImportError:
        raise _missing("jax") from None
    prepared = _inputs(model, arrays)
    used = [name for name in weights if name in prepared.arrays]

    def loss(varied: dict[str, Any]) -> Any:
        rest = {name: jax.numpy.asarray(array) for name, array in prepared.arrays.items() if name not in varied}
        return Evaluation(JaxEngine(jax), {**rest, **varied}, prepared.sizes).of(model.loss)

    with jax.enable_x64(True):
        varied = {name: jax.numpy.asarray(prepared.arrays[name]) for name in used}
        gradient = jax.grad(loss)
        if len(jax.make_jaxpr(gradient)(varied).eqns) <= WHOLE:
            gradient = jax.jit(gradient)
        found = gradient(varied)
        result = {name: np.asarray(value) for name, value in found.items()}
    return {name: result.get(name, np.zeros(arrays[name].shape)) for name in weights}


def torch_gradients(
    model: Model,
    weights: list[str],
    arrays: Mapping[str, np.ndarray],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """``backward()`` of the loss in torch, in float64 on the CPU.

    Raises:
        MissingEngineError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise _missing("torch") from None
    prepared = _inputs(model, arrays)
    tensors = {name: torch.tensor(array, dtype=torch.float64) for name, array in prepared.arrays.items()}
    for name in weights:
        if name in tensors:
            tensors[name].requires_grad_(True)
    loss = Evaluation(TorchEngine(torch), tensors, prepared.sizes).of(model.loss)
    if loss.requires_grad:  # else it depends on no weight, as step does not
        loss.backward()
    result = {}
    for name in weights:
        gradient = tensors[name].grad if name in tensors else None
        result[name] = np.zeros(arrays[name].shape) if gradient is None else gradient.numpy()
    return result
