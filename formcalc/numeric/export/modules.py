"""Exported files: the modules for numpy, einsum, jax and torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from formcalc.numeric.export import templates
from formcalc.numeric.export.einsum import EinsumWriter
from formcalc.numeric.export.functions import Functions, Style
from formcalc.numeric.export.header import header
from formcalc.numeric.export.layer import Subject
from formcalc.numeric.export.layout import folded
from formcalc.numeric.export.sources import Library, bound, names_in
from formcalc.numeric.program.compiled import ENGINES

_HERE = "formcalc.numeric.export"
_CONSTANTS = f"{_HERE}.constants"

_NUMPY = Style(
    "numpy",
    (f"{_HERE}.numpy_primitives", "formcalc.numeric.program.normal"),
    "{}.astype(like.dtype)",
    "np.arange({})",
    "np.stack({})",
)
_EINSUM = replace(_NUMPY, writer=EinsumWriter)
_JAX = Style("jax", (ENGINES["jax"].primitives,), "jnp.asarray({}, like.dtype)", "jnp.arange({})", "jnp.stack({})")
_TORCH = Style(
    "torch",
    (f"{_HERE}.torch_primitives", ENGINES["torch"].primitives),
    "{}.to(like)",
    "torch.arange({}, device=like.device)",
    "torch.stack({})",
)


def numpy_module(subject: Subject, style: Style = _NUMPY) -> str:
    """A module with ``forward``, ``backward``, and both in one."""
    functions = _functions(subject, style)
    words = _words(functions)
    parts = [functions.forward(), functions.backward(), _filled(templates.NUMPY, words)]
    usage = "{output}, gradients = {output}_and_gradients({everything})"
    return _file(functions, usage, words, [templates.CHECK, *parts], ["import numpy as np"])


def einsum_module(subject: Subject) -> str:
    """The numpy module, its products as einsum strings."""
    return numpy_module(subject, _EINSUM)


def jax_module(subject: Subject) -> str:
    """A module with a ``jax.custom_vjp`` function."""
    functions = _functions(subject, _JAX)
    words = _words(functions)
    parts = [functions.forward(), functions.backward(), _filled(templates.JAX, words)]
    places = [functions.arguments.index(x) for x in functions.gradients]
    is_run = places == [*range(places[0], places[-1] + 1)]
    shown = f"range({places[0]}, {places[-1] + 1})" if is_run else f"({', '.join(map(str, places))})"
    usage = f"loss, gradients = jax.value_and_grad({{name}}, argnums={shown})({{arguments}})"
    if functions.cotangent:
        usage = "output, pull_back = jax.vjp({name}, {arguments})"
    return _file(functions, usage, words, [templates.CHECK, *parts], ["import jax", "import jax.numpy as jnp"])


def torch_module(subject: Subject, double: bool = False) -> str:
    """A module with a ``torch.autograd.Function``, and one for its backward pass; `double` writes that of this out."""
    functions = _functions(subject, _TORCH)
    words = _words(functions)
    words |= {
        "title": functions.names.new("".join(part.title() for part in words["name"].split("_"))),
        "count": str(len(functions.arguments)),
        "more": str(len(functions.arguments) + 1),  # with what comes in
        "second": words["returned"].replace("tuple(", "*").strip(")").replace("gradients", "products"),
        "products": "dg, *products = hessian(*arguments, *directions)\n        products = [g * x for x in products]",
    }
    if functions.cotangent:
        words["products"] = "d{0}, *products = hessian(*arguments, {0}, *directions)".format(words["cotangent"])
    words["again"] = (templates.DERIVED if double else templates.AUTOMATIC).format(**words).rstrip("\n")
    parts = [functions.forward(), functions.backward(), *([functions.hessian()] if double else [])]
    parts.append(_filled(templates.TORCH, words))
    usage = "{output} = {name}({arguments})"
    return _file(functions, usage, words, [templates.CHECK, templates.REFUSE, *parts], ["import torch"])


def _functions(subject: Subject, style: Style) -> Functions:
    """The functions of a subject, whose names are none of the primitives'."""
    libraries = [Library.of(*style.primitives), Library.of(_CONSTANTS)]
    own = re.findall(
        r"(?:def|class) (\w+)", "".join(vars(templates)[name] for name in dir(templates) if name.isupper())
    )
    return Functions(subject, style, [*own, *(name for library in libraries for name in library.parts)])


