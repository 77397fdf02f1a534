"""Pages: what they say, and what is said of one that is not well written."""

import pickle

import pytest

import formcalc as fc
from formcalc.errors import ParseError
from formcalc.language import read_page
from formcalc.language.page import Bound, Layers

HEAD = "dims T tokens = 3, d width = 2, L layers = 2\ndata X_0, Y: T×d\n"
LAYER = "layers i = 0 .. L-1\n  weights W_i: d×d\n  X_{i+1} = X_i W_i\n"
TAIL = "E = Y - X_L\nloss = 1/2 trace(E^t E)\n"


def test_a_page_has_a_title_dimensions_statements_and_a_loss():
    page = read_page("# A title\n" + HEAD + LAYER + TAIL)
    assert page.title == "A title"
    assert [(x.name, x.title, x.default) for x in page.dimensions] == [
        ("T", "tokens", 3),
        ("d", "width", 2),
        ("L", "layers", 2),
    ]
    block = page.statements[1]
    assert isinstance(block, Layers)
    assert (block.index, block.first, block.last) == ("i", Bound(None, 0), Bound("L", -1))
    assert [(s.letter.name, s.next.name, s.start.name, s.end.name) for s in block.states] == [
        ("X_i", "X_{i+1}", "X_0", "X_L")
    ]
    assert str(page.loss) == "1/2 trace(E^t E)"


def test_layers_are_written_out_with_numbers():
    model = fc.load(HEAD + LAYER + TAIL, L=3)
    assert model.weights == ["W_0", "W_1", "W_2"]
    assert [f"{letter} = {letter.definition}" for letter in model.definitions] == [
        "X_1 = X_0 W_0",
        "X_2 = X_1 W_1",
        "X_3 = X_2 W_2",
        "E = Y - X_3",
    ]


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("X_0, Y: T×d", "X_0, Y: T x d"),
        ("X_0, Y: T×d", "X_0: T×d, Y: T×d"),
        ("X_0, Y: T×d", "X_0: T×d   Y: T×d"),
        ("X_{i+1} = X_i W_i", "X_{i + 1} = X_i\n     W_i   # goes on"),
        ("X_{i+1} = X_i W_i", "X_{i+1}=X_{i} W_{i}"),
        ("E = Y - X_L", "E = Y − X_{L}"),
    ],
)
def test_spellings_of_the_same_page(written, same):
    text = HEAD + LAYER + TAIL
    assert written in text
    first, second = (fc.load(page) for page in (text, text.replace(written, same)))
    assert first.loss is second.loss
    assert first.letters == second.letters


def test_defaults_are_numbers_or_dimensions_before():
    text = HEAD.replace("d width = 2", "d width = 2, n = d, m = 4") + LAYER + TAIL
    assert fc.load(text).sizes == {"T": 3, "d": 2, "n": 2, "m": 4, "L": 2}
    assert fc.load(text, d=5).sizes["n"] == 5
    assert fc.load(text, n=7).sizes["n"] == 7


def test_several_indices_several_states_and_two_blocks():
    text = """dims d = 2, K = 2, L = 3
data A_0, B_0, Y: d×d
layers i = 0 .. K-1
  weights W_{1,i}, W_{2,i}: d×d
  A_{i+1} = B_i W_{1,i}
  B_{i+1} = A_{i+1} + A_i W_{2,i}
C_1 = A_K B_K
layers j = 1 .. L
  weights V_j: d×d
  C_{j+1} = m(C_j V_j)
loss = trace(Y^t C_{L+1})
"""
    model = fc.load(text)
    assert model.weights == ["W_{1,0}", "W_{2,0}", "W_{1,1}", "W_{2,1}", "V_1", "V_2", "V_3"]
    definitions = {letter.name: str(letter.definition) for letter in model.definitions}
    assert definitions["B_2"] == "A_2 + A_1 W_{2,1}"
    assert definitions["C_1"] == "A_2 B_2"
    assert definitions["C_4"] == "m(C_3 V_3)"
    assert str(model.loss) == "trace(Y^t C_4)"


