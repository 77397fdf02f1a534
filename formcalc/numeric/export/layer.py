"""What is exported: a model with its loss, or a layer of a larger network, with a cotangent in the place of a loss."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from formcalc.algebra import Dimension, Expression, Letter, Number, Power, Product, Symbol, Trace, postorder
from formcalc.calculus import Form, derive
from formcalc.calculus.contraction import contracted
from formcalc.calculus.pullback import PullBack
from formcalc.errors import FormError, listing, suggestion
from formcalc.language import Model, linear_model
from formcalc.language.lines import page_text
from formcalc.language.page import read_page
from formcalc.language.statements import Coefficient, Declared, Defined, Layers, Statement, inner_statements
from formcalc.numeric.program.signs import turned
from formcalc.numeric.sample import sized


@dataclass(frozen=True)
class Subject:
    """What a file computes.

    Attributes:
        form: of a loss; of a layer ``trace(G^t dF)``, which is that of the loss ``-trace(G^t F)``.
        output: the name of F, and `cotangent` that of G; of a loss, none.
        is_plain: whether gradients are the transposes of the form's coefficients, and not of their negatives.
    """

    form: Form
    output: str = ""
    cotangent: str = ""
    is_plain: bool = False

    @property
    def sign(self) -> str:
        """What turns a coefficient of the program into a gradient."""
        return "" if self.is_plain or turned(self.form) is not None else "-"

    @property
    def backward(self) -> list[Statement]:
        """The backward page, with the sign of the gradient where it can be."""
        found = None if self.is_plain else turned(self.form)
        if found is None:
            return list(self.form.backward.statements)

        def written(statement: Statement) -> Statement:
            match statement:
                case Layers():
                    return replace(statement, body=tuple(map(written, statement.body)))
                case Defined(letter=letter):
                    definition = found.definitions[letter]
                    return Defined(Letter(Symbol(letter.name, definition.shape, "defined", definition)))
                case Coefficient(letter=letter):
                    return Coefficient(letter, found.coefficients[letter])
            return statement

        return [written(statement) for statement in self.form.backward.statements]

    def direction(self, name: str, names: Collection[str]) -> str:
        """What the form along directions calls that of a weight."""
        return next(found for found in names if found.endswith(name) and set(found.removesuffix(name)) == {"t"})

    def second(self) -> Subject:
        """The gradients of ``Σ trace(D tW)`` for the gradients ``D^t``; of a layer, by its cotangent too."""
        model = contracted(self.form.model, self.backward)
        minus = "-" if not self.sign else ""
        page = replace(model.source, loss=Product(Number(-1), model.source.loss) if minus else model.source.loss)
        names = [*self.form, *([self.cotangent] if self.cotangent else [])]
        return Subject(_as_it_is(derive(replace(model, source=page), names)), is_plain=True)


def _as_it_is(form: Form) -> Form:
    """The same form as if its page stated it, so that its sign is not turned."""
    statements = form.backward.statements
    page = replace(form.model.source, backward=tuple(statements))
    return Form(replace(form.model, source=page), PullBack(statements=list(statements)), tuple(form))


def subject(what: Form | Model | Expression, output: str = "") -> Subject:
    """What to export: a form, or a layer, which is an expression or the letter `output` of a page.

    Raises:
        FormError: an output that the page does not define.
    """
    if isinstance(what, Expression):
        bare = sized(linear_model(what))
        statements = [_without(part, "E") for part in bare.source.statements]
        name = _free("F", bare)
        layer = [*statements, Defined(Letter(Symbol(name, what.shape, "defined", what)))]
        return _layer(bare, layer, "layer", "a layer")
    if not output or not isinstance(what, Form | Model):
        return Subject(what if isinstance(what, Form) else derive(what))
    model = what.model if isinstance(what, Form) else what
    return _layer(model, _until(model, output), model.name, f"{model.name} until {output}")


def _until(model: Model, output: str) -> list[Statement]:
    """The statements of a page up to the definition of a letter; what comes out of layers gets a name of its own."""
    found: list[Statement] = []
    for statement in model.source.statements:
        found.append(statement)
        if isinstance(statement, Defined) and statement.letter.name == output:
            return found
        ends = [state.end for state in statement.states] if isinstance(statement, Layers) else []
        for end in ends:
            if end.name == output:
                return [*found, Defined(Letter(Symbol(_free("F", model), end.shape, "defined", end)))]
    defined = [part.letter.name for part in model.source.statements if isinstance(part, Defined)]
    blocks = [part for part in model.source.statements if isinstance(part, Layers)]
    names = [*defined, *(state.end.name for block in blocks for state in block.states)]
    cure = suggestion(output, names) or f"outside of layers it defines {listing(names)}"
    raise FormError(f"{output} is no output of {model.name}: {cure}")


def _layer(model: Model, statements: list[Statement], name: str, title: str) -> Subject:
    """The layer that ends in its last statement, a definition."""
    last = statements[-1]
    assert isinstance(last, Defined)
    output = last.letter
    cotangent = Letter(Symbol(_free("G", model), output.shape, "data", layout=output.axes))
    loss = Product(Number(-1), Trace(Product(cotangent.transposed, output)))
    used = {
        node.name
        for expression in _expressions(statements)
        for node in postorder(expression)
        if isinstance(node, Letter)
    }
    kept = [_with(part, used) for part in statements]
    kept = [part for part in kept if not isinstance(part, Declared) or part.letters]
    dimensions = [x for x in model.source.dimensions if x.name in _dimensions(kept)]
    bare = [replace(x, default=None) for x in dimensions]
    text = page_text(title, bare, [*kept, Declared((cotangent,))], loss)
    sizes = {x.name: model.sizes[x.name] for x in dimensions}
    made = Model(name, read_page(text), sizes)
    inputs = [x for x, letter in made.letters.items() if letter.role in ("weight", "data") and x != cotangent.name]
    return Subject(_as_it_is(derive(made, inputs)), output.name, cotangent.name, is_plain=True)


def _expressions(statements: Iterable[Statement]) -> list[Expression]:
    """The definitions of statements, and the letters that layers start from."""
    found: list[Expression] = []
    for statement in statements:
        if isinstance(statement, Layers):
            found += [state.start for state in statement.states]
    defined = [part.letter for part in inner_statements(tuple(statements)) if isinstance(part, Defined)]
    return [*found, *(letter.definition for letter in defined if letter.definition is not None)]


def _with(statement: Statement, used: Collection[str]) -> Statement:
    """A declaration with those letters that are used."""
    if not isinstance(statement, Declared):
        return statement
    return Declared(tuple(letter for letter in statement.letters if letter.name in used))


def _without(statement: Statement, name: str) -> Statement:
    if not isinstance(statement, Declared):
        return statement
    return Declared(tuple(letter for letter in statement.letters if letter.name != name))


def _dimensions(statements: Iterable[Statement]) -> set[str]:
    """The names of the dimensions that statements use."""
    used: list[Dimension] = []
    names: set[str] = set()
    for statement in statements:
        if isinstance(statement, Layers):
            names |= {bound.dimension for bound in (statement.first, statement.last) if bound.dimension}
    for statement in inner_statements(tuple(statements)):
        if isinstance(statement, Declared):
            used += [size for x in statement.letters for size in (*x.symbol.layout, *x.symbol.shape)]
    for expression in _expressions(statements):
        for node in postorder(expression):
            used += [node.base] if isinstance(node, Power) else [*node.axes, *node.shape]
    return names | {str(size) for size in used if size.is_symbolic}


def _free(name: str, model: Model) -> str:
    """A name that is new on a page."""
    page = model.source
    taken = {*page.letter_names(), *(x.name for x in page.dimensions)}
    while name in taken or f"d{name}" in taken:
        name += name[0]
    return name
