"""The head of an exported file: the mathematics, the shapes, and the conventions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from formcalc.language.lines import statement_lines
from formcalc.numeric.export.functions import Functions
from formcalc.numeric.export.layout import WIDTH

_SIGN = """\
Gradients are derivatives of the loss in the shapes of the weights. The form
-d loss = Σ trace(C dW) has the coefficients C = -gradient^t; below stands the page of its
negative, d loss = Σ trace(D dW), with the sign of the gradients: D = gradient^t."""

_STATED = """\
Gradients are derivatives of the loss in the shapes of the weights. Below stands the page of the form
-d loss = Σ trace(C dW), with the coefficients C = -gradient^t."""

_LAYER = """\
A layer of a larger network: {output} comes out; its cotangent {cotangent}, the derivative of a loss
by {output} in the shape of {output}, comes in; and the gradients by all arguments of real
numbers come out, the derivatives of that loss in their shapes. Below stands the page of
trace({cotangent}^t d{output}) = Σ trace(D dW), where D = gradient^t."""


def header(functions: Functions, usage: str) -> str:
    """The docstring of the file."""
    subject = functions.subject
    model = subject.form.model
    title = model.title or model.name
    if subject.output:
        conventions = _LAYER.format(
            output=subject.output,
            cotangent=subject.cotangent,
        )
    else:
        conventions = _SIGN if not subject.sign else _STATED
    page = [line for line in model.page.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    page = page[:-1] if subject.output else page  # the loss of a layer is a device
    sizes = ", ".join(f"{name} = {size}" for name, size in model.sizes.items())
    parts = [
        f"{title[0].upper()}{title[1:]}.",
        "\n".join(_wrapped(usage, "    ")),
        _lines(page),
        conventions,
        _lines(map(str, statement_lines(subject.backward))),
        "Arguments, letters of layers stacked along a first axis:\n\n" + "\n".join(_shapes(functions)),
        "\n".join(_wrapped(f"Multiplied in the order that is cheapest for {sizes}; right for all sizes.")),
    ]
    text = "\n\n".join(parts).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{text}\n"""'


def _lines(page: Iterable[str]) -> str:
    """The lines of a page; long ones go on, indented deeper."""
    return "\n".join(
        part for line in page for part in _wrapped(line.strip(), " " * (len(line) - len(line.lstrip()) + 4))
    )


def _wrapped(line: str, indent: str = "") -> list[str]:
    """A line in several; none ends at a sign of equality."""
    more = f"{indent}    " if indent else ""
    kept = line.replace(" = ", "\u00a0=\u00a0")
    lines = textwrap.wrap(kept, WIDTH, initial_indent=indent, subsequent_indent=more, break_long_words=False)
    return [part.replace("\u00a0", " ") for part in lines]


def _shapes(functions: Functions) -> Sequence[str]:
    arguments = [*functions.arguments, *([functions.cotangent] if functions.cotangent else [])]
    width = max(len(x.name) for x in arguments)
    words = {"tokens": "integer ids, negative for none", "mask": "0 or 1"}
    rows = []
    for x in arguments:
        note = words.get(x.letter.role, "")
        shape = f"({', '.join(x.shape)}{',' if len(x.shape) == 1 else ''})"
        rows.append(f"    {x.name:{width}}  {shape:24} {note}".rstrip())
    return rows
