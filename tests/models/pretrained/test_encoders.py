"""Pretrained encoders give the vectors that transformers and sentence-transformers give."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretrained_folders import (
    WIDTH,
    WORDS,
    write_encoder,
    write_modules,
    write_table,
)
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer as Backend

from textvae.config import ModelConfig
from textvae.data.batches import Tokens, collate
from textvae.data.tokenizers import Tokenizer
from textvae.errors import ConfigError
from textvae.models.build import build_encoder, load_backbones
from textvae.models.encoder import Encoder
from textvae.models.pretrained.reference import find_reference
from textvae.randomness.noise import StepNoise

TEXTS = ["the cat sees us .", "", "a dog likes nobody", "my friend follows the train in the rain ."]
MAX_TOKENS = 20


def encoder_of(folder: Path, **settings: Any) -> Encoder:
    """The encoder of a REF."""
    reference = find_reference(str(folder))
    config = ModelConfig(encoder=str(folder), **settings)
    vocabulary = Tokenizer.load(reference.tokenizer).vocabulary
    backbones = load_backbones({"encoder": reference})
    return build_encoder(config, vocabulary, MAX_TOKENS, backbones)


def tokens_of(folder: Path, texts: list[str] = TEXTS) -> Tokens:
    """The texts as our own tokenizer reads them."""
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    return collate(tokenizer.encode(texts), tokenizer.eos_id, tokenizer.pad_id)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert", "mpnet", "t5"])
def test_states_are_those_of_transformers_one_sentence_at_a_time(kind: str, tmp_path: Path) -> None:
    import transformers

    folder = write_encoder(tmp_path / kind, kind)
    vectors = encoder_of(folder, pooling="mean")(tokens_of(folder))
    own = transformers.T5EncoderModel if kind == "t5" else transformers.AutoModel
    network = own.from_pretrained(folder).eval()
    backend = Backend.from_file(str(folder / "tokenizer.json"))
    for vector, text in zip(vectors, TEXTS, strict=True):
        ids = torch.tensor([backend.encode(text).ids])  # with the special tokens of its template
        states = network(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        torch.testing.assert_close(vector, states[0].mean(0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "modes",
    [
        {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True},
        {"pooling_mode": "weightedmean"},
        {"pooling_mode": "lasttoken"},
    ],
)
def test_pooling_dense_and_length_are_those_of_sentence_transformers(
    modes: dict[str, Any], tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    folder = write_encoder(tmp_path / "bert")
    count = sum(value is True for value in modes.values()) or 1
    dense = {
        "in_features": count * WIDTH,
        "out_features": 5,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": False, **modes}
    write_modules(folder, ("Pooling", pooling), ("Dense", dense), ("Normalize", {}))
    weights = {"linear.weight": torch.randn(5, count * WIDTH), "linear.bias": torch.randn(5)}
    save_file(weights, folder / "2_Dense" / "model.safetensors")
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    encoder = encoder_of(folder)
    ours = encoder(tokens_of(folder))
    assert encoder.output_size == 5
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)


def test_static_vectors_are_the_mean_of_the_known_words_in_unit_length(tmp_path: Path) -> None:
    folder = write_table(tmp_path / "table")
    table = load_file(folder / "model.safetensors")["embeddings"].numpy()
    encoder = encoder_of(folder)
    vectors = encoder(tokens_of(folder)).numpy()
    averages = encoder.word_average(tokens_of(folder)).numpy()
    for vector, average, text in zip(vectors, averages, TEXTS, strict=True):
        rows = [5 + WORDS.index(word) for word in text.split() if word in WORDS]
        mean = table[rows].mean(0) if rows else np.zeros(6)
        np.testing.assert_allclose(average, mean, atol=1e-6)
        np.testing.assert_allclose(vector, mean / max(np.linalg.norm(mean), 1e-12), atol=1e-6)


@pytest.mark.parametrize("normalized", [True, False])
def test_the_posterior_is_told_of_vectors_of_length_1(normalized: bool, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "bert")
    pooling = ("Pooling", {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True})
    write_modules(folder, pooling, *([("Normalize", {})] if normalized else []))
    for encoder, unit in (
        (encoder_of(folder), normalized),
        (encoder_of(folder, pooling="mean"), False),
        (encoder_of(write_table(tmp_path / "table")), True),
    ):
        lengths = encoder(tokens_of(folder, ["the cat sees us ."])).norm(dim=-1)
        assert encoder.has_unit_length == unit == bool((lengths - 1).abs().max() < 1e-5)


def test_word_average_is_the_mean_embedding_without_special_tokens(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "bert")
    weight = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    averages = encoder_of(folder).word_average(tokens_of(folder))
    rows = [5 + WORDS.index(word) for word in TEXTS[0].split()]
    torch.testing.assert_close(averages[0], weight[rows].mean(0))
    assert not averages[1].any()


def test_dropout_comes_from_the_noise_of_the_step_and_never_from_the_network(
    tmp_path: Path,
) -> None:
    folder = write_encoder(tmp_path / "bert")
    tokens = tokens_of(folder)

    def noise(step: int) -> StepNoise:
        places = torch.arange(len(TEXTS))
        return StepNoise(0, step, places, len(TEXTS), tokens.ids.size(1), torch.device("cpu"))

    plain = encoder_of(folder).train()
    assert torch.equal(plain(tokens, noise(0)), plain(tokens))
    dropping = encoder_of(folder, embedding_dropout=0.3).train()
    first = dropping(tokens, noise(0))
    assert torch.equal(first, dropping(tokens, noise(0)))
    assert not torch.allclose(first, dropping(tokens, noise(1)))
    torch.testing.assert_close(dropping(tokens), plain(tokens))
    assert (plain.fixed_by is None, dropping.fixed_by is None) == (False, True)


@pytest.mark.parametrize("mode", ["frozen", "full", "lora"])
def test_each_mode_trains_and_saves_what_it_says(mode: str, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "bert")
    encoder, tokens = encoder_of(folder, encoder_training=mode, lora_rank=2), tokens_of(folder)
    torch.testing.assert_close(encoder(tokens), encoder_of(folder)(tokens))  # at the start
    trained, saved = dict(encoder.trained()), encoder.saved()
    assert all(parameter.requires_grad for parameter in trained.values())
    frozen = [p for name, p in encoder.named_parameters() if name not in trained]
    assert not any(parameter.requires_grad for parameter in frozen)
    if mode == "frozen":
        assert not trained
        assert not saved
        assert not encoder(tokens).requires_grad
        return
    assert trained.keys() <= saved.keys()
    assert all(("lora_" in name) == (mode == "lora") for name in trained)
    optimizer = torch.optim.SGD(trained.values(), lr=0.5)
    for _ in range(2):  # LoRA's first step moves one of its two matrices only
        encoder(tokens).square().sum().backward()
        optimizer.step()
    again = encoder_of(folder, encoder_training=mode, lora_rank=2)
    again.load_state_dict(encoder.saved(), strict=False)
    torch.testing.assert_close(again(tokens), encoder(tokens))
    assert not torch.allclose(again(tokens), encoder_of(folder)(tokens), atol=1e-3)


def test_lora_without_linear_layers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="LoRA needs a network with linear layers"):
        encoder_of(write_table(tmp_path / "table"), encoder_training="lora")


def test_a_sentence_limit_beyond_the_positions_is_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "roberta", "roberta")  # 40 positions, of which 2 are padding
    reference = find_reference(str(folder))
    vocabulary = Tokenizer.load(reference.tokenizer).vocabulary
    config, tokens = ModelConfig(encoder=str(folder)), collate([[5] * 36], 2, 1)
    backbones = load_backbones({"encoder": reference})
    vectors = build_encoder(config, vocabulary, 37, backbones)(tokens)
    assert vectors.isfinite().all()
    with pytest.raises(ConfigError, match=r"max_tokens 38: .* reads at most 37; lower max_tokens"):
        build_encoder(config, vocabulary, 38, load_backbones({"encoder": reference}))


def test_transformers_shows_neither_bars_nor_warnings(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_encoder(tmp_path / "bert")
    capfd.readouterr()
    encoder_of(folder)
    assert capfd.readouterr() == ("", "")
    assert os.environ.get("TRANSFORMERS_VERBOSITY") is None
