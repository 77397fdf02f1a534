"""The commands, each a function of its parsed options that returns an exit status."""

from __future__ import annotations

import argparse

import numpy as np

from formcalc import manual
from formcalc.app.display import Display
from formcalc.app.inputs import Point, point_of
from formcalc.calculus import Form, Stage, derive
from formcalc.calculus.expansion import terms
from formcalc.errors import FormcalcError
from formcalc.language.lines import Line
from formcalc.models import load, models
from formcalc.numeric import evaluate
from formcalc.numeric.export import export
from formcalc.verify import ORACLES, Report, verify
from formcalc.verify.report import HEADER

#: Exit status of a verification that ran and disagreed.
DISAGREES = 1


def forms(options: argparse.Namespace, display: Display) -> int:
    """The manual's ``forms(n)`` and ``forms(n, k)``: the summands of the form of n layers, in the manual's dialect."""
    whole = manual.forms(options.layers, options.k)
    for word in (whole,) if options.k else terms(whole):
        display.expression(word)
    return 0


def derive_command(options: argparse.Namespace, display: Display) -> int:
    """The coefficient of every weight; on given data also in numbers, and verified."""
    point = point_of(options)
    form = derive(point.model, options.wrt or None)
    display.heading(f"{point.model.name}: {point.model.title}")
    display.page(point.model.source)
    display.line()
    display.heading("the form -d loss = Σ trace(C dW): cotangents, and the coefficient C of each weight")
    display.equations(form.lines())
    if options.words:
        display.line()
        _words(form, options.words, display)
    if point.arrays is None:
        return 0
    display.line()
    _origin(point, display)
    report = _verified(form, point, options.oracle, options.seed, display)
    coefficients = evaluate(form, point.arrays)
    display.line()
    rows = [
        (row.name, "×".join(map(str, row.shape)), *_norms(coefficients[row.name]), f"{row.relative_error:.1e}")
        for row in report.table
    ]
    display.table(("weight", "C: shape", "‖C‖ Frobenius", "‖C‖ spectral", "relative error"), rows, left=2)
    return _verdict(report, display)


def _words(form: Form, limit: int, display: Display) -> None:
    words = form.words()
    shown = min(limit, words.count)
    display.heading(f"the expanded form has {words.count} words; the first {shown}:")
    for index in range(shown):
        display.expression(words[index])


def _norms(coefficient: np.ndarray) -> tuple[str, str]:
    """The Frobenius norm, and the spectral norm; of a family, the largest."""
    return f"{np.linalg.norm(coefficient):.4e}", f"{np.linalg.norm(coefficient, 2, axis=(-2, -1)).max():.4e}"


def _origin(point: Point, display: Display) -> None:
    sizes = ", ".join(f"{name} = {size}" for name, size in point.model.sizes.items())
    display.heading(f"on the data, {sizes}")
    for line in point.origin:
        display.note(line)


def _verified(form: Form, point: Point, oracle: str, seed: int, display: Display) -> Report:
    with display.progress(f"verifying: {ORACLES[oracle].note}") as progress:
        task = progress.add_task("", total=None)
        return verify(
            form,
            point.arrays,
            oracle,
            seed,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _verdict(report: Report, display: Display) -> int:
    display.line(str(report).splitlines()[-1], style="green" if report.ok else "bold red")
    return 0 if report.ok else DISAGREES


def verify_command(options: argparse.Namespace, display: Display) -> int:
    """The verification table, for one oracle or for all."""
    # Exact arithmetic takes a point of short rationals, which verify draws itself.
    point = point_of(options, needs_arrays=options.oracle != "exact")
    form = derive(point.model, options.wrt or None)
    display.heading(f"{point.model.name}: {point.model.title}")
    _origin(point, display)
    display.line()
    report = _verified(form, point, options.oracle, options.seed, display)
    display.table(HEADER, report.table.cells(), left=2)
    return _verdict(report, display)


def models_command(_: argparse.Namespace, display: Display) -> int:
    """The stock models."""
    loaded = [load(name) for name in models()]
    rows = [(model.name, ", ".join(model.sizes), model.title) for model in loaded]
    display.table(("model", "dimensions", "page"), rows, left=3)
    return 0


def show(options: argparse.Namespace, display: Display) -> int:
    """The forward page of a model."""
    model = point_of(options).model
    display.heading(f"{model.name}: {model.title}")
    display.page(model.source)
    return 0


def export_command(options: argparse.Namespace, _: Display) -> int:
    """A form, or a layer, as source: in a file, or on standard output."""
    point = point_of(options)
    if point.expression is not None:
        for option in ("size", "until"):
            if getattr(options, option):
                raise FormcalcError(f"an expression is a layer, for all sizes: leave out --{option}")
    what = point.expression or derive(point.model)
    text = export(what, options.target, options.path, options.until, options.double)
    if options.path is None:
        print(text, end="")
    return 0


def steps(options: argparse.Namespace, display: Display) -> int:
    """The derivation of one coefficient, every use of a rule."""
    form = derive(point_of(options).model)
    for passage in form.steps(options.of):
        display.heading(f"through {passage.name}")
        display.note("the one-form, to be read under a trace")
        display.expression(passage.stages[0].before)
        for stage in passage.stages:
            _stage(stage, display)
        display.note("so it contributes")
        display.equations([Line(x.differential, c, ":") for x, c in passage.contributions.items()])
        display.line()
    display.heading("altogether")
    display.equations(form.lines())
    return 0


def _stage(stage: Stage, display: Display) -> None:
    for step in stage.steps:
        display.note(f"{stage.name}, {step.rule.name}: {step.rule.statement}")
        display.expression(step.after)
