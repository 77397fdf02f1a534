"""Families of matrices over axes: which axes a node has, sums over them, and their texts."""

import copy
import pickle

import pytest

import formcalc as fc
from formcalc.algebra import (
    Apply,
    AxisSum,
    Dimension,
    Hadamard,
    LayerSum,
    Letter,
    Number,
    OneForm,
    Power,
    Product,
    Sum,
    Symbol,
    Trace,
    axes_text,
    ones,
    transpose,
)
from formcalc.operators import Differential, operator_named

LETTERS = {
    "Q": ("h", "b", "d", "k"),
    "R": ("b", "h", "d", "k"),
    "V": ("h", "d", "d"),
    "B": ("b", "d", "d"),
    "W": ("d", "d"),
    "X": ("T", "d"),
}
Q, R, V, B, W, X = (fc.parse(name, LETTERS) for name in LETTERS)
SOFTMAX = operator_named("a")


def read(text):
    return fc.parse(text, LETTERS)


# Axes of nodes


@pytest.mark.parametrize(
    ("node", "axes"),
    [
        (W, ""),
        (V, "[h]"),
        (Q, "[b,h]"),
        (R.transposed, "[b,h]"),
        (V.differential, "[h]"),
        (Product(X, Q), "[b,h]"),
        (Product(Number(2), V), "[h]"),
        (Product(V, B), "[b,h]"),
        (Product(Trace(V), B), "[b]"),
        (Sum(W, V), "[h]"),
        (Sum(B, V), "[b,h]"),
        (Hadamard(W, B), "[b]"),
        (Apply(SOFTMAX, V, W), "[h]"),
        (Apply(SOFTMAX, W, B), "[b]"),
        (Apply(Differential(SOFTMAX), V, B), "[b,h]"),
        (Trace(V), ""),
        (Number(3), ""),
        (Power("h"), ""),
        (ones("T", "d"), ""),
        (AxisSum(Q, ["h"]), "[b]"),
        (AxisSum(Q, ["b", "h"]), ""),
        (LayerSum(V, "i"), "[h]"),
        (Letter(Symbol("F", ("d", "d"), "defined", Product(V, B))), "[b,h]"),
    ],
)
def test_axes_of_nodes(node, axes):
    assert axes_text(node.axes) == axes


def test_axes_are_ordered_by_name_and_arrays_as_declared():
    assert Q.axes == R.axes == (Dimension("b"), Dimension("h"))
    assert (Q.symbol.layout, R.symbol.layout) == (Q.axes[::-1], Q.axes)
    assert Sum(Q, R).axes == Q.axes


def test_families_that_differ_in_axes_or_layout_are_different_letters():
    made = {Letter(Symbol("A", ("d", "d"), layout=axes)) for axes in [(), ("h",), ("b",), ("b", "h"), ("h", "b")]}
    assert len(made) == 5


def test_a_definition_gives_its_axes_to_the_letter():
    body = Product(B, V)
    F = Letter(Symbol("F", ("d", "d"), "defined", body, layout=("g",)))
    assert F.symbol.layout == F.axes == body.axes
    assert F is Letter(Symbol("F", ("d", "d"), "defined", body))


def test_a_renamed_symbol_keeps_shape_axes_and_their_order():
    renamed = Q.symbol.renamed("P")
    assert (renamed.name, renamed.shape, renamed.layout, renamed.role) == ("P", Q.shape, Q.symbol.layout, "data")
    assert repr(Q.symbol) == "Symbol('Q[h,b]', d×k, weight)"


# Sums over axes


def test_a_sum_over_an_axis_that_is_not_there_is_a_factor():
    assert AxisSum(W, ["h"]) is Product(Power("h"), W)
    assert AxisSum(V, ["b", "h"]) is Product(Power("b"), AxisSum(V, ["h"]))
    assert AxisSum(W, ["h", "b"]) is Product(Power("b"), Power("h"), W)


def test_the_order_in_which_axes_are_named_does_not_matter():
    both = AxisSum(Q, ["h", "b"])
    assert both is AxisSum(Q, ("b", Dimension("h"), "h"))
    assert both is not AxisSum(AxisSum(Q, ["h"]), ["b"])
    assert both.over == Q.axes


