"""Names: Greek, subscripts and primes each have a Unicode and an ASCII spelling; the ASCII one is the name."""

from __future__ import annotations

import re

from formcalc.algebra import COLUMN_SUM, ROW_SUM

GREEK: dict[str, str] = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho",
    "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
    "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma",
    "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip

#: What may stand before an argument list besides operators.
FUNCTIONS = ("trace", ROW_SUM, COLUMN_SUM)

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−ᐟ⁄", "0123456789--//")

#: A name that a letter or a dimension may have; braces hold an index such as ``i+1`` or ``h,2``.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_\{[A-Za-z0-9_+\-*/,.]+\}|_[A-Za-z0-9]+)*")


def canonical(name: str) -> str:
    """The one ASCII name behind every spelling of a name.

    >>> canonical("γ₀"), canonical("X_{0}"), canonical("X_{i + 1}")
    ('gamma_0', 'X_0', 'X_{i+1}')
    """
    name = re.sub(r"\{[^{}]*\}", lambda match: re.sub(r"\s", "", match.group()).replace("−", "-"), name)
    name = re.sub(r"[₀-₉]+", lambda match: "_" + match.group().translate(_SUBSCRIPTS), name)
    name = "".join(GREEK.get(character, character) for character in name.replace("′", "'"))
    return re.sub(r"_\{([A-Za-z0-9]+)\}", r"_\1", name)


def superscript(text: str) -> str:
    """What a superscript says, without its marks.

    >>> superscript("^{-1/2}"), superscript("⁻¹ᐟ²"), superscript("ᵗ"), superscript("^T")
    ('-1/2', '-1/2', 't', 't')
    """
    inner = "".join(text.removeprefix("^").removeprefix("{").removesuffix("}").split())
    return "t" if inner in ("t", "T", "ᵗ", "ᵀ", "⊤") else inner.translate(_SUPERSCRIPTS)


def split_name(name: str) -> tuple[str, str]:
    """The base of a name and its subscript, without marks.

    >>> split_name("X_{i+1}"), split_name("K_0"), split_name("W_O_1"), split_name("C")
    (('X', 'i+1'), ('K', '0'), ('W', 'O,1'), ('C', ''))
    """
    base, _, subscript = name.partition("_")
    return base, subscript.replace("_", ",").replace("{", "").replace("}", "")
