"""The errors a user can cause. Each message names the place, the cause and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FormcalcError(ValueError):
    """Base of every error that bad input raises; the command line prints it and exits with status 2."""


class ParseError(FormcalcError):
    """Text that is not an expression: unknown letter or operator, unbalanced parenthesis, stray sign."""


class ShapeError(FormcalcError):
    """Matrices whose shapes do not chain, a differential where none may stand, or a constant that no operator takes."""


class FormError(FormcalcError):
    """A pass or a derivation that cannot go on: too many words, no weights, a quadratic word."""


class ArrayError(FormcalcError):
    """A missing, ill-shaped, non-numeric or non-finite array, or a file that holds none."""


class EvaluationError(FormcalcError):
    """An expression that has no number: a literal four-tensor, an irrational in exact arithmetic."""


class MissingEngineError(FormcalcError):
    """An optional engine (jax, torch) that is not installed."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """The line "did you mean 'softmax'?", or the empty string.

    >>> suggestion("sofmax", ["softmax", "relu"])
    "did you mean 'softmax'?"
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Names joined by commas, cut after `limit`.

    >>> listing(["a", "b", "c"], limit=2)
    'a, b, ... (1 more)'
    """
    names = list(names)
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown}, ... ({len(names) - limit} more)"
