"""The reference evaluator."""

from fractions import Fraction

import numpy as np
import pytest

import formcalc as fc
from formcalc import manual
from formcalc.algebra import Letter, Product, Symbol
from formcalc.errors import ArrayError, EvaluationError
from substitution import random_arrays

SHAPES = {"A": ("T", "d"), "B": ("d", "n"), "S": ("T", "T"), "b": (1, "d"), "C": ("T", 1), "W": ("d", "d")}


def parse(text, **options):
    return fc.parse(text, SHAPES, roles={"C": "ones"}, **options)


def arrays(dtype=np.float64):
    generator = np.random.default_rng(0)
    sizes = {"A": (3, 4), "B": (4, 2), "S": (3, 3), "b": (1, 4), "W": (4, 4)}
    return {name: generator.normal(size=size).astype(dtype) for name, size in sizes.items()}


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


NUMPY = {
    "A B": lambda a: a["A"] @ a["B"],
    "A^t S": lambda a: a["A"].T @ a["S"],
    "2/3 A - A": lambda a: -a["A"] / 3,
    "A + C b": lambda a: a["A"] + a["b"],
    "A ∘ A": lambda a: a["A"] ** 2,
    "d^{-1/2} n A": lambda a: a["A"] * 2 / 4**0.5,
    "pi^{1/2} A": lambda a: a["A"] * np.pi**0.5,
    "trace(A W A^t)": lambda a: np.trace(a["A"] @ a["W"] @ a["A"].T),
    "trace(W) 2 A": lambda a: 2 * np.trace(a["W"]) * a["A"],
    "a(S) A": lambda a: softmax(a["S"]) @ a["A"],
    "a^t(A)": lambda a: softmax(a["A"].T).T,
    "m(A)": lambda a: np.maximum(0, a["A"]),
    "mm(A, A + A)": lambda a: 2 * np.where(a["A"] > 0, a["A"], 0),
    "1_{T×d} W": lambda a: np.tile(a["W"].sum(axis=0), (3, 1)),
    "I_{d} W": lambda a: a["W"],
    "C^t A": lambda a: a["A"].sum(axis=0, keepdims=True),
    "T d n": lambda _: 24.0,
}  # fmt: skip


