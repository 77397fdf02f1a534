"""Programs as programs: operators on every engine, the order of multiplication, memory, errors, and the source."""

import ast
import importlib
import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import formcalc as fc
from formcalc.errors import ArrayError, EvaluationError, FormcalcError, MissingEngineError
from formcalc.numeric.program import ENGINES, ordering
from formcalc.numeric.program.builder import RESERVED
from formcalc.operators import OPERATORS

#: Constant arguments to test, by the kind of constant that a row takes.
CONSTANTS = {"mask": ("", ", p"), "scalar": ("", ", 1/2"), None: ("",)}

ROWS = [
    (row, by_columns, constant)
    for row in OPERATORS
    for by_columns in (False, True)[: 1 if row.is_elementwise else 2]
    for constant in CONSTANTS[row.constant]
]

IDS = [f"{row.name}{'^t' if by_columns else ''}{constant.replace(', ', '-')}" for row, by_columns, constant in ROWS]

ADAPTER = """dims T = 256, d = 128, r = 8
data X, Y: T×d   W: d×d
weights A: d×r   B: r×d
E = Y - X (W + A B)
loss = 1/2 trace(E^t E)
"""


def compiled(name, engine="numpy", dtype="float64", **sizes):
    """A program of a page and arrays for it."""
    form = fc.derive(fc.load(name, **sizes))
    return fc.compile(form, engine=engine, dtype=dtype), dict(fc.sample(form.model))


# Operators


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("row", "by_columns", "constant"), ROWS, ids=IDS)
def test_values_and_slopes_of_operators_are_those_of_the_reference(row, by_columns, constant, engine):
    applied = f"{row.name}{'^t' if by_columns else ''}(X{constant})"
    form = fc.derive(
        fc.load(f"dims T = 4, d = 3\nweights X: T×d\ndata A: T×d\nmask p: T×d\nloss = trace(A^t {applied})\n")
    )
    program = fc.compile(form, engine=engine)
    random = np.random.default_rng(3)
    # as scores, up to 1e4; exp overflows, and is held to what it can be
    for scale in (1, 1e2, 1e4):
        X = random.standard_normal((4, 3)) * scale
        X = abs(X) + 0.1 if row.domain != "real" else X.clip(-300, 300) if row.name == "exp" else X
        A, p = random.standard_normal((4, 3)), np.ones((4, 3))
        p[1], p[:, 2], p[0, 1] = 0, 0, 0
        arrays = {"X": X, "A": A, "p": p}
        result, reference = program(arrays), fc.evaluate(form, arrays)["X"]
        found = np.asarray(result.coefficients["X"])
        assert np.isfinite(found).all()
        assert result.loss == pytest.approx(float(fc.evaluate(form.model.loss, arrays)), rel=1e-12, abs=1e-12)
        # where softmax is saturated its slope is a difference of numbers near A
        rounding = 0 if row.is_elementwise else 1e-14 * abs(A).max()
        assert np.allclose(found, reference, rtol=1e-12, atol=rounding + 1e-12 * abs(reference).max())


