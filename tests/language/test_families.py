"""Families, sums over them, functions and stated forms: what pages may say, and the errors of those that are wrong."""

import pytest

import formcalc as fc
from formcalc.algebra import axes_text
from formcalc.errors import FormcalcError, ParseError
from formcalc.language.statements import Coefficient, Function, Layers

HEAD = "dims T tokens = 3, d width = 2, k = 2, h heads = 2, B batch = 2, L layers = 2\ndata X_0, Y: T×d\n"
LAYER = "layers i = 0 .. L-1\n  weights W_i[h]: d×d   V_i: d×k   U_i: k×d\n  X_{i+1} = Σ_h X_i W_i V_i U_i\n"
TAIL = "E = Y - X_L\nloss = 1/2 trace(E^t E)\n"
PAGE = HEAD + LAYER + TAIL
SQUARE = "dims d = 2, T = 3\nweights W: d×d  V: T×d\n"


def message(text, **sizes):
    with pytest.raises(FormcalcError) as error:
        fc.load(text, **sizes)
    return str(error.value)


def marked(what, line, column, shown, under, cure=""):
    """An error as it prints: what and where, the line with carets, and the cure."""
    carets = " " * (column - 1) + "^" * len(under)
    text = f"{what} at line {line}, column {column}\n    {shown}\n    {carets}"
    return f"{text}\n{cure}" if cure else text


# Families


def test_the_shape_of_a_family_has_its_axes_first():
    model = fc.load(PAGE, h=5, d=4)
    assert model.shapes["W_1"] == (5, 4, 4)
    assert axes_text(model.letters["W_1"].axes) == "[h]"
    assert (
        axes_text(fc.load(PAGE.replace("W_i[h]", "W_i[h,B]").replace("Σ_h", "Σ_{h,B}")).letters["W_0"].axes) == "[B,h]"
    )


@pytest.mark.parametrize(
    "same",
    [
        PAGE.replace("Σ_h X_i W_i V_i U_i", "sum_h X_i W_i[h] V_i U_i"),
        PAGE.replace("Σ_h X_i W_i V_i U_i", "Σ_{h} X_i W_{i}[h] V_i U_i"),
        PAGE.replace("Σ_h X_i W_i V_i U_i", "∑_h X_i\n     W_i V_i U_i"),
    ],
)
def test_spellings_of_the_same_page(same):
    assert fc.load(same).loss is fc.load(PAGE).loss


def test_a_definition_may_name_its_axes_in_any_order():
    text = """dims d = 2, h = 2, B = 3
data X[B]: d×d
weights W[h]: d×d
F[h,B] = X W
E = Σ_{h,B} F
loss = trace(E)
"""
    plain, named = fc.load(text.replace("F[h,B]", "F")), fc.load(text)
    assert plain.loss is named.loss is fc.load(text.replace("F[h,B]", "F[B,h]")).loss
    assert axes_text(named.definitions[0].axes) == "[B,h]"


IN_LAYER = "  X_{i+1} = Σ_h X_i W_i V_i U_i"
WEIGHTS = "  weights W_i[h]: d×d   V_i: d×k   U_i: k×d"

