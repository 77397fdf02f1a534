"""Declarations: which names letters and dimensions may have."""

import pytest

import formcalc as fc
from formcalc.algebra import Dimension, Letter, Symbol, identity
from formcalc.errors import ParseError, ShapeError
from formcalc.language import declare
from formcalc.language.declaration import size

ERRORS = [
    ({"2X": ("T", "d")}, "'2X' cannot name a letter: write a word such as X, X_0, W_Q or gamma_1"),
    ({"": ("T", "d")}, "'' cannot name a letter: write a word such as X, X_0, W_Q or gamma_1"),
    ({"X Y": ("T", "d")}, "'X Y' cannot name a letter: write a word such as X, X_0, W_Q or gamma_1"),
    ({"X'": ("T", "d")}, '"X\'" cannot name a letter: write a word such as X, X_0, W_Q or gamma_1'),
    ({"X_{<b>}": ("T", "d")}, "'X_{<b>}' cannot name a letter: write a word such as X, X_0, W_Q or gamma_1"),
    ({"trace": ("T", "d")}, "'trace' cannot name a letter: it is an operator; choose another name"),
    ({"m": ("T", "d")}, "'m' cannot name a letter: it is an operator; choose another name"),
    ({"softmax": ("T", "d")}, "'softmax' cannot name a letter: it is an operator; choose another name"),
    ({"X": ("T", "2n")}, "X: '2n' cannot name a dimension: write a word such as T, d or n_0"),
    ({"X": ("T", "two words")}, "X: 'two words' cannot name a dimension: write a word such as T, d or n_0"),
    ({"X": ("T", "π")}, "X: 'pi' cannot name a dimension: write a word such as T, d or n_0"),
    ({"X": "Td"}, "X: a shape is a pair of dimensions such as ('T', 'd'), not 'Td'"),
    ({"X": None}, "X: a shape is a pair of dimensions such as ('T', 'd'), not None"),
    ({"X": ("T", "d"), "dX": ("T", "d")}, "'dX' cannot name a letter beside X: it is the differential of X"),
    ({"X_0": ("T", "d"), "X₀": ("T", "d")}, "'X₀' is declared twice: it is another spelling of X_0"),
    ({"I_T": ("d", "d"), "X": ("T", "d")}, "'I_T' cannot name a letter: it is the identity of the dimension T"),
    ({"I_4": (4, 4)}, "'I_4' cannot name a letter: it is the identity of the dimension 4"),
]


@pytest.mark.parametrize(("shapes", "message"), ERRORS)
def test_refused_names(shapes, message):
    with pytest.raises(ParseError) as error:
        declare(shapes)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"X": ("T", 0)}, "a dimension is at least 1, not 0"),
        ({"X": ("T", "4")}, "dimension '4' is text: write the integer 4"),
        ({"X": ("T", 2.0)}, "a dimension is a name or a positive integer, not 2.0"),
    ],
)
def test_refused_shapes(shapes, message):
    with pytest.raises(ShapeError) as error:
        declare(shapes)
    assert str(error.value) == message


def test_a_role_needs_a_letter():
    with pytest.raises(ParseError) as error:
        declare({"X": ("T", "d")}, {"Y": "data"})
    assert str(error.value) == "role given for Y, which has no shape; letters: X"


def test_roles():
    letters = declare({"X": ("T", "d"), "C": ["T", 1], "W": ("d", "d")}, {"X": "data", "C": "ones"})
    assert {name: letter.role for name, letter in letters.items()} == {"X": "data", "C": "ones", "W": "weight"}


def test_letters_and_symbols_made_before_are_kept():
    K = Letter(Symbol("K", ("T", "d"), "data"))
    assert declare({"K": K.transposed}) == declare({"K": K.symbol}) == {"K": K}


def test_a_declared_identity_is_the_identity():
    assert declare({"I_T": ("T", "T")}, {"I_T": "identity"})["I_T"] is identity("T")
    assert fc.parse("I_{T}", {"X": ("T", "d")}) is identity("T")


def test_names_that_begin_with_d_are_letters_of_their_own():
    letters = {"d": ("T", "d"), "data": ("T", "d")}
    assert fc.parse("data", letters) is declare(letters)["data"]
    assert str(fc.parse("dd + ddata", letters)) == "dd + ddata"


@pytest.mark.parametrize(
    ("text", "dimension"),
    [("T", Dimension("T")), (" n₀ ", Dimension("n_0")), ("4", Dimension(4)), ("0", None), ("²", None), ("", None)],
)
def test_sizes(text, dimension):
    assert size(text) is dimension
