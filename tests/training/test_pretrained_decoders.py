"""Training around a pretrained decoder: what is saved, resumed, loaded, measured and written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pretrained_networks import write_decoder
from safetensors.torch import load_file
from small_runs import TEXTS, StopAt, all_tensors, records, tiny_config

from textvae import TextVAE
from textvae.api.evaluating import evaluate
from textvae.errors import ConfigError, InterruptedRun
from textvae.training.train import train_model

SETTINGS = {"vocab_size": None, "max_tokens": 32}
HELD_OUT = ["the cat likes us .", "our teacher hears a bird .", "a dog follows two houses ."]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny language models, by kind."""
    root = tmp_path_factory.mktemp("ref")
    return {kind: write_decoder(root / kind, kind) for kind in ("gpt2", "llama")}


def trained(folder: Path, out: Path, **options: Any) -> TextVAE:
    """A model around the decoder in `folder`, after a few steps."""
    settings = {**SETTINGS, "decoder": str(folder), "max_steps": 4, **options}
    train_model(tiny_config(**settings), out, texts=TEXTS, valid_texts=HELD_OUT)
    return TextVAE.from_pretrained(out)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("gpt2", {"decoder_training": "frozen", "bag_of_words_weight": 0.1}),
        ("llama", {"decoder_training": "lora", "latent_injection": "cache"}),
        ("gpt2", {"decoder_training": "full", "latent_injection": "embedding"}),
        ("llama", {"model": "ae", "decoder_training": "lora", "gradient_checkpointing": True}),
    ],
    ids=["frozen", "lora", "full", "ae"],
)
def test_a_model_is_trained_saved_loaded_and_used(
    folders: dict[str, Path], tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    model = trained(folders[kind], tmp_path / "run", **options)
    stored = load_file(tmp_path / "run" / "model.safetensors")
    of_network = [name for name in stored if name.startswith("decoder.backbone.")]
    mode = options["decoder_training"]
    assert bool(of_network) == (mode != "frozen")
    assert mode == "full" or all("lora_" in name for name in of_network)
    z = model.encode(HELD_OUT)
    assert len(model.reconstruct(HELD_OUT)) == 3
    assert len(model.interpolate(*HELD_OUT[:2], steps=3)) == 3
    assert model.generate(3, seed=1) == model.generate(5, seed=1)[:3]
    assert model.decode(z) == model.reconstruct(HELD_OUT)


def test_a_language_model_has_the_likelihood_of_transformers(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """`bits_per_byte` and `ppl_word` are of the text, whatever the tokenizer."""
    options = {"model": "lm", "decoder_training": "lora", "pretrained_learning_rate": 1e-9}
    model = trained(folders["llama"], tmp_path / "run", **options)
    network = causal_network_in(folders["llama"])
    nll = []
    for ids in model.tokenizer.encode(HELD_OUT):
        logits = network(torch.tensor([[1, *ids]])).logits[0].detach()
        logits[:, 1] = -torch.inf  # the start token
        nll.append(F.cross_entropy(logits, torch.tensor([*ids, 2]), reduction="sum").item())
    assert model.log_likelihood(HELD_OUT) == pytest.approx([-x for x in nll], rel=1e-4)
    figures = evaluate(model, HELD_OUT).figures
    count = sum(len(text.encode()) + 1 for text in HELD_OUT)
    assert figures["bits_per_byte"] == pytest.approx(sum(nll) / math.log(2) / count, rel=1e-4)
    words = sum(len(text.split()) + 1 for text in HELD_OUT)
    assert figures["ppl_word"] == pytest.approx(math.exp(sum(nll) / words), rel=1e-4)


def causal_network_in(folder: Path) -> Any:
    """The network in a folder, as transformers reads it."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def test_a_frozen_language_model_has_nothing_to_train(folders: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="nothing to train"):
        tiny_config(**SETTINGS, decoder=str(folders["gpt2"]), model="lm")


@pytest.mark.parametrize("mode", ["frozen", "lora"])
def test_an_interrupted_run_continues_bit_for_bit(
    folders: dict[str, Path], tmp_path: Path, mode: str
) -> None:
    settings = {**SETTINGS, "decoder": str(folders["gpt2"]), "decoder_training": mode}
    config = tiny_config(**settings, max_steps=8, accumulate=2)
    train_model(config, tmp_path / "straight", texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_model(config, tmp_path / "stopped", texts=TEXTS, reporter=StopAt(4))
    train_model(config, tmp_path / "stopped", texts=TEXTS, resume=True)
    assert records(tmp_path / "straight") == records(tmp_path / "stopped")
    assert all_tensors(tmp_path / "straight") == all_tensors(tmp_path / "stopped")