BAD = {
    "another axis in brackets": (
        PAGE.replace("W_i V_i", "W_i[B] V_i"),
        marked("W_i[B] is not declared", 5, 21, IN_LAYER.replace("W_i", "W_i[B]"), "W_i", "W_i has the axes [h]"),
    ),
    "brackets after a letter without axes": (
        PAGE.replace("V_i U_i", "V_i[h] U_i"),
        marked("V_i[h] is not declared", 5, 25, IN_LAYER.replace("V_i", "V_i[h]"), "V_i", "V_i has no axes"),
    ),
    "an axis that is no dimension": (
        PAGE.replace("W_i[h]", "W_i[g]"),
        marked(
            "unknown axis 'g'", 4, 14, WEIGHTS.replace("[h]", "[g]"), "[g]", "declared dimensions: T, d, k, h, B, L"
        ),
    ),
    "a sum over an axis that is not there": (
        PAGE.replace("Σ_h", "Σ_B"),
        marked(
            "X_i W_i[h] V_i U_i has no axis B to sum over",
            5,
            13,
            IN_LAYER.replace("Σ_h", "Σ_B"),
            "Σ_B",
            "it has [h]; a letter gets an axis where it is declared, Q[B]: d×k",
        ),
    ),
    "a sum over an axis of a single matrix": (
        PAGE.replace("E = Y - X_L", "E = Y - Σ_h X_L"),
        marked(
            "X_L has no axis h to sum over",
            6,
            9,
            "E = Y - Σ_h X_L",
            "Σ_h",
            "it has none; a letter gets an axis where it is declared, Q[h]: d×k",
        ),
    ),
    "a letter of layers outside": (
        PAGE.replace("E = Y - X_L", "E = Y - X_L V_i U_i"),
        marked(
            "V_i is a letter of the layers",
            6,
            13,
            "E = Y - X_L V_i U_i",
            "V_i",
            "outside of them write Σ_i ... V_i ...",
        ),
    ),
    "a family of layers outside, under a sum over heads": (
        PAGE.replace("E = Y - X_L", "E = Y - Σ_h X_L W_i"),
        marked(
            "W_i is a letter of the layers",
            6,
            17,
            "E = Y - Σ_h X_L W_i",
            "W_i",
            "outside of them write Σ_i ... W_i ...",
        ),
    ),
    "a definition with axes that are not there": (
        PAGE.replace("E = Y", "E[h] = Y"),
        marked("E[h] is E", 6, 1, "E[h] = Y - X_L", "E", "these are the axes of what follows: E"),
    ),
    "a definition with other axes": (
        PAGE.replace("E = Y", "F[B] = Σ_i W_i\nE = Y"),
        marked("F[B] is F[h]", 6, 1, "F[B] = Σ_i W_i", "F", "these are the axes of what follows: F[h]"),
    ),
    "a function with too few arguments": (
        SQUARE + "f(X, Y) = X Y\nloss = trace(f(W))\n",
        marked("f takes 2 arguments, not 1", 4, 14, "loss = trace(f(W))", "f", "f(X, Y)"),
    ),
    "a function with too many arguments": (
        SQUARE + "f(X, Y) = X Y\nloss = trace(f(W, W, V))\n",
        marked("f takes 2 arguments, not 3", 4, 14, "loss = trace(f(W, W, V))", "f", "f(X, Y)"),
    ),
    "a function whose arguments do not chain": (
        SQUARE + "f(X, Y) = X Y\nloss = trace(f(W, V))\n",
        marked(
            "f cannot take these arguments",
            4,
            14,
            "loss = trace(f(W, V))",
            "f",
            "in its body: " + marked("W V: W has d columns, V has T rows", 3, 13, "f(X, Y) = X Y", "X"),
        ),
    ),
    "a function with a letter that is not declared": (
        SQUARE + "f(X) = X Z\nloss = trace(f(W))\n",
        marked(
            "f cannot take these arguments",
            4,
            14,
            "loss = trace(f(W))",
            "f",
            "in its body: " + marked("unknown letter 'Z'", 3, 10, "f(X) = X Z", "Z", "declared letters: W, V, X"),
        ),
    ),
    "a function with a parameter twice": (
        SQUARE + "f(X, X) = X X\nloss = trace(f(W, W))\n",
        marked("f(X, X) has no parameter 'X'", 3, 1, "f(X, X) = X X", "f", "write names such as X, g, b"),
    ),
    "a function named as an operator": (
        SQUARE + "tanh(X) = X X\nloss = trace(tanh(W))\n",
        marked(
            "'tanh' cannot name a function", 3, 1, "tanh(X) = X X", "tanh", "it is an operator; choose another name"
        ),
    ),
    "a function named as a letter": (
        SQUARE + "W(X) = X X\nloss = trace(W)\n",
        marked("W has a meaning already", 3, 1, "W(X) = X X", "W", "every letter is declared or defined once"),
    ),
    "a function inside a layer": (
        PAGE.replace("  X_{i+1}", "  f(X) = X\n  X_{i+1}"),
        marked("a function inside a layer", 5, 3, "  f(X) = X", "f(X) = X", "it stands outside"),
    ),
    "a coefficient of another shape": (
        PAGE + "layers i = L-1 .. 0\n  dV_i : 1_{d×k}\n",
        marked("the coefficient of dV_i is d×k", 9, 3, "  dV_i : 1_{d×k}", "dV_i :", "it should be k×d"),
    ),
    "a coefficient of data": (
        PAGE + "dY : Y^t\n",
        marked(
            "Y is no weight here", 8, 1, "dY : Y^t", "dY :", "a coefficient line is dW : C, for a weight W of the page"
        ),
    ),
    "a coefficient of nothing": (
        PAGE + "dZ : Y^t\n",
        marked(
            "Z is no weight here", 8, 1, "dZ : Y^t", "dZ :", "a coefficient line is dW : C, for a weight W of the page"
        ),
    ),
    "a coefficient of a weight of layers, outside": (
        PAGE + "dV_i : 1_{k×d}\n",
        marked(
            "V_i is no weight here",
            8,
            1,
            "dV_i : 1_{k×d}",
            "dV_i :",
            "a coefficient line is dW : C, for a weight W of the page",
        ),
    ),
    "a coefficient before the loss": (
        SQUARE + "dW : I_{d}\nloss = trace(W)\n",
        marked("a coefficient before the loss", 3, 1, "dW : I_{d}", "dW :", "the form of a page comes after its loss"),
    ),
    "definitions after the loss, and no coefficient": (
        PAGE + "Z = Y\n",
        marked(
            "a line after the loss",
            8,
            1,
            "Z = Y",
            "Z",
            "the loss is the last line of a page, but for the lines of its form, dW : C",
        ),
    ),
    "weights after the loss": (
        PAGE + "weights K: d×d\n",
        marked(
            "a line after the loss",
            8,
            1,
            "weights K: d×d",
            "w",
            "the loss is the last line of a page, but for the lines of its form, dW : C",
        ),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_page_is_one_clear_error(case):
    text, said = BAD[case]
    assert message(text) == said


@pytest.mark.parametrize(
    ("functions", "unknown"), [("f(X) = X f(X)\n", "f"), ("f(X) = X g(X)\ng(X) = X X\n", "g")], ids=["itself", "later"]
)
def test_a_function_knows_only_the_functions_before_it(functions, unknown):
    said = message(SQUARE + functions + "loss = trace(f(W))\n")
    assert said.startswith("f cannot take these arguments at line ")
    assert f"in its body: unknown operator {unknown!r} at line 3, column 10\n    f(X) = X {unknown}(X)\n" in said


@pytest.mark.parametrize(
    ("text", "said", "carets"),
    [
        ("Q[b]", "Q[b] is not declared", "Q has the axes [h]"),
        ("X[h]", "X[h] is not declared", "X has no axes"),
        (
            "Σ_b Q",
            "Q[h] has no axis b to sum over",
            "it has [h]; a letter gets an axis where it is declared, Q[b]: d×k",
        ),
        ("Σ_{h,b} Q", "Q[h] has no axis b to sum over", None),
        ("Σ_h Σ_h Q", "Σ_h Q[h] has no axis h to sum over", None),
        ("Σ_h X", "X has no axis h to sum over", None),
        ("Σ_h trace(dQ Q^t)", "a sum over axes of a scalar", "a trace is already summed over all axes"),
        ("Σ_{h,h} Q", "unreadable axes '[h,h]'", "write different names of dimensions, as in Q[b,h]"),
    ],
)
def test_axes_that_are_not_there_are_refused_in_expressions(text, said, carets):
    with pytest.raises(ParseError) as error:
        fc.parse(text, {"Q": ("h", "d", "d"), "X": ("d", "d")})
    first, *_, last = str(error.value).splitlines()
    assert first == f"{said} at line 1, column 1"
    assert carets is None or last == carets


# Constants over axes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "dims h = 4\nslopes s: 1×1",
            "slopes s: 1×1: slopes are declared over one axis, the heads, as in: slopes s[h]: 1×1",
        ),
        ("dims k = 3\nquarterturn s: k×k", "quarterturn s: k×k: a quarter turn is square and of even size, not 3×3"),
        (
            "dims k = 4, T = 2\nquarterturn s: k×T",
            "quarterturn s: k×T: a quarter turn is square and of even size, not 4×2",
        ),
        (
            "dims T = 2, k = 3\ncosines s: T×k",
            "cosines s: T×k: rotary positions turn pairs of columns: the width 3 is odd, take an even one",
        ),
        (
            "dims T = 2, k = 5\nsines s: T×k",
            "sines s: T×k: rotary positions turn pairs of columns: the width 5 is odd, take an even one",
        ),
    ],
)
def test_constants_of_a_wrong_shape_are_refused(text, said):
    model = fc.load(f"{text}\nweights W: 1×1\nloss = trace(s s^t) trace(W)\n")
    with pytest.raises(FormcalcError) as error:
        fc.evaluate(model.loss, {"W": [[1.0]]}, **model.sizes)
    assert str(error.value) == said


