"""Token ids against the matrix of one-hot rows that they stand for."""

import numpy as np
import pytest

import formcalc as fc
from formcalc.errors import ArrayError
from formcalc.numeric.selection import Selection, dense

COLUMNS = 5
FEW = np.array([3, 0, -1, 3])
MANY = np.random.default_rng(0).integers(-2, COLUMNS, size=(2, 3, 4))


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def by_hand(ids):
    matrix = np.zeros((*ids.shape, COLUMNS))
    for place, index in np.ndenumerate(ids):
        if index >= 0:
            matrix[(*place, index)] = 1
    return matrix


each_ids = pytest.mark.parametrize("ids", [FEW, MANY[0], MANY], ids=["one axis", "two axes", "three axes"])


@each_ids
def test_the_dense_matrix_has_one_hot_rows(ids):
    selection = Selection(ids, COLUMNS, np.dtype(float))
    assert np.array_equal(selection.dense(), by_hand(ids))
    assert np.array_equal(selection.mT.dense(), by_hand(ids).mT)
    assert selection.shape == by_hand(ids).shape
    assert selection.mT.shape == by_hand(ids).mT.shape
    assert selection.mT.mT.shape == selection.shape
    assert np.array_equal(dense(selection), by_hand(ids))


TABLES = [(COLUMNS, 2), (3, COLUMNS, 2), (2, 3, COLUMNS, 2), (2, 1, COLUMNS, 2), (7, 1, 1, COLUMNS, 2)]


