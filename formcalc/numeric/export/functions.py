"""The functions of an exported file: forward, backward, and along directions the backward pass of that."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

from formcalc.algebra import Letter
from formcalc.language import Model
from formcalc.language.statements import Layers
from formcalc.language.unrolling import layer_range
from formcalc.numeric.export.layer import Subject
from formcalc.numeric.export.layout import documented, folded
from formcalc.numeric.export.naming import Names, name_values
from formcalc.numeric.export.saved import Saved
from formcalc.numeric.export.signature import Argument, Signature
from formcalc.numeric.export.sources import names_in
from formcalc.numeric.export.symbolic import Size
from formcalc.numeric.export.writer import Writer
from formcalc.numeric.program.compiled import ENGINES, Engine
from formcalc.numeric.program.lowered import Lowered
from formcalc.numeric.program.rewriting import cheapest
from formcalc.numeric.program.values import View


@dataclass(frozen=True)
class Style:
    """How the functions for a target are spelled.

    Attributes:
        engine: that they run on, and `writer` of their bodies.
        primitives: the modules whose functions the file may take along; the first that has one counts.
        constant: what turns a constant matrix into an array of the engine, and `ids` what makes the first positions.
        stack: what stacks the gradients of layers.
    """

    engine: str
    primitives: tuple[str, ...]
    constant: str
    ids: str
    stack: str
    writer: type[Writer] = Writer


class Functions:
    """The functions for one subject in one style; each is source text.

    Attributes:
        signature: the arguments; `gradients` are those that there are gradients of, `cotangent` that of a layer.
    """

    def __init__(self, subject: Subject, style: Style, reserved: Sequence[str]) -> None:
        self.subject, self.style, self.reserved = subject, style, reserved
        self.names = Names(reserved)
        self.signature = Signature.of(subject.form.model, self.names)
        self.engine: Engine = ENGINES[style.engine]
        # factors of products are written out, and nothing is let go of
        self.dialect = replace(self.engine.dialect, scales_products=False, releases=False)
        self.program, self.writer = self.lowered(subject, self.signature, self.names)
        self.gradients = [x for letter, x in self.signature.arguments.items() if letter in self.program.coefficients]
        arguments = list(self.signature.arguments.values())
        self.cotangent = next((x for x in arguments if x.letter.name == subject.cotangent), None)
        self.arguments = [x for x in arguments if x is not self.cotangent]
        self.saved: Saved = self.writer.saved([view.value for view in self.program.coefficients.values()])

    def lowered(self, subject: Subject, signature: Signature, names: Names) -> tuple[Lowered, Writer]:
        """The program of a form at sizes that remember their dimensions, and its writer."""
        model = subject.form.model
        sizes = {name: Size.named(signature.dimensions[name], size) for name, size in _several(model).items()}
        form = subject.form.at(replace(model, sizes=sizes))
        program = cheapest(form, self.engine.has_fused_softmax, outputs=[subject.output] if subject.output else [])
        given = {program.inputs[x.letter]: x.name for x in signature.arguments.values() if x.family is None}
        names.taken |= {f"d{x.name}" for x in signature.arguments.values() if x.family is not None}
        if program.loss is not None and not subject.is_plain:
            given[program.loss.value] = "loss"
        name_values(program, names, given)
        constants = {letter.name: self.constant(letter, signature) for letter in program.constants}
        return program, self.style.writer(program, self.dialect, signature, constants, subject.sign)

    def constant(self, letter: Letter, signature: Signature) -> str:
        """A letter that is known, as an expression."""
        rows, columns = (signature.size(size) for size in letter.symbol.shape)
        axes = [signature.size(size) for size in letter.symbol.layout]
        module = self.engine.dialect.module
        if letter.role == "positions":
            text, shape = self.style.ids.format(rows), [*axes, rows]
        else:
            own = axes if letter.role == "slopes" else []
            text = self.style.constant.format(f"{letter.role}({', '.join([*own, rows, columns])})")
            axes = [] if own else axes
            shape = [*axes, rows, columns]
        return f"{module}.broadcast_to({text}, ({', '.join(shape)}))" if axes else text

    @property
    def result(self) -> View:
        """What the forward pass computes: the loss, or the output of a layer."""
        if self.output_letter is not None:
            return self.program.values[self.output_letter][1]
        assert self.program.loss is not None
        return self.program.loss

    def forward(self) -> str:
        """The forward function: the result, and what the backward pass reads."""
        writer = self.writer
        view = self.result
        writer.body(self.program.sections[: self.program.forward], [view.value], self.saved)
        writer.blank()
        text = writer.output(self.output_letter, view) if self.output_letter is not None else view.value.name
        writer.returned(text, self.saved)
        what = f"The output {self.subject.output}" if self.subject.output else "The loss"
        return self.function("forward", self.arguments, [], f"{what}, and what the backward pass reads.", writer.lines)

    @property
    def output_letter(self) -> Letter | None:
        return next(iter(self.program.values), None)

    def backward(self) -> str:
        """The backward function: the gradients."""
        writer = self.writer
        results = [view.value for view in self.program.coefficients.values()]
        writer.body(self.program.sections[self.program.forward :], results, self.saved, is_given=True)
        self.returned(writer, self.program, self.gradients)
        arguments = [*self.arguments, *([self.cotangent] if self.cotangent else [])]
        whose = f"of trace({self.cotangent.name}^t {self.subject.output})" if self.cotangent else "of the loss"
        doc = f"The gradients {whose} by {_names(self.gradients)}, in their shapes."
        return self.function("backward", arguments, ["saved"], doc, writer.lines)

    def hessian(self) -> str:
        """The gradients along directions, and by everything the gradients of that."""
        second = self.subject.second()
        names = Names(self.reserved)
        signature = Signature.of(second.form.model, names, self.signature)
        program, writer = self.lowered(second, signature, names)
        assert program.loss is not None
        differentiated = [*([self.cotangent] if self.cotangent else []), *self.gradients]
        first = [] if self.cotangent else [program.loss.value]
        results = [*first, *(view.value for view in program.coefficients.values())]
        writer.body(program.sections, results, Saved())
        self.returned(writer, program, differentiated, [f"-{value.name}" for value in first])
        others = {x.letter.name: x for x in signature.arguments.values()}
        directions = [others[name] for name in (self.subject.direction(x.letter.name, others) for x in self.gradients)]
        arguments = [*self.arguments, *([self.cotangent] if self.cotangent else []), *directions]
        doc = f"The sum of the entries of gradients ∘ directions, and its gradients by {_names(differentiated)}."
        if self.cotangent:
            doc = f"The gradients of the sum of the entries of gradients ∘ directions, by {_names(differentiated)}."
        return self.function("hessian", arguments, [], doc, writer.lines, signature)

    def returned(
        self,
        writer: Writer,
        program: Lowered,
        order: Sequence[Argument],
        first: Sequence[str] = (),
    ) -> None:
        """The last statement: gradients, those of layers as stacks."""
        writer.blank()
        texts = list(first)
        done = program.loop_of
        by_name = {letter.name: letter for letter in program.coefficients}
        for argument in order:
            letter = by_name[argument.letter.name]
            text = self.style.stack.format(f"d{argument.name}")
            texts.append(text if letter in done else writer.gradient(letter, program.coefficients[letter]))
        writer.write(f"return {', '.join(texts)}" if len(texts) > 1 else f"return ({texts[0]},)")

    def function(
        self,
        name: str,
        arguments: Sequence[Argument],
        more: Sequence[str],
        doc: str,
        body: Sequence[str],
        signature: Signature | None = None,
    ) -> str:
        """A function, with the sizes that its body uses read from its arguments."""
        signature = signature or self.signature
        used = names_in(textwrap.dedent("\n".join(body)))
        like = next(x.name for x in arguments if x.is_real)
        own = [f"like = {like}  # results are of its type"] if "like" in used else []
        wanted = {x for x in signature.dimensions.values() if x in used}
        own = [*signature.known_sizes(wanted, arguments, self.subject.form.model.sizes), *own]
        lines = [f"    {line}" for line in own]
        if lines:
            lines.append("")
        head = f"def {name}({', '.join([*(x.name for x in arguments), *more])}):"
        return "\n".join([*folded(head), *documented(doc), *lines, *body])


def _several(model: Model) -> dict[str, int]:
    """The sizes of a model with two layers at least: of a single one, nothing would be handed on."""
    sizes = dict(model.sizes)
    for block in model.source.statements:
        if isinstance(block, Layers) and block.last.dimension:
            sizes[block.last.dimension] += max(0, 2 - len(layer_range(block, sizes, model.name)))
    return sizes


def _names(arguments: Sequence[Argument]) -> str:
    return ", ".join(argument.name for argument in arguments)
