"""From a model to one coefficient per weight."""

import pytest

import formcalc as fc
from formcalc.algebra import Letter, postorder
from formcalc.calculus.cyclic import under_trace
from formcalc.errors import FormError
from formcalc.language.model import below
from pages import answering


def test_the_coefficients_of_one_encoder_layer():
    form = fc.derive(fc.load("encoder", L=1))
    assert {name: str(form[name]) for name in form} == {
        "Q_0": "n^{-1/2} K_0^t X_0^t U_0 X_0",
        "K_0": "n^{-1/2} Q_0^t X_0^t U_0^t X_0",
        "V_0": "M_0 a(S_0) X_0",
        "b_0": "M_0 C",
        "W_0": "G_1 m(Z_0)",
        "f_0": "G_1 C",
    }
    assert {letter.name: str(letter.definition) for letter in form.cotangents} == {
        "G_1": "E^t",
        "M_0": "mm(Z_0^t, W_0 G_1)",
        "U_0": "aa^t(S_0^t, X_0 V_0 M_0)",
        "G_0": "V_0 M_0 a(S_0) + n^{-1/2} (Q_0 K_0^t X_0^t U_0 + K_0 Q_0^t X_0^t U_0^t)",
    }


def test_the_cotangents_of_two_layers_are_those_of_the_page():
    names = [letter.name for letter in fc.derive(fc.load("encoder", L=2)).cotangents]
    assert names == ["G_2", "M_1", "U_1", "G_1", "M_0", "U_0", "G_0"]


def test_every_coefficient_has_the_shape_of_the_transposed_weight():
    model = fc.load("encoder", L=2, T=3, d=4, n=2, v=5)
    for name, coefficient in fc.derive(model).items():
        assert coefficient.shape == model.letters[name].shape[::-1]


@pytest.mark.parametrize("layers", [1, 4, 16])
def test_the_shared_form_grows_linearly(layers):
    form = fc.derive(fc.load("encoder", L=layers))
    assert len(form.cotangents) == 3 * layers + 1
    nodes = {node for letter in form.cotangents for node in postorder(letter.definition)}
    assert len(nodes) <= 60 * layers


def test_a_bare_expression_has_the_form_of_its_error():
    letters = {"X": ("T", "d"), "W": ("d", "v"), "V": ("v", "d")}
    form = fc.derive(fc.parse("m(X W) V", letters, roles={"X": "data"}))
    assert {name: str(form[name]) for name in form} == {"W": "mm(W^t X^t, V E^t) X", "V": "E^t m(X W)"}


def test_traces_are_scalars_like_others():
    letters = dict.fromkeys("ABW", ("n", "n"))
    form = fc.derive(fc.parse("A trace(B W) A", letters), wrt=["W"])
    assert str(form["W"]) == "trace(A E^t A) B"


def test_wrt_chooses_the_weights_and_their_order():
    model = fc.load("encoder", L=2)
    assert list(fc.derive(model, wrt=["f_1", "Q_0"])) == ["f_1", "Q_0"]
    assert fc.derive(model, wrt=["X_0"])["X_0"].shape == model.letters["X_0"].shape[::-1]
    assert str(fc.derive(model, wrt=["f_1"])["f_1"]) == "G_2 C"


def test_a_weight_the_loss_does_not_use_has_the_coefficient_zero():
    form = fc.derive(answering({"X": ("T", "d"), "W": ("d", "d"), "V": ("d", "d")}, {}, "X W"))
    assert str(form["V"]) == "0 1_{d×d}"


def test_a_form_is_a_mapping():
    form = fc.derive(fc.load("encoder", L=1))
    assert list(form) == form.model.weights
    assert len(form) == 6
    assert "Q_0" in form
    assert "X_0" not in form
    assert [str(word[-1]) for word in form.one_form] == [f"d{name}" for name in form]


def test_steps_lead_from_the_loss_to_the_weight():
    passages = fc.derive(fc.load("encoder", L=2)).steps("Q_0")
    assert [passage.name for passage in passages] == ["loss", "E", "X_{i+1}", "Z_i", "S_i"]
    assert [stage.name for stage in passages[0].stages] == ["expandAll", "expandmm", "flatten", "shiftmm", "cycle"]
    assert any(stage.steps for stage in passages[-1].stages)
    assert {letter.name for letter in passages[-1].contributions} == {"X_i", "Q_i", "K_i"}


# Names of cotangents


