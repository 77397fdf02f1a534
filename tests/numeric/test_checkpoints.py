"""Weights from files of the transformers package."""

import json
import os
from importlib.util import find_spec

import numpy as np
import pytest
from safetensors.numpy import save_file

import formcalc as fc
from formcalc.app.main import main
from formcalc.errors import ArrayError
from formcalc.numeric.checkpoints import CHECKPOINTS, from_page, load_checkpoint, to_page

each_page = pytest.mark.parametrize("page", sorted(CHECKPOINTS))


def weights(model, seed=0):
    arrays = fc.sample(model, seed)
    return {name: arrays[name] for name in model.weights}


@each_page
def test_the_table_holds_every_weight_of_the_page_once(page):
    model = fc.load(page)
    given = weights(model)
    found = to_page(CHECKPOINTS[page], from_page(CHECKPOINTS[page], given), model.sizes)
    assert found.keys() == given.keys()
    assert all(np.array_equal(found[name], given[name]) for name in given)


@each_page
def test_a_file_and_its_configuration_give_the_sizes_and_the_weights(page, tmp_path):
    model = fc.load(page, L=3)
    given = weights(model)
    table = CHECKPOINTS[page]
    save_file(from_page(table, given), tmp_path / "model.safetensors")
    config = {key: model.sizes[ours] for key, ours in table.config.items()}
    if page == "llama":
        config["num_attention_heads"] = model.sizes["g"] * model.sizes["r"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    arrays, sizes = load_checkpoint(page, tmp_path / "model.safetensors", {})
    assert sizes == {"L": 3}
    assert all(np.array_equal(arrays[name], given[name]) for name in given)


def test_prefixes_and_buffers_may_be_as_on_the_hub(tmp_path):
    model = fc.load("gpt2", L=1)
    given = weights(model)
    tensors = {name.removeprefix("transformer."): x for name, x in from_page(CHECKPOINTS["gpt2"], given).items()}
    tensors["h.0.attn.bias"] = np.tri(8)[None, None]
    save_file(tensors, tmp_path / "model.safetensors")
    arrays, _ = load_checkpoint("gpt2", tmp_path / "model.safetensors", {"h": 2})
    assert all(np.array_equal(arrays[name], given[name]) for name in given)


@pytest.mark.skipif(find_spec("transformers") is None and not os.environ.get("CI"), reason="not installed")
def test_a_model_that_the_package_saved_gives_the_same_logits(tmp_path):
    import torch
    import transformers

    config = transformers.GPT2Config(
        n_layer=2, n_embd=32, n_head=4, n_positions=16, vocab_size=64, bos_token_id=None, eos_token_id=None
    )
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(config).double().eval()
    theirs.save_pretrained(tmp_path)
    arrays, sizes = load_checkpoint("gpt2", tmp_path / "model.safetensors", {"B": 2, "T": 5, "V": 64, "d": 32})
    model = fc.load("gpt2", **{**sizes, "N": 16, "h": 4, "k": 8, "f": 128})
    ids = np.arange(10).reshape(2, 5)
    logits = next(letter for letter in model.definitions if letter.name == "Z")
    point = {**arrays, "x": ids, "p": np.ones((2, 1, 5))}
    ours = fc.evaluate(logits, point, **model.sizes)
    with torch.no_grad():
        assert abs(ours - theirs(torch.tensor(ids)).logits.numpy()).max() < 1e-12


def test_the_command_line_takes_such_a_file(tmp_path, capsys):
    model = fc.load("gpt2", L=1)
    path = tmp_path / "model.safetensors"
    save_file(from_page(CHECKPOINTS["gpt2"], weights(model)), path)
    options = ["--arrays", str(path), "--draw-missing", "--size", "h=2", "--oracle", "jax"]
    assert main(["verify", "gpt2", *options]) == 0
    assert "verified: jax.grad in float64" in capsys.readouterr().out


def test_what_does_not_fit_is_named(tmp_path):
    model = fc.load("gpt2", L=1)
    path = tmp_path / "model.safetensors"
    tensors = from_page(CHECKPOINTS["gpt2"], weights(model))
    save_file({name: x for name, x in tensors.items() if "c_fc.weight" not in name}, path)
    with pytest.raises(ArrayError, match=r"there is no tensor transformer\.h\.0\.mlp\.c_fc\.weight, which holds W_i"):
        load_checkpoint("gpt2", path, {"h": 2})
    save_file({**tensors, "transformer.extra": np.ones(2)}, path)
    with pytest.raises(ArrayError, match=r"gpt2: no letter of the page stands for transformer\.extra"):
        load_checkpoint("gpt2", path, {"h": 2})
    save_file(tensors, path)
    with pytest.raises(ArrayError, match=r"c_attn\.weight: the tensor is 8×24, which does not fit .* with h = 5"):
        load_checkpoint("gpt2", path, {"h": 5})
    with pytest.raises(ArrayError, match=r"give sizes such as h=12, or put config.json beside the file"):
        load_checkpoint("gpt2", path, {})
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(fc.FormcalcError, match="this is no configuration"):
        load_checkpoint("gpt2", path, {})