def _words(functions: Functions) -> dict[str, str]:
    """What stands in the braces of the templates."""
    arguments = [x.name for x in functions.arguments]
    cotangent = [functions.cotangent.name] if functions.cotangent else []
    return {
        "name": functions.names.new(functions.subject.form.model.name),
        "output": "output" if cotangent else "loss",
        "arguments": ", ".join(arguments),
        "everything": ", ".join([*arguments, *cotangent]),
        "packed": f"({arguments[0]},)" if len(arguments) == 1 else f"({', '.join(arguments)})",
        "starred": ", ".join(["*arguments", *cotangent]),
        "cotangent": cotangent[0] if cotangent else "g",
        "weights": ", ".join(f'"{x.name}"' for x in functions.gradients),
        "gradients": f"backward(*arguments, {cotangent[0]}, saved)"
        if cotangent
        else "tuple(g * x for x in backward(*arguments, saved))",
        "returned": _returned(functions),
    }


def _returned(functions: Functions) -> str:
    """For every argument its gradient, or None, as one tuple."""
    flags = [x in functions.gradients for x in functions.arguments]
    parts: list[str] = []
    done = 0
    for has_gradient, run in groupby(flags):
        count = len([*run])
        if has_gradient:
            ends = (done or "", done + count if done + count < len(functions.gradients) else "")
            parts.append("*gradients" if ends == ("", "") else f"*gradients[{ends[0]}:{ends[1]}]")
            done += count
        else:
            parts += ["None"] * count
    return "tuple(gradients)" if parts == ["*gradients"] else ", ".join(parts)


def _filled(template: str, words: dict[str, str]) -> str:
    """A template with words in its braces."""
    return _folded(template.format(**words))


def _folded(source: str) -> str:
    return "\n".join(line for text in source.splitlines() for line in folded(text))


def _file(functions: Functions, usage: str, words: dict[str, str], parts: Sequence[str], imports: Iterable[str]) -> str:
    """The whole file: its head, what it imports, primitives, tables, functions."""
    whole = [x for x in (*functions.arguments, functions.cotangent) if x is not None]
    rows = [f'    "{x.name}": ({", ".join(map(repr, x.shape))}{"," if len(x.shape) == 1 else ""}),' for x in whole]
    shapes = "\n".join(["SHAPES = {", *rows, "}"]).replace("'", '"')
    code = "\n\n\n".join(part.strip("\n") for part in parts)
    needed, primitives, constants = _taken(functions, code)
    tables = [shapes]
    if "GRADIENTS" in names_in(code):
        comma = "," if len(functions.gradients) == 1 else ""
        tables += ["\n".join(folded(f"GRADIENTS = ({words['weights']}{comma})"))]
    used = names_in("\n".join([*primitives, *constants, code]))
    head = header(functions, usage.format(**words))
    lines = sorted({x for x in (*needed, *imports) if bound(x) & used}, key=_import_order)
    groups = ["\n".join(group) for _, group in groupby(lines, key=_is_foreign)]
    names = "\n".join(part for part in primitives if not part.startswith("def "))
    top = "\n\n".join(part for part in (head, "from __future__ import annotations", *groups, *tables, names) if part)
    return "\n\n\n".join([top, *(part for part in primitives if part.startswith("def ")), *constants, code]) + "\n"


def _taken(functions: Functions, code: str) -> tuple[list[str], list[str], list[str]]:
    """What code takes along: imports, primitives, and the functions of constant letters."""
    module = functions.engine.dialect.module
    _, constants = Library.of(_CONSTANTS).needed([code])
    constants = [part for part in constants if not part.startswith("Array = ")]
    used, primitives = Library.of(*functions.style.primitives).needed([code, *constants])
    if module == "torch":
        constants = [part.replace("np.", "torch.") for part in constants]
    used = [*used, *(["import numpy as np"] if module != "torch" else [])]
    array = {"np": "Array", "jnp": "jax.Array", "torch": "torch.Tensor"}[module]
    primitives = [part for part in primitives if part != "Array = Any"]

    def written(part: str) -> str:
        return _folded(re.sub(r"\bArray\b", array, part))

    return used, [*map(written, primitives)], [*map(written, constants)]


def _is_foreign(line: str) -> bool:
    """Whether an import is none of the standard library."""
    return line.split()[1].partition(".")[0] not in ("collections", "math", "typing")


def _import_order(line: str) -> tuple[bool, bool, str]:
    """The standard library first; modules before names from modules."""
    return _is_foreign(line), line.startswith("from"), line
