"""The oracle transformers: models of the ``transformers`` package, with the weights of a page, in float64.

Nothing is downloaded. The reference is the package's own forward pass and torch's reverse mode; the loss is computed
from its logits, since its own loss is rounded to float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from formcalc.errors import FormcalcError, MissingEngineError
from formcalc.language import Model
from formcalc.numeric.checkpoints import CHECKPOINTS, from_page, to_page


def gradients(
    model: Model,
    weights: list[str],
    arrays: Mapping[str, np.ndarray],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """The gradient of the loss in every weight, and under ``Z`` and ``loss`` the logits and the loss themselves.

    Raises:
        MissingEngineError: transformers or torch is not installed.
        FormcalcError: the package has no model of this page.
    """
    if model.name not in _BUILDERS:
        raise FormcalcError(f"transformers has no model of {model.name}: the oracle knows {', '.join(_BUILDERS)}")
    try:
        import torch
        import transformers
    except ImportError:
        raise MissingEngineError(
            "the oracle transformers is not installed, so nothing was verified: pip install 'formcalc[transformers]'"
        ) from None
    table = CHECKPOINTS[model.name]
    given = {name: np.asarray(array, np.float64) for name, array in arrays.items() if name in model.weights}
    with _double(torch):
        theirs = _BUILDERS[model.name](transformers, model.sizes).double().eval()
        parameters = dict(theirs.named_parameters())
        tensors = from_page(table, given)
        if set(tensors) != set(parameters):
            raise FormcalcError(f"the table of {model.name} and the package differ in {set(tensors) ^ set(parameters)}")
        with torch.no_grad():
            for name, tensor in tensors.items():
                parameters[name].copy_(torch.tensor(tensor))
        inputs = {"input_ids": torch.tensor(np.maximum(arrays["x"], 0))}
        inputs["attention_mask"] = torch.tensor(arrays["p"][:, 0, :])
        if model.name == "bert":
            inputs["token_type_ids"] = torch.tensor(np.maximum(arrays["s"], 0))
        logits = theirs(**inputs).logits
        targets = torch.tensor(arrays["y"])
        counted = targets >= 0
        chosen = torch.log_softmax(logits, -1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        loss = -(chosen * counted).sum() / counted.sum()
        loss.backward()
    found = to_page(table, {name: parameter.grad.numpy() for name, parameter in parameters.items()}, model.sizes)
    values = {"Z": logits.detach().numpy(), "loss": np.array(loss.item())}
    return {name: found[name] for name in weights} | values


def _double(torch: Any) -> Any:
    """A mode that keeps float64 where the package asks for float32, as norms, softmax and rotary tables do."""

    class Double(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function is torch.Tensor.float:
                function = torch.Tensor.double
            swapped = [torch.float64 if value is torch.float32 else value for value in args]
            named = {key: torch.float64 if value is torch.float32 else value for key, value in (kwargs or {}).items()}
            return function(*swapped, **named)

    return Double()


def _gpt2(transformers: Any, sizes: Mapping[str, int]) -> Any:
    _check(sizes["h"] * sizes["k"] == sizes["d"], "GPT-2 has d = h k")
    config = transformers.GPT2Config(
        n_layer=sizes["L"],
        n_embd=sizes["d"],
        n_head=sizes["h"],
        n_inner=sizes["f"],
        n_positions=sizes["N"],
        vocab_size=sizes["V"],
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )
    return transformers.GPT2LMHeadModel(config)


def _llama(transformers: Any, sizes: Mapping[str, int]) -> Any:
    config = transformers.LlamaConfig(
        num_hidden_layers=sizes["L"],
        hidden_size=sizes["d"],
        num_attention_heads=sizes["g"] * sizes["r"],
        num_key_value_heads=sizes["g"],
        head_dim=sizes["k"],
        intermediate_size=sizes["f"],
        vocab_size=sizes["V"],
        max_position_embeddings=sizes["T"],
        attn_implementation="eager",
    )
    model = transformers.LlamaForCausalLM(config)
    k = sizes["k"]
    # the package rounds the rotary frequencies to float32
    model.model.rotary_emb.inv_freq = 10000.0 ** (
        -model.model.rotary_emb.inv_freq.new_tensor(range(0, k, 2)).double() / k
    )
    return model


def _bert(transformers: Any, sizes: Mapping[str, int]) -> Any:
    _check(sizes["h"] * sizes["k"] == sizes["d"], "BERT has d = h k")
    config = transformers.BertConfig(
        num_hidden_layers=sizes["L"],
        hidden_size=sizes["d"],
        num_attention_heads=sizes["h"],
        intermediate_size=sizes["f"],
        vocab_size=sizes["V"],
        max_position_embeddings=sizes["N"],
        type_vocab_size=sizes["m"],
        attn_implementation="eager",
    )
    model = transformers.BertForMaskedLM(config)
    # the package drops the gradient of the embedding of token 0, which it takes for padding
    model.bert.embeddings.word_embeddings.padding_idx = None
    return model


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise FormcalcError(f"{what} in the package: choose such sizes to compare with it")


_BUILDERS: dict[str, Callable[..., Any]] = {"gpt2": _gpt2, "llama": _llama, "bert": _bert}
