"""A resumed run equals the run that was never interrupted, and keeps what cannot change."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import (
    BOUNDED,
    CONSTANT,
    NOISE,
    TEXTS,
    Heard,
    StopAt,
    all_tensors,
    last_checkpoint,
    newest_state,
    poison,
    records,
    tiny_config,
)

from textvae import TextVAE
from textvae.config import Config
from textvae.errors import DataError, InterruptedRun, UsageError, for_command_line
from textvae.saving.folder import load_model
from textvae.training.resume_checks import how_to_resume
from textvae.training.train import train_model


@pytest.mark.parametrize(
    ("model", "options"),
    [("vae", {}), ("ae", {}), ("lm", {}), ("vae", BOUNDED | NOISE), ("ae", NOISE)],
    ids=["vae", "ae", "lm", "bounded vae", "denoising ae"],
)
@pytest.mark.parametrize("stop_at", [4, 16])
def test_a_resumed_run_is_bit_for_bit_the_run_never_interrupted(
    tmp_path: Path, model: str, options: dict[str, Any], stop_at: int
) -> None:
    config = tiny_config(model=model, **options)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_model(config, whole, texts=TEXTS)
    with pytest.raises(InterruptedRun, match="resume=True") as interrupted:
        train_model(config, torn, texts=TEXTS, reporter=StopAt(stop_at))
    assert interrupted.value.exit_code == 130
    train_model(config, torn, texts=TEXTS, resume=True)

    expected, found = last_checkpoint(whole), last_checkpoint(torn)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (whole / "model.safetensors").read_bytes() == (torn / "model.safetensors").read_bytes()
    assert records(torn) == records(whole)


METHODS: dict[str, dict[str, Any]] = {
    "target_kl": {"target_kl": 2.0},
    "importance": {"importance_samples": 3, "free_bits": 0.0},
    "bag_of_words": {"bag_of_words_weight": 0.5},
    "adversarial": {"adversarial_weight": 2.0, "bag_of_words_weight": 0.5, "beta": 0.0},
    "autoencoder": {"model": "ae", "adversarial_weight": 2.0, "mmd_weight": 5.0},
    "contrastive": {"contrastive_weight": 1.0, "noise_drop": 0.2},
    "pretraining": {"pretrain_share": 0.56, "target_kl": 2.0},  # 11 of 18 steps
    "aggressive": {"aggressive": True, "eval_steps": 9, "max_steps": 30},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop_at", [10, 12])  # where pretraining is about to end, and after it
def test_every_method_resumes_bit_for_bit(tmp_path: Path, method: str, stop_at: int) -> None:
    config = tiny_config(**{"log_steps": 1, "hidden_size": 12, **METHODS[method]})
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_model(config, whole, texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_model(config, torn, texts=TEXTS, reporter=StopAt(stop_at))
    train_model(config, torn, texts=TEXTS, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)


def test_an_interruption_does_not_use_up_patience(tmp_path: Path) -> None:
    config = tiny_config(max_steps=60, eval_steps=10, patience=1, learning_rate=1e-9)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_model(config, whole, texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_model(config, torn, texts=TEXTS, reporter=StopAt(14))
    train_model(config, torn, texts=TEXTS, resume=True)
    assert records(torn) == records(whole)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bag_of_words_weight", 0.5),
        ("adversarial_weight", 1.0),
        ("pretrain_share", 0.5),
        ("aggressive", True),
    ],
)
def test_a_method_cannot_be_taken_up_half_way(tmp_path: Path, name: str, value: Any) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=2), out, texts=TEXTS)
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match=rf"{name} is {value}, the run in .* has"):
        train_model(tiny_config(max_steps=4, **{name: value}), out, texts=TEXTS, resume=True)
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_a_refused_resume_leaves_the_run_resumable(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=4), out, texts=TEXTS)
    with pytest.raises(UsageError, match=r"hidden_size is 24, the run in .* has 16"):
        train_model(tiny_config(hidden_size=24), out, texts=TEXTS, resume=True)
    own = Config.resolve(file=out / "experiment.toml")
    assert own.model.hidden_size == 16
    train_model(tiny_config(max_steps=6), out, texts=TEXTS, resume=True)


def test_another_interval_of_evaluations_counts_from_the_resumption(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=10), out, texts=TEXTS)
    train_model(tiny_config(max_steps=18, eval_steps=4), out, texts=TEXTS, resume=True)
    evaluated = [r["step"] for r in records(out) if r["event"] == "valid"]
    assert evaluated == [5, 10, 12, 16, 18]


def test_another_interval_of_log_lines_leaves_their_means_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each, other = tmp_path / "each", tmp_path / "other"
    train_model(tiny_config(max_steps=6, log_steps=1, **CONSTANT), each, texts=TEXTS)
    train_model(tiny_config(max_steps=4, log_steps=4, **CONSTANT), other, texts=TEXTS)
    config = tiny_config(max_steps=6, log_steps=3, **CONSTANT)
    train_model(config, other, texts=TEXTS, resume=True)
    norms = [r["gradient_norm"] for r in records(each) if r["event"] == "train"]
    found = [r["gradient_norm"] for r in records(other) if r["event"] == "train"]
    assert found == pytest.approx([sum(norms[:4]) / 4, sum(norms[4:]) / 2])
    poison(monkeypatch, lambda state: state.step >= 6)
    heard = Heard()
    config = tiny_config(max_steps=9, log_steps=4, **CONSTANT)
    train_model(config, other, texts=TEXTS, resume=True, reporter=heard)
    assert any(said.startswith("2 of the last 2 steps") for said in heard.warnings)


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "of another model"])
def test_a_run_that_goes_on_with_other_text_keeps_its_tokenizer(tmp_path: Path, kind: str) -> None:
    """One trained anew gives other ids to the same words, which the weights know nothing of."""
    out, options = tmp_path / "run", {"tokenizer": kind, "vocab_size": 300}
    if kind == "of another model":
        train_model(tiny_config(max_steps=1), tmp_path / "other", texts=TEXTS[:40])
        options = {"tokenizer": str(tmp_path / "other"), "vocab_size": None}
    train_model(tiny_config(max_steps=5, **options), out, texts=TEXTS)
    before = load_model(out).tokenizer.fingerprint
    grown, heard = [*TEXTS, *(f"zebras quiz {text}" for text in TEXTS)], Heard()
    config = tiny_config(max_steps=10, **options)
    train_model(config, out, texts=grown, reporter=heard, resume=True)
    assert newest_state(out).tokenizer == before == load_model(out).tokenizer.fingerprint
    assert any("its own tokenizer" in warning for warning in heard.warnings)


def test_a_run_whose_tokenizer_cannot_be_had_again_does_not_go_on(tmp_path: Path) -> None:
    out, other = tmp_path / "run", tmp_path / "other"
    train_model(tiny_config(max_steps=5), out, texts=TEXTS)
    train_model(tiny_config(max_steps=1), other, texts=TEXTS[:40])
    (out / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"not the one that this run started with; restore its token"
    ):
        train_model(tiny_config(max_steps=10), out, texts=TEXTS[:40], resume=True)
    shutil.copy(other / "tokenizer.json", out)
    with pytest.raises(DataError, match="not the one that this run started with"):
        train_model(tiny_config(max_steps=10), out, texts=TEXTS, resume=True)
    (out / "tokenizer.json").unlink()
    train_model(tiny_config(max_steps=10), out, texts=TEXTS, resume=True)  # trained again
    whole = tmp_path / "whole"
    train_model(tiny_config(max_steps=5), whole, texts=TEXTS)
    train_model(tiny_config(max_steps=10), whole, texts=TEXTS, resume=True)
    assert all_tensors(out) == all_tensors(whole)


def test_another_tokenizer_is_refused_on_the_way(tmp_path: Path) -> None:
    train_model(tiny_config(max_steps=2), tmp_path / "run", texts=TEXTS)
    for change in ({"vocab_size": 290}, {"tokenizer": "word"}):
        config = tiny_config(max_steps=4, **change)
        with pytest.raises(UsageError, match=f"resume=True: {next(iter(change))} is "):
            train_model(config, tmp_path / "run", texts=TEXTS, resume=True)


def test_what_came_from_standard_input_is_asked_for_again(tmp_path: Path) -> None:
    config = tiny_config(train=("-",))
    with for_command_line():
        assert how_to_resume(config, tmp_path).endswith(f"--out {tmp_path} < THE_SAME_TEXT")
    assert "stdin" in how_to_resume(config, tmp_path)
    config = tiny_config(train=("a.txt",))
    with for_command_line():
        assert how_to_resume(config, tmp_path).endswith(f"--resume --out {tmp_path}")
    call = f"TextVAE.train(out='{tmp_path}', resume=True)"
    assert how_to_resume(config, tmp_path) == call


def test_what_was_in_memory_is_asked_for_again(tmp_path: Path) -> None:
    """The command has no text for it."""
    with pytest.raises(InterruptedRun, match=r"with: TextVAE\.train\(THE_SAME_TEXT, out='.*run'"):
        train_model(tiny_config(), tmp_path / "run", texts=TEXTS, reporter=StopAt(4))
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS), encoding="utf-8")
    for texts, asked in (
        (text, "valid=THE_SAME_VALIDATION_TEXT, "),
        (TEXTS, "THE_SAME_TEXT, valid=THE_SAME_VALIDATION_TEXT, "),
    ):
        with pytest.raises(InterruptedRun) as stopped:
            train_model(
                tiny_config(),
                tmp_path / f"run {len(asked)}",
                texts=texts,
                valid_texts=TEXTS[:9],
                reporter=StopAt(4),
            )
        assert f"with: TextVAE.train({asked}out=" in str(stopped.value)


def test_from_python_a_run_goes_on_with_its_own_settings(tmp_path: Path) -> None:
    text, out, whole = tmp_path / "text.txt", tmp_path / "run", tmp_path / "whole"
    text.write_text("\n".join(TEXTS), encoding="utf-8")
    options = tiny_config().model_dump(include={"model": {"hidden_size", "embedding_size"}})
    options = options["model"] | {"vocab_size": 300, "threads": 1, "device": "cpu", "log_steps": 2}
    TextVAE.train(text, out=whole, max_steps=8, **options)
    TextVAE.train(text, out=out, max_steps=4, **options)
    TextVAE.train(out=out, resume=True, max_steps=8)
    TextVAE.train(text, out=tmp_path / "other", max_steps=4, **options)
    TextVAE.train(out=tmp_path / "other", resume=True, max_steps=8)
    assert all_tensors(out) == all_tensors(tmp_path / "other")
    assert newest_state(out).step == newest_state(whole).step == 8
    with pytest.raises(UsageError, match="nothing to train on"):
        TextVAE.train(out=tmp_path / "new")
