"""Compiling a form: a program that computes the loss and every gradient on given arrays."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import CodeType, ModuleType
from typing import Any, NoReturn

import numpy as np

from formcalc.algebra import Letter
from formcalc.calculus import Form
from formcalc.errors import ArrayError, EvaluationError, FormcalcError, MissingEngineError, suggestion
from formcalc.numeric.arrays import bind
from formcalc.numeric.constants import constant
from formcalc.numeric.program import dialects, emission, threads
from formcalc.numeric.program.allocation import allocated
from formcalc.numeric.program.arrangement import arrange
from formcalc.numeric.program.buffered import BufferedEmitter
from formcalc.numeric.program.fusion import fused
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.memory import Memory
from formcalc.numeric.program.parts import Parts, Run, Split, Totals, handing_on
from formcalc.numeric.program.plan import Plan
from formcalc.numeric.program.recomputation import spare
from formcalc.numeric.program.rewriting import cheapest, cheapest_values
from formcalc.numeric.program.scheduling import schedule
from formcalc.numeric.program.slopes import give_values
from formcalc.numeric.program.tracing import looking, traced_source


@dataclass(frozen=True)
class Engine:
    """An engine that programs run on: the module it needs, how it spells permutations, and its floating point types.

    Attributes:
        is_buffered: whether its arrays lie in memory that is planned before the run.
        is_jitted: whether it compiles a program before the first run.
    """

    module: str
    dialect: dialects.Dialect
    primitives: str
    dtypes: tuple[str, ...]
    has_fused_softmax: bool = False
    is_buffered: bool = False
    is_jitted: bool = False


#: The bytes of one number.
_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2}

_HERE = "formcalc.numeric.program"

ENGINES: dict[str, Engine] = {
    "numpy": Engine("numpy", dialects.NUMPY, f"{_HERE}.numpy_primitives", ("float32", "float64"), is_buffered=True),
    "numba": Engine("numba", dialects.NUMBA, f"{_HERE}.numba_primitives", ("float32", "float64"), is_buffered=True),
    "jax": Engine("jax", dialects.JAX, f"{_HERE}.jax_primitives", ("float32", "float64", "bfloat16"), is_jitted=True),
    "torch": Engine("torch", dialects.TORCH, f"{_HERE}.torch_primitives", ("float32", "float64", "bfloat16"), True),
}


@dataclass(frozen=True)
class Result:
    """What a program computed.

    Attributes:
        loss: the scalar.
        gradients: by weight, the derivative of the loss, in the shape of the weight's array, an array of the engine.
    """

    loss: float
    gradients: Mapping[str, Any]

    @cached_property
    def coefficients(self) -> dict[str, Any]:
        """By weight, the coefficient ``C`` of ``trace(C dW)`` in ``-d loss``: minus the transposed gradient."""
        return {name: -gradient.swapaxes(-1, -2) for name, gradient in self.gradients.items()}


class Program:
    """A form as straight-line code for an engine.

    Attributes:
        form: what it computes.
        engine: ``numpy``, ``numba``, ``jax`` or ``torch``.
        dtype: the type of all floating point arrays.
        parts: in how many parts the batch runs.
        workers: how many of them run side by side, each with a workspace of its own.
        plan: its steps, with shapes, operations and bytes.
        memory: where its arrays lie, and what they need; of one part.
        peak: the bytes that a run needs beside its inputs.
        source: the code; of one part.
    """

    def __init__(self, form: Form, engine: str, dtype: str, memory: int | None = None) -> None:
        self.form = form
        self.engine = engine
        self.dtype = dtype
        self._chosen = ENGINES[engine]
        self._primitives = _imported(self._chosen.primitives, engine)
        workers = threads.workers() if self._chosen.is_buffered else 1
        found = arrange(form, self._lowered, self._planned, workers, memory)
        self.parts, self.workers = found.parts, found.workers
        self.memory: Memory = found.memory
        self.peak = found.peak
        self.plan = Plan.of(found.lowered, form, _BYTES[dtype], found.parts, found.peak, found.recomputed)
        if self._chosen.is_buffered:
            self.source = BufferedEmitter(found.lowered, self.memory, self._chosen.dialect).text()
        else:
            self.source = emission.source(found.lowered, self._chosen.dialect)
        code = self._code(self.source)
        runs = [self._function(code, found.lowered, self.memory.workspace) for _ in range(found.workers)]
        self._run: Run = runs[0] if found.cut is None or found.parts == 1 else self._in_parts(found.cut, runs)

    def _lowered(self, form: Form, given: Collection[Letter] = ()) -> Lowered:
        lowered = fused(self._steps(form, given), vars(self._primitives))
        if self._chosen.is_buffered:
            give_values(lowered)
            spare(lowered)
        return lowered

    def _planned(self, lowered: Lowered, is_part: bool) -> Memory:
        """Put steps in order; the memory they need. XLA has an order of its own."""
        itemsize, is_buffered = _BYTES[self.dtype], self._chosen.is_buffered
        if self._chosen.is_jitted:
            return Memory.of(lowered, itemsize, self._chosen.dialect)
        schedule(lowered, is_buffered, hands_on=is_part)
        if is_buffered:
            return Memory.of(lowered, itemsize, self._chosen.dialect, hands_on=is_part)
        return allocated(lowered, itemsize)

    def _steps(self, form: Form, given: Collection[Letter] = ()) -> Lowered:
        has_free_numbers = self._chosen.dialect.scales_products
        return cheapest(form, self._chosen.has_fused_softmax, frozenset(given), has_free_numbers=has_free_numbers)

    def _in_parts(self, cut: Split, runs: list[Any]) -> Run:
        model = self.form.model
        axes = {
            name: letter.symbol.layout.index(cut.axis)
            for name, letter in model.letters.items()
            if cut.axis in letter.symbol.layout
        }
        given = None
        if cut.given:
            lowered = cheapest_values(self.form, cut.given)
            text = emission.source(lowered, self._chosen.dialect)
            if self._chosen.is_buffered:
                text = f"{text}\n\ndef prepare(buffer):\n    return run\n"
            given = self._function(self._code(text), lowered, 0)
        total = model.size_of(cut.axis)
        parts = runs if self._chosen.is_buffered else [handing_on(run) for run in runs]
        totals = partial(Totals, self._primitives.add, self._chosen.is_buffered)
        return Parts(axes, total // self.parts, total, parts, given, totals)

    def _code(self, source: str) -> CodeType:
        return compile(source, f"<program of {self.form.model.name}>", "exec")

    def _function(self, code: CodeType, lowered: Lowered, workspace: int) -> Any:
        # the text is our own: letters of the page come in as names of arrays only
        namespace = dict(vars(self._primitives))
        exec(code, namespace)
        constants = self._constants(lowered)
        if self._chosen.is_buffered:
            return self._primitives.prepared(namespace["prepare"], constants, self.dtype, workspace)
        return self._primitives.prepared(namespace["run"], constants, self.dtype)

    def _constants(self, lowered: Lowered) -> dict[str, np.ndarray]:
        made = {}
        for letter in lowered.constants:
            array = constant(letter, self.form.model.size_of)
            made[letter.name] = array.argmax(-1) if letter.role == "positions" else np.ascontiguousarray(array)
        return made

    def prepare(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The arrays of weights and data, checked, in the program's type and of its engine; for `run`.

        Raises:
            ArrayError: missing, ill-shaped, non-numeric or non-finite arrays.
        """
        model = self.form.model
        letters = [letter for letter in model.letters.values() if not letter.symbol.is_constant]
        given = {letter.name: _as_numpy(arrays[letter.name]) for letter in letters if letter.name in arrays}
        bound, _ = bind(letters, given, model.sizes)
        for name, array in bound.items():
            if array.shape != model.shapes[name]:
                have, due = ("×".join(map(str, shape)) for shape in (array.shape, model.shapes[name]))
                raise ArrayError(f"{name}: the array is {have}, the program was compiled for {due}")
        prepared: dict[str, Any] = self._primitives.typed(bound, self.dtype)
        return prepared

    def run(self, prepared: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The loss and the gradients of prepared arrays, unchecked, as the engine gives them."""
        found: tuple[Any, dict[str, Any]] = self._run(prepared)
        return found

    def __call__(self, arrays: Mapping[str, Any]) -> Result:
        """The loss and the gradients.

        Args:
            arrays: an array for every weight and every data letter, by name, of numpy or of the engine.

        Raises:
            ArrayError: missing, ill-shaped, non-numeric or non-finite arrays.
            EvaluationError: a loss or a gradient that is not finite; the error names the step in which that arose.
        """
        prepared = self.prepare(arrays)
        loss, gradients = self.run(prepared)
        if not (np.isfinite(float(loss)) and all(map(self._primitives.is_finite, gradients.values()))):
            self._explain(prepared)
        return Result(float(loss), {name: gradients[name] for name in self.form})

    def _explain(self, prepared: Mapping[str, Any]) -> NoReturn:
        """Run the steps one by one, to see where a number arises that is not finite."""
        lowered = self._steps(self.form)
        look = looking(self.form.model.name, self.dtype, self._primitives.is_finite)
        namespace = {**vars(self._primitives), "look": look}
        source = traced_source(lowered, self._chosen.dialect)
        exec(compile(source, f"<program of {self.form.model.name}, step by step>", "exec"), namespace)
        run, constants = namespace["run"], self._constants(lowered)
        if self._chosen.is_buffered:
            self._primitives.prepared(lambda _: run, constants, self.dtype, 0)(prepared)
        elif self._chosen.is_jitted:
            self._primitives.prepared(run, constants, self.dtype, is_compiled=False)(prepared)
        else:
            self._primitives.prepared(run, constants, self.dtype)(prepared)
        raise EvaluationError(f"the result of {self.form.model.name} is not finite in {self.dtype}")

    def __repr__(self) -> str:
        return f"<program of {self.form.model.name} on {self.engine} in {self.dtype}>"


def _as_numpy(array: Any) -> np.ndarray:
    return np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)


def _imported(module: str, engine: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != engine:
            raise
        raise MissingEngineError(f"the engine {engine} is not installed: pip install 'formcalc[{engine}]'") from None


def compile_form(form: Form, engine: str = "numpy", dtype: str = "float64", memory: int | None = None) -> Program:
    """Compile a form to a program, at the sizes of its model.

    Args:
        form: as derived.
        engine: ``numpy``; ``numba``, numpy with compiled kernels, and products of matrices by MKL if that is installed;
            ``jax``, one jit-compiled function; ``torch``, an explicit backward pass without autograd.
        dtype: ``float64`` or ``float32``; of jax and torch also ``bfloat16``.
        memory: the bytes that a run may need beside its inputs. Where the fastest program needs more, the batch runs in
            parts, and values are computed again instead of kept; the plan says what that costs.

    Raises:
        FormcalcError: an unknown engine or type; a program that needs more memory than the limit, or than there is.
        MissingEngineError: the engine is not installed.

    >>> from formcalc.calculus import derive
    >>> from formcalc.models import load
    >>> from formcalc.numeric import sample
    >>> model = load("encoder", L=2)
    >>> result = compile_form(derive(model))(sample(model))
    >>> result.gradients["Q_0"].shape
    (8, 8)
    """
    if not isinstance(form, Form):
        raise FormcalcError(f"a form is compiled, not a {type(form).__name__}: compile(derive(model))")
    if engine not in ENGINES:
        cure = suggestion(engine, ENGINES) or f"engines: {', '.join(ENGINES)}"
        raise FormcalcError(f"unknown engine {engine!r}; {cure}")
    if dtype not in ENGINES[engine].dtypes:
        raise FormcalcError(f"{engine} has no programs in {dtype!r}; its types: {', '.join(ENGINES[engine].dtypes)}")
    if memory is not None and (isinstance(memory, bool) or not isinstance(memory, int) or memory <= 0):
        raise FormcalcError(f"memory is a number of bytes, above 0, not {memory!r}")
    return Program(form, engine, dtype, memory)