@pytest.mark.parametrize("engine", ENGINES)
def test_small_probabilities_keep_their_digits(engine):
    program, _ = compiled("dims T = 1, d = 3\nweights X: T×d\nloss = trace(log(sigmoid(X)) 1_{d×T})\n", engine)
    result = program({"X": np.array([[-40.0, -200.0, -3.0]])})
    assert result.loss == pytest.approx(-243.04858735157374, rel=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_quarter_turn_stands_anywhere_in_a_word(engine):
    page = """dims T = 2, h = 3
weights W[h]: T×T   V: T×T
quarterturn J: T×T
H = J + V
loss = trace(J) + trace(J^t V) + trace(V ∘ J) + trace(J J V) + trace(H H J^t H) + trace(J W J W^t ∘ J)
"""
    agrees(page, engine)


def agrees(page, engine="numpy"):
    """Hold a page against the reference."""
    program, arrays = compiled(page, engine)
    result, reference = program(arrays), fc.evaluate(program.form, arrays)
    assert result.loss == pytest.approx(float(fc.evaluate(program.form.model.loss, arrays, **program.form.model.sizes)))
    for name, value in reference.items():
        assert np.allclose(np.asarray(result.coefficients[name]), value, rtol=1e-11, atol=1e-12), name


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "loss",
    [
        "trace(x E) + trace(x^t Y)",
        "trace(x x^t W)",
        "trace(Y^t x) trace(x^t x)",
        "trace((x ∘ x) E) + trace(2 x E)",
        "trace(z^t Y) + trace(z E)",
        "trace(trace(s) W x E W)",
        "trace(s) + trace(s W) + trace(s^t s W)",
    ],
)
def test_tokens_stand_anywhere_in_a_word(loss, engine):
    page = "dims T = 3, V = 3, o = 1\ntokens x: T×V\ntokens z: 1×V\ntokens s: T×T\nweights E: V×T   W: T×T   Y: T×V\n"
    agrees(f"{page}loss = {loss.replace('z E', 'z E 1_{T×1}').replace('z^t Y', 'z^t 1_{1×T} Y')}\n", engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_states_may_change_places_and_axes_and_sizes_of_one_are_kept(engine):
    page = """dims T = 2, h = 2, L = 3
weights X_0, Y_0, W: T×T   w: 1×1   u[h]: 1×T
data A: T×T
layers i = 0 .. L-1
  X_{i+1} = Y_i
  Y_{i+1} = X_i W
loss = trace(A^t X_L Y_L) + trace(w 1_{1×T} A u^t)
"""
    agrees(page, engine)


# The order of multiplication


@st.composite
def chains(draw):
    """Factors with labels from a small alphabet, as in words with axes; sizes; labels of the result."""
    count = draw(st.integers(1, 5))
    labels = st.frozensets(st.sampled_from("abcdef"), min_size=1, max_size=3)
    factors = [ordering.Factor(draw(labels)) for _ in range(count)]
    present = sorted(frozenset().union(*(factor.labels for factor in factors)))
    output = draw(st.frozensets(st.sampled_from(present)))
    return factors, output, {label: draw(st.integers(1, 9)) for label in "abcdef"}


def orders(i, j):
    """Every order of the factors from i to j."""
    if i == j:
        yield i
    for k in range(i, j):
        yield from ((left, right) for left in orders(i, k) for right in orders(k + 1, j))


def chosen(splits, i, j):
    """A part as nested pairs."""
    if i == j:
        return i
    return chosen(splits, i, splits[i, j]), chosen(splits, splits[i, j] + 1, j)


def cost(order, factors, output, sizes):
    """The operations of an order, and the labels and places of what comes out."""
    if isinstance(order, int):
        places = {order}
        work, present = 0, factors[order].labels
        if not present <= output.union(*(factor.labels for k, factor in enumerate(factors) if k != order)):
            work = math.prod(sizes[label] for label in present)
    else:
        (first, some, here), (second, others, there) = (cost(part, factors, output, sizes) for part in order)
        places, present = here | there, some | others
        work = first + second + 2 * math.prod(sizes[label] for label in present)
    outside = output.union(*(factor.labels for k, factor in enumerate(factors) if k not in places))
    return work, present & outside, places


@settings(max_examples=150, derandomize=True)
@given(chains())
def test_no_order_of_neighbours_is_cheaper(chain):
    factors, output, sizes = chain
    last = len(factors) - 1
    costs, splits = ordering.Orders(factors, output, sizes).best()
    found = costs[0, last] // ordering.OPERATION
    assert found == cost(chosen(splits, 0, last), factors, output, sizes)[0]
    assert found == min(cost(other, factors, output, sizes)[0] for other in orders(0, last))


def test_what_is_known_costs_nothing():
    factors = [ordering.Factor(frozenset(labels)) for labels in ("ab", "bc", "cd")]
    sizes = {"a": 2, "b": 50, "c": 50, "d": 3}
    both = ordering.Orders(factors, frozenset("ad"), sizes)
    costs, splits = both.best()
    assert (chosen(splits, 0, 2), costs[0, 2] // ordering.OPERATION) == (((0, 1), 2), 10600)
    costs, splits = both.best(frozenset({(1, 2)}))
    assert (chosen(splits, 0, 2), costs[0, 2] // ordering.OPERATION) == ((0, (1, 2)), 600)


def test_attention_without_softmax_never_makes_the_scores():
    plan = compiled_only("encoder-linear", T=4096, d=64, n=64, L=1).plan
    assert plan.flops < 0.35e9
    assert max(math.prod(step.shape) for step in plan.steps) == 4096 * 64


def compiled_only(name, **sizes):
    return fc.compile(fc.derive(fc.load(name, **sizes)))


def test_gradients_of_adapters_go_through_the_rank():
    program = compiled_only(ADAPTER)
    # one product of T×d with d×d, going forward; all others have a side of 8
    large = [step for step in program.plan.steps if step.flops >= 2 * 256 * 128 * 128]
    assert [step.shape for step in large] == [(256, 128)]
    assert program.plan.product_flops < 11e6


def test_the_plan_is_a_table():
    lines = str(
        compiled_only("dims T = 3, d = 2\ndata X: T×d\nweights W: d×d\nloss = trace(X W X^t)\n").plan
    ).splitlines()
    assert lines[0].split() == ["step", "operation", "shape", "times", "MFLOP", "bytes"]
    assert lines[-3] == "0.0000 GFLOP in one run, 0.0000 of them in matrix products"
    assert lines[-2].startswith("from left to right these would be 0.0000")
    assert lines[-1].endswith(" beside the inputs")
    plan = compiled_only("gpt2", L=3).plan
    assert {step.repeats for step in plan.steps} == {1, 3}
    assert 0 < plan.product_flops < plan.flops
    assert len(str(plan).splitlines()) == len(plan.steps) + 4


# Memory


#: Engines whose runs are the same to the last bit, wherever arrays lie.
EXACT = ("numpy", "numba")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["encoder", "gpt2"])
def test_a_run_changes_no_array_and_returns_none_of_them(name, engine):
    program, arrays = compiled(name, engine, L=1)
    before = {name: array.copy() for name, array in arrays.items()}
    first, second = program(arrays), program(arrays)
    for name, array in arrays.items():
        assert (array == before[name]).all(), name
    assert first.loss == pytest.approx(second.loss, rel=0 if engine in EXACT else 1e-13)
    for name, gradient in first.gradients.items():
        here, there = np.asarray(gradient), np.asarray(second.gradients[name])
        assert (here == there).all() if engine in EXACT else np.allclose(here, there, rtol=1e-12, atol=1e-15)
        assert not any(np.shares_memory(here, array) for array in arrays.values())
        assert not np.shares_memory(here, there)


@pytest.mark.parametrize("engine", ["numpy", "numba", "torch"])
def test_gradients_that_are_data_are_copies(engine):
    page = "dims T = 3\ndata A: T×T\nweights W, X_0: T×T\nloss = -trace(A W^t) + trace(A X_0)\n"
    program, arrays = compiled(page, engine)
    for gradient in program(arrays).gradients.values():
        gradient[0, 0] = 7
        assert np.asarray(gradient)[0, 0] == 7
    assert 7 not in arrays["A"]


def test_arrays_that_cannot_be_written_and_arrays_of_any_layout_will_do():
    program, arrays = compiled("gpt2", L=1)
    loss = program(arrays).loss
    for array in arrays.values():
        array.flags.writeable = False
    assert program(arrays).loss == loss
    turned = {name: np.asfortranarray(array) for name, array in arrays.items()}
    assert program(turned).loss == pytest.approx(loss, rel=1e-13)


# Errors


def test_unknown_engines_and_types_are_named():
    form = fc.derive(fc.load("encoder"))
    with pytest.raises(FormcalcError, match=r"^unknown engine 'nump'; did you mean 'numpy'\?$"):
        fc.compile(form, engine="nump")
    with pytest.raises(FormcalcError, match=r"^unknown engine 'tensorflow'; engines: numpy, numba, jax, torch$"):
        fc.compile(form, engine="tensorflow")
    with pytest.raises(FormcalcError, match=r"^numpy has no programs in 'float16'; its types: float32, float64$"):
        fc.compile(form, dtype="float16")
    with pytest.raises(FormcalcError, match=r"^jax has no programs in 'int'; its types: float32, float64, bfloat16$"):
        fc.compile(form, engine="jax", dtype="int")


def test_arrays_that_do_not_fit_are_named():
    program, arrays = compiled("encoder", L=1)
    without = {name: array for name, array in arrays.items() if name != "Q_0"}
    with pytest.raises(ArrayError, match=r"^no array for Q_0; given: X_0, Y, K_0, V_0, b_0, W_0, f_0$"):
        program(without)
    with pytest.raises(ArrayError, match=r"^Q_0: the array is 3×8, but d = 8, since X_0 has 8 columns$"):
        program({**arrays, "Q_0": arrays["Q_0"][:3]})
    with pytest.raises(ArrayError, match=r"^Q_0: entry \[0, 0\] is nan; every entry must be finite$"):
        program({**arrays, "Q_0": np.full((8, 8), np.nan)})
    with pytest.raises(ArrayError, match=r"^X_0: the array is 9×8, the program was compiled for 6×8$"):
        program(fc.sample(fc.load("encoder", L=1, T=9)))


@pytest.mark.parametrize("engine", ["numba", "jax", "torch"])
def test_an_engine_that_is_not_installed_is_named_with_its_cure(engine, monkeypatch):
    original = importlib.import_module

    def missing(name, *rest):
        if name.endswith(f"{engine}_primitives"):
            raise ModuleNotFoundError(f"No module named {engine!r}", name=engine)
        return original(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    cure = rf"^the engine {engine} is not installed: pip install 'formcalc\[{engine}\]'$"
    with pytest.raises(MissingEngineError, match=cure):
        fc.compile(fc.derive(fc.load("encoder")), engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loss_that_overflows_in_float32_is_an_error(engine):
    program, _ = compiled("dims T = 2\nweights W: T×T\nloss = trace(W^t W)\n", engine, "float32")
    due = r"^the result of page is not finite in float32: the first such value is t1 = the product of W, W, scalar"
    with pytest.raises(EvaluationError, match=due):
        program({"W": np.full((2, 2), 1e30)})


# The source


def test_the_source_has_one_length_for_every_depth_and_is_plain_python():
    shallow, deep = (compiled_only("gpt2", L=layers).source for layers in (2, 12))
    assert len(shallow.splitlines()) == len(deep.splitlines())
    tree = ast.parse(deep)
    compile(deep, "<program>", "exec")
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "open", "getattr", "__import__"}
    assert not any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.walk(tree))


#: Legal letters, which are words of Python or of the engines.
LETTERS = [
    "lambda_1",
    "import_2",
    "X_{1,7}",
    "np",
    "jnp",
    "torch_0",
    "sum",
    "print",
    "None",
    "math",
    "γ",
    "X",
    "class_i",
]


@pytest.mark.parametrize("engine", ENGINES)
def test_letters_may_be_named_as_they_like(engine):
    names = [name for name in LETTERS if name != "class_i"]
    chain = " ".join(names)
    page = f"dims T = 2, L = 2\nweights {', '.join(names)}: T×T\nlayers i = 0 .. L-1\n  weights class_i: T×T\n"
    agrees(f"{page}  A_i = tanh(class_i {chain})\nloss = Σ_i trace(A_i) + trace({chain})\n", engine)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize(
    "name",
    [
        *("gradients", "constants", "arrays", "like", "select", "one_hot", "range", "ones_of", "matmul"),
        *("accumulate", "scaled_product", "attention", "hidden"),
    ],
)
def test_letters_may_be_named_as_what_the_source_uses(name, engine):
    page = f"dims T = 2, V = 3, L = 2\nweights {name}, Y: T×T   P: V×T\ntokens x: T×V\nX_0 = Y\nlayers i = 0 .. L-1\n"
    agrees(
        f"{page}  X_{{i+1}} = X_i + norm(X_i, 1) {name}\nloss = 2 trace(x^t X_L P^t) + trace(x P {name} x x^t)\n",
        engine,
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_no_primitive_is_hidden_by_a_letter_of_its_name(engine):
    functions = vars(importlib.import_module(ENGINES[engine].primitives)).items()
    primitives = {name for name, value in functions if inspect.isfunction(value) and not name.startswith("_")}
    assert primitives - RESERVED == set()


def test_the_first_layer_has_no_gradient_of_data():
    source = compiled_only("encoder", L=3).source
    assert "if i != 0:" in source
    one = compiled_only("encoder", L=1)
    assert "if i" not in one.source
    # of the products of an encoder layer, forward 6, backward 12, those are left out that lead to X_0 alone
    assert sum(step.operation == "product of matrices" for step in one.plan.steps) == 6 + 12 - 3 + 1  # and the loss
    # gpt2 starts from the embedding, which has a gradient
    assert "if i" not in compiled_only("gpt2").source
