"""The stock models and their sizes."""

import pytest

import formcalc as fc


@pytest.mark.parametrize("name", fc.models())
def test_every_stock_model_is_verified_at_its_default_sizes(name):
    report = fc.verify(fc.derive(fc.load(name)), oracle="jax")
    assert report.ok
    assert report.max_relative_error < 1e-9


def test_the_encoder_names_its_letters_as_the_manual_does():
    model = fc.load("encoder", L=2, T=5, d=6, n=4, v=3)
    assert model.weights == [f"{name}_{i}" for i in (0, 1) for name in "QKVbWf"]
    assert model.shapes == {
        "X_0": (5, 6), "Y": (5, 6), "C": (5, 1),
        "Q_0": (6, 4), "K_0": (6, 4), "V_0": (6, 3), "b_0": (1, 3), "W_0": (3, 6), "f_0": (1, 6),
        "Q_1": (6, 4), "K_1": (6, 4), "V_1": (6, 3), "b_1": (1, 3), "W_1": (3, 6), "f_1": (1, 6),
    }  # fmt: skip


def test_keys_and_values_are_as_wide_as_the_model_unless_said():
    sizes = fc.load("encoder", T=5, d=16).sizes
    assert (sizes["n"], sizes["v"]) == (16, 16)
    assert fc.load("encoder", d=16, n=4).sizes["n"] == 4


def test_the_layers_are_equation_one():
    model = fc.load("encoder", L=1)
    assert [f"{letter} = {letter.definition}" for letter in model.definitions] == [
        "S_0 = n^{-1/2} X_0 Q_0 K_0^t X_0^t",
        "Z_0 = a(S_0) X_0 V_0 + C b_0",
        "X_1 = m(Z_0) W_0 + C f_0",
        "E = Y - X_1",
    ]
    assert str(model.loss) == "1/2 trace(E^t E)"


def test_the_product_reading_multiplies_the_layers():
    definitions = {letter.name: str(letter.definition) for letter in fc.load("encoder-product", L=3).definitions}
    assert [definitions[f"P_{i}"] for i in range(4)] == ["I_{T}", "F_0 P_0", "F_1 P_1", "F_2 P_2"]
    assert definitions["E"] == "Y - P_3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"page": "encoderr"}, "unknown model 'encoderr'; did you mean 'encoder'?"),
        (
            {"page": "resnet"},
            f"unknown model 'resnet'; stock models: {', '.join(fc.models())}; a file of your own ends in .fc",
        ),
        ({"page": "encoder", "h": 2}, "encoder has no dimension 'h'; its dimensions: T, d, n, v, L"),
        ({"page": "encoder", "L": 0}, "dimension L of encoder is a positive integer, not 0"),
        ({"page": "encoder", "T": 2.5}, "dimension T of encoder is a positive integer, not 2.5"),
        ({"page": "encoder", "T": True}, "dimension T of encoder is a positive integer, not True"),
    ],
)
def test_a_wrong_name_or_size_is_one_clear_error(arguments, message):
    with pytest.raises(fc.FormcalcError) as error:
        fc.load(**arguments)
    assert str(error.value) == message
