"""The kernels that numba compiles, and products by MKL, against numpy in float64 and the functions of Python."""

import hashlib
import math
import os
from importlib.util import find_spec

import numpy as np
import pytest

from formcalc.numeric.program import numpy_primitives as plain

if find_spec("numba") is None and not os.environ.get("CI"):
    pytest.skip("numba is not installed", allow_module_level=True)

from numba import types

from formcalc.numeric.program import mkl, numba_kernel, numba_products
from formcalc.numeric.program import numba_primitives as compiled
from formcalc.numeric.program.slopes import FUNCTIONS as FUNCTIONS_OF_SLOPES

ULPS = 4

BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])

#: The largest arguments whose images are normal numbers, and how far from 0 they are taken.
WIDE = {"float32": 80.0, "float64": 700.0}


def logistic(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else math.exp(x)


def gelu_tanh(x):
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return x * logistic(2 * u)


def gelu_tanh_slope(x):
    s = logistic(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return s + x * s * (1 - s) * 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def normal(x):
    return math.erfc(-x / math.sqrt(2)) / 2


FUNCTIONS = {
    "sigmoid": logistic,
    "silu": lambda x: x * logistic(x),
    "gelu": lambda x: x * normal(x),
    "gelu_tanh": gelu_tanh,
}
SLOPES = {
    "exp_slope": math.exp,
    "tanh_slope": lambda x: 4 * math.exp(-2 * abs(x)) / (1 + math.exp(-2 * abs(x))) ** 2,
    "sigmoid_slope": lambda x: logistic(x) * logistic(-x),
    "silu_slope": lambda x: logistic(x) * (1 + x * logistic(-x)),
    "gelu_slope": lambda x: normal(x) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    "gelu_tanh_slope": gelu_tanh_slope,
    "relu_slope": lambda x: float(x > 0),
}

#: Sums of terms of opposite signs, exact up to a share of 1.
ABSOLUTE = {"gelu", "silu_slope", "gelu_slope", "gelu_tanh_slope"}


def places(dtype):
    """Arguments from the smallest denormal number to large ones."""
    rng = np.random.default_rng(0)
    small = np.geomspace(np.finfo(dtype).smallest_subnormal, 1, 500)
    x = np.concatenate((rng.uniform(-1, 1, 2000) * WIDE[dtype], rng.uniform(-3, 3, 2000), small, -small, [0.0]))
    return x.astype(dtype)


@BOTH
@pytest.mark.parametrize("name", [*FUNCTIONS, *SLOPES])
def test_functions_are_exact_to_a_few_units_in_the_last_place(name, dtype):
    x = places(dtype)
    kernel = getattr(compiled, name)
    found = kernel(x) if name in FUNCTIONS else kernel(x, np.ones_like(x))
    wanted = np.array([(FUNCTIONS | SLOPES)[name](float(number)) for number in x])
    epsilon = float(np.finfo(dtype).eps)
    # the argument of exp is rounded once more where it is computed first
    inner = 1 + (abs(x) ** 3 if "tanh" in name else abs(x))
    share = ULPS * epsilon * np.minimum(inner, 1e4)
    bound = share * (np.maximum(1, abs(wanted)) if name in ABSOLUTE else abs(wanted)) + np.finfo(dtype).tiny
    assert found.dtype == dtype
    assert (abs(found.astype(float) - wanted) <= bound).all()


@BOTH
@pytest.mark.parametrize("module", [plain, compiled])
@pytest.mark.parametrize("name", FUNCTIONS_OF_SLOPES)
@pytest.mark.parametrize("rows", [3, 100])
def test_slopes_give_the_values_of_their_functions(rows, name, module, dtype):
    rng = np.random.default_rng(0)
    x, r = rng.uniform(-6, 6, (2, rows, 1024)).astype(dtype)
    slope, value = getattr(module, f"{name}_slope"), np.empty_like(x)
    alone = slope(x, r)
    assert slope(x, r, out=r, value=value) is r
    np.testing.assert_array_equal(r, alone)
    near = {"rtol": 0, "atol": 20 * np.finfo(dtype).eps}
    np.testing.assert_allclose(value, getattr(module, name)(x), **near)


@BOTH
def test_exp_is_exact_at_its_ends(dtype):
    one = np.ones(1, dtype)

    def exp(x):
        return compiled.exp_slope(np.array([x], dtype), one)[0]

    assert exp(0) == 1
    assert exp(np.inf) == exp(1e30) == np.inf
    assert exp(-np.inf) == exp(-1e30) == 0
    assert np.isnan(exp(np.nan))
    largest = math.log(float(np.finfo(dtype).max))
    assert np.isfinite(exp(largest * (1 - 1e-6)))
    assert exp(largest * (1 + 1e-6)) == np.inf
    smallest = float(np.finfo(dtype).smallest_subnormal)
    assert exp(math.log(smallest) + 0.1) == smallest
    middle = math.log(smallest) + 10
    assert exp(middle) == pytest.approx(math.exp(float(np.dtype(dtype).type(middle))), rel=1e-3)


@BOTH
@pytest.mark.parametrize("name", [*FUNCTIONS, *SLOPES])
def test_no_number_stays_none_and_ends_are_those_of_numpy(name, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30], dtype)
    operands = (x,) if name in FUNCTIONS else (x, np.ones_like(x))
    with np.errstate(all="ignore"):
        found, wanted = getattr(compiled, name)(*operands), getattr(plain, name)(*operands)
    # where an infinity is multiplied by 0 both may be none
    known = ~np.isnan(wanted)
    np.testing.assert_array_equal(found[known], wanted[known])
    assert np.isnan(found[0]) or name == "relu_slope"


ROWS = {
    "softmax": lambda m, x, r: m.softmax(x),
    "logsoftmax": lambda m, x, r: m.logsoftmax(x),
    "softmax_slope": lambda m, x, r: m.softmax_slope(x, r),
    "softmax_slope, row sums known": lambda m, x, r: m.softmax_slope(x, r, x[..., :1]),
    "norm": lambda m, x, r: np.concatenate((m.norm(x, 1e-5)[0], m.norm(x, 1e-5)[1][..., None]), -1),
    "norm_slope": lambda m, x, r: m.norm_slope(x, abs(x[..., :1]), r),
    "rms": lambda m, x, r: np.concatenate((m.rms(x, 1e-5)[0], m.rms(x, 1e-5)[1][..., None]), -1),
    "rms_slope": lambda m, x, r: m.rms_slope(x, abs(x[..., :1]), r),
}


@BOTH
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("shape", [(1,), (7,), (5, 1), (3, 64), (2, 3, 129), (1, 2, 2, 3, 4), (0, 3)])
def test_operations_by_rows_are_those_of_numpy(name, shape, dtype):
    rng = np.random.default_rng(1)
    x, r = rng.normal(size=shape), rng.normal(size=shape)
    found = ROWS[name](compiled, x.astype(dtype), r.astype(dtype))
    wanted = ROWS[name](plain, x.astype(dtype).astype(float), r.astype(dtype).astype(float))
    assert found.dtype == dtype
    if shape == (5, 1) and name == "norm":  # the inverse deviation of a row of one number
        found, wanted = found[:, 1:], wanted[:, 1:]
    np.testing.assert_allclose(
        found, wanted, rtol=0, atol=40 * np.finfo(dtype).eps * max(1, abs(wanted).max(initial=0))
    )


@BOTH
@pytest.mark.parametrize("name", ROWS)
def test_operands_of_any_layout_and_read_only_ones_will_do(name, dtype):
    rng = np.random.default_rng(2)
    x, r = rng.normal(size=(6, 4, 5)).astype(dtype), rng.normal(size=(4, 5)).astype(dtype)
    wanted = ROWS[name](compiled, x, np.ascontiguousarray(np.broadcast_to(r, x.shape)))
    turned = np.asfortranarray(x)
    turned.flags.writeable = False
    np.testing.assert_array_equal(ROWS[name](compiled, turned, np.broadcast_to(r, x.shape)), wanted)


@BOTH
def test_results_are_written_over_operands_and_between_other_numbers(dtype):
    rng = np.random.default_rng(3)
    x, r = rng.normal(size=(2, 3, 40)).astype(dtype), rng.normal(size=(2, 3, 40)).astype(dtype)
    wide = np.full((2, 3, 80), 7, dtype)
    for name in ("softmax_slope", "gelu_tanh_slope"):
        wanted = getattr(compiled, name)(x, r)
        over = r.copy()
        assert getattr(compiled, name)(x, over, out=over) is over
        getattr(compiled, name)(x, r, out=wide[..., ::2])
        np.testing.assert_array_equal(over, wanted)
        np.testing.assert_array_equal(wide[..., ::2], wanted)
        assert (wide[..., 1::2] == 7).all()


@BOTH
def test_softmax_over_what_a_mask_allows(dtype):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 3, 4, 5)).astype(dtype)
    mask = (rng.random((2, 1, 4, 5)) > 0.4).astype(dtype)
    mask[0, 0, 1] = 0
    x[0, 0, 0, mask[0, 0, 0] == 0] = 1e4  # what is hidden does not count
    for m in (mask, mask[0, 0], mask[:, :, :1], np.ascontiguousarray(mask.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)):
        np.testing.assert_allclose(compiled.softmax(x, m), plain.softmax(x, m), atol=2 * np.finfo(dtype).eps)
    assert (compiled.softmax(x, mask)[0, :, 1] == 0).all()
    x[1, 1, 1, 1] = np.nan
    assert np.isnan(compiled.softmax(x)[1, 1, 1]).all()


