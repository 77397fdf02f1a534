"""Programs against automatic differentiation: ``python -m benchmarks``, or ``python -m benchmarks --quick``, a minute.

Each number of threads has a process of its own, and everything with that number is measured in it, in turns. Before
anything is timed, its gradients are compared. Ctrl-C ends the work, and shows what has been measured; with --results,
the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from benchmarks import depth
from benchmarks.aims import aims, missed
from benchmarks.cases import CASES, QUICK
from benchmarks.entrants import COMPILED, ENGINES, missing
from benchmarks.machine import described
from benchmarks.measurement import Depth, Measurement, Message, Note, Settings, read
from benchmarks.pages import between_marks
from benchmarks.results import done, keep, kept
from benchmarks.tables import by_depth, markdown, overview, tables, text
from benchmarks.worker import title
from formcalc.app.display import Display

#: What libraries read their number of threads from, when they are loaded.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few cases in float32 with 2 threads")
    parser.add_argument("--cases", nargs="+", choices=(*CASES, depth.NAME), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--engines", nargs="+", choices=tuple(ENGINES), metavar="ENGINE", help=", ".join(ENGINES))
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "float64"))
    parser.add_argument("--threads", nargs="+", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="keep there what is measured; with the same file it is not done again",
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables there")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write the short tables between its marks")
    options = parser.parse_args(words)
    for name in ("results", "markdown", "readme"):  # before an hour of work, not after it
        file = getattr(options, name)
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            parser.error(f"--{name}: {file} is no file in a folder that is there; give another one")
    if options.readme is not None:
        if not options.readme.is_file():
            parser.error(f"--readme: there is no {options.readme}; give a page with marks for the tables")
        between_marks(options.readme.read_text(encoding="utf-8"), "")
    quick = options.quick
    options.cases = options.cases or list(QUICK if quick else (*CASES, depth.NAME))
    options.engines = options.engines or [name for name in ENGINES if not (quick and name in COMPILED)]
    options.dtypes = options.dtypes or (["float32"] if quick else ["float32", "float64"])
    options.threads = options.threads or ([2] if quick else [1, 2])
    options.rounds = options.rounds or (5 if quick else 15)
    return options


def work(options: argparse.Namespace, there: Collection[str] = ()) -> list[dict[str, Any]]:
    """What each process does, but for what is done already; the time to derive is measured once."""
    found = []
    for place, threads in enumerate(options.threads):
        parts = [
            (name, dtype)
            for name in options.cases
            for dtype in (options.dtypes if name != depth.NAME else [""] if place == 0 else [])
            if title(name, dtype, threads) not in there
        ]
        if parts:
            found.append({"threads": threads, "work": parts, "entrants": options.engines, "rounds": options.rounds})
    return found


def messages(part: dict[str, Any]) -> Iterator[Message]:
    """The messages of a process."""
    # torch's profiler, which counts memory, is not to talk
    environment = {**os.environ, **dict.fromkeys(VARIABLES, str(part["threads"])), "KINETO_LOG_LEVEL": "99"}
    command = [sys.executable, "-m", "benchmarks.worker", json.dumps(part)]
    # in a group of its own, so that Ctrl-C ends it here, and it says nothing
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, process_group=0) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                yield read(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        yield Note(f"{part['threads']} threads: the process ended with status {process.returncode}")


def main(words: list[str] | None = None) -> None:
    """Measure, and show the tables."""
    options = arguments(words)
    display = Display()
    head = [described()]
    head += [f"{name} is left out: {why}" for name, why in missing().items() if name in options.engines]
    print("\n".join(head))
    settings = Settings(tuple(options.engines), options.rounds)
    found = kept(options.results, settings)
    parts = work(options, done(found))
    try:
        with display.progress("measuring") as progress:
            task = progress.add_task("", total=sum(len(part["work"]) for part in parts))
            for message in (message for part in parts for message in messages(part)):
                found.append(message)
                if isinstance(message, Note):
                    progress.console.print(message.text + ": done" * message.is_done, highlight=False)
                    if message.is_done:
                        progress.advance(task)
                        keep(options.results, settings, found)
    except KeyboardInterrupt:
        print("interrupted; this has been measured:")
    rows = [message for message in found if isinstance(message, Measurement)]
    depths = [message for message in found if isinstance(message, Depth)]
    shown = [table for table in (*tables(rows, depths), aims(rows, depths), missed(rows)) if table[2]]
    for table in shown:
        print(f"\n{text(table)}")
    heading = "`" + shlex.join(["python", "-m", "benchmarks", *(sys.argv[1:] if words is None else words)]) + "`"
    heading += f" on {'; '.join(head)}."
    if options.markdown is not None:
        options.markdown.write_text("\n\n".join([heading, *map(markdown, shown)]) + "\n", encoding="utf-8")
    if options.readme is not None:
        few = [row for row in rows if (row.dtype, row.threads) == (options.dtypes[0], max(options.threads))]
        short = [*([overview(few)] if few else []), aims(rows, depths), by_depth(depths)]
        content = "\n\n".join([heading, *(markdown(table) for table in short if table[2])])
        page = between_marks(options.readme.read_text(encoding="utf-8"), content)
        options.readme.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