def test_a_page_from_a_file(tmp_path):
    path = tmp_path / "mine.fc"
    path.write_text(HEAD + LAYER + TAIL, encoding="utf-8")
    assert fc.load(path, d=4).shapes["W_1"] == (4, 4)
    assert fc.load(str(path)).page == HEAD + LAYER + TAIL


def test_a_model_survives_pickling():
    model = fc.load("encoder", L=2)
    again = pickle.loads(pickle.dumps(model))
    assert again.loss is model.loss
    assert str(pickle.loads(pickle.dumps(fc.derive(model)))) == str(fc.derive(model))


def test_every_stock_page_reads_as_it_is_listed():
    for name in fc.models():
        page = read_page(fc.load(name).page)
        assert page.title
        assert page.text == fc.load(name).page


def message(text, **sizes):
    with pytest.raises(fc.FormcalcError) as error:
        fc.load(text, **sizes)
    return str(error.value)


GOOD = HEAD + LAYER + TAIL

BAD = {
    "unknown dimension": (
        GOOD.replace("W_i: d×d", "W_i: d×h"),
        "unknown dimension 'h' at line 4, column 18\n      weights W_i: d×h\n                     ^\n"
        "declared dimensions: T, d, L",
    ),
    "unknown letter": (
        GOOD.replace("X_i W_i", "X_i V_i"),
        "unknown letter 'V_i' at line 5, column 17\n      X_{i+1} = X_i V_i\n                    ^^^\n"
        "did you mean 'X_i'?",
    ),
    "shapes that do not chain": (
        GOOD.replace("X_i W_i", "W_i X_i"),
        "W_i X_i: W_i has d columns, X_i has T rows at line 5, column 17\n"
        "      X_{i+1} = W_i X_i\n                    ^^^",
    ),
    "a state that is not handed on": (
        GOOD.replace("X_{i+1} =", "H_i ="),
        "X_{i+1} is not defined at line 3, column 1\n    layers i = 0 .. L-1\n    ^\n"
        "a layer that uses X_i hands on the next one, T×d",
    ),
    "a state of another shape": (
        GOOD.replace("X_i W_i", "W_i"),
        None,
    ),
    "a letter declared twice": (
        GOOD.replace("data X_0, Y", "data X_0, Y, Y"),
        "Y has a meaning already at line 2, column 14\n    data X_0, Y, Y: T×d\n                 ^\n"
        "every letter is declared or defined once",
    ),
    "a letter named as a dimension": (
        GOOD.replace("X_0, Y", "X_0, Y, d"),
        "'d' cannot name a letter here at line 2, column 14\n    data X_0, Y, d: T×d\n                 ^\n"
        "it is a dimension or begins a line; rename it",
    ),
    "a letter named as an operator": (
        GOOD.replace("X_0, Y", "X_0, Y, exp"),
        "'exp' cannot name a letter: it is an operator; choose another name at line 2, column 14\n"
        "    data X_0, Y, exp: T×d\n                 ^^^",
    ),
    "a dimension declared twice": (
        GOOD.replace("d width = 2", "d = 2, d = 3"),
        "dimension d is declared twice at line 1, column 27\n"
        "    dims T tokens = 3, d = 2, d = 3, L layers = 2\n                              ^",
    ),
    "no loss": (
        HEAD + LAYER,
        "the page has no loss at line 5, column 3\n      X_{i+1} = X_i W_i\n      ^\n"
        "end it with a line such as loss = ...",
    ),
    "a line after the loss": (
        GOOD + "X = Y\n",
        "a line after the loss at line 8, column 1\n    X = Y\n    ^\n"
        "the loss is the last line of a page, but for the lines of its form, dW : C",
    ),
    "a loss that is a matrix": (
        GOOD.replace("1/2 trace(E^t E)", "E^t E"),
        "the loss is d×d at line 7, column 1\n    loss = E^t E\n    ^^^^\na loss is a scalar: use trace(...)",
    ),
    "a line that says nothing": (
        GOOD.replace("data X_0, Y", "dat X_0, Y"),
        "a line that says nothing at line 2, column 1\n    dat X_0, Y: T×d\n    ^^^\ndid you mean 'data'?",
    ),
    "indentation": (
        GOOD.replace("E = Y", "E = Y", 1).replace("\nE =", "\n  E ="),
        None,
    ),
    "layers without lines": (
        HEAD + "layers i = 0 .. L-1\n" + TAIL,
        "layers without lines at line 3, column 1\n    layers i = 0 .. L-1\n    ^\nindent the lines of one layer below",
    ),
    "a loss inside a layer": (
        GOOD.replace("  X_{i+1} =", "  loss ="),
        "loss inside a layer at line 5, column 3\n      loss = X_i W_i\n      ^^^^\nit stands outside",
    ),
    "empty": ("\n\n# only a comment\n", "the page is empty: it declares dims and letters and ends in a loss"),
    "unbalanced": (
        GOOD.replace("(E^t E)", "(E^t E"),
        "unbalanced parenthesis '(' at line 7, column 17\n    loss = 1/2 trace(E^t E\n"
        "                    ^\nit is never closed: add ')'",
    ),
}


