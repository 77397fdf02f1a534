"""Exported files, imported where formcalc cannot be: against the engines' own checks of derivatives."""

import ast
import importlib.util
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import formcalc as fc
from formcalc.numeric.export import TARGETS

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")

ENGINES = [target for target in TARGETS if target != "latex"]

RUFF = Path(sysconfig.get_path("scripts"), "ruff")

#: Compiled in a hurry: what is computed counts here, not how fast.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

LETTERS = {"X": ("T", "d"), "Q": ("d", "n"), "K": ("d", "n"), "V": ("d", "v")}

#: Pages with layers, heads, tokens, masks, constants and several states, small.
CHECKED = ("encoder", "gpt2", "llama", "relations")


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Writes what is exported to a file, and imports that while formcalc cannot be imported."""

    def load(form, target, **options):
        path = tmp_path / f"exported_{target}.py"
        text = fc.export(form, target, path, **options)
        assert path.read_text(encoding="utf-8") == text
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "formcalc", None)
            spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def attention():
    return fc.parse("a(n^{-1/2} X Q K^t X^t) X V", LETTERS, roles={"X": "data"})


def arguments(model):
    """For each argument of a file, in the order of the page, its letters: those of a layered one are several."""
    groups = {}
    for name in model.inputs:
        if model.letters[name].role in ("weight", "data", "tokens", "mask"):
            written = model.unrolled.written_as.get(name)
            groups.setdefault(written[0].name if written else name, []).append(name)
    return groups


def stacked(model, values):
    """The values there are, for the arguments in their order; those of layers along a first axis."""
    return [
        values[names[0]] if names == [argument] else np.stack([values[name] for name in names])
        for argument, names in arguments(model).items()
        if names[0] in values
    ]


def drawn(module, sizes, seed=0):
    """Arrays for a file from its own table of shapes, for a file that takes no ids."""
    random = np.random.default_rng(seed)
    return [random.standard_normal([sizes[x] for x in shape]) for shape in module.SHAPES.values()]


def of_reference(form, arrays):
    """Loss and gradients by the reference evaluator."""
    coefficients = fc.evaluate(form, arrays)
    gradients = stacked(form.model, {name: -np.swapaxes(value, -1, -2) for name, value in coefficients.items()})
    return fc.evaluate(form.model.loss, arrays, **form.model.sizes), gradients


def convert(target, arrays):
    """Arrays of an engine."""
    if target == "torch":
        return [torch.tensor(np.asarray(x)) for x in arrays]
    return [jax.numpy.asarray(x) for x in arrays] if target == "jax" else arrays


def loss_and_gradients(module, target, model, arrays):
    """What a file computes, as a user of its engine asks for it: the loss, and the gradients by all weights."""
    if target in ("numpy", "einsum"):
        loss, gradients = module.loss_and_gradients(*arrays)
        return loss, [*gradients.values()]
    arrays = convert(target, arrays)
    if target == "jax":
        return jax.jit(with_gradients(module, model), compiler_options=QUICK)(*arrays)
    weights = [arrays[place].requires_grad_() for place in places_of_weights(model)]
    loss = getattr(module, model.name.replace("-", "_"))(*arrays)
    return loss.detach(), torch.autograd.grad(loss, weights)


def places_of_weights(model):
    """Which arguments of a file are weights."""
    roles = [model.letters[names[0]].role for names in arguments(model).values()]
    return [place for place, role in enumerate(roles) if role == "weight"]


def with_gradients(module, model):
    """Loss and gradients of a file of jax."""
    return jax.value_and_grad(getattr(module, model.name.replace("-", "_")), argnums=places_of_weights(model))


@pytest.mark.parametrize("target", ENGINES)
@pytest.mark.parametrize("name", fc.models())
def test_every_stock_page_is_clean_and_right(imported, tmp_path, name, target):
    form = fc.derive(fc.load(name))
    arrays = fc.sample(form.model, 1)
    module = imported(form, target)
    check_source(tmp_path / f"exported_{target}.py")
    if target == "jax" and name not in CHECKED:
        # compiling takes seconds; the steps are those of numpy
        arguments_there = convert(target, stacked(form.model, arrays))
        shapes = jax.eval_shape(with_gradients(module, form.model), *arguments_there)[1]
        assert [x.shape for x in shapes] == [x.shape for x in of_reference(form, arrays)[1]]
        return
    loss, gradients = loss_and_gradients(module, target, form.model, stacked(form.model, arrays))
    due, references = of_reference(form, arrays)
    assert float(loss) == pytest.approx(float(due), rel=1e-12)
    largest = max(abs(reference).max() for reference in references)
    for found, reference in zip(gradients, references, strict=True):
        assert found.shape == reference.shape
        np.testing.assert_allclose(np.asarray(found), reference, rtol=0, atol=1e-12 * largest)


def check_source(path):
    """A file has short lines, uses every name that it binds, and ruff finds nothing in it, nor would it change it."""
    text = path.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 120
    assert unused(ast.parse(text)) == set()
    names_of_pages = "N803,N806"
    for command in (["check", "--select", "E,F,W,I,N,UP,B,SIM", "--ignore", names_of_pages], ["format", "--diff"]):
        options = ["--isolated", "--no-cache", "--line-length", "120"]
        run = [RUFF, *command, *options, path]
        found = subprocess.run(run, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout + found.stderr


def unused(module):
    """The names that a module binds, at its top or within a part of it, and never reads there; other than its own."""
    offered = {"annotations", "SHAPES", "GRADIENTS", "forward", "backward", "loss_and_gradients", "generate_vmap_rule"}
    bound, found, read = set(), set(), {*offered, "_"}
    for part in module.body:
        names = [node for node in ast.walk(part) if isinstance(node, ast.Name)]
        stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        loaded = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        match part:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
                found |= stored - loaded - read
                read |= loaded - stored
            case ast.Import(names=imported) | ast.ImportFrom(names=imported):
                bound |= {(alias.asname or alias.name).partition(".")[0] for alias in imported}
            case _:
                bound |= stored
                read |= loaded
    last = module.body[-1]
    return found | bound - read - ({last.name} if isinstance(last, ast.FunctionDef) else set())


def test_other_sizes_than_those_it_was_exported_for(imported):
    module = imported(fc.derive(fc.load("gpt2")), "numpy")
    form = fc.derive(fc.load("gpt2", L=3, T=3))
    arrays = fc.sample(form.model)
    _, gradients = module.loss_and_gradients(*stacked(form.model, arrays))
    _, references = of_reference(form, arrays)
    for found, reference in zip(gradients.values(), references, strict=True):
        np.testing.assert_allclose(found, reference, rtol=0, atol=1e-12)


def differentiated(module, form, convert):
    """The function of a file by its real weights alone, and the weights."""
    arrays = [convert(x) for x in stacked(form.model, fc.sample(form.model))]
    letters = [form.model.letters[names[0]] for names in arguments(form.model).values()]
    places = [place for place, letter in enumerate(letters) if letter.role == "weight"]
    whole = getattr(module, form.model.name)

    def by_weights(*weights):
        given = list(arrays)
        for place, weight in zip(places, weights, strict=True):
            given[place] = weight
        return whole(*given)

    return by_weights, [arrays[place] for place in places]


@pytest.mark.parametrize(("name", "double"), [*((name, False) for name in CHECKED), ("encoder", True), ("llama", True)])
def test_torch_checks_first_and_second_derivatives(imported, name, double):
    form = fc.derive(fc.load(name))
    module = imported(form, "torch", double=double)
    loss, weights = differentiated(module, form, lambda x: torch.tensor(np.asarray(x)))
    weights = [weight.requires_grad_() for weight in weights]
    assert torch.autograd.gradcheck(loss, weights, fast_mode=True)
    assert torch.autograd.gradgradcheck(loss, weights, fast_mode=True, atol=1e-5)


def test_torch_checks_every_entry_of_a_small_layer(imported):
    module = imported(attention(), "torch")
    arrays = drawn(module, {"T": 3, "d": 3, "n": 2, "v": 2})[:-1]
    inputs = [torch.tensor(x, requires_grad=True) for x in arrays]
    assert torch.autograd.gradcheck(module.layer, inputs)
    assert torch.autograd.gradgradcheck(module.layer, inputs)


def derived_twice(layer, *arrays):
    """The gradients of the squares of gradients, within ``torch.func``."""

    def slopes(*inputs):
        return torch.func.grad(lambda *x: (layer(*x) ** 2).sum(), argnums=(0, 1, 2, 3))(*inputs)

    return torch.func.grad(lambda *x: sum((y**2).sum() for y in slopes(*x)), argnums=(0, 1, 2, 3))(*arrays)


def test_torch_maps_second_derivatives_which_are_the_same_both_ways(imported):
    layers = [imported(attention(), "torch", double=double).layer for double in (False, True)]
    *arrays, _ = map(torch.tensor, drawn(imported(attention(), "torch"), {"T": 3, "d": 3, "n": 2, "v": 2}))
    several = [torch.stack([x, x + 1]) for x in arrays]
    alone = [derived_twice(layer, *arrays) for layer in layers]
    torch.testing.assert_close(*alone)
    for layer, due in zip(layers, alone, strict=True):
        mapped = torch.func.vmap(partial(derived_twice, layer))(*several)
        torch.testing.assert_close(tuple(x[0] for x in mapped), due)


@pytest.mark.parametrize("double", [False, True])
def test_a_double_backward_is_clean(imported, tmp_path, double):
    imported(fc.derive(fc.load("llama")), "torch", until="X_L", double=double)
    check_source(tmp_path / "exported_torch.py")


@pytest.mark.parametrize("name", CHECKED)
def test_jax_checks_first_and_second_derivatives(imported, name):
    from jax.test_util import check_grads

    form = fc.derive(fc.load(name, **({"L": 1} if name in ("gpt2", "llama") else {})))
    loss, weights = differentiated(imported(form, "jax"), form, jax.numpy.asarray)
    check_grads(jax.jit(loss), weights, order=2, modes=["rev"], atol=1e-5, rtol=1e-5)


def test_torch_is_mapped_over_inputs_and_over_cotangents(imported):
    module = imported(attention(), "torch")
    *arrays, cotangent = map(torch.tensor, drawn(module, {"T": 3, "d": 3, "n": 2, "v": 2}))
    several = [torch.stack([x, 2 * x, x + 1]) for x in arrays]
    once = [module.layer(*(x[i] for x in several)) for i in range(3)]
    torch.testing.assert_close(torch.func.vmap(module.layer)(*several), torch.stack(once))

    def product(*inputs):
        return (module.layer(*inputs) * cotangent).sum()

    mapped = torch.func.vmap(torch.func.grad(product, argnums=(0, 1, 2, 3)))(*several)
    for i in range(3):
        inputs = [x[i].clone().requires_grad_() for x in several]
        alone = torch.autograd.grad(product(*inputs), inputs)
        for found, due in zip(mapped, alone, strict=True):
            torch.testing.assert_close(found[i], due)


def test_jax_is_mapped_and_compiled(imported):
    module = imported(attention(), "jax")
    *arrays, cotangent = drawn(module, {"T": 3, "d": 3, "n": 2, "v": 2})
    several = [np.stack([x, 2 * x, x + 1]) for x in arrays]

    def gradient(*inputs):
        return jax.vjp(module.layer, *inputs)[1](cotangent)

    mapped = jax.jit(jax.vmap(gradient))(*several)
    for i in range(3):
        for found, due in zip(mapped, gradient(*(x[i] for x in several)), strict=True):
            np.testing.assert_allclose(found[i], due, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", ["numpy", "einsum"])
def test_a_layer_takes_a_cotangent_and_gives_gradients(imported, target):
    module = imported(attention(), target)
    X, Q, K, V, G = drawn(module, {"T": 4, "d": 3, "n": 2, "v": 2})

    def layer(X, Q, K, V):
        return jax.nn.softmax(X @ Q @ K.T @ X.T / 2**0.5, axis=-1) @ X @ V

    output, gradients = module.output_and_gradients(X, Q, K, V, G)
    due, pull_back = jax.vjp(layer, X, Q, K, V)
    np.testing.assert_allclose(output, due, rtol=1e-12)
    for found, reference in zip(gradients.values(), pull_back(jax.numpy.asarray(G)), strict=True):
        np.testing.assert_allclose(found, reference, rtol=1e-11, atol=1e-13)


def test_the_layers_of_a_page_up_to_an_output(imported):
    form = fc.derive(fc.load("encoder"))
    module = imported(form, "torch", until="X_L")
    sizes = {**form.model.sizes}
    *arrays, _ = drawn(
        module, {**sizes, **{x: int(x) for shape in module.SHAPES.values() for x in shape if x.isdigit()}}
    )
    inputs = [torch.tensor(x, requires_grad=True) for x in arrays]
    assert torch.autograd.gradcheck(module.encoder, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(module.encoder, inputs, fast_mode=True, atol=1e-5)


class Network(torch.nn.Module):
    """Layers that are given as a function, between parameters of their own and a readout."""

    def __init__(self, function, arrays, width):
        super().__init__()
        self.function, self.arrays = function, arrays
        held = {name: x for name, x in arrays.items() if x.is_floating_point() and name != "p"}
        self.weights = torch.nn.ParameterDict({name: torch.nn.Parameter(x.clone()) for name, x in held.items()})
        self.head = torch.nn.Linear(width, 1).double()
        torch.nn.init.constant_(self.head.weight, 0.1)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self):
        return self.head(self.function(*(self.arrays | dict(self.weights)).values())).square().mean()


@pytest.mark.parametrize("name", ["encoder", "gpt2", "llama"])
def test_layers_of_a_page_train_within_a_torch_module_as_autograd_trains_them(imported, name):
    form = fc.derive(fc.load(name))
    module = imported(form, "torch", until="X_L")
    sizes = {word: form.model.sizes.get(word.strip("_")) or int(word) for x in module.SHAPES.values() for word in x}
    *values, cotangent = drawn(module, sizes)
    arrays = {argument: torch.tensor(x) for argument, x in zip(module.SHAPES, values, strict=False)}
    known = {"x_": lambda x: (3 * x).abs().long(), "p": torch.ones_like}
    arrays = {argument: known.get(argument, torch.clone)(x) for argument, x in arrays.items()}
    trained = []
    for function in (getattr(module, name), lambda *given: module.forward(*given)[0]):
        network = Network(function, arrays, cotangent.shape[-1])
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        network().backward()
        optimizer.step()
        trained.append(dict(network.named_parameters()))
    for weight, due in trained[1].items():
        torch.testing.assert_close(trained[0][weight], due, rtol=1e-12, atol=1e-12)
    assert not torch.equal(trained[0]["weights.Q"], arrays["Q"])


@pytest.mark.parametrize("target", ENGINES)
def test_a_shape_that_does_not_fit_names_the_array(imported, target):
    module = imported(attention(), target)
    X, Q, K, V, G = drawn(module, {"T": 4, "d": 3, "n": 2, "v": 2})
    if target == "torch":
        X, Q, K, V = map(torch.tensor, (X, Q, K, V))
    arguments = (X, Q, K[:2], V) if target in ("jax", "torch") else (X, Q, K[:2], V, G)
    entry = module.layer if target in ("jax", "torch") else module.output_and_gradients
    with pytest.raises(ValueError, match=r"K has the shape \(2, 2\); it should be \(d, n\) with d = 3, n = 2"):
        entry(*arguments)


def test_the_text_is_the_same_in_every_process():
    command = (
        "import formcalc as fc\n"
        f"print(*(fc.export(fc.derive(fc.load('encoder')), target) for target in {list(TARGETS)}), sep='', end='')"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", command], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {"".join(fc.export(fc.derive(fc.load("encoder")), target) for target in TARGETS)}


def test_the_head_shows_the_page_and_its_form():
    form = fc.derive(fc.load("encoder"))
    head = fc.export(form, "numpy").split('"""')[1]
    assert "    S_i     = n^{-1/2} X_i Q_i K_i^t X_i^t" in head
    assert "dQ_i : n^{-1/2} K_i^t X_i^t U_i X_i" in head


def test_a_target_that_is_none():
    with pytest.raises(fc.FormcalcError, match="unknown target 'nunpy'; did you mean 'numpy'"):
        fc.export(fc.derive(fc.load("encoder")), "nunpy")


def test_an_output_that_is_none():
    with pytest.raises(fc.FormcalcError, match="Z is no output of encoder: outside of layers it defines E, X_L"):
        fc.export(fc.derive(fc.load("encoder")), "numpy", until="Z")