@BOTH
def test_scores_of_ten_thousand_are_finite(dtype):
    x = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype)
    np.testing.assert_allclose(compiled.softmax(x), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
    np.testing.assert_allclose(compiled.logsoftmax(x)[0], [0, -2e4, -1e4], rtol=1e-6)


@BOTH
def test_layer_norm_with_gain_and_bias_and_its_derivatives(dtype):
    rng = np.random.default_rng(5)
    x, r = (rng.normal(size=(2, 3, 33)).astype(dtype) for _ in range(2))
    gain, bias = (rng.normal(size=33).astype(dtype) for _ in range(2))
    y, mean, inverse, gx = np.empty_like(x), *(np.empty((2, 3), dtype) for _ in range(2)), np.empty_like(x)
    compiled.layer_norm(x, gain, bias, 1e-5, out=(y, mean, inverse))
    slopes = np.empty(33, dtype), np.empty(33, dtype)
    compiled.layer_norm_slope(r, x, mean, inverse, gain, bias, out=(gx, *slopes))
    unscaled, deviations = plain.norm(x.astype(float), 1e-5)
    wanted = plain.norm_slope(unscaled, deviations[..., None], r * gain.astype(float))
    near = {"rtol": 0, "atol": 100 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, unscaled * gain + bias, **near)
    np.testing.assert_allclose(mean, x.astype(float).mean(-1), **near)
    np.testing.assert_allclose(gx, wanted, **near)
    np.testing.assert_allclose(slopes[0], (r * unscaled).sum((0, 1)), **near)
    np.testing.assert_allclose(slopes[1], r.astype(float).sum((0, 1)), **near)


def test_rows_are_added_up_by_their_ids():
    rng = np.random.default_rng(6)
    rows, ids = rng.normal(size=(2, 5, 3, 2)), np.array([[0, 3, -1, 3, 0], [1, 1, -100, 0, 3]])
    for kind in (np.int64, np.int32):
        np.testing.assert_allclose(
            compiled.add_rows(rows, ids.astype(kind), 5), plain.add_rows(rows, ids, 5), atol=1e-15
        )


def layouts(x):
    """A matrix in memory: by rows, by columns, within a larger one, with gaps, backwards, and not to be written."""
    wide = np.zeros(tuple(2 * size for size in x.shape), x.dtype)
    wide[: x.shape[0], : x.shape[1]] = x
    gaps = np.zeros_like(wide)
    gaps[::2, ::2] = x
    fixed = x.copy()
    fixed.flags.writeable = False
    return x, np.asfortranarray(x), wide[: x.shape[0], : x.shape[1]], gaps[::2, ::2], x[::-1], fixed


@BOTH
@pytest.mark.parametrize(
    "sizes", [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 1), (1, 7, 1), (2, 0, 3), (0, 2, 2)]
)
def test_products_of_matrices_of_any_layout(sizes, dtype):
    rng = np.random.default_rng(7)
    m, k, n = sizes
    for a in layouts(rng.normal(size=(m, k)).astype(dtype)):
        for b in layouts(rng.normal(size=(k, n)).astype(dtype)):
            wanted = 0.5 * (a.astype(float) @ b.astype(float))
            for out in layouts(np.full((m, n), np.nan, dtype))[:-1]:
                numba_products.matmul(a, b, out=out, scale=0.5)
                np.testing.assert_allclose(out, wanted, rtol=0, atol=20 * np.finfo(dtype).eps)


