"""The names of an exported file: of its arguments, of the sizes of dimensions, and of values."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Mapping

from formcalc.algebra import Letter
from formcalc.language.indices import subscripts
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.values import Loop, Value, made

#: Names that exported files use themselves.
_OWN = (
    "forward",
    "backward",
    "hessian",
    "saved",
    "kept",
    "flat",
    "like",
    "loss",
    "gradients",
    "check_shapes",
    "SHAPES",
    "GRADIENTS",
    "loss_and_gradients",
    "output_and_gradients",
    "output",
    "arguments",
    "residuals",
    "cotangent",
    "ctx",
    "inputs",
    "directions",
    "products",
    "np",
    "jax",
    "jnp",
    "torch",
    "Array",
    "Any",
    "math",
    "annotations",
    "g",
    "x",
    "left",
    "right",
    "named",
    "weights",
    "pull_back",
    "Tensor",
    # letters that look like digits
    "I",
    "O",
    "l",
)


class Names:
    """Names that are new in a file."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self.taken = {*keyword.kwlist, *dir(builtins), *_OWN, *reserved}

    def new(self, wish: str) -> str:
        """The identifier nearest to a wish that nothing else has.

        >>> names = Names(["softmax"])
        >>> names.new("softmax"), names.new("n_{0}"), names.new("n_0"), names.new("2d")
        ('softmax_', 'n_0', 'n_0_', '_2d')
        """
        found = re.sub(r"[\W_]+", "_", wish).strip("_") or "t"
        found = f"_{found}" if found[0].isdigit() else found
        while found in self.taken:
            found += "_"
        self.taken.add(found)
        return found


def argument(letter: Letter, indices: Iterable[str]) -> str:
    """What an argument is called: of a letter of layers, without the index of the layer.

    >>> from formcalc.algebra import Symbol
    >>> [argument(Letter(Symbol(name, ("d", "d"))), ["i"]) for name in ("X_0", "Q_i", "gamma_{1,i}")]
    ['X_0', 'Q', 'gamma_1']
    """
    base, _, rest = letter.name.partition("_")
    kept = [part for part in subscripts(letter.name) if part not in indices] if rest else []
    return "_".join([base, *kept])


def name_values(program: Lowered, names: Names, given: Mapping[Value, str]) -> None:
    """Names for all values: of arguments as given, of letters their own where they can, others are counted."""
    values: dict[Value, None] = dict.fromkeys([*program.inputs.values(), *program.constants.values()])
    for section in program.sections:
        if isinstance(section, Loop):
            values |= {state.value: None for state in section.states}
        for step in section.steps:
            values |= dict.fromkeys(made(step))
        if isinstance(section, Loop):
            values |= {total: None for total, _ in section.sums} | {state.end: None for state in section.states}
    counted = [value for value in values if value not in given and re.fullmatch(r"t\d+", value.name)]
    for value in values:
        if value not in counted:
            value.name = given[value] if value in given else names.new(value.name)
    for number, value in enumerate(counted, 1):
        value.name = names.new(f"t{number}")