@pytest.mark.parametrize("text", NUMPY)
def test_values_are_what_numpy_computes(text):
    found = fc.evaluate(parse(text), arrays(), T=3, d=4, n=2)
    np.testing.assert_allclose(found, NUMPY[text](arrays()), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("text", NUMPY)
def test_float32_stays_float32(text):
    found = fc.evaluate(parse(text), arrays(np.float32), T=3, d=4, n=2)
    assert np.asarray(found).dtype == (np.float64 if text == "T d n" else np.float32)
    np.testing.assert_allclose(found, NUMPY[text](arrays()), rtol=1e-4, atol=1e-5)


def test_dtype_may_be_chosen():
    assert fc.evaluate(parse("A B"), arrays(), dtype="float32").dtype == np.float32
    assert fc.evaluate(parse("A B"), arrays(np.float32), dtype=np.float64).dtype == np.float64
    exact = fc.evaluate(parse("1/3 A B"), arrays(), dtype=object)
    assert {type(entry) for entry in exact.flat} == {Fraction}


def test_integers_become_float64():
    assert fc.evaluate(parse("A"), {"A": np.array([[1, 2]])}).dtype == np.float64
    assert fc.evaluate(parse("A"), {"A": [[True, False]]}).tolist() == [[1.0, 0.0]]


def exact(rows):
    return np.array([[Fraction(entry) for entry in row] for row in rows], dtype=object)


def test_fractions_stay_exact():
    given = {"A": exact([["1/3", "-1/7", 2, 0]]), "W": exact(np.eye(4, dtype=int) * 3)}
    found = fc.evaluate(parse("1/2 A W + d^{1/2} mm(A, A) - m(A) ∘ A"), given)
    row = [Fraction(1, 2) + Fraction(2, 3) - Fraction(1, 9), Fraction(-3, 14), 3 + 4 - 4, 0]
    assert found.tolist() == [row]
    assert fc.evaluate(parse("trace(A W A^t)"), given) == 3 * sum(entry**2 for entry in given["A"][0])


def test_exact_ones_and_identities():
    assert fc.evaluate(parse("1_{T×d} W I_{d}"), {"W": exact([[1, 2], [3, 4]])}, T=1).tolist() == [[4, 6]]


def test_exact_refuses_the_irrational():
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(parse("d^{-1/2} A"), {"A": exact([[1, 2, 3]])})
    assert str(error.value) == (
        "d^{-1/2} with d = 3 is irrational: exact arithmetic needs a perfect power, such as 4 under a root"
    )
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(parse("pi A"), {"A": exact([[1]])})
    assert str(error.value) == "pi is irrational: exact arithmetic needs a perfect power, such as 4 under a root"
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(parse("a(A)"), {"A": exact([[1]])})
    assert str(error.value) == ("a is transcendental and has no exact value: use float64, or an expression without it")
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(parse("reciprocal(A)"), {"A": exact([[1, 0]])})
    assert str(error.value) == "reciprocal(A) divides by zero"


def test_softmax_of_scores_of_ten_thousand():
    found = fc.evaluate(parse("a(S)"), {"S": np.array([[1e4, -1e4], [9999.0, 1e4]])})
    np.testing.assert_allclose(found, [[1, 0], [1 / (1 + np.e), np.e / (1 + np.e)]], rtol=1e-12)


def test_a_deep_expression_does_not_exhaust_recursion():
    deep = parse("A")
    for _ in range(5_000):
        deep = deep + parse("A")
    assert fc.evaluate(deep, {"A": np.ones((1, 1))}) == [[5_001.0]]


# Letters with definitions


def test_definitions_are_computed_unless_given():
    body = parse("A B")
    H = Letter(Symbol("H", body.shape, "defined", body))
    expression = fc.parse("H^t H", {"H": H})
    given = arrays()
    value = given["A"] @ given["B"]
    np.testing.assert_allclose(fc.evaluate(expression, given), value.T @ value)
    assert fc.evaluate(expression, {"H": np.full((1, 1), 3.0)}) == [[9.0]]


def test_two_letters_of_one_name_are_refused():
    expression = parse("A") + Letter(Symbol("A", ("T", "d"), "data"))
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(expression, arrays())
    assert str(error.value) == "two different letters are named A: rename one of them"


# Forms


@pytest.mark.parametrize("page", fc.models())
def test_coefficients_have_the_shape_of_the_transposed_weight(page):
    model = fc.load(page)
    coefficients = fc.evaluate(fc.derive(model), fc.sample(model))
    assert {name: c.shape for name, c in coefficients.items()} == {
        name: (*axes, columns, rows) for name in model.weights for *axes, rows, columns in [model.shapes[name]]
    }


def test_a_form_in_float32_is_close_to_float64():
    form = fc.derive(fc.load("encoder", L=2))
    given = fc.sample(form.model)
    single, double = fc.evaluate(form, given, dtype="float32"), fc.evaluate(form, given)
    for name in form:
        assert single[name].dtype == np.float32
        np.testing.assert_allclose(single[name], double[name], rtol=1e-2, atol=1e-4)


def test_one_summand_alone_has_a_number():
    form = fc.derive(fc.load("encoder", L=2))
    given = fc.sample(form.model)
    words = form.words("W_0")
    summands = [fc.evaluate(word, given, **form.model.sizes) for word in words]
    np.testing.assert_allclose(sum(summands), fc.evaluate(form, given)["W_0"], rtol=1e-12)


def test_the_manuals_product_evaluates_in_the_exact_dialect():
    model = fc.load("encoder-product", T=3, n=4)
    assert fc.verify(fc.derive(model), oracle="jax").ok


def test_a_literal_factor_of_the_manual_is_refused_with_the_reason():
    literal = fc.parse("aa(S) A", SHAPES, dialect="manual")
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(literal, arrays())
    assert str(error.value) == (
        "aa(S) has no number: the literal reading writes the differential of softmax as a left factor, but it is a "
        "four-tensor that acts on the square differential after it, and cycle tears that operand apart. Derive in the "
        "exact dialect, where it is a linear operator letter aa(S, R)."
    )
    coefficient = Product(*manual.forms(1)[0][:-1])
    sizes = {"T": 2, "n_0": 2, "v_0": 2}
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(coefficient, random_arrays(coefficient, sizes), **sizes)
    assert str(error.value) == (
        "mm(a(n_0^{-1/2} X_0 Q_0 K_0^t  ... X_0 V_0 + C b_0, W_0 E^t) has no number: the manual's dialect leaves the "
        "mask of a shifted mm untransposed. Derive in the exact dialect, where shiftmm transposes it."
    )


# Errors


def test_a_differential_has_no_number():
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(parse("A dB"), arrays())
    assert str(error.value) == (
        "dB carries a differential and has no number: evaluate a coefficient, the factor before it"
    )


def test_what_is_neither_expression_nor_form_is_refused():
    with pytest.raises(EvaluationError) as error:
        fc.evaluate("A B", {})
    assert str(error.value) == "evaluate takes an expression or a form, not str"
    with pytest.raises(ArrayError) as error:
        fc.evaluate(parse("A"), [np.ones((1, 1))])
    assert str(error.value) == "arrays are a mapping from letter names to matrices, not list"


def test_an_unknown_size_is_named():
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(parse("k^{-1/2} A"), arrays())
    assert str(error.value) == ("the size of dimension k is unknown: no array has it as a shape; give k=...")


def test_overflow_is_reported_where_it_arises():
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(parse("A A^t A"), {"A": np.full((2, 2), 1e200)})
    assert str(error.value) == "A A^t A overflows: some entries are nan or infinite; rescale its letters"
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(parse("log(A)"), {"A": np.array([[1.0, -1.0]])})
    assert str(error.value) == (
        "log(A) is not finite where log is undefined: some entries are nan or infinite; rescale its letters"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no array for A, B"),
        ({"A": np.ones((3, 4))}, "no array for B; given: A"),
        ({"A": np.ones((3, 4)), "b": np.ones((1, 4))}, "no array for B; given: A, b"),
        ({"A": np.ones((3, 4)), "B_": np.ones((4, 2))}, "no array for B; did you mean 'B_'?"),
        (
            {"A": np.ones((3, 4)), "B": np.ones(4)},
            "B: a letter is a matrix with 2 axes, this array has 1; reshape it with B.reshape(1, -1)",
        ),
        (
            {"A": np.ones((3, 4)), "B": np.ones((1, 4, 2))},
            "B: a letter is a matrix with 2 axes, this array has 3",
        ),
        ({"A": np.ones((3, 4)), "B": 1.0}, "B: a letter is a matrix with 2 axes, this array has 0"),
        ({"A": np.ones((3, 4)), "B": np.ones((0, 2))}, "B: the array is empty, its shape is 0×2"),
        (
            {"A": np.ones((3, 4)), "B": np.ones((5, 2))},
            "B: the array is 5×2, but d = 4, since A has 4 columns",
        ),
        (
            {"A": np.ones((3, 4)), "B": np.array([["x", "y"]])},
            "B: entries are <U1, not real numbers; convert the array to float64",
        ),
        (
            {"A": np.ones((3, 4)), "B": np.ones((4, 2), complex)},
            "B: entries are complex128, not real numbers; convert the array to float64",
        ),
        (
            {"A": np.ones((3, 4)), "B": np.ones((4, 2), np.float16)},
            "B: float16 is too coarse for a reference; convert the array to float32 or float64",
        ),
        (
            {"A": np.ones((3, 4)), "B": np.array([[1.0, np.nan], [1.0, 1.0]])},
            "B: entry [0, 1] is nan; every entry must be finite",
        ),
        (
            {"A": np.ones((3, 4)), "B": np.array([[1.0, 1.0], [-np.inf, 1.0]])},
            "B: entry [1, 0] is -inf; every entry must be finite",
        ),
        (
            {"A": np.ones((3, 4)), "B": np.array([[1, 0.5]], dtype=object)},
            "B: entry [0, 1] is 0.5; exact arrays hold int or Fraction",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ArrayError) as error:
        fc.evaluate(parse("A B"), given)
    assert str(error.value) == message


def test_a_ragged_list_is_no_array():
    with pytest.raises(ArrayError, match=r"^A: no array: "):
        fc.evaluate(parse("A"), {"A": [[1.0, 2.0], [3.0]]})


def test_a_fixed_dimension_is_checked():
    with pytest.raises(ArrayError) as error:
        fc.evaluate(parse("C b"), {"b": np.ones((2, 4))})
    assert str(error.value) == "b: the array is 2×4, it should have 1 rows (1×d)"


def test_a_letter_of_ones_may_be_given_only_as_ones():
    assert fc.evaluate(parse("C^t A"), {"A": np.ones((2, 1)), "C": np.ones((2, 1))}) == [[2.0]]
    with pytest.raises(ArrayError) as error:
        fc.evaluate(parse("C^t A"), {"A": np.ones((2, 1)), "C": np.full((2, 1), 2.0)})
    assert str(error.value) == "C: this letter is ones; leave its array out, or give exactly that"
    letters = {"J": Letter(Symbol("J", ("d", "d"), "identity"))}
    with pytest.raises(ArrayError) as error:
        fc.evaluate(fc.parse("J", letters), {"J": np.ones((2, 2))})
    assert str(error.value) == "J: this letter is identity; leave its array out, or give exactly that"


def test_a_size_given_and_shown_is_that_of_the_arrays():
    assert fc.evaluate(parse("d A"), {"A": np.ones((1, 2))}, d=7).tolist() == [[2.0, 2.0]]
