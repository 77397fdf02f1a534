"""What a form can be exported as, and the writing of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from formcalc.algebra import Expression
from formcalc.calculus import Form
from formcalc.errors import FormcalcError, suggestion
from formcalc.language import Model
from formcalc.numeric.export.document import latex_document
from formcalc.numeric.export.layer import Subject, subject
from formcalc.numeric.export.modules import einsum_module, jax_module, numpy_module, torch_module

TARGETS: dict[str, Callable[[Subject], str]] = {
    "numpy": numpy_module,
    "jax": jax_module,
    "torch": torch_module,
    "einsum": einsum_module,
    "latex": latex_document,
}


def export(
    what: Form | Model | Expression,
    target: str,
    path: str | Path | None = None,
    until: str = "",
    double: bool = False,
) -> str:
    """Source to keep: forward and backward pass in a file that needs the engine alone, and not formcalc.

    A form gives the loss and its gradients. An expression, or a page `until` one of its letters, gives a layer of a
    larger network: the letter comes out, its cotangent comes in, and the gradients by all data and weights come out.
    Letters of layers are stacked along a first axis. The order of multiplication is the cheapest at the sizes of the
    model; the source is right for all sizes.

    Args:
        what: a form, a page, or an expression whose letters have shapes.
        target: ``numpy``, a module with ``forward`` and ``backward``; ``jax``, a ``jax.custom_vjp``; ``torch``, a
            ``torch.autograd.Function`` that may be differentiated twice; ``einsum``, the numpy module, products as
            strings; ``latex``, a document of the page and its form.
        path: the file to write, if any; one that is there already is overwritten.
        until: the letter that comes out of a layer.
        double: for torch, whether the double backward is written out, derived from the form; otherwise
            ``torch.func.vjp`` takes it from the backward pass, and the file is half as long.

    Returns:
        The source.

    Raises:
        FormcalcError: an unknown target, a double backward of another one than torch, a file that cannot be written.
        FormError: a letter that the page does not define outside of its layers.

    >>> from formcalc.calculus import derive
    >>> from formcalc.models import load
    >>> source = export(derive(load("encoder")), "numpy")
    >>> print(next(line.strip() for line in source.splitlines() if line.strip().startswith("dW_i = ")))
    dW_i = t6.T @ G_next  # dW_i : G_{i+1} m(Z_i)
    """
    if target not in TARGETS:
        cure = suggestion(target, TARGETS) or f"targets: {', '.join(TARGETS)}"
        raise FormcalcError(f"unknown target {target!r}; {cure}")
    if double and target != "torch":
        raise FormcalcError(f"a double backward is written out for torch alone, not for {target}")
    chosen = subject(what, until)
    text = torch_module(chosen, double) if double else TARGETS[target](chosen)
    if path is not None:
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise FormcalcError(f"{str(path) or repr('')} cannot be written: {error.strerror}") from None
    return text
