"""The stock models: pages in the language, by name."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from formcalc.errors import FormcalcError, ParseError, suggestion
from formcalc.language import Model, Page, read_page

#: The stock pages, in the order in which they are listed.
PAGES: tuple[str, ...] = (
    "encoder",
    "encoder-product",
    "encoder-linear",
    "encoder-linear-product",
    # Cooper 2024
    "algorithm-1",
    "algorithm-1-usual",
    # Breeden: decoder-only models in plain mathematics
    "influence-scores",
    "relations",
    "positions-learned",
    "positions-sinusoidal",
    "positions-rotary",
    "positions-alibi",
    "output-vectors",
    "output-vectors-tied",
    "summary",
    # Dobriban 2025
    "output-matrix",
    "key-value-memory",
    "layer-norm-dropout",
    "decoder",
    # notes of a learner
    "sixteen-heads",
    "pre-ln",
    "post-ln",
    "expand-filter",
    "expand-gate",
    # models with published weights
    "gpt2",
    "llama",
    "bert",
)

#: A page longer than this is no page.
MAX_PAGE = 1_000_000


def models() -> list[str]:
    """The names of the stock models.

    >>> models()[:4]
    ['encoder', 'encoder-product', 'encoder-linear', 'encoder-linear-product']
    """
    return list(PAGES)


@lru_cache(maxsize=64)
def _read(text: str) -> Page:
    return read_page(text)


def load(page: str | Path, **dimensions: int) -> Model:
    """A model at given sizes, from a stock page, a file, or the text of a page.

    Args:
        page: one of `models()`, the path of a file that ends in ``.fc``, or a text of more than one line.
        dimensions: sizes, by the names that the page's ``dims`` line declares; those left out have the page's defaults.

    Raises:
        FormcalcError: an unknown model or dimension, a file that cannot be read, a size that is not a positive integer.
        ParseError: the page is not well written; the message names line, column and cure.

    >>> model = load("encoder", L=2, T=5, d=8)
    >>> model.shapes["Q_1"], model.weights[:3]
    ((8, 8), ['Q_0', 'K_0', 'V_0'])
    >>> print(load("dims T = 3, d = 2\\ndata X: T×d\\nweights W: d×d\\nloss = trace(X W X^t)").loss)
    trace(X W X^t)
    """
    name, source = read(page)
    return Model.of(source, name, dimensions)


def read(page: str | Path) -> tuple[str, Page]:
    """The name and the page behind the name of a stock model, a path, or a text; see `load`."""
    name, text = _text_of(str(page))
    try:
        return name, _read(text)
    except ParseError as error:
        if "\n" in str(page) or name in PAGES:
            raise
        raise ParseError(f"{name}: {error}") from None


def _text_of(page: str) -> tuple[str, str]:
    if page in PAGES:
        return page, files("formcalc.models").joinpath("pages", f"{page}.fc").read_text(encoding="utf-8")
    if "\n" in page:
        return "page", page
    if not page.endswith(".fc"):
        cure = suggestion(page, PAGES) or f"stock models: {', '.join(PAGES)}; a file of your own ends in .fc"
        raise FormcalcError(f"unknown model {page!r}; {cure}")
    path = Path(page)
    try:
        if path.stat().st_size > MAX_PAGE:
            raise FormcalcError(f"{page}: the file has more than {MAX_PAGE} bytes; a page is shorter")
        return page, path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FormcalcError(
            f"{page}: this is no text in UTF-8: byte {error.start} is {error.object[error.start]:#x}"
        ) from None
    except OSError as error:
        raise FormcalcError(f"{page}: cannot be read: {error.strerror or error}") from None