def test_a_sum_over_axes_is_linear_in_its_operand():
    summed = AxisSum(V, ["h"])
    assert summed.direction is V
    assert summed.with_direction(Product(V, W)) is AxisSum(Product(V, W), ["h"])
    assert summed.with_direction(W) is Product(Power("h"), W)
    assert summed.rebuild((W,)) is Product(Power("h"), W)
    assert AxisSum(V.differential, ["h"]).degree == 1


def test_a_sum_over_layers_keeps_shape_axes_and_degree():
    node = LayerSum(V.differential, "i")
    assert (node.shape, node.axes, node.degree) == (V.shape, V.axes, 1)
    assert node.rebuild((V,)) is LayerSum(V, "i")
    assert LayerSum(V, "i") is not LayerSum(V, "j")
    assert str(LayerSum(Sum(V, W), "i")) == "Σ_i (V[h] + W)"


# One-forms


def test_words_over_different_axes_are_a_one_form_and_no_sum():
    over_heads, over_none = Product(V, V.differential), Product(W, W.differential)
    form = OneForm(over_heads, over_none)
    assert type(form) is OneForm
    assert (form.shape, form.axes, form.degree) == ((), (), 1)
    assert OneForm(over_heads, Product(W, V.differential)) is Sum(over_heads, Product(W, V.differential))
    assert type(OneForm(over_heads, Product(B, B.differential))) is OneForm


def test_a_sum_under_a_trace_counts_a_word_once_for_each_index():
    """trace(V W + W) is Σ_h trace(V[h] W) + h trace(W), as a one-form of words it is without the factor."""
    summed = fc.d(Trace(Sum(Product(V, W), W)), wrt=["W"])
    assert str(summed) == "trace(V[h] dW + dW)"
    assert str(fc.collect(fc.cycle(fc.shift_mm(fc.flatten(summed[0]))))) == "(Σ_h V[h] + h I_{d}) dW"
    separate = OneForm(Product(V, W.differential), W.differential)
    assert str(fc.collect(separate)) == "(Σ_h V[h] + I_{d}) dW"


# Identity, pickling, transposition


