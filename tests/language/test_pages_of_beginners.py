"""Thirty slips of a user who writes a page: each is one error that names line and column, the cause and the cure."""

import pytest

import formcalc as fc
from formcalc.errors import ParseError

GOOD = """dims T tokens = 3, d width = 2, h heads = 2, L layers = 2
data X_0, Y: T×d
layers i = 0 .. L-1
  weights W_i: d×d
  X_{i+1} = X_i W_i
E = Y - X_L
loss = 1/2 trace(E^t E)
"""

DIMS = "write names and sizes, as in dims T tokens = 6, d width = 8"
LETTERS = "write names, a colon and the shape, as in weights Q[h], K[h]: d×k"
RANGE = "write an index and where it goes, as in layers i = 0 .. L-1"
INDENT = "this line is indented deeper than the one before it and goes on with it: indent both alike"
SUM = "a letter gets an axis where it is declared, Q[{}]: d×k"

#: What is written in place of what; and then line and column, what is said, and the cure.
SLIPS = {
    "no dims": (GOOD[: GOOD.index("data")], "", (1, 14), "unknown dimension 'T'", "declared dimensions: none"),
    "a negative size": ("= 3", "= -3", (1, 17), "unexpected '-'", DIMS),
    "a size of zero": ("= 3", "= 0", (1, 17), "'0' is no size", "write a dimension or a positive integer"),
    "half a size": ("= 3", "= 2.5", (1, 17), "'2.5' is no size", "write a dimension or a positive integer"),
    "a letter without a colon": ("W_i: d×d", "W_i d×d", (4, 15), "unexpected 'd'", LETTERS),
    "a letter without a shape": ("W_i: d×d", "W_i", (4, 13), "the line ends too early", LETTERS),
    "a letter with one dimension": ("W_i: d×d", "W_i: d", (4, 16), "the line ends too early", LETTERS),
    "a letter with three": ("W_i: d×d", "W_i: d×d×d", (4, 19), "unexpected '×'", LETTERS),
    "an unknown role": ("weights", "weight", (4, 3), "a line that says nothing", "did you mean 'weights'?"),
    "three dots": ("0 .. L", "0 ... L", (3, 16), "unexpected character '.'", RANGE),
    "a range in words": ("0 .. L-1", "0 to L-1", (3, 14), "unexpected 'to'", RANGE),
    "a product in a bound": ("0 .. L-1", "0 .. 2L", (3, 18), "unexpected 'L'", RANGE),
    "an unknown depth": ("0 .. L-1", "0 .. N-1", (3, 17), "unknown dimension 'N'", "declared dimensions: T, d, h, L"),
    "a dimension as an index": (
        "layers i", "layers d", (3, 8), "d cannot name an index", "it is a dimension; write i or j",
    ),
    "no start": ("X_0, Y", "Y", (5, 13), "X_i has no start", "declare or define X_0 above the layers"),
    "another start": ("0 .. L-1", "1 .. L-1", (5, 13), "X_i has no start", "declare or define X_1 above the layers"),
    "layers inside of layers": (
        "  X_{i+1}", "  layers j = 0 .. L-1\n  X_{i+1}", (5, 3), "layers inside a layer", "it stands outside",
    ),
    "the second line deeper": ("  X_{i+1}", "   X_{i+1}", (5, 12), "unexpected '='", INDENT),
    "a tab and spaces": ("  weights", "\tweights", (5, 11), "unexpected '='", INDENT),
    "nothing after =": (" Y - X_L", "", (6, 3), "the line ends too early", "an expression is missing after it"),
    "two definitions in one": (
        "E = Y", "E = F = Y", (6, 7), "unexpected '='",
        "an expression defines nothing: a page does, with a line X = ...",
    ),
    "a definition of data": (
        "E = Y", "Y = Y", (6, 1), "Y has a meaning already", "every letter is declared or defined once",
    ),
    "a misspelling": ("X_i W_i", "sofmax(X_i W_i)", (5, 13), "unknown operator 'sofmax'", "did you mean 'softmax'?"),
    "a sum over an axis that is not there": (
        "X_i W_i", "Σ_h X_i W_i", (5, 13), "X_i W_i has no axis h to sum over", f"it has none; {SUM.format('h')}",
    ),
    "a slanted prime": ("(E^t E)", "(E’ E)", (7, 19), "unexpected character '’'", "write ^t for a transpose"),
    "a division": (
        "1/2 trace(E^t E)", "trace(E^t E) / T", (7, 21), "unexpected character '/'",
        "rationals are written 1/2, without spaces; there is no division of matrices",
    ),
    "an open bracket": ("W_i W", "W_i[h W", (5, 20), "unexpected character '['", "write axes as in Q[b,h]"),
    "an index outside": (
        "Y - X_L", "Y - X_i", (6, 9), "X_i is a letter of the layers", "outside of them write Σ_i ... X_i ...",
    ),
    "a loss of a matrix": ("trace(E^t E)", "E^t E", (7, 1), "the loss is d×d", "a loss is a scalar: use trace(...)"),
    "a second loss": (
        "E)\n", "E)\nloss = trace(E^t E)\n", (8, 1), "a line after the loss",
        "the loss is the last line of a page, but for the lines of its form, dW : C",
    ),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_error_with_line_cause_and_cure(slip):
    written, instead, (line, column), said, cure = SLIPS[slip]
    text = GOOD if slip != "an open bracket" else GOOD.replace("X_i W_i", "X_i W_i W_i")
    assert text.count(written) >= 1
    text = text.replace(written, instead, 1)
    with pytest.raises(ParseError) as error:
        fc.load(text)
    first, shown, carets, last = str(error.value).splitlines()
    assert first == f"{said} at line {line}, column {column}"
    assert shown == "    " + text.splitlines()[line - 1]
    assert carets.replace("^", "") == " " * (4 + column - 1)
    assert last == cure


def test_the_page_without_slips_is_read():
    assert fc.verify(fc.derive(fc.load(GOOD)), oracle="exact").ok
