"""Where a program of numpy or numba spends its time: ``python -m benchmarks.profile gpt2 --engine numba``.

Every statement of its source is timed, on one thread, and times are added up by the function that a statement calls.
``python -m benchmarks.profile depth`` tells where the time to derive and to compile GPT-2 of 96 layers goes.
"""

from __future__ import annotations

import argparse
import ast
import cProfile
import pstats
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import formcalc as fc
from benchmarks import depth
from benchmarks.cases import CASES, arrays_of
from formcalc.numeric.program import compiled, rewriting
from formcalc.numeric.program.buffered import BufferedEmitter
from formcalc.numeric.program.compiled import ENGINES, Program
from formcalc.numeric.program.lowering import Lowering
from formcalc.numeric.program.memory import Memory
from formcalc.numeric.program.planning import Planner

#: What products of matrices are called.
PRODUCTS = ("np.dot", "np.matmul", "matmul")


class _Timed(ast.NodeTransformer):
    """Times every statement of a run, by the function that it calls."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name == "run":
            node.body = self.timed(node.body)
        else:
            self.generic_visit(node)
        return node

    def timed(self, body: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in body:
            if isinstance(statement, (ast.For, ast.If)):
                statement.body = self.timed(statement.body)
            if isinstance(statement, (ast.Expr, ast.Assign)):
                note = f"note({called(statement)!r})"
                found += [statement, *ast.parse(note).body]
            else:
                found.append(statement)
        return found


def called(statement: ast.Expr | ast.Assign) -> str:
    """The function that a statement calls, ``copy`` where it only copies, and ``names`` where it does no work."""
    value = statement.value
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if isinstance(value, ast.Call):
        name = ast.unparse(value.func)
        if not name.endswith((".reshape", ".transpose", ".copy")):
            return name
        return "copy" if name.endswith(".copy") or isinstance(target, ast.Subscript) else "names"
    is_slice = (
        isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant) and target.slice.value is ...
    )
    return "copy" if is_slice else "names"


def profile(program: Program, arrays: dict[str, Any], rounds: int = 10) -> Counter[str]:
    """The seconds of one run, the fastest of several, by the function that is called."""
    tree = ast.fix_missing_locations(_Timed().visit(ast.parse(program.source)))
    spent: Counter[str] = Counter()
    last = 0.0

    def note(name: str) -> None:
        nonlocal last
        now = perf_counter()
        spent[name] += now - last
        last = perf_counter()

    engine = ENGINES[program.engine]
    primitives = import_module(engine.primitives)
    namespace = {**vars(primitives), "note": note}
    exec(compile(tree, "<timed program>", "exec"), namespace)
    constants = program._constants(program._lowered(program.form))
    run = primitives.prepared(namespace["prepare"], constants, program.dtype, program.memory.workspace)
    prepared = program.prepare(arrays)
    best: Counter[str] = Counter()
    for _ in range(rounds):
        spent.clear()
        last = perf_counter()
        run(prepared)
        if not best or sum(spent.values()) < sum(best.values()):
            best = Counter(spent)
    return best


#: The stages of compiling a form, each with the functions that are all of it.
STAGES: dict[str, tuple[Callable[..., Any], ...]] = {
    "reading the page": (fc.load,),
    "deriving": (fc.derive,),
    "the steps of the page and its form": (Lowering.run,),
    "orders of multiplication, and shared products": (Planner.__init__, Planner.best),
    "steps in these orders": (rewriting.Rewriting.__init__, rewriting.Rewriting.run),
    "where numbers are multiplied": (rewriting.place_numbers,),
    "several steps as one": (compiled.fused, compiled.give_values, compiled.spare),
    "the order of steps, and their memory": (compiled.schedule, Memory.of.__func__),
    "writing the source": (BufferedEmitter.text,),
    "the compiler of Python": (Program._code, Program._function),
}


def stages(layers: int, rounds: int = 10) -> dict[str, float]:
    """The shares of the stages in deriving and compiling GPT-2, under a profiler."""
    profiler = cProfile.Profile()
    depth.once("gpt2", layers)
    for _ in range(rounds):
        profiler.runcall(depth.once, "gpt2", layers)
    found = pstats.Stats(profiler)
    times = {(file, line): cumulative for (file, line, _), (_, _, _, cumulative, _) in found.stats.items()}
    return {
        name: sum(times[part.__code__.co_filename, part.__code__.co_firstlineno] for part in parts) / found.total_tt
        for name, parts in STAGES.items()
    }


def main() -> None:
    """Show the profile of one case."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=(*CASES, depth.NAME), metavar="CASE", help=", ".join((*CASES, depth.NAME)))
    parser.add_argument("--engine", choices=("numpy", "numba"), default="numpy")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args()
    if options.case == depth.NAME:
        if (options.engine, options.dtype) != ("numpy", "float32"):
            parser.error(f"{depth.NAME} is measured for numpy in float32; leave --engine and --dtype out")
        shares = sorted(stages(depth.DEPTHS[-1]).items(), key=lambda stage: -stage[1])
        print("\n".join(f"{share:6.1%}  {name}" for name, share in shares))
        return
    model = CASES[options.case].model()
    import_module(ENGINES[options.engine].primitives)  # its libraries are to be there when their threads are limited
    with threadpool_limits(1):
        program = fc.compile(fc.derive(model), options.engine, options.dtype)
        found = profile(program, arrays_of(model))
    total = sum(found.values())
    products = sum(found[name] for name in PRODUCTS)
    rate = program.plan.product_flops / products / 1e9 if products else np.nan
    lines = [
        f"{CASES[options.case].title}, {options.engine}, {options.dtype}, one thread: {total * 1e3:.2f} ms",
        f"products of matrices: {products / total:.0%}, at {rate:.0f} GFLOP/s",
    ]
    lines += [f"{seconds * 1e3:9.3f} ms {seconds / total:6.1%}  {name}" for name, seconds in found.most_common()]
    print("\n".join(lines))  # at once, so that `head` may go before the end


if __name__ == "__main__":
    main()