def test_products_of_stacks_that_broadcast():
    rng = np.random.default_rng(8)
    a = rng.normal(size=(2, 6, 3, 4)).transpose(0, 2, 1, 3)
    b = rng.normal(size=(2, 6, 3, 4)).transpose(0, 2, 3, 1)
    for first, second in [
        (a, b),
        (a[0], b[0]),
        (a, b[:1]),
        (a, b[0, :1]),
        (a, b[0, 0]),
        (a[0, 0], b),
        (a[:, None], b[:, None]),
    ]:
        out = np.empty(np.matmul(first, second).shape)
        numba_products.matmul(first, second, out=out)
        np.testing.assert_allclose(out, first @ second, rtol=1e-14, atol=1e-14)


@pytest.mark.skipif(not mkl.addresses() and not os.environ.get("CI"), reason="MKL is not installed")
def test_matrices_that_lie_plain_or_turned_go_to_mkl(monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(numba_products, "_by_numpy", fail)
    a, b = np.ones((4, 6)), np.ones((8, 6))
    out = np.empty((8, 4))
    numba_products.matmul(a, b.T, out=out.T)
    assert (out == 6).all()
    with pytest.raises(AssertionError):
        numba_products.matmul(a[:, ::2], b[:, ::2].T, out=out.T)


def test_a_function_without_a_place_for_its_cache_is_compiled_all_the_same():
    namespace = {}
    exec("def double(x):\n    return x + x", namespace)
    assert numba_kernel.compiled(namespace["double"], types.float64(types.float64))(2.0) == 4


def test_machine_code_on_disk_is_that_of_the_sources_as_they_are(tmp_path, monkeypatch):
    def compile_double(constant):
        path = tmp_path / "parts.py"
        path.write_text("def double(x):\n    return part(x)\n", encoding="utf-8")
        namespace = {"part": numba_kernel.inner(lambda x: constant * x)}
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), namespace)
        return numba_kernel.compiled(namespace["double"], types.float64(types.float64))

    assert compile_double(2.0)(1.0) == 2
    again = compile_double(3.0)
    assert again.stats.cache_hits
    assert again(1.0) == 2  # numba does not see that a part is another one
    monkeypatch.setattr(numba_kernel, "_SOURCES", hashlib.sha256(b"changed"))
    assert compile_double(3.0)(1.0) == 3


def test_exponentials_that_underflow_are_zero():
    for dtype, far in (("float32", -104.5), ("float64", -746.0)):
        x = np.array([far, far * 1.1, far * 10, -1e30], dtype)
        assert (compiled.exp_slope(x, np.ones_like(x)) == 0).all()
