"""A pretrained encoder in training: stored vectors, resumption, saving, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretrained_folders import write_encoder, write_table
from safetensors.torch import load_file
from small_runs import TEXTS, Heard, StopAt, all_tensors, tiny_config

from textvae import TextVAE
from textvae.errors import (
    ConfigError,
    DataError,
    InterruptedRun,
    ModelFormatError,
    NotFoundError,
    UsageError,
)
from textvae.training.train import train_model

PLAIN = {"embedding_dropout": 0.0, "variational_dropout": 0.0, "max_tokens": 20, "max_steps": 8}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("ref") / "bert")


def trained(out: Path, ref: Path, **options: Any) -> TextVAE:
    """The model of a short training with a pretrained encoder."""
    config = tiny_config(**PLAIN, encoder=str(ref), **options)
    train_model(config, out, texts=TEXTS, reporter=Heard())
    return TextVAE.from_pretrained(out, device="cpu")


def test_stored_vectors_are_those_of_the_encoder_and_serve_later_runs(
    bert: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    heard = Heard()
    config = tiny_config(**PLAIN, encoder=str(bert), cache_dir=str(cache))
    train_model(config, tmp_path / "a", texts=TEXTS, reporter=heard)
    files = sorted((cache / "vectors").iterdir())
    assert len(files) == 2
    assert sum("stored the vectors" in text for text in heard.messages) == 2
    vae = TextVAE.from_pretrained(tmp_path / "a", device="cpu")
    every = vae.encode(TEXTS, layer="encoder")
    for file in files:
        for vector in np.load(file):
            assert np.abs(every - vector).max(1).min() < 1e-5
    before = [file.stat().st_mtime_ns for file in files]
    files[0].write_bytes(b"damaged")
    again = Heard()
    train_model(config, tmp_path / "b", texts=TEXTS, reporter=again)
    assert sum("stored the vectors" in text for text in again.messages) == 1  # the damaged one
    assert files[1].stat().st_mtime_ns == before[1]
    assert all_tensors(tmp_path / "a") == all_tensors(tmp_path / "b")


def test_a_run_with_stored_vectors_trains_as_one_that_encodes_each_batch(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = trained(tmp_path / "stored", bert)
    monkeypatch.setattr(
        "textvae.training.run.with_stored_vectors", lambda corpora, *others: corpora
    )
    encoded = trained(tmp_path / "encoded", bert)
    np.testing.assert_allclose(stored.encode(TEXTS), encoded.encode(TEXTS), atol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"encoder_training": "lora", "lora_rank": 2},
                                      {"encoder_training": "full", "noise_drop": 0.1}])  # fmt: skip
def test_a_resumed_run_equals_an_uninterrupted_one(
    settings: dict[str, Any], bert: Path, tmp_path: Path
) -> None:
    config = tiny_config(**{**PLAIN, "embedding_dropout": 0.1}, encoder=str(bert), **settings)
    train_model(config, tmp_path / "whole", texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_model(config, tmp_path / "cut", texts=TEXTS, reporter=StopAt(4))
    train_model(config, tmp_path / "cut", texts=TEXTS, resume=True)
    assert all_tensors(tmp_path / "whole") == all_tensors(tmp_path / "cut")


def test_what_a_run_cannot_store_is_said_with_its_cost(bert: Path, tmp_path: Path) -> None:
    heard = Heard()
    config = tiny_config(**PLAIN, encoder=str(bert), noise_drop=0.1, cache_dir=str(tmp_path / "c"))
    train_model(config, tmp_path / "a", texts=TEXTS, reporter=heard)
    (message,) = [text for text in heard.messages if "not stored" in text]
    assert message.startswith("noise_drop changes what the encoder reads")
    assert "sentences/s" in message
    assert not list((tmp_path / "c" / "vectors").iterdir())


def test_the_folder_holds_our_parts_and_names_the_pretrained_model(
    bert: Path, tmp_path: Path
) -> None:
    vae = trained(tmp_path / "out", bert)
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    assert not any(name.startswith("encoder.") for name in tensors)
    described = json.loads((tmp_path / "out" / "config.json").read_text())["encoder"]["backbone"]
    assert (described["ref"], described["training"]) == (str(bert), "frozen")
    assert len(described["digest"]) == 64
    vae.save_pretrained(tmp_path / "copy")
    copied = TextVAE.from_pretrained(tmp_path / "copy", device="cpu")
    np.testing.assert_array_equal(copied.encode(TEXTS), vae.encode(TEXTS))
    assert copied.generate(2, seed=0) == vae.generate(2, seed=0)
    ids = [vae.encoder_tokenizer.encode([TEXTS[0]]), vae.tokenizer.encode([TEXTS[0]])]
    assert ids[0] != ids[1]  # each part has its own tokenizer


def test_a_changed_or_missing_model_is_refused_unless_the_folder_carries_its_own(
    tmp_path: Path,
) -> None:
    ref = write_encoder(tmp_path / "bert")
    vae = trained(tmp_path / "out", ref)
    vae.save_pretrained(tmp_path / "whole", embed_backbones=True)
    vectors = vae.encode(TEXTS)
    content = bytearray((ref / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (ref / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"are not those of .*bert.* \(another digest\)"):
        TextVAE.from_pretrained(tmp_path / "out", device="cpu")
    with pytest.raises(DataError, match="not those that this run started with"):
        train_model(
            tiny_config(**PLAIN, encoder=str(ref)), tmp_path / "out", texts=TEXTS, resume=True
        )
    shutil.rmtree(ref)
    with pytest.raises(NotFoundError, match=r"out needs the .*bert, which is not there; put its"):
        TextVAE.from_pretrained(tmp_path / "out", device="cpu")
    whole = TextVAE.from_pretrained(tmp_path / "whole", device="cpu")
    np.testing.assert_array_equal(whole.encode(TEXTS), vectors)
    carried = tmp_path / "whole" / "backbones" / "encoder"
    assert {path.suffix for path in carried.iterdir()} == {".json", ".safetensors"}
    (carried / "tokenizer.json").write_text((carried / "tokenizer.json").read_text() + " ")
    with pytest.raises(ModelFormatError, match="another digest"):
        TextVAE.from_pretrained(tmp_path / "whole", device="cpu")


def test_an_overwritten_folder_loses_the_copies_of_another_model(
    bert: Path, tmp_path: Path
) -> None:
    vae = trained(tmp_path / "out", bert, embed_backbones=True)
    assert (tmp_path / "out" / "backbones" / "encoder" / "model.safetensors").is_file()
    other = trained(tmp_path / "other", write_table(tmp_path / "table"))
    other.save_pretrained(tmp_path / "out")
    assert not (tmp_path / "out" / "backbones" / "encoder").exists()
    np.testing.assert_array_equal(
        TextVAE.from_pretrained(tmp_path / "out", device="cpu").encode(TEXTS), other.encode(TEXTS)
    )
    assert vae.encode(TEXTS).shape == other.encode(TEXTS).shape


def test_settings_that_contradict_a_pretrained_part_are_refused(bert: Path) -> None:
    with pytest.raises(ConfigError, match="encoder_tokenizer does not apply to encoder"):
        tiny_config(encoder=str(bert), encoder_tokenizer="word")
    with pytest.raises(ConfigError, match="encoder_training lora does not apply to gru"):
        tiny_config(encoder_training="lora")
    with pytest.raises(ConfigError, match="pooling pretrained does not apply to encoder gru"):
        tiny_config(pooling="pretrained")
    with pytest.raises(ConfigError, match="did you mean 'transformer'"):
        tiny_config(encoder="transfomer")


def test_a_pretrained_encoder_is_kept_when_the_decoder_is_reset(bert: Path, tmp_path: Path) -> None:
    vae = trained(tmp_path / "out", bert, pretrain_share=0.5)
    assert torch.isfinite(torch.as_tensor(vae.encode(TEXTS))).all()


def test_an_autoencoder_and_a_language_model(bert: Path, tmp_path: Path) -> None:
    assert trained(tmp_path / "ae", bert, model="ae", free_bits=0.2).encode(TEXTS).shape == (100, 4)
    config = tiny_config(**PLAIN, encoder=str(bert), model="lm")
    train_model(config, tmp_path / "lm", texts=TEXTS)  # without an encoder
    with pytest.raises(UsageError, match="language model has no latent"):
        TextVAE.from_pretrained(tmp_path / "lm", device="cpu").encode(TEXTS)
