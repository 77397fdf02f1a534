"""The manual's encoder, equation (1), in both readings of depth."""

from __future__ import annotations

from collections.abc import Mapping

from formcalc.algebra import Expression, Letter, Product, Symbol
from formcalc.language import Model, declare, half_squared_error, parse

#: Equation (1) of the GPT Utility Manual, layer i: scores, hidden units, answer.
_SCORES = "n^{-1/2} X_i Q_i K_i^t X_i^t"
_HIDDEN = {True: "a(S_i) X_i V_i + C b_i", False: "S_i X_i V_i + C b_i"}
_ANSWER = "m(Z_i) W_i + C f_i"

DEFAULTS: Mapping[str, int] = {"T": 6, "d": 8, "n": 4, "v": 8}


def encoder(sizes: Mapping[str, int], layers: int, *, composed: bool = True, softmax: bool = True) -> Model:
    """`layers` encoder layers; `composed`: ``X_{i+1} = F_i(X_i)``, else the manual's formal product ``F_1 F_0``.

    The product multiplies answers, so its layers are square: the width is the number of tokens T.
    """
    d = "d" if composed else "T"
    shapes: dict[str, tuple] = {"X_0": ("T", d)}
    if not composed:
        shapes |= {f"X_{i}": ("T", d) for i in range(1, layers)}
    shapes |= {"Y": ("T", d), "C": ("T", 1)}
    roles = {name: "ones" if name == "C" else "data" for name in shapes}
    for i in range(layers):
        shapes |= {f"Q_{i}": (d, "n"), f"K_{i}": (d, "n"), f"V_{i}": (d, "v"), f"b_{i}": (1, "v")}
        shapes |= {f"W_{i}": ("v", d), f"f_{i}": (1, d)}
    letters = declare(shapes, roles)  # type: ignore[arg-type]  # the roles are literals
    scope, definitions, answers = dict(letters), [], []

    def define(name: str, text: str, i: int) -> Letter:
        body = parse(text.replace("_i", f"_{i}"), scope)
        scope[name] = Letter(Symbol(name, body.shape, "defined", body))
        definitions.append(scope[name])
        return scope[name]

    for i in range(layers):
        define(f"S_{i}", _SCORES, i)
        define(f"Z_{i}", _HIDDEN[softmax], i)
        answers.append(define(f"X_{i + 1}" if composed else f"F_{i}", _ANSWER, i))
    answer: Expression = answers[-1] if composed else Product(*reversed(answers))
    error, loss = half_squared_error(answer, letters["Y"])
    reading = "composed" if composed else "as a formal product"
    title = f"{layers} encoder layer{'s' * (layers > 1)}, {reading}{'' if softmax else ', without softmax'}"
    return Model("encoder", letters, (*definitions, error), loss, sizes, title)
