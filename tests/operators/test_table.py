"""Every row of the operator table, times everything a row promises."""

import pickle

import jax
import numpy as np
import pytest
import sympy as sp
import torch

import formcalc as fc
from formcalc.algebra import Apply, Hadamard, Letter, Product, Symbol, Trace, transpose
from formcalc.calculus import unfold
from formcalc.errors import EvaluationError, FormError, ShapeError
from formcalc.language.sympy_expressions import to_sympy
from formcalc.numeric.engines import fractions
from formcalc.operators import OPERATORS, Differential, Operator, operator_named, operator_names, table
from substitution import fresh, replaced

ROWS = 3
COLUMNS = 4
P, R = Letter(Symbol("P", ("T", "c"))), Letter(Symbol("R", ("T", "c")))

each_row = pytest.mark.parametrize("row", OPERATORS, ids=lambda row: row.name)


def point(row: Operator, seed: int = 0, size: tuple[int, int] = (ROWS, COLUMNS)) -> np.ndarray:
    """A matrix where the operator is defined and smooth."""
    drawn = np.random.default_rng(seed).normal(size=size)
    away = drawn + np.sign(drawn) / 4
    return {"real": away, "positive": abs(away), "nonzero": away}[row.domain]


def direction(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS, COLUMNS))


def jax_push(row: Operator, at: np.ndarray, along: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(jax.jvp(lambda x: row.jax(jax, x), (jax.numpy.asarray(at),), (jax.numpy.asarray(along),))[1])


def jax_value(row: Operator, at: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(row.jax(jax, jax.numpy.asarray(at)))


def torch_value(row: Operator, at: np.ndarray) -> np.ndarray:
    return row.torch(torch, torch.tensor(at)).numpy()


def close(got, expected, tolerance=1e-12):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


# The table itself


def test_every_row_written_in_the_file_is_in_the_table():
    written = {value for value in vars(table).values() if isinstance(value, Operator)}
    assert written == set(OPERATORS)


def test_no_spelling_belongs_to_two_rows():
    spelled = [name for row in OPERATORS for name in (row.name, *row.spellings, row.differential)]
    assert len(spelled) == len(set(spelled))


def test_every_spelling_is_offered_in_error_messages():
    assert {name for row in OPERATORS for name in (row.name, *row.spellings, row.differential)} <= set(operator_names())


@each_row
def test_documentation_fields_are_filled(row):
    assert row.formula
    assert row.latex
    assert row.source.endswith(".")
    assert row.unfolded
    assert row.acts_on in ("entry", "row")


@each_row
def test_pickling_gives_the_same_row(row):
    assert pickle.loads(pickle.dumps(row)) is row
    assert pickle.loads(pickle.dumps(Differential(row))) is Differential(row)


# Text


@each_row
def test_every_spelling_parses_to_the_row(row):
    for spelling in (row.name, *row.spellings):
        assert fc.parse(f"{spelling}(P)", {"P": P}) is Apply(row, P)
        assert fc.parse(f"{spelling}'(P, R)", {"P": P, "R": R}) is Apply(Differential(row), P, R)


@each_row
def test_plain_text_parses_back(row):
    for node in (Apply(row, P), Apply(row, P, by_columns=True), Apply(Differential(row), P, R)):
        assert fc.parse(str(node), {"P": P, "R": R}) is node


@each_row
def test_latex_spells_the_row(row):
    assert fc.latex(Apply(row, P)) == rf"{row.latex}(P)"
    shown = fc.latex(Apply(Differential(row), P, R))
    name = rf"{row.latex}'" if row.differential.endswith("'") else rf"\mathrm{{{row.differential}}}"
    assert shown == rf"{name}(P, R)"


@each_row
def test_html_spells_the_row(row):
    assert fc.html(Apply(row, P)) == f"{row.name}(<i>P</i>)"


# Shapes


@each_row
def test_shape_is_that_of_the_argument(row):
    assert Apply(row, P).shape == P.shape
    assert Apply(Differential(row), P, R).shape == P.shape


@each_row
def test_wrong_number_of_arguments_is_refused(row):
    with pytest.raises(ShapeError) as error:
        Apply(row, P, R, R)
    takes = "1 or 2 arguments" if row.constant else "1 argument"
    assert str(error.value) == f"{row.name} takes {takes}, not 3"
    name = row.differential
    with pytest.raises(ShapeError) as error:
        Apply(Differential(row), P)
    also = f", or 3, {name}(P, K, R)" if row.constant else ""
    assert str(error.value) == f"{name} takes 2 arguments, {name}(P, R){also}, not 1"


@each_row
def test_transposed_direction_is_refused_with_its_cure(row):
    name = row.differential
    with pytest.raises(ShapeError) as error:
        Apply(Differential(row), P, transpose(R))
    assert str(error.value) == f"{name}(P, R^t): P is T×c, R^t is c×T; write {name}(P^t, ...)"


@each_row
def test_scalar_argument_is_refused(row):
    with pytest.raises(ShapeError) as error:
        Apply(row, Trace(Product(P, transpose(P))))
    assert str(error.value) == f"{row.name}(trace(P P^t)): the argument is a scalar, {row.name} takes a matrix"


@each_row
def test_only_operators_by_rows_know_columns(row):
    assert Apply(row, P, by_columns=True).by_columns is (row.acts_on == "row")
    assert transpose(transpose(Apply(row, P))) is Apply(row, P)


# Values


@each_row
def test_kernel_agrees_with_jax_and_torch(row):
    at = point(row)
    close(row.kernel(at), jax_value(row, at))
    close(row.kernel(at), torch_value(row, at))


@each_row
def test_kernel_agrees_with_sympy_to_all_digits(row):
    at = point(row, size=(2, 3))
    exact = [[sp.Float(entry, 30) for entry in line] for line in at.tolist()]
    values = [row.sympy(sp, line) if row.acts_on == "row" else [row.sympy(sp, x) for x in line] for line in exact]
    close(row.kernel(at), np.array([[float(sp.N(x, 30)) for x in line] for line in values]), 1e-14)


@each_row
def test_columns_are_rows_of_the_transpose(row):
    at = point(row)
    node = Apply(row, P, by_columns=True)
    expected = row.kernel(at.T).T if row.acts_on == "row" else row.kernel(at)
    close(fc.evaluate(node, {"P": at}), expected, 1e-15)


@each_row
def test_float32_stays_float32(row):
    at, along = point(row).astype(np.float32), direction().astype(np.float32)
    assert row.kernel(at).dtype == np.float32
    assert row.push(at, along).dtype == np.float32
    close(row.kernel(at), row.kernel(at.astype(np.float64)), 1e-5)
    close(row.push(at, along), row.push(at.astype(np.float64), along.astype(np.float64)), 1e-4)


# Differentials


@each_row
def test_push_agrees_with_central_differences(row):
    at, along, step = point(row), direction(), 1e-3
    ahead, behind = (row.kernel(at + sign * step * along) for sign in (1, -1))
    far_ahead, far_behind = (row.kernel(at + 2 * sign * step * along) for sign in (1, -1))
    slope = (8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * step)
    close(row.push(at, along), slope, 1e-7)


@each_row
def test_push_agrees_with_jax_forward_mode(row):
    at, along = point(row), direction()
    close(row.push(at, along), jax_push(row, at, along))


@each_row
def test_push_agrees_with_torch(row):
    at, along = point(row), direction()
    pushed = torch.autograd.functional.jvp(lambda x: row.torch(torch, x), torch.tensor(at), torch.tensor(along))[1]
    close(row.push(at, along), pushed.numpy())


@each_row
@pytest.mark.parametrize("by_columns", [False, True])
def test_unfolded_differential_has_the_numbers_of_push(row, by_columns):
    node = Apply(Differential(row), P, R, by_columns=by_columns)
    arrays = {"P": point(row), "R": direction()}
    close(fc.evaluate(unfold(node), arrays), fc.evaluate(node, arrays))


@each_row
def test_differential_is_symmetric_where_the_row_says_so(row):
    at, left, right = point(row), direction(2), direction(3)
    is_symmetric = abs((left * row.push(at, right)).sum() - (row.push(at, left) * right).sum()) < 1e-12
    assert is_symmetric == row.is_symmetric


@each_row
def test_differential_is_linear(row):
    at, left, right = point(row), direction(2), direction(3)
    close(row.push(at, 2 * left - 3 * right), 2 * row.push(at, left) - 3 * row.push(at, right))


@each_row
@pytest.mark.parametrize("by_columns", [False, True])
def test_shift_rule_holds_in_numbers(row, by_columns):
    A, B = Letter(Symbol("A", ("k", "T"))), Letter(Symbol("B", ("c", "k")))
    word = Product(A, Apply(Differential(row), P, R.differential, by_columns=by_columns), B)
    if not row.is_symmetric:
        with pytest.raises(FormError, match="is not symmetric and does not move under a trace: write"):
            fc.shift_mm(word)
        return
    shifted = fc.shift_mm(word)
    assert shifted[-1] is R.differential
    arrays = {"P": point(row), "dR": direction(), "A": np.ones((2, ROWS)), "B": direction(4).T[:, :2]}
    close(fc.evaluate(Trace(fresh(shifted)), arrays), fc.evaluate(Trace(fresh(word)), arrays))


@each_row
@pytest.mark.parametrize("by_columns", [False, True])
def test_second_differential_agrees_with_jax(row, by_columns):
    """D²φ(P)[R, H], by differentiating the differential again, against jax's forward mode over its own."""
    second = fc.d(Apply(Differential(row), P, R, by_columns=by_columns), wrt=["P"])
    at, along, other = point(row), direction(), direction(5)
    found = fc.evaluate(fresh(second), {"P": at, "R": along, "dP": other})

    def value(x):
        return row.jax(jax, x.T).T if by_columns else row.jax(jax, x)

    with jax.enable_x64(True):
        at, along, other = map(jax.numpy.asarray, (at, along, other))
        expected = jax.jvp(lambda x: jax.jvp(value, (x,), (along,))[1], (at,), (other,))[1]
    close(found, expected, 1e-11)


@each_row
def test_chain_rule_names_the_row_unless_it_is_locally_constant(row):
    differential = fc.d(Apply(row, P), wrt=["P"])
    if row.is_locally_constant:
        assert str(differential) == f"0 {row.name}(P)"
    elif row.is_symmetric:
        assert differential is Apply(Differential(row), P, P.differential)
    else:
        assert differential is unfold(Apply(Differential(row), P, P.differential))


# Extremes


@each_row
def test_entries_of_ten_thousand_do_no_harm(row):
    """Only exp itself overflows; jax computes the same numbers, and no kernel warns."""
    at = np.array([[1e4, -1e4, 9999.0], [-1e4, -1e4, -9990.0], [0.5, 1e4, 1e4]])
    at = abs(at) if row.domain == "positive" else at
    at = -abs(at) if row.name == "exp" else at
    along = direction()[:, :3]
    close(row.kernel(at), jax_value(row, at))
    close(row.push(at, along), jax_push(row, at, along))
    assert np.isfinite(row.kernel(at)).all()
    assert np.isfinite(row.push(at, along)).all()


def test_softmax_of_huge_scores_is_a_distribution():
    A = operator_named("softmax").kernel(np.array([[1e4, 0.0, -1e4], [1e4, 1e4, -1e4]]))
    assert A.tolist() == [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]


@pytest.mark.parametrize(
    ("name", "at", "value"), [("sigmoid", -1e4, 0.0), ("sigmoid", 1e4, 1.0), ("gelu", -1e4, 0.0), ("gelu", 1e4, 1e4)]
)
def test_saturated_values(name, at, value):
    assert operator_named(name).kernel(np.array([[at]])).tolist() == [[value]]


def test_overflow_of_exp_is_reported_with_its_place():
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(fc.parse("exp(P)", {"P": P}), {"P": np.array([[1e4]])})
    assert str(error.value) == (
        "exp(P) is not finite where exp is undefined: some entries are nan or infinite; rescale its letters"
    )


@pytest.mark.parametrize("row", [row for row in OPERATORS if row.kinks], ids=lambda row: row.name)
def test_derivative_on_a_kink_is_zero(row):
    kink = np.array([row.kinks])
    assert (row.push(kink, kink * 0 + 1) == 0).all()
    assert (jax_push(row, kink, kink * 0 + 1) == 0).all()


def test_relu_and_step_are_the_rows_with_kinks():
    assert {row.name for row in OPERATORS if row.kinks} == {"m", "step"}


# Exact arithmetic


@pytest.mark.parametrize("row", [row for row in OPERATORS if row.is_rational], ids=lambda row: row.name)
def test_rational_rows_compute_in_rationals(row):
    at, along = fractions(point(row)), fractions(direction())
    for exact, rounded in (
        (row.kernel(at), row.kernel(point(row))),
        (row.push(at, along), row.push(point(row), direction())),
    ):
        assert exact.dtype == object
        assert {type(entry).__name__ for entry in exact.flat} == {"Fraction"}
        close(exact.astype(float), rounded, 1e-15)


@pytest.mark.parametrize("row", [row for row in OPERATORS if not row.is_rational], ids=lambda row: row.name)
def test_other_rows_are_refused_in_exact_arithmetic(row):
    with pytest.raises(EvaluationError) as error:
        fc.evaluate(Apply(row, P), {"P": fractions(point(row))})
    assert str(error.value) == (
        f"{row.name} is transcendental and has no exact value: use float64, or an expression without it"
    )


@each_row
def test_sympy_expression_has_the_numbers_of_the_kernel(row):
    at = point(row, size=(2, 2))
    node = Apply(row, replaced(P, lambda _: Letter(Symbol("P", (2, 2)))), by_columns=True)
    explicit = (
        to_sympy(node)
        .as_explicit()
        .subs({sp.MatrixSymbol("P", 2, 2)[i, j]: sp.Float(at[i, j], 30) for i in range(2) for j in range(2)})
    )
    close(np.array(explicit.evalf(30).tolist(), dtype=float), fc.evaluate(node, {"P": at}), 1e-13)


@each_row
def test_gradient_of_a_row_alone_agrees_with_jax(row):
    """The whole way, from the row to a verified coefficient."""
    model = fc.language.linear_model(Hadamard(R, Apply(row, P)), {"T": ROWS, "c": COLUMNS})
    arrays = {"P": point(row), "R": direction(), "E": direction(6)}
    report = fc.verify(fc.derive(model), arrays, oracle="jax")
    assert report.ok, report
