"""The exterior derivative."""

import numpy as np
import pytest

import formcalc as fc
from formcalc import manual
from formcalc.algebra import Hadamard, Letter, Symbol, Trace, postorder
from formcalc.calculus import unfold
from formcalc.calculus.expansion import terms
from formcalc.errors import FormError, ParseError, ShapeError
from substitution import fresh

SQUARE = dict.fromkeys("ABCGPQRSVWXZK", ("n", "n"))


def square(text, **options):
    return fc.parse(text, SQUARE, **options)


def d(text, *names):
    return str(fc.d(square(text), wrt=names))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W", "dW"),
        ("W^t", "dW^t"),
        ("A W B", "A dW B"),
        ("W A W", "dW A W + W A dW"),
        ("A + 2 W - W^t", "2 dW - dW^t"),
        ("(A W)^t B", "(dW^t A^t) B"),
        ("n^{-1/2} A W", "n^{-1/2} A dW"),
        ("trace(A W)", "trace(A dW)"),
        ("trace(W) W", "trace(dW) W + trace(W) dW"),
        ("A ∘ W", "A ∘ dW"),
        ("W ∘ W", "dW ∘ W + W ∘ dW"),
        ("m(A W)", "mm(A W, A dW)"),
        ("a(W)", "aa(W, dW)"),
        ("a^t(W)", "aa^t(W, dW)"),
        ("a(W)^t", "aa^t(W^t, dW^t)"),
        ("exp(m(W))", "exp'(m(W), mm(W, dW))"),
        ("mm(A, W)", "mm(A, dW)"),
        ("aa^t(A, W B)", "aa^t(A, dW B)"),
    ],
)
def test_rules_of_d(text, expected):
    assert d(text, "W") == expected


def test_constants_go_to_zero():
    assert d("m(A) B", "W") == "0 (m(A) B)"
    assert d("3", "W") == "0 3"
    assert str(fc.d(fc.parse("1_{n×n} + I_n", {"A": ("n", "n")}))) == "0 (1_{n×n} + I_{n})"


def test_step_is_locally_constant():
    assert d("step(W)", "W") == "0 step(W)"


def test_by_default_every_weight_and_nothing_else_is_differentiated():
    expression = square("A X W", roles={"X": "data"})
    assert str(fc.d(expression)) == "dA X W + A X dW"
    assert str(fc.d(expression, wrt=["X"])) == "A dX W"
    assert str(fc.d(expression, wrt=[])) == "0 (A X W)"


def test_definitions_are_read_through():
    body = square("A W")
    H = Letter(Symbol("H", body.shape, "defined", body))
    expression = fc.parse("m(H)^t B", {**SQUARE, "H": H})
    assert str(fc.d(expression, wrt=["W"])) == "mm(H^t, dW^t A^t) B"


def test_a_definition_named_in_wrt_is_a_letter():
    body = square("A W")
    H = Letter(Symbol("H", body.shape, "defined", body))
    assert fc.d(H, wrt=["H", "W"]) is H.differential


@pytest.mark.parametrize("text", ["A W", "W", "m(W)", "trace(A W)", "W^t ∘ A"])
def test_d_of_d_is_zero_on_differential_letters(text):
    once = fc.d(square(text), wrt=["W"])
    assert fc.d(once, wrt=["W"]) == 0 * once


def test_the_second_differential_of_a_word_with_two_equal_letters_is_symmetric_in_them():
    assert str(fc.d(fc.d(square("W A W"), wrt=["W"]), wrt=["W"])) == "dW A dW + dW A dW"


def test_d_commutes_with_transposition():
    for text in ("A W B", "m(A W) a(W^t)", "A ∘ a^t(W)", "aa^t(W, A)"):
        expression = square(text)
        turned, differential = fc.d(expression.T, wrt=["W"]), fc.d(expression, wrt=["W"]).T
        assert set(terms(turned)) == set(terms(differential))


def test_a_deep_expression_does_not_exhaust_recursion():
    deep = W = square("W")
    for _ in range(5000):
        deep = fc.parse("m(P)", {"P": Letter(Symbol("P", deep.shape))}).rebuild((deep,))
    inner = fc.d(deep, wrt=["W"])
    assert sum(1 for node in postorder(inner) if node is W.differential) == 1


def test_a_differential_inside_a_nonlinear_argument_is_refused():
    with pytest.raises(ShapeError) as error:
        square("m(A)").rebuild((square("dW"),))
    assert str(error.value) == (
        "m(dW): a differential stands in an argument that m is not linear in; differentiate m(...) as a whole with d"
    )
    with pytest.raises(ParseError, match=r"^aa.*: a differential stands in an argument that aa is not linear in"):
        square("aa(dW, A)")


# The manual's dialect


def test_the_manual_writes_softmax_as_a_factor():
    assert str(fc.d(square("a(W) A"), wrt=["W"], dialect="manual")) == "(aa(W) dW) A"


def test_what_the_manual_cannot_say_is_refused():
    with pytest.raises(FormError) as error:
        manual.d(square("a^t(W)"))
    assert str(error.value) == "a^t(W): the manual's dialect does not differentiate a softmax by columns"
    literal = square("mm(W, A)", dialect="manual")
    with pytest.raises(FormError) as error:
        fc.d(literal, wrt=["W"])
    assert str(error.value) == "mm(W, A) is of the manual's dialect, which has first differentials only: use exact"
    with pytest.raises(FormError) as error:
        unfold(literal)
    assert str(error.value) == "mm(W, A) is of the manual's dialect and cannot be unfolded: use the exact dialect"


# form


def test_form_puts_the_error_before_the_differential():
    assert str(fc.form(square("A W B"), wrt=["W"])) == "E^t A dW B"
    assert str(fc.form(square("W A W"), wrt=["W"])) == "E^t (dW A W + W A dW)"


def test_form_refuses_an_expression_that_uses_the_letter_of_the_error():
    with pytest.raises(FormError) as error:
        fc.form(fc.parse("E X", {"E": ("n", "n"), "X": ("n", "n")}))
    assert str(error.value) == (
        "the letter E names the error of the form E^t dF: give the expression's own E another name"
    )


# Numbers


@pytest.mark.parametrize("text", ["W A W^t", "m(A W) a(W) + W", "(A W) ∘ exp(W)", "a^t(W A) ∘ W", "aa(A W, W A)"])
def test_d_is_the_limit_of_the_difference_quotient(text):
    expression = square(text)
    generator = np.random.default_rng(0)
    arrays = {name: generator.normal(size=(3, 3)) for name in SQUARE}
    along, step = generator.normal(size=(3, 3)), 1e-4
    ahead, behind = (fc.evaluate(expression, {**arrays, "W": arrays["W"] + s * step * along}) for s in (1, -1))
    found = fc.evaluate(fresh(fc.d(expression, wrt=["W"])), {**arrays, "dW": along})
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-7)


def test_unfold_contains_no_linear_letter():
    unfolded = unfold(square("aa^t(W, A)"))
    assert str(unfolded) == "a^t(W) ∘ A - a^t(W) ∘ (1_{n×1} colsum(a^t(W) ∘ A))"
    assert isinstance(unfolded[0], Hadamard)


def test_trace_of_d_is_d_of_trace():
    expression = square("m(A W) B")
    assert fc.d(Trace(expression), wrt=["W"]) is Trace(fc.d(expression, wrt=["W"]))
