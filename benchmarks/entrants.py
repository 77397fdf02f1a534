"""Programs and peers, as functions without arguments that give the loss and every gradient."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

import formcalc as fc
from benchmarks import memory
from benchmarks.cases import Case, arrays_of
from benchmarks.layouts import pack, unpack

#: What is measured, and the engine that it needs. Those of formcalc are named as programs.
ENGINES = {
    "torch": "torch",
    "torch SDPA": "torch",
    "torch.compile": "torch",
    "jax": "jax",
    "numpy program": "numpy",
    "numpy program, half the memory": "numpy",
    "numba program": "numba",
    "numba program, half the memory": "numba",
    "torch program": "torch",
    "torch program, half the memory": "torch",
    "torch program, compiled": "torch",
    "jax program": "jax",
}

#: Those that programs are compared with.
PEERS = tuple(name for name in ENGINES if "program" not in name)

#: Those with a limit, half of what torch needs.
LIMITED = tuple(name for name in ENGINES if name.endswith("half the memory"))

#: Those that take long to compile.
COMPILED = ("torch.compile", "torch program, compiled")


def missing() -> dict[str, str]:
    """What cannot be measured here, and why."""
    absent = {engine for engine in ("torch", "jax", "numba") if find_spec(engine) is None}
    return {
        name: f"{engine} is not installed: pip install 'formcalc[{engine}]'"
        for name, engine in ENGINES.items()
        if engine in absent
    }


@dataclass
class Entrant:
    """One that takes part.

    Attributes:
        name: as in `ENGINES`.
        run: gives the loss and the gradients when they are there.
        named: the gradients by the names of the page, as arrays of numpy.
        peak: the bytes of memory of a run beside weights and data, gradients included.
        flops: the operations in products of matrices of one run, if known.
        predicted: the bytes that were planned before the run, if they were.
    """

    name: str
    run: Callable[[], Any]
    named: Callable[[Any], dict[str, np.ndarray]]
    peak: Callable[[], int]
    flops: int | None = None
    predicted: int | None = None

    def gradients(self) -> dict[str, np.ndarray]:
        """The gradients of one run, by the names of the page."""
        return self.named(self.run()[1])


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """The types of jax."""
    if find_spec("jax") is None:
        yield
        return
    import jax

    with jax.enable_x64(dtype == "float64"):
        yield


class Entrants:
    """All that take part in a case, on the same arrays.

    Args:
        names: of `ENGINES`; those that are not installed, or have no meaning for the case, are left out.
    """

    def __init__(self, case: Case, dtype: str, names: tuple[str, ...], is_small: bool = False) -> None:
        self.case, self.dtype = case, dtype
        self.model = case.model(is_small)
        self.form = fc.derive(self.model)
        self.arrays = arrays_of(self.model)
        absent = missing()
        self.names = [name for name in names if name not in absent and (case.has_softmax or name != "torch SDPA")]
        self._as_written: int | None = None
        if not set(COMPILED).isdisjoint(self.names):
            import torch

            torch.compiler.reset()  # it compiles a function for a few cases, and then runs it as it is

    def make(self, name: str, limit: int | None = None) -> Entrant:
        """One of them.

        Args:
            limit: the bytes of memory of a program with a limit.
        """
        match name:
            case "torch" | "torch SDPA" | "torch.compile":
                return self._torch(name)
            case "jax":
                return self._jax()
            case "jax program":
                return self._jax_program()
        return self._torch_program(name, limit) if ENGINES[name] == "torch" else self._buffered(name, limit)

    def _peer_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Weights as a peer keeps them, and data."""
        weights = pack(self.case.kind, self.model, self.arrays)
        data = {name: array for name, array in self.arrays.items() if name not in self.model.weights}
        return tuple(  # type: ignore[return-value]
            {name: x.astype(self.dtype) if x.dtype.kind == "f" else x for name, x in group.items()}
            for group in (weights, data)
        )

    def _named(self, gradients: Any) -> dict[str, np.ndarray]:
        return unpack(self.case.kind, self.model, {name: np.asarray(x) for name, x in gradients.items()})

    def _torch(self, name: str) -> Entrant:
        import torch

        from benchmarks import peers_torch

        weights, data = ({n: torch.tensor(x) for n, x in group.items()} for group in self._peer_arrays())
        is_fused = name != "torch" and self.case.has_softmax
        is_compiled = name == "torch.compile"
        run = peers_torch.autograd(self.case.kind, self.model, weights, data, is_fused, is_compiled)
        if self._as_written is None:
            plain = peers_torch.autograd(self.case.kind, self.model, weights, data, False, False)
            self._as_written = _counted(plain)
        return Entrant(name, run, self._named, lambda: memory.of_torch(run), self._as_written)

    def _jax(self) -> Entrant:
        import jax

        from benchmarks import peers_jax

        with precision(self.dtype):
            weights, data = ({n: jax.numpy.asarray(x) for n, x in group.items()} for group in self._peer_arrays())
            compiled = peers_jax.value_and_grad(self.case.kind, self.model).lower(weights, data).compile()

        def run() -> Any:
            with precision(self.dtype):
                return jax.block_until_ready(compiled(weights, data))

        return Entrant("jax", run, self._named, lambda: memory.of_xla(compiled), self._as_written)

    def _compile(self, engine: str, limit: int | None) -> fc.Program:
        options = {} if limit is None else {"memory": limit}
        return fc.compile(self.form, engine, self.dtype, **options)

    def _buffered(self, name: str, limit: int | None) -> Entrant:
        engine = ENGINES[name]
        program = self._compile(engine, limit)
        prepared = program.prepare(self.arrays)

        def peak() -> int:
            return memory.of_numpy(lambda: self._compile(engine, limit), prepared)

        return Entrant(
            name,
            lambda: program.run(prepared),
            dict,
            peak,
            program.plan.product_flops,
            program.peak,
        )

    def _torch_program(self, name: str, limit: int | None) -> Entrant:
        import torch

        program = self._compile("torch", limit)
        prepared = program.prepare(self.arrays)
        run = torch.compile(program.run, dynamic=False) if name.endswith("compiled") else program.run
        return Entrant(
            name,
            lambda: run(prepared),
            lambda found: {n: np.asarray(x) for n, x in found.items()},
            lambda: memory.of_torch(lambda: run(prepared)),
            program.plan.product_flops,
            program.peak,
        )

    def _jax_program(self) -> Entrant:
        import jax

        program = self._compile("jax", None)
        prepared = program.prepare(self.arrays)

        def peak() -> int:
            with precision(self.dtype):
                return memory.of_xla(jax.jit(program.run).lower(prepared).compile())

        return Entrant(
            "jax program",
            lambda: jax.block_until_ready(program.run(prepared)),
            lambda found: {n: np.asarray(x) for n, x in found.items()},
            peak,
            program.plan.product_flops,
        )


def _counted(run: Callable[[], Any]) -> int:
    """The operations in products of matrices of the page as it is written, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()
