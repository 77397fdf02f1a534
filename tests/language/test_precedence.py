"""How strongly the signs bind: superscripts, then products, then Hadamard products, then sums."""

import pytest

import formcalc as fc

SHAPES = dict.fromkeys("ABC", ("n", "n"))


@pytest.mark.parametrize(
    ("text", "bracketed"),
    [
        ("A B + C", "(A B) + C"),
        ("A B ∘ C", "(A B) ∘ C"),
        ("A ∘ B C", "A ∘ (B C)"),
        ("A ∘ B + C", "(A ∘ B) + C"),
        ("A + B ∘ C", "A + (B ∘ C)"),
        ("A B^t", "A (B^t)"),
        ("-A ∘ B", "-(A ∘ B)"),
        ("A - B C", "A - (B C)"),
        ("2 n^{-1/2} A", "2 (n^{-1/2}) A"),
        ("m(A) B", "(m(A)) B"),
        ("m(A)^t", "(m(A))^t"),
        ("A m(B) C", "A (m(B)) C"),
    ],
)
def test_brackets_that_change_nothing(text, bracketed):
    def flat(text):
        return fc.flatten(fc.parse(text, SHAPES))

    assert flat(text) is flat(bracketed)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("A B C", "A B C"),
        ("A + B - C", "A + B - C"),
        ("A ∘ B ∘ C", "A ∘ B ∘ C"),
        ("(A B)^t", "B^t A^t"),
        ("A (B + C)^t", "A (B^t + C^t)"),
        ("A^t^t", "A"),
        ("-A B", "-A B"),
        ("-2 A + B", "-2 A + B"),
        ("A - 2 B", "A - 2 B"),
        ("A - (B - C)", "A - (B - C)"),
        ("((A))", "A"),
    ],
)
def test_text_is_read_as_printed(text, printed):
    assert str(fc.parse(text, SHAPES)) == printed
    assert fc.parse(printed, SHAPES) is fc.parse(text, SHAPES)


@pytest.mark.parametrize(
    ("text", "spaced"),
    [
        ("A(B)", "A (B)"),
        ("A(B + C)^t", "A (B + C)^t"),
        ("A^t(B)^t C", "A^t (B)^t C"),
        ("-A(B)", "-A (B)"),
        ("2(A)", "2 (A)"),
        ("n(A)^t", "n (A)^t"),
        ("dA(B)", "dA (B)"),
        ("A(B)(C)", "A (B) (C)"),
        ("A(B(C))", "A (B (C))"),
        ("A(B) ∘ C", "A (B) ∘ C"),
    ],
)
def test_a_letter_before_a_parenthesis_is_a_product_with_or_without_space(text, spaced):
    assert fc.parse(text, SHAPES) is fc.parse(spaced, SHAPES)


@pytest.mark.parametrize(
    ("text", "children"),
    [("A - B", ["A", "-B"]), ("-1/2 A", ["-1/2", "A"]), ("-A B", ["-1", "A", "B"]), ("A (B C)", ["A", "B C"])],
)
def test_what_a_text_is_built_of(text, children):
    assert [str(child) for child in fc.parse(text, SHAPES)] == children


def test_names_of_dimensions_yield_to_letters_except_under_powers():
    shapes = {"n": ("T", "n")}
    assert fc.parse("n", shapes).shape
    assert str(fc.parse("n^{1/2}", shapes)) == "n^{1/2}"
    assert fc.parse("n^{1/2}", shapes).shape == ()


def test_powers_declare_their_dimension():
    assert str(fc.parse("k^{-1/2} A", SHAPES)) == "k^{-1/2} A"
