"""``formcalc export`` as a user runs it."""

import pytest

import formcalc as fc
from formcalc.app.main import main

EXPRESSION = ("a(n^{-1/2} X Q K^t X^t) X V", "--data", "X:T×d", "--weight", "Q,K:d×n", "--weight", "V:d×v")


@pytest.mark.parametrize("target", ["numpy", "jax", "torch", "einsum", "latex"])
def test_a_file_holds_what_the_function_returns_and_is_overwritten(tmp_path, capsys, target):
    path = tmp_path / "encoder"
    path.write_text("what was there before")
    assert main(["export", "encoder", "--target", target, "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == fc.export(fc.derive(fc.load("encoder")), target)
    assert capsys.readouterr() == ("", "")


def test_without_a_file_the_source_is_printed(capsys):
    assert main(["export", *EXPRESSION, "--target", "einsum"]) == 0
    letters = {"X": ("T", "d"), "Q": ("d", "n"), "K": ("d", "n"), "V": ("d", "v")}
    layer = fc.parse(EXPRESSION[0], letters, roles={"X": "data"})
    assert capsys.readouterr().out == fc.export(layer, "einsum")


def test_a_double_backward_that_is_written_out(capsys):
    assert main(["export", "encoder", "--target", "torch", "--double"]) == 0
    whole = capsys.readouterr().out
    assert whole == fc.export(fc.load("encoder"), "torch", double=True)
    assert "def hessian(" in whole
    assert "def hessian(" not in fc.export(fc.load("encoder"), "torch")


def test_layers_until_a_letter(capsys):
    assert main(["export", "encoder", "--layers", "3", "--target", "jax", "--until", "X_L"]) == 0
    assert capsys.readouterr().out == fc.export(fc.load("encoder", L=3), "jax", until="X_L")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["encodr"], "'encodr' is neither a stock model nor an expression with letters; did you mean 'encoder'?"),
        (["encoder", "-o", "{folder}/none/file.py"], "cannot be written: No such file or directory"),
        (["encoder", "-o", "{folder}"], "cannot be written: Is a directory"),
        (["encoder", "-o", ""], "'' cannot be written: Is a directory"),
        (["encoder", "--until", "Z"], "Z is no output of encoder: outside of layers it defines E, X_L"),
        (["encoder", "--until", "X_l"], "X_l is no output of encoder: did you mean 'X_L'?"),
        (["encoder", "--double"], "a double backward is written out for torch alone, not for numpy"),
        ([*EXPRESSION, "--until", "X"], "leave out --until"),
        ([*EXPRESSION, "--size", "T=3"], "leave out --size"),
    ],
)
def test_bad_input_is_one_message_and_status_2(tmp_path, capsys, words, message):
    assert main(["export", *(word.replace("{folder}", str(tmp_path)) for word in words), "--target", "numpy"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert message in shown.err


def test_an_unknown_target_shows_those_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export", "encoder", "--target", "nunpy"])
    assert ended.value.code == 2
    assert "choose from 'numpy', 'jax', 'torch', 'einsum', 'latex'" in capsys.readouterr().err
