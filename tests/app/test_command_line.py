"""The commands as a user runs them."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

import formcalc as fc
from formcalc.app.main import main
from formcalc.manual import forms
from formcalc.models.sentence import Sentence
from formcalc.numeric import sample


def run(capsys, *arguments):
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_forms_prints_the_manual_form_a_summand_per_line(capsys):
    status, out, err = run(capsys, "forms", "2")
    assert (status, err) == (0, "")
    assert out.splitlines() == [str(word) for word in forms(2)]


def test_forms_prints_one_summand(capsys):
    assert run(capsys, "forms", "2", "4")[1] == f"{forms(2, 4)}\n"


def test_a_single_layer_has_four_summands(capsys):
    assert len(run(capsys, "forms", "1")[1].splitlines()) == 4


def test_the_main_command_derives_evaluates_and_verifies_a_sentence(capsys):
    status, out, err = run(capsys, "derive", "encoder", "--layers", "2", "--text", "the cat sat on the mat")
    assert (status, err) == (0, "")
    model = fc.load("encoder", L=2)
    for text in (model.page.split("\n\n", 1)[1], str(fc.derive(model))):
        for line in filter(None, text.splitlines()):
            assert f"  {line}\n" in out
    assert "6 words: the cat sat on the mat" in out
    assert "T = 5" in out
    assert out.splitlines()[-1].startswith("verified: central differences")


def test_the_norms_shown_are_those_of_the_coefficients_on_the_sentence(capsys):
    out = run(capsys, "derive", "encoder", "--layers", "1", "--text", "a b a c")[1]
    model = fc.load("encoder", L=1, T=3)
    X, Y = Sentence.of("a b a c").matrices(8)
    form = fc.derive(model)
    line = next(line for line in out.splitlines() if line.startswith("Q_0 "))
    arrays = sample(model, 0, {"X_0": X, "Y": Y})
    norm = np.linalg.norm(fc.evaluate(form, arrays)["Q_0"])
    assert float(line.split()[2]) == pytest.approx(norm, rel=1e-4)


def test_characters(capsys):
    out = run(capsys, "derive", "encoder", "--layers", "1", "--text", "cat", "--tokens", "characters")[1]
    assert "3 characters: c a t" in out


def test_an_expression_with_declared_letters(capsys):
    status, out, _ = run(
        capsys, "derive", "a(X Q K^t X^t) X V", "--data", "X:T×d", "--weight", "Q,K:d×n", "--weight", "V:dxv"
    )
    assert status == 0
    assert "  dQ : K^t X^t aa^t(X K Q^t X^t, X V E^t) X\n" in out
    assert "  dV : E^t a(X Q K^t X^t) X\n" in out


def test_an_expression_is_verified_on_drawn_arrays(capsys):
    status, out, _ = run(capsys, "verify", "tanh(X W)", "--data", "X:T,d", "--weight", "W:d,v", "--size", "T=3,d=2")
    assert status == 0
    assert "T = 3, d = 2" in out
    assert out.splitlines()[-1].startswith("verified: central differences")


def test_words_are_counted_and_shown(capsys):
    out = run(capsys, "derive", "encoder", "--layers", "2", "--words", "3")[1]
    assert "the expanded form has 75 words; the first 3:" in out
    assert out.splitlines()[-1] == str(fc.derive(fc.load("encoder", L=2)).words()[2])


def test_wrt_restricts_the_weights(capsys):
    out = run(capsys, "derive", "encoder", "--layers", "1", "--wrt", "W_0", "f_0")[1]
    assert "    dW_i : G_{i+1} m(Z_i)\n" in out
    assert "dQ_i" not in out


@pytest.mark.parametrize("oracle", ["finite-difference", "jax", "torch"])
def test_verify_with_each_oracle(capsys, oracle):
    status, out, _ = run(capsys, "verify", "encoder", "--layers", "1", "--oracle", oracle)
    assert status == 0
    assert "weight  C: shape" in out


def test_verify_with_exact_rationals(capsys):
    status, out, _ = run(
        capsys, "verify", "encoder-linear", "--layers", "1", "--size", "T=3,d=4,n=4,v=3", "--oracle", "exact"
    )
    assert status == 0
    assert "largest relative error 0.0e+00, no tolerance" in out


def test_a_verification_that_disagrees_ends_in_status_one(capsys, monkeypatch):
    verification = importlib.import_module("formcalc.verify.verification")
    honest = verification.evaluate
    monkeypatch.setattr(verification, "evaluate", lambda *a, **k: {n: -c for n, c in honest(*a, **k).items()})
    status, out, _ = run(capsys, "verify", "encoder", "--layers", "1", "--oracle", "jax")
    assert status == 1
    assert "DISAGREES" in out


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_arrays_come_from_files_and_set_the_sizes(capsys, tmp_path, ending):
    model = fc.load("encoder", L=1, T=3, d=5, n=2, v=4)
    arrays = fc.sample(model, 1)
    path = tmp_path / f"w.{ending}"
    np.savez(path, **arrays) if ending == "npz" else save_file(arrays, path)
    status, out, _ = run(capsys, "derive", "encoder", "--layers", "1", "--arrays", str(path))
    assert status == 0
    assert "T = 3, d = 5, n = 2, v = 4" in out
    assert "drawn" not in out


def test_weights_from_a_file_and_data_from_a_sentence(capsys, tmp_path):
    arrays = fc.sample(fc.load("encoder", L=1, T=3, d=5), 1)
    np.savez(tmp_path / "w.npz", **{name: array for name, array in arrays.items() if name not in ("X_0", "Y", "C")})
    status, out, _ = run(
        capsys, "derive", "encoder", "--layers", "1", "--arrays", str(tmp_path / "w.npz"), "--text", "a b c"
    )
    assert status == 0
    assert "T = 2, d = 5, n = 5, v = 5" in out


def test_missing_arrays_are_drawn_only_if_asked_for(capsys, tmp_path):
    np.savez(tmp_path / "w.npz", Q_0=np.ones((5, 2)))
    command = ("derive", "encoder", "--layers", "1", "--arrays", str(tmp_path / "w.npz"))
    status, _, err = run(capsys, *command)
    assert status == 2
    assert "no array for X_0, Y, K_0, V_0, b_0, W_0, f_0; add them to the file, or draw them with --draw-missing" in err
    status, out, _ = run(capsys, *command, "--draw-missing")
    assert status == 0
    assert "drawn at random (seed 0): X_0, Y, K_0" in out


def test_latex_and_html(capsys):
    assert (
        r"  \mathrm{d}W_{i} &: G_{i+1} \, \mathrm{m}(Z_{i}) \\"
        in run(capsys, "derive", "encoder", "--layers", "1", "--format", "latex")[1]
    )
    out = run(capsys, "show", "encoder", "--layers", "1", "--format", "html")[1]
    assert "<tr><td><i>Z</i><sub>i</sub></td><td>=</td>" in out


def test_steps_name_the_rules(capsys):
    status, out, _ = run(capsys, "steps", "encoder", "Q_0", "--layers", "1")
    assert status == 0
    assert "shiftmm, shift: trace(A L(P, R) B) = trace(L^t(P^t, B A) R)" in out
    assert "    dQ_i : n^{-1/2} K_i^t X_i^t U_i X_i" in out


def test_models_and_show(capsys):
    assert [line.split()[0] for line in run(capsys, "models")[1].splitlines()[1:]] == fc.models()
    assert "  E    = Y - X_L\n" in run(capsys, "show", "encoder")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("derive", "encode"),
            "'encode' is neither a stock model nor an expression with letters; did you mean 'encoder'?",
        ),
        (("derive", "A B", "--weight", "A:T×d"), "unknown letter 'B' at line 1, column 3"),
        (("derive", "A A", "--weight", "A:T×d"), "A A: A has d columns, A has T rows"),
        (("derive", "A", "--weight", "A"), "--weight 'A': write letters and a shape, as in --weight Q,K:d×n"),
        (("derive", "m(dA)", "--weight", "A:T×d"), "a differential stands in an argument that m is not linear in"),
        (("derive", "(A", "--weight", "A:T×d"), "unbalanced parenthesis '('"),
        (("derive", "sofmax(A)", "--weight", "A:T×d"), "did you mean 'softmax'?"),
        (("derive", "A", "--data", "A:T×d"), "expression has no weights to differentiate by"),
        (("derive", "", "--data", "A:T×d"), "the text is empty"),
        (("derive", "A", "--weight", "A:T×d", "--text", "a b"), "--text and --layers belong to a model with layers"),
        (("derive", "encoder", "--weight", "A:T×d"), "encoder declares its own letters"),
        (
            ("derive", "decoder", "--text", "a b"),
            "and an answer Y of the same shape, or tokens x and y, which decoder does not",
        ),
        (("derive", "encoder", "--text", "word"), "it takes two, a token and the next one"),
        (("derive", "encoder", "--wrt", "Q_7"), "Q_7 is no letter of encoder to differentiate by; did you mean 'Q_1'?"),
        (("verify", "encoder", "--size", "d"), "--size 'd': write a dimension and a positive integer"),
        (("verify", "encoder", "--size", "h=3"), "encoder has no dimension 'h'"),
        (
            ("verify", "encoder", "--size", "T=9", "--text", "a b c"),
            "--size T=9 contradicts the given data, where T = 2",
        ),
        (("verify", "A", "--weight", "A:T×d", "--size", "h=3"), "the expression has no dimension 'h'"),
        (("verify", "encoder", "--size", "n=4", "--oracle", "exact"), "a is transcendental and has no exact value"),
        (("verify", "encoder", "--arrays", "none.npz"), "none.npz: there is no such file"),
        (("forms", "2", "17"), "forms(2, 17): there are 16 summands, counted from 1"),
        (("forms", "40"), "multiplied out this has more than"),
        (("steps", "encoder", "Q_7"), "the form has no coefficient of dQ_7; did you mean 'Q_1'?"),
    ],
)
def test_bad_input_is_one_message_and_status_two(capsys, arguments, message):
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert err.startswith("formcalc: ")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((8, 4), np.nan), "Q_0: entry [0, 0] is nan; every entry must be finite"),
        (np.ones(8), "Q_0: a letter is a matrix with 2 axes, this array has 1"),
        (np.full((8, 4), "x"), "Q_0: entries are <U1, not real numbers"),
        (np.zeros((0, 4)), "Q_0: the array is empty"),
    ],
)
def test_bad_arrays_are_one_message_and_status_two(capsys, tmp_path, array, message):
    np.savez(tmp_path / "w.npz", Q_0=array)
    status, _, err = run(capsys, "derive", "encoder", "--arrays", str(tmp_path / "w.npz"), "--draw-missing")
    assert status == 2
    assert message in err


def test_a_foreign_letter_in_a_file_is_named(capsys, tmp_path):
    np.savez(tmp_path / "w.npz", H_0=np.ones((2, 2)))
    _, _, err = run(capsys, "derive", "encoder", "--arrays", str(tmp_path / "w.npz"))
    assert "H_0 is no letter of encoder" in err


@pytest.mark.parametrize("command", [(), ("forms",), ("derive",), ("verify",), ("models",), ("show",), ("steps",)])
def test_help_teaches(capsys, command):
    with pytest.raises(SystemExit) as exit_status:
        main([*command, "--help"])
    assert exit_status.value.code == 0
    assert "usage: formcalc" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error():
    script = f"{sys.executable} -m formcalc forms 3 | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{forms(3, 1)}\n"
    assert done.stderr == ""