# Functions


def test_a_function_stands_for_its_body():
    text = """dims T = 3, d = 2
data X, Y: T×d
ones C: T×1
weights W: d×d  g, b: 1×d
LN(X, g, b) = norm(X, 1e-5) ∘ (C g) + C b
twice(Z) = LN(LN(Z, g, b) W, g, b)
E = Y - twice(X W) - LN(X, b, g) W
loss = 1/2 trace(E^t E)
"""
    written = """E = Y - (norm((norm(X W, 1e-5) ∘ (C g) + C b) W, 1e-5) ∘ (C g) + C b)
  - (norm(X, 1e-5) ∘ (C b) + C g) W"""
    by_hand = "\n".join(line for line in text.splitlines() if "LN" not in line)
    by_hand = by_hand.replace("loss =", written + "\nloss =")
    assert fc.load(text).loss is fc.load(by_hand).loss


def test_a_function_by_columns_is_its_transpose():
    assert str(fc.load(SQUARE + "f(X) = V X\nloss = trace(V f^t(W))\n").loss) == "trace(V (W^t V^t))"


def test_a_parameter_hides_a_letter_of_the_page():
    page = SQUARE + "f(V) = V V\nloss = trace(f(W)) + trace(V V^t)\n"
    assert str(fc.load(page).loss) == "trace(W W) + trace(V V^t)"


def test_what_a_page_consists_of():
    page = fc.load(SQUARE + "f(X) = X X\nloss = trace(f(W))\ndW : -2 W\n").source
    [function] = [part for part in page.statements if isinstance(part, Function)]
    assert (function.name, function.parameters, function.body.text.strip()) == ("f", ("X",), "X X")
    [coefficient] = page.backward
    assert isinstance(coefficient, Coefficient)
    assert f"{coefficient.letter.differential} : {coefficient.value}" == "dW : -2 W"


def test_a_descending_block_knows_the_letters_of_the_ascending_one():
    page = fc.load(fc.derive(fc.load("encoder")).page).source
    up, down = (next(part for part in parts if isinstance(part, Layers)) for parts in (page.statements, page.backward))
    assert not up.is_descending
    assert down.is_descending
    assert up.family == down.family
    assert [(s.letter.name, s.next.name, s.start.name, s.end.name) for s in down.states] == [
        ("G_{i+1}", "G_i", "G_L", "G_0")
    ]
