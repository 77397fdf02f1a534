"""From a model or an expression to its form: one coefficient per weight."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from formcalc.algebra import Expression, Letter, OneForm, Product, Symbol, excerpt, postorder
from formcalc.calculus.contraction import contracted
from formcalc.calculus.cyclic import zero
from formcalc.calculus.differential import d
from formcalc.calculus.pipeline import stages
from formcalc.calculus.pullback import Passage, PullBack, pull_back
from formcalc.calculus.words import Words
from formcalc.errors import FormError, listing, suggestion
from formcalc.language import Model, linear_model
from formcalc.language.html import equations_html
from formcalc.language.lines import Line, statement_lines
from formcalc.language.statements import Layers, Page
from formcalc.language.unrolling import Unrolled, unroll
from formcalc.operators import Dialect


def form(expression: Expression, wrt: Collection[str] | None = None, dialect: Dialect = "exact") -> Expression:
    """The form of an answer `F`: ``E^t dF``, read under a trace, with ``E = f(X) - F`` the error.

    It is ``-trace(E^t dE)``, the negative differential of half the squared error; the sign is that of the flow that
    descends. The manual's ``form``.

    Raises:
        FormError: the expression uses the letter E itself.

    >>> from formcalc.language import parse
    >>> str(form(parse("X W", {"X": ("T", "d"), "W": ("d", "v")}), wrt=["W"]))
    'E^t X dW'
    """
    if any(isinstance(node, Letter) and node.name == "E" for node in postorder(expression)):
        raise FormError("the letter E names the error of the form E^t dF: give the expression's own E another name")
    error = Letter(Symbol("E", expression.shape, "data", layout=expression.axes))
    inner = d(expression, wrt, dialect)
    return Product(error.transposed, *(inner.children if isinstance(inner, Product) else (inner,)))


class Form(Mapping[str, Expression]):
    """The one-form ``ω = -d loss = Σ trace(C_W dW)``: a mapping from the name of a weight to its coefficient ``C_W``.

    ``C_W`` has the shape of ``W^t``, and ``C_W^t`` is the velocity of `W` under gradient descent in the Euclidean
    metric. Coefficients are shared: they use the model's definitions and the cotangents, letters with definitions. The
    text of a form is a backward page: layers are written once, whatever their number.
    """

    def __init__(self, model: Model, pulled: PullBack, names: Collection[str] | None = None) -> None:
        self.model = model
        self.backward = pulled
        self._names = names

    @cached_property
    def _source(self) -> Page:
        """The page with its form."""
        return replace(self.model.source, backward=tuple(self.backward.statements))

    @cached_property
    def _written(self) -> Unrolled:
        """The page and its form with all layers written out."""
        return unroll(self._source, self.model.sizes, self.model.name)

    @cached_property
    def _coefficients(self) -> dict[str, Expression]:
        found = self._written.coefficients
        names = self.model.weights if self._names is None else self._names
        return {name: found[name] if name in found else zero(self.model.letters[name].shape[::-1]) for name in names}

    def at(self, model: Model) -> Form:
        """The same form of the same page, at other sizes."""
        return self if model is self.model else Form(model, self.backward, self._names)

    def __getitem__(self, name: str) -> Expression:
        found = self._coefficients
        if name not in found:
            cure = suggestion(name, found) or f"coefficients: {listing(found)}"
            raise FormError(f"the form has no coefficient of d{name}; {cure}")
        return found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._coefficients

    def __iter__(self) -> Iterator[str]:
        return iter(self._coefficients)

    def __len__(self) -> int:
        return len(self._coefficients)

    def __reduce__(self) -> tuple:
        return (derive, (self.model, self._names))

    @property
    def cotangents(self) -> tuple[Letter, ...]:
        """The letters ``G, M, U, ...`` of the backward pass in its order, layer by layer; each has a definition."""
        return self._written.cotangents

    @cached_property
    def one_form(self) -> Expression:
        """The whole form, ``Σ C_W dW`` read under a trace."""
        return OneForm(*(Product(c, self.model.letters[name].differential) for name, c in self.items()))

    def words(self, name: str | None = None) -> Words:
        """The summands of a coefficient in the expanded normal form; of all, each with its differential, if no name."""
        atoms = [node for node in postorder(self.model.loss) if isinstance(node, Letter)]
        return Words(self.one_form if name is None else self[name], atoms)

    def steps(self, name: str) -> list[Passage]:
        """The derivation of a coefficient, from the loss to the weight, with every use of a rule.

        Each passage goes through one definition of the page: its one-form, the stages of the pipeline, and what it
        contributes.

        >>> from formcalc.language import parse
        >>> letters = {"X": ("T", "d"), "W": ("d", "v")}
        >>> [passage] = derive(parse("m(X W)", letters), wrt=["W"]).steps("W")
        >>> print(passage.stages[3].steps[0])
        shift at 0:  E^t mm(X W, X dW)  ->  mm(W^t X^t, E^t) X dW
        """
        self[name]  # an unknown name is an error
        if self.model.source.backward:
            raise FormError(f"the form of {self.model.name} is stated on its page, and was not derived")
        needed = {self.model.unrolled.written_as[name][0]}
        blocks = [statement for statement in self.model.source.statements if isinstance(statement, Layers)]
        handed = {state.next: {state.letter, state.end} for block in blocks for state in block.states}
        chosen: set[int] = set()
        while True:
            before = len(chosen)
            for number, passage in enumerate(self.backward.passages):
                if needed & passage.contributions.keys():
                    chosen.add(number)
                    needed |= {passage.of} | handed.get(passage.of, set()) if passage.of is not None else set()
            if len(chosen) == before:
                break
        passages = [self.backward.passages[number] for number in sorted(chosen)]
        return [replace(passage, stages=tuple(stages(passage.stages[0].before))) for passage in passages]

    def lines(self) -> list[Line]:
        """The backward page, line by line, layers written once."""
        return statement_lines(self.backward.statements)

    @property
    def page(self) -> str:
        """The text of the page with its form after the loss; `load` reads it again."""
        if self.model.source.backward:
            return self.model.page
        return f"{self.model.page.rstrip()}\n\n# the form -d loss\n{self}\n"

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines()))

    def _repr_html_(self) -> str:
        return equations_html((line.left, line.sign, line.right, line.depth) for line in self.lines())

    def __repr__(self) -> str:
        return f"<form of {self.model.name}: {listing(self)}>"


def derive(model: Model | Expression | Form, wrt: Collection[str] | None = None) -> Form:
    """The coefficient of every weight differential in ``ω = -d loss``.

    A page that states its form, in lines ``dW : C`` after the loss, is taken at its word; `verify` tells whether.

    Args:
        model: a model, or a bare matrix expression `F`, whose form is ``trace(E^t dF)``. A form is derived again: the
            result is the form of the Hessian ``H`` along data letters ``tW``, one for each weight, and the
            transposes of its coefficients are the products ``H t``.
        wrt: the names of the weights, by default all.

    Raises:
        FormError: something else than these, no weights, or an unknown name in `wrt`.

    >>> from formcalc.language import parse
    >>> letters = {"X": ("T", "d"), "W": ("d", "v"), "V": ("v", "d")}
    >>> print(derive(parse("m(X W) V", letters), wrt=["W", "V"]))
    dW : mm(W^t X^t, V E^t) X
    dV : E^t m(X W)
    """
    if isinstance(model, Form):
        model = contracted(model.model, model.backward.statements)
    if isinstance(model, Expression):
        model = linear_model(model)
    if not isinstance(model, Model):
        raise FormError(
            f"a model, an expression or a form is derived, not a {type(model).__name__}: load reads pages, parse texts"
        )
    if model.source.backward:
        stated = PullBack(statements=list(model.source.backward))
        found = [name for name in model.weights if name in model.unrolled.coefficients]
        return Form(model, stated, tuple(found if wrt is None else wrt))
    if wrt is None:
        weights = list(model.source.weights())
    else:
        for name in wrt:
            if name not in model.letters or model.letters[name].symbol.is_constant:
                abbreviated = [x.definition for x in model.definitions if x.name == name and x.definition is not None]
                cure = suggestion(name, model.inputs) or f"its letters: {listing(model.inputs)}"
                cure = f"it abbreviates {excerpt(abbreviated[0])}" if abbreviated else cure
                raise FormError(f"{name} is no letter of {model.name} to differentiate by; {cure}")
        weights = list(dict.fromkeys(model.unrolled.written_as[name][0] for name in wrt))
    if not weights:
        raise FormError(f"{model.name} has no weights to differentiate by")
    return Form(model, pull_back(model.source, weights), None if wrt is None else tuple(wrt))
