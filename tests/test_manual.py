"""The manual's own lines."""

import pytest

import formcalc as fc
from formcalc import manual
from formcalc.errors import FormError
from formcalc.manual import (
    cycle,
    encoder,
    expandAll,
    expandmm,
    flatten,
    form,
    forms,
    html,
    matrix,
    oplus,
    otimes,
    shiftmm,
    show,
    string,
)


def test_three_views_of_an_expression(capsys):
    A, B = matrix("A"), matrix("B")
    Y = otimes(oplus(A, B), A)
    show(Y)
    show(string(Y))
    show(html(Y))
    assert capsys.readouterr().out == ("(A + B) A\n(A + B) A\n(<i>A</i> + <i>B</i>) <i>A</i>\n")


def test_expandall_of_the_manual_square():
    A, B = matrix("A"), matrix("B")
    Y = otimes(oplus(A, B), A)
    assert string(expandAll(otimes(Y, Y))) == "A A A A + A A B A + B A A A + B A B A"


def test_d_of_relu_and_of_softmax():
    Z, S = matrix("Z"), matrix("S")
    assert str(manual.d(fc.parse("m(Z)", {"Z": Z}))) == "mm(Z, dZ)"
    assert str(manual.d(fc.parse("a(S)", {"S": S}))) == "aa(S) dS"


def test_only_q_k_w_and_f_of_an_encoder_are_differentiated():
    text = str(form(encoder(2)))
    assert all(f"d{name}_{i}" in text for name in "QKWf" for i in (0, 1))
    assert not any(f"d{name}" in text for name in "VbXC")


def test_the_passes_are_the_same_objects_under_both_spellings():
    assert manual.expandAll is fc.expand_all is fc.expandAll
    assert manual.expandmm is fc.expand_mm is fc.expandmm
    assert manual.shiftmm is fc.shift_mm is fc.shiftmm
    assert manual.flatten is fc.flatten
    assert manual.cycle is fc.cycle


def test_z_has_sixteen_terms_and_one_summand_goes_through_the_passes_alone():
    z = flatten(expandmm(expandAll(form(encoder(2)))))
    assert z.length == len(z) == 16
    s_0 = "n_0^{-1/2} X_0 Q_0 K_0^t X_0^t"
    z_0 = f"a({s_0}) X_0 V_0 + C b_0"
    assert str(z[13]) == f"E^t C f_1 mm({z_0}, aa({s_0}) n_0^{{-1/2}} X_0 Q_0 dK_0^t X_0^t X_0 V_0) W_0"
    shifted = f"mm({z_0}, W_0 E^t C f_1) aa({s_0}) n_0^{{-1/2}} X_0 Q_0 dK_0^t X_0^t X_0 V_0"
    assert str(shiftmm(z[13])) == shifted
    cycled = f"X_0^t X_0 V_0 mm({z_0}, W_0 E^t C f_1) aa({s_0}) n_0^{{-1/2}} X_0 Q_0 dK_0^t"
    assert str(cycle(shiftmm(z[13]))) == cycled


def test_forms_counts_from_one():
    assert forms(2, 4) is forms(2)[3]
    assert forms(2).length == 16


@pytest.mark.parametrize("k", [0, 17, -1, True])
def test_forms_refuses_a_summand_that_is_not_there(k):
    with pytest.raises(FormError) as error:
        forms(2, k)
    assert str(error.value) == f"forms(2, {k}): there are 16 summands, counted from 1"


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_encoder_refuses_what_is_no_number_of_layers(n):
    with pytest.raises(FormError) as error:
        encoder(n)
    assert str(error.value) == f"encoder(n) takes a number of layers, 1 or more, not {n!r}"


def test_a_printed_form_of_the_manual_parses_back_in_its_dialect():
    letters = manual.layer_letters(0) | manual.layer_letters(1) | {"E": ("T", "T")}
    roles = {"X_0": "data", "X_1": "data", "C": "ones", "E": "data"}
    for word in forms(2):
        assert fc.parse(str(word), letters, roles=roles, dialect="manual") is word