@pytest.mark.parametrize(
    "build",
    [
        lambda: Symbol("Q", ("d", "k"), layout=("h", "b")),
        lambda: Letter(Symbol("Q", ("d", "k"), "data", layout=("h",)), True, True),
        lambda: AxisSum(Q, ["h"]),
        lambda: AxisSum(AxisSum(Q, ["h"]), ["b"]),
        lambda: LayerSum(AxisSum(V, ["h"]), "i"),
        lambda: Letter(Symbol("F", ("d", "d"), "defined", AxisSum(Product(V, B), ["h"]))),
        lambda: OneForm(Product(V, V.differential), W.differential),
    ],
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_building_copying_and_pickling_give_one_object(build, protocol):
    made = build()
    assert made is build()
    assert copy.copy(made) is copy.deepcopy(made) is made
    assert pickle.loads(pickle.dumps(made, protocol)) is made


TEXTS = {
    "Q[h,b]": "Q[h,b]^t",
    "dQ[h,b]": "dQ[h,b]^t",
    "X Q[h,b]": "Q[h,b]^t X^t",
    "V[h] + W": "V[h]^t + W^t",
    "V[h] ∘ (W B[b])": "V[h]^t ∘ (B[b]^t W^t)",
    "a(V[h], W)": "a^t(V[h]^t, W^t)",
    "trace(V[h]) B[b]": "trace(V[h]) B[b]^t",
    "Σ_h V[h]": "Σ_h V[h]^t",
    "Σ_h W V[h]": "Σ_h V[h]^t W^t",
    "Σ_h (V[h] + W)": "Σ_h (V[h]^t + W^t)",
    "Σ_h (-V[h])": "Σ_h (-V[h]^t)",
    "Σ_h V[h] + W": "Σ_h V[h]^t + W^t",
    "W - (Σ_h V[h])": "W^t - (Σ_h V[h]^t)",
    "-(Σ_h V[h])": "-(Σ_h V[h]^t)",
    "2 (Σ_h V[h])": "2 (Σ_h V[h]^t)",
    "(Σ_h V[h]) W": "W^t (Σ_h V[h]^t)",
    "(Σ_h V[h]) ∘ W": "(Σ_h V[h]^t) ∘ W^t",
    "Σ_h V[h] ∘ B[b]": "Σ_h V[h]^t ∘ B[b]^t",
    "Σ_{b,h} Q[h,b] R[b,h]^t": "Σ_{b,h} R[b,h] Q[h,b]^t",
    "Σ_b Σ_h Q[h,b]": "Σ_b Σ_h Q[h,b]^t",
    "Σ_b B[b] (Σ_h V[h])": "Σ_b (Σ_h V[h]^t) B[b]^t",
    "trace(Σ_h V[h]) W": "trace(Σ_h V[h]) W^t",
}


@pytest.mark.parametrize(("text", "turned"), TEXTS.items())
def test_texts_parse_back_and_transpose(text, turned):
    expression = read(text)
    assert str(expression) == text
    assert str(transpose(expression)) == turned
    assert read(turned) is transpose(expression)
    assert transpose(transpose(expression)) is expression
    assert transpose(expression).axes == expression.axes


@pytest.mark.parametrize(
    ("spelled", "same"),
    [
        ("Q", "Q[h,b]"),
        ("Q[b,h]", "Q[h,b]"),
        ("Q[ h , b ]", "Q[h,b]"),
        ("sum_h V", "Σ_h V[h]"),
        ("∑_h V", "Σ_h V[h]"),
        ("Σ_{h} V", "Σ_h V[h]"),
        ("sum_{h,b} Q", "Σ_{b,h} Q[h,b]"),
        ("Σ_{ b, h } Q", "Σ_{b,h} Q[h,b]"),
        ("sum_b sum_h Q", "Σ_b Σ_h Q[h,b]"),
        ("Σ_h V W", "Σ_h V[h] W"),
        ("Σ_h V ∘ W", "Σ_h V[h] ∘ W"),
        ("W + Σ_h V - W", "W + Σ_h V[h] - W"),
        ("dV^t", "dV[h]^t"),
    ],
)
def test_spellings_of_families_and_sums(spelled, same):
    assert read(spelled) is read(same)


def test_a_sum_extends_to_the_next_sign():
    assert read("Σ_h V W + W") is Sum(AxisSum(Product(V, W), ["h"]), W)
    assert read("Σ_h (V W + W)") is AxisSum(Sum(Product(V, W), W), ["h"])


@pytest.mark.parametrize(
    ("text", "latex", "html"),
    [
        ("Q", "Q_{h,b}", "<i>Q</i><sub>h,b</sub>"),
        ("V^t", "V_{h}^{t}", "<i>V</i><sub>h</sub><sup>t</sup>"),
        ("dV", r"\mathrm{d}V_{h}", "d<i>V</i><sub>h</sub>"),
        ("Σ_h V", r"\sum_{h} \, V_{h}", "Σ<sub>h</sub> <i>V</i><sub>h</sub>"),
        ("Σ_{b,h} Q", r"\sum_{b, h} \, Q_{h,b}", "Σ<sub>b,h</sub> <i>Q</i><sub>h,b</sub>"),
        ("(Σ_h V) W", r"(\sum_{h} \, V_{h}) \, W", "(Σ<sub>h</sub> <i>V</i><sub>h</sub>) <i>W</i>"),
        (
            "Σ_h (V + W)",
            r"\sum_{h} \, (V_{h} + W)",
            "Σ<sub>h</sub> (<i>V</i><sub>h</sub> + <i>W</i>)",
        ),
    ],
)
def test_latex_and_html(text, latex, html):
    assert fc.latex(read(text)) == latex
    assert fc.html(read(text)) == html


def test_an_index_of_layers_and_an_axis_stand_in_one_subscript():
    letters = {"Q_i": ("h", "d", "k")}
    assert fc.latex(fc.parse("Q_i", letters)) == "Q_{i,h}"
    assert fc.html(fc.parse("Q_i", letters)) == "<i>Q</i><sub>i,h</sub>"