@pytest.mark.parametrize("taken", ["G", "M", "U", "H", "GMU", "GMUHNRPJBD"])
def test_cotangents_never_take_a_name_of_the_page(taken):
    weights = dict.fromkeys(taken, ("d", "d"))
    chain = " ".join(taken)
    model = answering(
        {"X": ("T", "d"), **weights},
        {"Z_0": f"X {chain}", "A_0": f"m(Z_0) {chain} + X", "S": "m(A_0) + A_0", "Q": "tanh(S) + S"},
        "Q + m(Q)",
        data=["X"],
    )
    form = fc.derive(model)
    own = {*model.letters, *(letter.name for letter in model.definitions), *model.dimensions}
    names = [letter.name for letter in form.cotangents]
    assert len(names) == len(set(names)) >= 3
    assert not own & {name.split("_")[0] for name in names}
    assert fc.verify(form, oracle="torch").ok


def test_cotangents_of_one_family_share_a_letter_and_differ_in_the_index():
    names = [letter.name for letter in fc.derive(fc.load("encoder", L=3)).cotangents]
    assert [name for name in names if name[0] == "M"] == ["M_2", "M_1", "M_0"]
    assert [name for name in names if name[0] == "G"] == ["G_3", "G_2", "G_1", "G_0"]


def test_a_dimension_keeps_its_name():
    model = answering({"X": ("T", "d"), "W": ("d", "M"), "V": ("M", "d")}, {"Z": "X W"}, "m(Z) V", data=["X"])
    assert [letter.name for letter in fc.derive(model).cotangents] == ["G"]


def test_a_differential_of_the_page_is_no_cotangent():
    # a letter named dG would read as the differential of a cotangent G
    model = answering({"X": ("T", "d"), "dG": ("d", "d")}, {"Z": "X dG"}, "m(Z)", data=["X"])
    assert [letter.name for letter in fc.derive(model).cotangents] == ["M"]


def test_definitions_that_the_loss_does_not_reach_are_left_out():
    model = answering({"X": ("T", "d"), "W": ("d", "d")}, {"Z": "X W", "A": "m(Z)"}, "Z", data=["X"])
    reached = {node.name for node in postorder(fc.derive(model)["W"], below) if isinstance(node, Letter)}
    assert "A" not in reached


# Errors


def test_an_unknown_coefficient_is_refused():
    form = fc.derive(fc.load("encoder", L=1))
    with pytest.raises(FormError) as error:
        form["Q_1"]
    assert str(error.value) == "the form has no coefficient of dQ_1; did you mean 'Q_0'?"
    with pytest.raises(FormError) as error:
        form.words("omega")
    assert str(error.value) == ("the form has no coefficient of domega; coefficients: Q_0, K_0, V_0, b_0, W_0, f_0")
    with pytest.raises(FormError, match=r"^the form has no coefficient of dQ_7; did you mean"):
        form.steps("Q_7")


@pytest.mark.parametrize(
    ("wrt", "message"),
    [
        (["Q_9"], "Q_9 is no letter of encoder to differentiate by; did you mean 'Q_0'?"),
        (
            ["C"],
            "C is no letter of encoder to differentiate by; its letters: X_0, Y, Q_0, K_0, V_0, b_0, W_0, f_0",
        ),
        (["S_0"], "S_0 is no letter of encoder to differentiate by; it abbreviates n^{-1/2} X_0 Q_0 K_0^t X_0^t"),
        ([], "encoder has no weights to differentiate by"),
    ],
)
def test_weights_that_are_none_are_refused(wrt, message):
    with pytest.raises(FormError) as error:
        fc.derive(fc.load("encoder", L=1), wrt=wrt)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "trace(A B)",
            "trace(A B) is no matrix expression: a form is derived from a matrix without differentials",
        ),
        ("A dB", "A dB is no matrix expression: a form is derived from a matrix without differentials"),
        (
            "E A",
            "the letter E names the error of the form trace(E^t dF): give the expression's own E another name",
        ),
    ],
)
def test_expressions_without_a_form_are_refused(text, message):
    with pytest.raises(FormError) as error:
        fc.derive(fc.parse(text, dict.fromkeys("ABE", ("n", "n"))))
    assert str(error.value) == message


def test_a_one_form_outside_of_a_trace_is_refused():
    with pytest.raises(FormError) as error:
        under_trace(fc.parse("-dA", {"A": (1, 1)}))
    assert str(error.value) == "-dA is no trace of a one-form: write the loss with trace(...)"
