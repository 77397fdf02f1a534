"""From a model or an expression to its form: one coefficient per weight."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from formcalc.algebra import Expression, Letter, OneForm, Product, Symbol, excerpt, postorder
from formcalc.calculus.differential import d
from formcalc.calculus.expansion import factors
from formcalc.calculus.pipeline import stages
from formcalc.calculus.pullback import Passage, PullBack, pull_back
from formcalc.calculus.words import Words
from formcalc.errors import FormError, listing, suggestion
from formcalc.language import Model, linear_model
from formcalc.language.html import equations_html
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
    error = Letter(Symbol("E", expression.shape, "data"))
    inner = d(expression, wrt, dialect)
    return Product(error.transposed, *(inner.children if isinstance(inner, Product) else (inner,)))


class Form(Mapping[str, Expression]):
    """The one-form ``ω = -d loss = Σ trace(C_W dW)``: a mapping from each weight's name to its coefficient ``C_W``.

    ``C_W`` has the shape of ``W^t``; ``C_W^t`` is the velocity of `W` under gradient descent in the Euclidean metric.
    Coefficients are shared: they use the model's definitions and the cotangents, which are letters with definitions.
    """

    def __init__(self, model: Model, pulled: PullBack) -> None:
        self.model = model
        self._pulled = pulled

    def __getitem__(self, name: str) -> Expression:
        if name not in self._pulled.coefficients:
            known = list(self._pulled.coefficients)
            cure = suggestion(name, known) or f"coefficients: {listing(known)}"
            raise FormError(f"the form has no coefficient of d{name}; {cure}")
        return self._pulled.coefficients[name]

    def __contains__(self, name: object) -> bool:
        return name in self._pulled.coefficients

    def __iter__(self) -> Iterator[str]:
        return iter(self._pulled.coefficients)

    def __len__(self) -> int:
        return len(self._pulled.coefficients)

    @property
    def cotangents(self) -> tuple[Letter, ...]:
        """The letters ``G, M, U, ...`` of the backward pass in its order; each has a definition."""
        return self._pulled.cotangents

    @cached_property
    def one_form(self) -> Expression:
        """The whole form, ``Σ C_W dW`` read under a trace."""
        return OneForm(*(Product(*factors(c), self.model.letters[name].differential) for name, c in self.items()))

    def words(self, name: str | None = None) -> Words:
        """The summands of a coefficient in the expanded normal form; of all, each with its differential, if no name."""
        atoms = [node for node in postorder(self.model.loss) if isinstance(node, Letter)]
        return Words(self.one_form if name is None else self[name], atoms)

    def steps(self, name: str) -> list[Passage]:
        """The derivation of a coefficient, from the loss to the weight, with every use of a rule.

        Each passage goes through one definition: its one-form, the stages of the pipeline, and what it contributes.

        >>> from formcalc.language import parse
        >>> letters = {"X": ("T", "d"), "W": ("d", "v")}
        >>> [passage] = derive(parse("m(X W)", letters), wrt=["W"]).steps("W")
        >>> print(passage.stages[3].steps[0])
        shift at 0:  E^t mm(X W, X dW)  ->  mm(W^t X^t, E^t) X dW
        """
        self[name]  # an unknown name is an error
        needed = {self.model.letters[name]}
        chosen = []
        for passage in reversed(self._pulled.passages):
            if needed & passage.contributions.keys():
                chosen.append(replace(passage, stages=tuple(stages(passage.stages[0].before))))
                needed |= {passage.of} if passage.of is not None else set()
        return chosen[::-1]

    def _equations(self) -> list[tuple[Expression, Expression]]:
        weights = self.model.letters
        return [(weights[name].differential, coefficient) for name, coefficient in self.items()]

    def _definitions(self) -> list[tuple[Expression, Expression]]:
        return [(letter, letter.definition) for letter in self.cotangents if letter.definition is not None]

    def __str__(self) -> str:
        lines = [f"{letter} = {definition}" for letter, definition in self._definitions()]
        return "\n".join([*lines, *(f"{letter} : {coefficient}" for letter, coefficient in self._equations())])

    def _repr_html_(self) -> str:
        return equations_html(self._definitions()) + equations_html(self._equations(), ":")

    def __repr__(self) -> str:
        return f"<form of {self.model.name}: {listing(self)}>"


def derive(model: Model | Expression, wrt: Collection[str] | None = None) -> Form:
    """The coefficient of every weight differential in ``ω = -d loss``.

    Args:
        model: a model, or a bare matrix expression `F`, whose form is ``trace(E^t dF)``.
        wrt: the names of the weights, by default all.

    Raises:
        FormError: no weights, or an unknown name in `wrt`.

    >>> from formcalc.language import parse
    >>> letters = {"X": ("T", "d"), "W": ("d", "v"), "V": ("v", "d")}
    >>> print(derive(parse("m(X W) V", letters), wrt=["W", "V"]))
    dW : mm(W^t X^t, V E^t) X
    dV : E^t m(X W)
    """
    if isinstance(model, Expression):
        model = linear_model(model)
    weights = model.weights if wrt is None else list(wrt)
    for name in weights:
        if name not in model.letters or model.letters[name].symbol.is_constant:
            abbreviated = [x.definition for x in model.definitions if x.name == name and x.definition is not None]
            cure = suggestion(name, model.inputs) or f"its letters: {listing(model.inputs)}"
            cure = f"it abbreviates {excerpt(abbreviated[0])}" if abbreviated else cure
            raise FormError(f"{name} is no letter of {model.name} to differentiate by; {cure}")
    if not weights:
        raise FormError(f"{model.name} has no weights to differentiate by")
    return Form(model, pull_back(model, weights))