@each_ids
@pytest.mark.parametrize("shape", TABLES)
def test_products_are_those_of_the_dense_matrix(ids, shape):
    selection, matrix = Selection(ids, COLUMNS, np.dtype(float)), by_hand(ids)
    table = normal(*shape)
    rows = normal(*shape[:-2], ids.shape[-1], 3)
    np.testing.assert_allclose(selection @ table, matrix @ table, rtol=1e-14)
    np.testing.assert_allclose(selection.mT @ rows, matrix.mT @ rows, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(rows.mT @ selection, rows.mT @ matrix, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(table.mT @ selection.mT, table.mT @ matrix.mT, rtol=1e-14)


def test_products_of_selections():
    first, second = (Selection(ids, COLUMNS, np.dtype(float)) for ids in (FEW, FEW[::-1]))
    assert np.array_equal(first.mT @ second, by_hand(FEW).T @ by_hand(FEW[::-1]))
    assert np.array_equal(first @ second.mT, by_hand(FEW) @ by_hand(FEW[::-1]).T)


def test_rows_without_a_token_are_zero_even_where_the_table_is_large():
    table = np.full((COLUMNS, 2), 1e300)
    assert (Selection(np.array([-1, 2]), COLUMNS, table.dtype) @ table).tolist() == [[0, 0], [1e300, 1e300]]


def test_leading_axes_are_added_and_reordered():
    selection, matrix = Selection(MANY, COLUMNS, np.dtype(float)), by_hand(MANY)
    index = (slice(None), None, slice(None))
    assert np.array_equal(selection[index].dense(), matrix[index])
    assert np.array_equal(selection.mT[index].dense(), matrix.mT[index])
    assert np.array_equal(selection.transpose((1, 0, 2, 3)).dense(), matrix.transpose(1, 0, 2, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, object])
def test_a_selection_has_the_kind_of_number_it_is_asked_for(dtype):
    assert Selection(FEW, COLUMNS, np.dtype(dtype)).dense().dtype == dtype
    table = np.ones((COLUMNS, 2), dtype)
    assert (Selection(FEW, COLUMNS, np.dtype(dtype)) @ table).dtype == dtype


# On pages and in expressions

LETTERS = {"x": ("T", "v"), "y": ("b", "T", "v"), "E": ("v", "d"), "F": ("b", "v", "d"), "W": ("d", "v")}
TOKENS = {"x": "tokens", "y": "tokens"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", "x"),
        ("x^t", "x.mT"),
        ("x E", "x @ E"),
        ("y E", "y @ E"),
        ("x F", "x @ F"),
        ("y F", "y @ F"),
        ("y^t x", "y.mT @ x"),
        ("x y^t", "x @ y.mT"),
        ("y^t y E W", "y.mT @ y @ E @ W"),
        ("2 y", "2 * y"),
        ("y ∘ (x E W)", "y * (x @ E @ W)"),
        ("x + y", "x + y"),
        ("Σ_b y F", "(y @ F).sum(0)"),
        ("Σ_b y", "y.sum(0)"),
        ("Σ_b y^t x", "(y.mT @ x).sum(0)"),
        ("trace(y^t y)", "(y * y).sum()"),
        ("trace(x E W y^t)", "np.einsum('tv,vd,dw,btw->', x, E, W, y)"),
        ("trace(y^t x E W)", "np.einsum('btv,tw,wd,dv->', y, x, E, W)"),
        ("a(y)", "np.exp(y) / np.exp(y).sum(-1, keepdims=True)"),
        ("E^t x^t", "E.T @ x.T"),
    ],
)
def test_ids_stand_for_one_hot_rows_wherever_they_stand(text, expected):
    arrays = {
        "x": np.array([4, -1, 2]),
        "y": np.array([[0, 4, -3], [1, 1, 2]]),
        "E": normal(COLUMNS, 2),
        "F": normal(2, COLUMNS, 2),
        "W": normal(2, COLUMNS),
    }
    written_out = {**arrays, "x": by_hand(arrays["x"]), "y": by_hand(arrays["y"])}
    found = fc.evaluate(fc.parse(text, LETTERS, roles=TOKENS), arrays, v=COLUMNS, b=2)
    np.testing.assert_allclose(found, eval(expected, {"np": np}, written_out), rtol=1e-12)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 5, 1], "x: there is an id 5, but v = 5: ids count from 0"),
        ([0, 1.5, 1], "x: tokens are given by their ids, integers from 0, and a negative one for no token"),
        ([0, np.nan, 1], "x: tokens are given by their ids, integers from 0, and a negative one for no token"),
        (["a", "b"], "x: tokens are given by their ids, integers from 0, and a negative one for no token"),
        ([[0, 1, 2]], "x: the array has 1 axes, T, this array has 2"),
        (3, "x: the array has 1 axes, T, this array has 0"),
        ([], "x: the array is empty, its shape is 0"),
    ],
)
def test_ids_that_are_none_are_refused(ids, message):
    with pytest.raises(ArrayError) as error:
        fc.evaluate(fc.parse("x E", LETTERS, roles=TOKENS), {"x": ids, "E": normal(COLUMNS, 2)})
    assert str(error.value) == message


def test_whole_numbers_may_be_floating_and_negative_ones_may_be_any():
    expression = fc.parse("x E", LETTERS, roles=TOKENS)
    E = normal(COLUMNS, 2)
    found = fc.evaluate(expression, {"x": np.array([4.0, -3.0]), "E": E})
    assert np.array_equal(found, [E[4], [0, 0]])


def test_the_number_of_tokens_must_be_known():
    with pytest.raises(ArrayError) as error:
        fc.evaluate(fc.parse("x", LETTERS, roles=TOKENS), {"x": [0, 1]})
    assert str(error.value) == "x: how many tokens there are is unknown: give v=..."
    assert fc.evaluate(fc.parse("x", LETTERS, roles=TOKENS), {"x": [0, 1]}, v=2).tolist() == [[1, 0], [0, 1]]


def test_exact_numbers_keep_tokens():
    found = fc.evaluate(fc.parse("x E", LETTERS, roles=TOKENS), {"x": [1, -1], "E": np.array([[1, 2], [3, 4]], object)})
    assert found.tolist() == [[3, 4], [0, 0]]
