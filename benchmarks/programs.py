"""Compiled forms against autodiff, on the same work, in one process.

    python benchmarks/programs.py [--threads 2] [--dtype float32] [--rounds 15]

The engines take turns, round after round, with a rest between them, since the threads of one keep spinning into the
next. Before anything is timed, the gradients of all are compared. Times are medians, ratios to torch's eager autograd.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
parser.add_argument("--rounds", type=int, default=15)
options = parser.parse_args()
# before numpy and torch read them
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(options.threads)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])

import jax  # noqa: E402  # after the threads are chosen
import numpy as np  # noqa: E402
import torch  # noqa: E402
from peers import autograd  # noqa: E402

import formcalc as fc  # noqa: E402
from formcalc.language.columns import columns  # noqa: E402
from formcalc.numeric.engine import Evaluation  # noqa: E402
from formcalc.numeric.reference import evaluation  # noqa: E402
from formcalc.numeric.selection import dense  # noqa: E402
from formcalc.verify.autodiff import JaxEngine  # noqa: E402

#: The largest relative difference of gradients that rounding explains.
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}
REST = 0.15


def encoder(tokens: int, width: int, layers: int) -> tuple[str, fc.Model]:
    """The encoder, all widths alike."""
    sizes = dict.fromkeys("dnv", width)
    return f"encoder {tokens}×{width}, {layers} layers", fc.load("encoder", T=tokens, L=layers, **sizes)


def stack() -> tuple[str, fc.Model]:
    """Four blocks of GPT-2."""
    sizes = {"B": 8, "T": 128, "N": 128, "d": 256, "h": 8, "k": 32, "f": 1024, "L": 4, "V": 512}
    return "GPT-2, 4 blocks", fc.load("gpt2", **sizes)


def jax_autodiff(model: fc.Model, arrays: dict[str, Any]) -> Callable[[], Any]:
    """``jit(value_and_grad)`` of the page as it is written, in jax's own operators."""
    prepared = evaluation([model.loss], arrays, model.sizes, options.dtype)
    known = {name: dense(array) for name, array in prepared.arrays.items()}

    def loss(weights: dict[str, Any], rest: dict[str, Any]) -> Any:
        return Evaluation(JaxEngine(jax), {**rest, **weights}, model.sizes).of(model.loss)

    with jax.enable_x64(options.dtype == "float64"):
        weights = {name: jax.numpy.asarray(known[name]) for name in model.weights}
        rest = {name: jax.numpy.asarray(array) for name, array in known.items() if name not in weights}
        compiled = jax.jit(jax.value_and_grad(loss))

    def run() -> Any:
        with jax.enable_x64(options.dtype == "float64"):
            return jax.block_until_ready(compiled(weights, rest))

    return run


def runs(model: fc.Model) -> dict[str, Callable[[], Any]]:
    """Every engine as a function without arguments that returns the loss and the gradients."""
    arrays = fc.sample(model)
    for name, letter in model.letters.items():
        if letter.role == "mask":
            arrays[name] = np.ones_like(arrays[name])  # no padding, as in the peers
    kind = getattr(torch, options.dtype)
    tensors = {n: torch.tensor(x, dtype=kind if x.dtype.kind == "f" else None) for n, x in arrays.items()}
    found: dict[str, Callable[[], Any]] = {"torch autograd": autograd(model, tensors)}
    found["jax autodiff"] = jax_autodiff(model, arrays)
    form = fc.derive(model)
    for engine in ("numpy", "torch", "jax"):
        program = fc.compile(form, engine, options.dtype)
        prepared = program.prepare(arrays)
        finish = jax.block_until_ready if engine == "jax" else lambda result: result
        found[f"{engine} program"] = lambda program=program, prepared=prepared, finish=finish: finish(
            program.run(prepared)
        )
    return found


def check(found: dict[str, Callable[[], Any]]) -> None:
    """Compare the gradients of all engines, before they are timed."""
    first = {name: np.asarray(x) for name, x in found["torch autograd"]()[1].items()}
    largest = max(abs(x).max() for x in first.values())
    for engine, run in found.items():
        gradients = run()[1]
        for name, reference in first.items():
            error = abs(np.asarray(gradients[name]) - reference).max() / max(abs(reference).max(), 1e-3 * largest)
            if not error < TOLERANCE[options.dtype]:
                sys.exit(f"{engine}: the gradient of {name} differs by {error:.1e}")


def measured(found: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The median time of each engine in seconds."""
    times: dict[str, list[float]] = {engine: [] for engine in found}
    for _ in range(options.rounds):
        for engine, run in found.items():
            run()  # wakes its threads
            start = time.perf_counter()
            run()
            times[engine].append(time.perf_counter() - start)
            time.sleep(REST)
    return {engine: statistics.median(taken) for engine, taken in times.items()}


def main() -> None:
    torch.set_num_threads(options.threads)
    header: list[str] = []
    rows = []
    for title, model in (encoder(64, 64, 1), encoder(64, 64, 4), encoder(128, 256, 4), encoder(512, 512, 4), stack()):
        found = runs(model)
        check(found)
        times = measured(found)
        base = times["torch autograd"]
        header = ["model", *times]
        cells = [f"{1e3 * taken:.2f} ms {taken / base:5.2f}" for taken in times.values()]
        rows.append([title, *cells])
        print(f"{title}: done", file=sys.stderr)
    print(f"{options.dtype}, {options.threads} threads, medians of {options.rounds} rounds; ratios to torch autograd")
    print("\n".join(columns(header, rows)))


if __name__ == "__main__":
    main()
