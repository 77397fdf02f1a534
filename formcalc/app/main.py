"""The command line: ``formcalc forms | derive | verify | models | show | steps | export``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

import formcalc
from formcalc.app import commands
from formcalc.app.display import NOTATIONS, Display
from formcalc.errors import FormcalcError
from formcalc.numeric.export import TARGETS
from formcalc.verify import ORACLES

_ABOUT = """\
Matrix calculus for transformers: for every weight W the closed matrix expression C of its
coefficient in the pulled-back one-form  -d loss = Σ trace(C dW), verified and in numbers.
"""

_EXAMPLES = """\
examples:
  formcalc derive encoder --layers 2 --text "the cat sat on the mat"
      the model, the coefficient of each weight, their norms on this sentence, verified
  formcalc derive "a(X Q K^t X^t) X V" --data X:T×d --weight Q,K:d×n --weight V:d×v
      an expression of your own, with declared letters
  formcalc verify encoder --layers 3 --oracle jax
      compare every coefficient with an independent gradient
  formcalc forms 2 4
      the fourth summand of the manual's form of two layers
"""

_NOTATION = """\
notation:
  X Q K^t X^t           products by juxtaposition, ^t transposes        (Unicode: Kᵗ, X₀)
  n^{-1/2} A - 1/2 B    powers of dimensions, exact rationals
  A ∘ (B C), A .* (B C) the product entry by entry
  m(Z)  a(S)  a(S, M)   operators: m is relu, a is softmax by rows, over what a mask M allows;
                        logsoftmax, norm(X, 1e-5), rms(X, 1e-6), exp, log, tanh, erf, sigmoid,
                        silu, gelu, gelu_tanh, step, reciprocal, sqrt
  mm(Z, R)  aa(S, R)    their differentials at Z, S in direction R; φ'(P, R) of the others
  aa^t(S, R)            the same by columns: aa(S^t, R^t)^t
  trace(A)  rowsum(A)  colsum(A)  1_{T×d}  I_{T}
"""

Command = Callable[[argparse.Namespace, Display], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0; 1 if a verification disagrees; 2 on bad input, with one message on stderr."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options, Display(options.format))
        sys.stdout.flush()
        return status
    except FormcalcError as error:
        print(f"formcalc: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("formcalc: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader went away, as `head` does; nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="formcalc",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"formcalc {formcalc.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Command, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        added = subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        added.set_defaults(run=run)
        added.add_argument("--format", choices=list(NOTATIONS), default="plain", help="notation of formulas (plain)")
        return added

    forms = command("forms", commands.forms, "the manual's form of n encoder layers, a summand per line", _FORMS)
    forms.add_argument("layers", type=_positive, metavar="N", help="number of layers")
    forms.add_argument("k", type=_positive, nargs="?", metavar="K", help="show the K-th summand only, counting from 1")

    derive = command("derive", commands.derive_command, "derive the coefficient of every weight", _EXAMPLES + _NOTATION)
    _add_model(derive)
    _add_arrays(derive)
    derive.add_argument(
        "--words", type=_positive, default=0, metavar="N", help="also show N words of the expanded form"
    )

    verify = command(
        "verify", commands.verify_command, "compare every coefficient with an independent gradient", _ORACLES
    )
    _add_model(verify)
    _add_arrays(verify)

    command("models", commands.models_command, "list the stock models")
    _add_model(command("show", commands.show, "print a model: its letters, definitions and loss"))

    steps = command("steps", commands.steps, "show the derivation of one coefficient, rule by rule", _STEPS)
    _add_model(steps)
    steps.add_argument("of", metavar="WEIGHT", help="the weight, such as Q_0")

    export = command("export", commands.export_command, "write a form as source that needs an engine alone", _EXPORT)
    _add_model(export)
    export.add_argument(
        "--target", choices=list(TARGETS), required=True, help="the engine, or the notation, of the source"
    )
    export.add_argument(
        "-o", dest="path", metavar="FILE", help="the file to write, overwritten if it is there (standard output)"
    )
    export.add_argument(
        "--until", default="", metavar="X_L", help="a layer that ends in this letter, with a cotangent and no loss"
    )
    export.add_argument("--double", action="store_true", help="for torch: write the double backward out too")
    return parser


_FORMS = """\
The manual's dialect is literal and symbolic only: the differential of softmax is a left factor
aa(S). For coefficients with numbers use `formcalc derive`.
"""

_ORACLES = "oracles:\n" + "".join(
    f"  {name:18} {oracle.note}, {f'tolerance {oracle.tolerance:.0e}' if oracle.tolerance else 'no tolerance'}\n"
    for name, oracle in ORACLES.items()
)

_EXPORT = """\
examples:
  formcalc export gpt2 --target torch -o gpt2.py
      the loss as a torch.autograd.Function
  formcalc export encoder --target jax --until X_L -o layers.py
      its layers alone, a jax.custom_vjp: X_L comes out, the cotangent of X_L comes in
  formcalc export "a(X Q K^t X^t) X V" --data X:T×d --weight Q,K:d×n --weight V:d×v --target numpy
      an expression is a layer
"""

_STEPS = """\
example:
  formcalc steps encoder Q_0 --layers 1
"""


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a stock model (see `formcalc models`), a page (FILE.fc), or an expression in quotes",
    )
    parser.add_argument("--layers", type=_positive, metavar="L", help="number of layers, the same as --size L=...")
    parser.add_argument("--size", action="append", default=[], metavar="d=16", help="size of a dimension; repeatable")
    letters = parser.add_argument_group("letters of an expression")
    for role, what in (("weight", "to differentiate by"), ("data", "held constant"), ("ones", "of ones")):
        letters.add_argument(
            f"--{role}",
            action="append",
            default=[],
            metavar="Q,K:d×n",
            help=f"letters {what}, and their shape; repeatable",
        )
    parser.set_defaults(arrays=None, text=None, tokens="words", seed=0, draw_missing=False)


def _add_arrays(parser: argparse.ArgumentParser) -> None:
    numbers = parser.add_argument_group("numbers")
    numbers.add_argument("--text", metavar="SENTENCE", help="data of a stock model: an embedded sentence")
    numbers.add_argument(
        "--tokens", choices=("words", "characters"), default="words", help="what the sentence is cut into (words)"
    )
    numbers.add_argument("--arrays", metavar="FILE", help="weights and data by letter, from .npz or .safetensors")
    numbers.add_argument("--draw-missing", action="store_true", help="draw at random what the file does not hold")
    numbers.add_argument("--seed", type=int, default=0, metavar="N", help="seed of random weights and embeddings (0)")
    numbers.add_argument(
        "--oracle",
        choices=list(ORACLES),
        default="finite-difference",
        help="the independent gradient (finite-difference)",
    )
    parser.add_argument("--wrt", nargs="+", default=[], metavar="W", help="only these weights")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)
