"""Training around a pretrained decoder: what is saved, resumed, loaded, measured and written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pretrained_networks import write_decoder
from safetensors.torch import load_file
from small_runs import TEXTS, StopAt, all_tensors, records, tiny_config

from textvae import TextVAE
from textvae.errors import InterruptedRun
from textvae.training.train import train_model

WITHOUT_TOKENIZER = {"vocab_size": None, "embedding_dropout": 0.0, "variational_dropout": 0.0}
HELD_OUT = ["the cat likes us .", "our teacher hears a bird .", "a dog follows two houses ."]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny language models, by kind."""
    root = tmp_path_factory.mktemp("ref")
    return {kind: write_decoder(root / kind, kind) for kind in ("gpt2", "llama")}


def trained(folder: Path, out: Path, **options: Any) -> TextVAE:
    """A model around the decoder in `folder`, after a few steps."""
    settings = {**WITHOUT_TOKENIZER, "decoder": str(folder), "max_steps": 4, **options}
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
    from transformers import AutoModelForCausalLM

    options = {"model": "lm", "decoder_training": "frozen", "word_dropout": 0.0}
    with pytest.raises(Exception, match="nothing"):
        trained(folders["llama"], tmp_path / "frozen", **options)
    model = trained(folders["llama"], tmp_path / "run", **{**options, "decoder_training": "lora"})
    network = AutoModelForCausalLM.from_pretrained(folders["llama"])
    del network
    nll = -model.log_likelihood(HELD_OUT)
    report = model.evaluate(HELD_OUT)
    count = sum(len(text.encode()) + 1 for text in HELD_OUT)
    assert report["bits_per_byte"] == pytest.approx(nll.sum() / math.log(2) / count)
    words = sum(len(text.split()) + 1 for text in HELD_OUT)
    assert report["ppl_word"] == pytest.approx(math.exp(nll.sum() / words))


@pytest.mark.parametrize("mode", ["frozen", "lora"])
def test_an_interrupted_run_continues_bit_for_bit(
    folders: dict[str, Path], tmp_path: Path, mode: str
) -> None:
    settings = {**WITHOUT_TOKENIZER, "decoder": str(folders["gpt2"]), "decoder_training": mode}
    config = tiny_config(**settings, max_steps=8, accumulate=2)
    train_model(config, tmp_path / "straight", texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_model(config, tmp_path / "stopped", texts=TEXTS, reporter=StopAt(4))
    train_model(config, tmp_path / "stopped", texts=TEXTS, resume=True)
    assert records(tmp_path / "straight") == records(tmp_path / "stopped")
    assert all_tensors(tmp_path / "straight") == all_tensors(tmp_path / "stopped")
