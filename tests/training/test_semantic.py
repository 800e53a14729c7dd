"""Training with the vectors of a frozen table as targets: it resumes, and z learns them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_runs import TEXTS, StopAt, all_tensors, records, tiny_config

from textvae import TextVAE
from textvae.data.tokenizers import Tokenizer
from textvae.errors import InterruptedRun
from textvae.training.train import train_model


@pytest.fixture
def static_table(tmp_path: Path) -> Path:
    """A folder as model2vec writes it, with random vectors."""
    folder = tmp_path / "table"
    folder.mkdir()
    tokenizer = Tokenizer.train(TEXTS, kind="word", vocab_size=60)
    (folder / "tokenizer.json").write_bytes(tokenizer.to_bytes())
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}))
    random = torch.Generator().manual_seed(0)
    vectors = torch.randn(tokenizer.vocab_size, 6, generator=random)
    save_file({"embeddings": vectors}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("kind", ["cosine", "squared"])
def test_a_run_with_semantic_targets_resumes_bit_for_bit(
    static_table: Path, tmp_path: Path, kind: str
) -> None:
    options = {"encoder": str(static_table), "pooling": "pretrained", "variational_dropout": 0.0}
    options |= {"embedding_dropout": 0.0, "semantic_weight": 3.0, "semantic_loss": kind}
    config = tiny_config(
        **options, nested=(2,), vocab_size=None, log_steps=1, cache_dir=str(tmp_path / "cache")
    )
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_model(config, whole, texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_model(config, torn, texts=TEXTS, reporter=StopAt(11))
    train_model(config, torn, texts=TEXTS, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)


def test_z_learns_the_frozen_vectors(static_table: Path, tmp_path: Path) -> None:
    options = {"encoder": str(static_table), "pooling": "pretrained", "variational_dropout": 0.0}
    options |= {"embedding_dropout": 0.0, "semantic_weight": 30.0, "latent_size": 6}
    config = tiny_config(
        **options,
        vocab_size=None,
        learning_rate=0.02,
        max_steps=150,
        log_steps=50,
        eval_steps=150,
        cache_dir=str(tmp_path / "cache"),
    )
    train_model(config, tmp_path / "out", texts=TEXTS)
    losses = [line["semantic"] for line in records(tmp_path / "out") if "semantic" in line]
    assert losses[-1] < 0.2 * losses[0]
    vae = TextVAE.from_pretrained(tmp_path / "out")
    z, v = (torch.from_numpy(vae.encode(TEXTS, layer=layer)) for layer in ("latent", "encoder"))
    design = torch.cat([z, torch.ones(len(z), 1)], dim=1)
    left = v - design @ torch.linalg.lstsq(design, v).solution
    explained = 1 - left.square().sum() / (v - v.mean(0)).square().sum()
    assert explained > 0.9


@pytest.mark.parametrize("model", ["vae", "ae"])
def test_a_run_starts_from_the_principal_components(
    static_table: Path, tmp_path: Path, model: str
) -> None:
    """With a learning rate of almost 0, the means stay those of the vectors' components."""
    options = {"encoder": str(static_table), "pooling": "pretrained", "variational_dropout": 0.0}
    options |= {"embedding_dropout": 0.0, "principal_start": 3.0, "latent_size": 4, "model": model}
    config = tiny_config(
        **options,
        vocab_size=None,
        learning_rate=1e-9,
        max_steps=1,
        cache_dir=str(tmp_path / "cache"),
    )
    train_model(config, tmp_path / "out", texts=TEXTS, valid_texts=TEXTS)
    vae = TextVAE.from_pretrained(tmp_path / "out")
    z, v = (torch.from_numpy(vae.encode(TEXTS, layer=layer)) for layer in ("latent", "encoder"))
    design = torch.cat([z, torch.ones(len(z), 1)], dim=1)
    left = v - design @ torch.linalg.lstsq(design, v).solution
    variances = torch.linalg.svdvals(v - v.mean(0)).square()
    assert float(left.square().sum()) == pytest.approx(float(variances[4:].sum()), rel=0.01)