@pytest.mark.parametrize("case", [name for name, (_, said) in BAD.items() if said is not None])
def test_a_bad_page_is_one_clear_error(case):
    text, said = BAD[case]
    assert message(text) == said


@pytest.mark.parametrize("case", [name for name, (_, said) in BAD.items() if said is None])
def test_a_bad_page_names_its_line(case):
    assert "at line" in message(BAD[case][0])


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"q": 2}, "page has no dimension 'q'; its dimensions: T, d, L"),
        ({"d": 0}, "dimension d of page is a positive integer, not 0"),
        ({"L": 20_000}, "page has 20000 layers, from 0 to 19999: take 1 to 10000"),
    ],
)
def test_bad_sizes(sizes, said):
    with pytest.raises(fc.FormcalcError) as error:
        fc.load(GOOD, **sizes).letters  # noqa: B018  # layers are written out when letters are asked for
    assert str(error.value) == said


def test_a_dimension_without_a_size_is_asked_for():
    said = "dimension d of page has no size: give it one, d=..."
    assert message(GOOD.replace("d width = 2", "d width")) == said
    assert fc.load(GOOD.replace("d width = 2", "d width"), d=2).sizes["d"] == 2


def test_an_empty_range_of_layers_is_refused():
    text = GOOD.replace("0 .. L-1", "2 .. L-1").replace("X_0", "X_2")
    with pytest.raises(fc.FormcalcError, match="page has 0 layers, from 2 to 1"):
        fc.load(text).letters  # noqa: B018  # see above


def test_letters_of_two_blocks_that_get_the_same_name_are_refused():
    text = (
        HEAD
        + LAYER
        + "Z_0 = X_L\nlayers j = 0 .. L-1\n  weights W_j: d×d\n  Z_{j+1} = Z_j W_j\nloss = trace(Z_L^t Y)\n"
    )
    with pytest.raises(fc.FormcalcError) as error:
        fc.load(text).letters  # noqa: B018  # layers are written out when letters are asked for
    assert str(error.value) == (
        "W_i and W_j of page are both W_0 when its layers are written out: give one of them another name"
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.fc", None, "cannot be read: No such file or directory"),
        ("binary.fc", b"\xff\xfe\x00", "this is no text in UTF-8: byte 0 is 0xff"),
        ("long.fc", b"#" * 1_000_001, "the file has more than 1000000 bytes; a page is shorter"),
        ("bad.fc", b"dims T\nloss = X", "unknown letter 'X' at line 2, column 8"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert message(str(path)).startswith(f"{path}: {said}")


def test_a_long_page_of_parentheses_ends_in_an_error():
    with pytest.raises(ParseError, match="parentheses nested deeper than"):
        fc.load(HEAD + "E = " + "(" * 500_000 + "Y" + ")" * 500_000 + "\nloss = trace(E^t E)\n")
