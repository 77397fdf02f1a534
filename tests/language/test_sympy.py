"""SymPy gets the same mathematics: the same numbers, by SymPy's own arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import formcalc as fc
from formcalc.algebra import Apply, Letter, Symbol, postorder
from formcalc.errors import EvaluationError
from formcalc.language.sympy_expressions import to_sympy
from formcalc.operators import Differential
from strategies import SIZES, expressions

LETTERS = {"X": ("T", "n"), "Q": ("d", "n"), "S": ("n", "n"), "C": ("T", "n")}


def parsed(text, **options):
    return fc.parse(text, LETTERS, roles={"C": "ones"}, **options)


def numbers(expression, seed):
    """An array for every letter, with short decimals, so that SymPy's rationals stay small."""
    drawn = np.random.default_rng(seed)
    return {
        node.name: drawn.integers(-30, 30, size=[SIZES.get(str(n), n.value) for n in node.symbol.shape]) / 16 + 1 / 64
        for node in postorder(expression)
        if isinstance(node, Letter) and not node.symbol.is_constant
    }


def by_sympy(expression, arrays):
    """The value by SymPy, in 30 digits."""
    found = to_sympy(expression, SIZES)
    found = found.replace(lambda part: isinstance(part, sp.Trace), lambda trace: trace.arg.as_explicit().trace())
    found = found.as_explicit() if expression.shape else found
    substitution = {}
    for name, array in arrays.items():
        matrix = sp.MatrixSymbol(name, *array.shape)
        substitution |= {matrix[i, j]: sp.Rational(Fraction(entry)) for (i, j), entry in np.ndenumerate(array)}
    value = found.subs(substitution).evalf(30)
    return np.array(value.tolist() if expression.shape else value, dtype=float)


def is_at_a_kink(expression, arrays):
    """Whether an operator is where its derivative jumps, which SymPy resolves in its own way."""
    for node in postorder(expression):
        if isinstance(node, Apply):
            row = node.operator.of if isinstance(node.operator, Differential) else node.operator
            at = fc.evaluate(node[0], arrays, **SIZES)
            if any((abs(at - kink) < 1e-9).any() for kink in row.kinks):
                return True
    return False


@settings(max_examples=40)
@given(expressions(depth=2, zero=False), st.integers(0, 100))
def test_numbers_agree(expression, seed):
    arrays = numbers(expression, seed)
    try:
        expected = fc.evaluate(expression, arrays, **SIZES)
    except EvaluationError:
        assume(False)  # it overflows
    assume(not is_at_a_kink(expression, arrays))
    found = by_sympy(expression, arrays)
    scale = max(1.0, float(np.max(np.abs(found))))
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11 * scale)


@pytest.mark.parametrize(
    "text", ["S a(S)", "a^t(S) S", "S m(S)", "S aa(S, S) S^t", "aa^t(S S, m(S) S)", "S exp'(S, S)"]
)
def test_operators_inside_products_have_entries(text):
    expression = fc.parse(text, {"S": ("T", "T")})
    arrays = numbers(expression, 1)
    np.testing.assert_allclose(by_sympy(expression, arrays), fc.evaluate(expression, arrays), rtol=1e-12)


def test_entries_of_elementwise_operators_need_no_sizes():
    assert str(to_sympy(parsed("exp(X)"))[0, 1]) == "exp(X[0, 1])"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("X Q^t", "X*Q.T"),
        ("n^{-1/2} S", "1/sqrt(n)*S"),
        ("S - 1/2 S^t", "S - (1/2)*S.T"),
        ("S ∘ S^t", "HadamardProduct(S, S.T)"),
        ("trace(S)", "Trace(S)"),
        ("2 n trace(S)", "2*n*Trace(S)"),
        ("a^t(S)", "Applied(a, True, S)"),
        ("mm(S, S)", "Applied(mm, False, S, S)"),
        ("C", "1"),
        ("I_{n}", "I"),
    ],
)
def test_symbolic_text(text, shown):
    assert str(to_sympy(parsed(text))) == shown


def test_dimensions_are_positive_integers():
    rows, columns = to_sympy(parsed("X")).shape
    assert (rows.is_positive, columns.is_integer) == (True, True)
    assert to_sympy(parsed("X"), {"T": 3}).shape == (3, columns)


def test_letters_with_definitions_stay_letters():
    Z = Letter(Symbol("Z", ("n", "n"), "defined", parsed("S S")))
    assert str(to_sympy(Z @ parsed("S"))) == "Z*S"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("dX^t", {}, "dX^t is a differential: SymPy gets the coefficient before it"),
        ("aa(S)", {"dialect": "manual"}, "aa(S) is of the manual's dialect: derive in the exact one"),
        ("mm(S, S)", {"dialect": "manual"}, "mm(S, S) is of the manual's dialect: derive in the exact one"),
    ],
)
def test_what_sympy_cannot_say_is_refused(text, options, message):
    with pytest.raises(EvaluationError) as error:
        to_sympy(parsed(text, **options))
    assert str(error.value) == message


def test_one_forms_are_refused():
    with pytest.raises(EvaluationError) as error:
        to_sympy(parsed("S dS + X^t dX"))
    assert str(error.value) == "dS is a differential: SymPy gets the coefficient before it"


def test_entries_of_row_operators_need_a_number_of_columns():
    with pytest.raises(EvaluationError) as error:
        to_sympy(parsed("a(S)"))[0, 0]
    assert str(error.value) == "an entry of a row operator needs a number of columns, not n: give sizes"
