"""The primitives of exported files: those of numpy are those of programs, those of torch have derivatives again."""

import inspect

import numpy as np
import pytest

from formcalc.numeric.export import numpy_primitives as plain
from formcalc.numeric.export import torch_primitives as again
from formcalc.numeric.program import numpy_primitives as programs
from formcalc.numeric.program.fusion import FUSIONS

torch = pytest.importorskip("torch")
from formcalc.numeric.program import torch_primitives  # noqa: E402

RANDOM = np.random.default_rng(0)
X, R = RANDOM.standard_normal((2, 4, 6))
A = programs.softmax(X)
IDS, TABLE = np.array([[2, -1], [0, 2]]), RANDOM.standard_normal((3, 5))
MASK = np.array([[1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 0, 1]])
POSITIVE = np.abs(X) + 0.5

#: For each primitive, arguments that it is given.
CASES = {
    "ones_of": [((2, 3), X)],
    "identity_of": [(3, X)],
    "select": [(TABLE, IDS), (TABLE[:, 0], IDS)],
    "add_rows": [(RANDOM.standard_normal((2, 2, 5)), IDS, 3)],
    "counted": [(IDS, X)],
    "one_hot": [(IDS, 4, X)],
    "picked": [(RANDOM.standard_normal((2, 2, 5)), IDS)],
    "softmax": [(X,), (X, MASK), (1000 * X, MASK)],
    "rowdot": [(X, R)],
    "softmax_slope": [(A, R), (A, R, R[:, :1])],
    "norm": [(X, 1e-5)],
    "norm_slope": [(X, POSITIVE[:, :1], R)],
    "rms": [(X, 1e-5)],
    "rms_slope": [(X, POSITIVE[:, :1], R)],
    **{name: [(POSITIVE,)] for name in ("log", "sqrt", "reciprocal")},
    **{f"{name}_slope": [(POSITIVE, R)] for name in ("log", "sqrt", "reciprocal")},
}


def names(module):
    """The functions that a module defines or names."""
    found = {name for name, value in vars(module).items() if callable(value) and not inspect.isclass(value)}
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(names(plain)))
def test_a_primitive_of_numpy_is_that_of_programs(name):
    usual = [(X, R), (100 * X, R)] if name.endswith("_slope") else [(X,), (100 * X,)] if name != "exp" else [(X,)]
    for arguments in CASES.get(name, usual):
        found, due = getattr(plain, name)(*arguments), getattr(programs, name)(*arguments)
        for x, y in zip(*([z] if not isinstance(z, tuple) else z for z in (found, due)), strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-14)


def test_numpy_keeps_single_precision():
    for name in names(plain) & {"softmax", "logsoftmax", "gelu", "gelu_tanh", "silu", "erf", "sigmoid", "relu", "step"}:
        assert getattr(plain, name)(X.astype(np.float32)).dtype == np.float32, name
    assert {x.dtype for x in (*plain.norm(X.astype(np.float32), 1e-5), *plain.rms(X.astype(np.float32), 1e-5))} == {
        np.dtype(np.float32)
    }


#: Slopes that exported files have no use for, since nothing is fused there.
FUSED = {name for fusion in FUSIONS for name in fusion.primitives}


@pytest.mark.parametrize("name", sorted(name for name in names(torch_primitives) - FUSED if name.endswith("_slope")))
def test_autograd_differentiates_a_slope_of_torch(name):
    slope = getattr(again, name, getattr(torch_primitives, name))
    usual = (POSITIVE, R) if name != "softmax_slope" else (A, R)
    inputs = [torch.tensor(x, requires_grad=True) for x in CASES.get(name, [usual])[0]]
    assert torch.autograd.gradcheck(slope, inputs)


def test_autograd_differentiates_norms_of_torch():
    assert torch.autograd.gradcheck(lambda x: again.norm(x, 1e-5), torch.tensor(X, requires_grad=True))
    assert torch.autograd.gradcheck(lambda x: torch_primitives.rms(x, 1e-5), torch.tensor(X, requires_grad=True))
