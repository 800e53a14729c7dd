"""`textvae train --encoder REF` and what other commands say of such a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pretrained_folders import write_encoder
from pretrained_networks import write_decoder
from small_runs import TEXTS

SMALL = ("--max-steps", 4, "--hidden-size", 8, "--latent-size", 3, "--device", "cpu",
         "--precision", "float32", "--set", "tokenizer.vocab_size=300")  # fmt: skip


def test_a_model_with_a_pretrained_encoder_from_the_command_line(
    textvae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "cache"))
    ref, text, out = write_encoder(tmp_path / "bert"), tmp_path / "text.txt", tmp_path / "out"
    text.write_text("\n".join(TEXTS))
    options = ("--encoder", ref, "--max-tokens", 20, *SMALL)
    plan = textvae("train", text, *options, "--dry-run")
    assert plan.code == 0, plan.err
    assert "to_store_vectors" in plan.out
    assert "stored_vectors_mib" in plan.out
    ran = textvae("train", text, *options, "--out", out, "--embed-backbones")
    assert ran.code == 0, ran.err
    assert "stored the vectors" in ran.err
    assert "trained)" in ran.err
    facts = json.loads(textvae("info", out, "--json").out)["pretrained"]["encoder"]
    assert (facts["ref"], facts["training"], facts["dtype"]) == (str(ref), "frozen", "float32")
    assert facts["trained_parameters"] == 0 < facts["parameters"]
    card = (out / "README.md").read_text()
    assert "pretrained bert encoder" in card
    assert str(tmp_path) not in card
    vectors = tmp_path / "v.npy"
    assert textvae("embed", out, text, "--out", vectors, "--layer", "encoder").code == 0
    assert np.load(vectors).shape == (100, 16)


def test_a_sentence_limit_beyond_the_encoder_is_one_line(textvae, tmp_path: Path) -> None:
    ref, text = write_encoder(tmp_path / "bert"), tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS))
    ran = textvae("train", text, "--encoder", ref, *SMALL, "--out", tmp_path / "out")
    assert (ran.code, ran.out) == (4, "")
    assert "reads at most 39; lower --max-tokens" in ran.err.splitlines()[-1]


def test_a_name_that_is_nothing_is_an_error_with_what_to_name(textvae, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS))
    ran = textvae("train", text, "--encoder", "transfomer", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "did you mean 'transformer'?" in ran.err
    ran = textvae("train", text, "--encoder", tmp_path / "none", "--out", tmp_path / "out")
    assert ran.code == 3
    assert "no such folder; name a local folder, a hub id or a network of textvae" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["vae", "ae", "lm"])
@pytest.mark.parametrize("recipe", ["pretrained", "pretrained-decoder"])
def test_each_kind_of_model_trains_with_each_recipe_of_pretrained_parts(
    textvae, tmp_path: Path, kind: str, recipe: str
) -> None:
    train, out = tmp_path / "train.txt", tmp_path / "run"
    train.write_text("\n".join(TEXTS))
    given = ["--recipe", recipe, "--model", kind, "--max-tokens", 32, "--max-steps", 2]
    given += ["--set", f"data.cache_dir={tmp_path / 'cache'}", "--latent-size", 40]
    given += ["--decoder", write_decoder(tmp_path / "gpt2"), "--decoder-training", "lora"]
    if kind != "lm":
        given += ["--encoder", write_encoder(tmp_path / "bert")]
    ran = textvae("train", train, "--valid", train, "--out", out, *given)
    assert ran.code == 0, ran.err
    unfit = {
        ("pretrained-decoder", "ae"): "objective.pretrain_share",
        ("pretrained-decoder", "lm"): "objective.pretrain_share",
        ("pretrained", "lm"): "objective.semantic_weight",
    }.get((recipe, kind))
    assert (f"do not apply to --model {kind}; left out" in ran.err.replace("does", "do")) == (
        unfit is not None
    )
    assert (unfit or "") in ran.err
    figures = textvae("evaluate", out, train, "--limit", 5, "--samples", 2, "--json").rows[0]
    assert {"rec" if kind == "ae" else "ppl_word"} <= figures.keys()
