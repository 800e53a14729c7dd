"""The loop: resumed runs equal uninterrupted ones, two processes equal one, budgets hold."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from textvae import TextVAE
from textvae.config import Config, TrainingConfig
from textvae.data.rows import Row
from textvae.errors import (
    DivergedError,
    InterruptedRun,
    NotFoundError,
    UsageError,
)
from textvae.evaluation.report import evaluate
from textvae.training.budget import Budget
from textvae.training.collapse import collapse_warning
from textvae.training.reporting import LoggingReporter
from textvae.training.session import train_session

SUBJECTS = ["the cat", "a dog", "my friend", "the old man", "our teacher"]
VERBS = ["sees", "likes", "follows", "hears"]
OBJECTS = ["the red ball", "a bird", "the train in the rain", "us", "two small houses"]
TEXTS = [f"{s} {v} {o} ." for s in SUBJECTS for v in VERBS for o in OBJECTS]

TINY: dict[str, Any] = {
    "hidden_size": 16,
    "embedding_size": 12,
    "latent_size": 4,
    "vocab_size": 300,
    "batch_size": 8,
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
    "log_steps": 2,
    "eval_steps": 5,
    "max_steps": 18,
    "embedding_dropout": 0.1,
    "variational_dropout": 0.1,
    "output_dropout": 0.1,
    "word_dropout": 0.2,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "cache"))


def tiny_config(**options: Any) -> Config:
    return Config.resolve(options={**TINY, **options})


def records(out: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock."""
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key != "timing"}
        for line in lines
    ]


def last_checkpoint(out: Path) -> dict[str, torch.Tensor]:
    newest = sorted((out / "checkpoints").iterdir())[-1]
    weights = load_file(newest / "weights.safetensors")
    return weights | load_file(newest / "optimizer.safetensors")


class StopAt(LoggingReporter):
    """Sends SIGINT to this process when training logs a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def log(self, record: dict[str, Any]) -> None:
        if record["event"] == "train" and record["step"] == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("model", ["vae", "ae", "lm"])
@pytest.mark.parametrize("stop_at", [4, 16])
def test_a_resumed_run_is_bit_for_bit_the_run_never_interrupted(
    tmp_path: Path, model: str, stop_at: int
) -> None:
    config = tiny_config(model=model)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_session(config, whole, texts=TEXTS)
    with pytest.raises(InterruptedRun, match="--resume") as interrupted:
        train_session(config, torn, texts=TEXTS, reporter=StopAt(stop_at))
    assert interrupted.value.exit_code == 130
    train_session(config, torn, texts=TEXTS, resume=True)

    expected, found = last_checkpoint(whole), last_checkpoint(torn)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (whole / "model.safetensors").read_bytes() == (torn / "model.safetensors").read_bytes()
    assert records(torn) == records(whole)


def test_an_interruption_does_not_use_up_patience(tmp_path: Path) -> None:
    config = tiny_config(max_steps=60, eval_steps=10, patience=1, learning_rate=1e-9)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_session(config, whole, texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_session(config, torn, texts=TEXTS, reporter=StopAt(14))
    train_session(config, torn, texts=TEXTS, resume=True)
    assert records(torn) == records(whole)


@pytest.mark.parametrize(("log_steps", "eval_steps"), [(1, 1_000), (1_000, 1)])
def test_a_run_that_diverges_ends_with_its_own_error_and_saves_no_nonsense(
    tmp_path: Path, log_steps: int, eval_steps: int
) -> None:
    config = tiny_config(
        learning_rate=1e12,
        warmup_steps=0,
        gradient_clip=1e12,
        max_steps=200,
        log_steps=log_steps,
        eval_steps=eval_steps,
    )
    out = tmp_path / "run"
    with pytest.raises(DivergedError, match="lower --learning-rate") as diverged:
        train_session(config, out, texts=TEXTS)
    assert diverged.value.exit_code == 5
    assert "NaN" not in (out / "metrics.jsonl").read_text(encoding="utf-8")
    if (out / "model.safetensors").exists():
        weights = load_file(out / "model.safetensors")
        assert all(value.isfinite().all() for value in weights.values())


def test_a_mistake_leaves_the_model_that_overwrite_would_replace(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=2), out, texts=TEXTS)
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(NotFoundError):
        train_session(tiny_config(train=["typo.txt"]), out, overwrite=True)
    assert (out / "model.safetensors").read_bytes() == before


def test_a_refused_resume_leaves_the_run_resumable(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=4), out, texts=TEXTS)
    with pytest.raises(UsageError, match=r"hidden_size is 24, the run in .* has 16"):
        train_session(tiny_config(hidden_size=24), out, texts=TEXTS, resume=True)
    own = Config.resolve(file=out / "experiment.toml")
    assert own.model.hidden_size == 16
    train_session(tiny_config(max_steps=6), out, texts=TEXTS, resume=True)


def test_cut_sentences_are_counted_aloud(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(LoggingReporter):
        def warn(self, text: str) -> None:
            said.append(text)

    config = tiny_config(max_tokens=4, max_steps=2)
    train_session(config, tmp_path / "run", texts=TEXTS, reporter=Listening())
    assert any("cut to 4 tokens" in text for text in said)


def test_max_steps_hold_beside_minutes(tmp_path: Path) -> None:
    train_session(tiny_config(max_steps=7, max_minutes=60), tmp_path / "run", texts=TEXTS)
    assert max(r["step"] for r in records(tmp_path / "run")) == 7


def test_the_same_seed_gives_the_same_model_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_session(tiny_config(seed=seed, max_steps=4), tmp_path / name, texts=TEXTS)
    first, again, other = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b", "c")
    )
    assert first == again
    assert first != other


def test_global_random_states_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate()
    TextVAE.train(TEXTS, out=tmp_path / "run", config=tiny_config(max_steps=2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


@pytest.mark.parametrize("free_bits_mode", ["dimension", "batch"])
def test_two_processes_have_the_losses_of_one(tmp_path: Path, free_bits_mode: str) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS), encoding="utf-8")
    options = [
        f"--set={section}.{key}={json.dumps(value)}"
        for section, values in tiny_config(
            free_bits_mode=free_bits_mode, free_bits=0.1, batch_size=9, max_steps=12
        ).model_dump(mode="json", exclude_defaults=True).items()
        for key, value in values.items()
    ]
    arguments = ["-m", "textvae", "train", str(text), *options, "--quiet"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for name, command in (("one", []), ("two", launcher)):
        done = subprocess.run(
            [sys.executable, *command, *arguments, "--out", str(tmp_path / name)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    assert [(r["event"], r["step"]) for r in one] == [(r["event"], r["step"]) for r in two]
    for expected, found in zip(one, two, strict=True):
        for key in {"loss", "rec", "kl", "nll_elbo", "gradient_norm"} & expected.keys():
            assert found[key] == pytest.approx(expected[key], abs=1e-5, rel=1e-6), key


def test_minutes_are_a_hard_stop_and_fix_a_horizon_once(tmp_path: Path) -> None:
    config = tiny_config(max_steps=None, max_minutes=0.05, eval_steps=None)
    train_session(config, tmp_path / "run", texts=TEXTS)
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    state = json.loads((newest / "state.json").read_text(encoding="utf-8"))
    assert state["horizon"] is not None
    assert state["step"] <= state["horizon"]
    assert state["seconds"] < 3.0 + 2.0  # the stop, and one last evaluation on a busy machine


def test_max_steps_counts_from_the_first_start(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=6), out, texts=TEXTS)
    train_session(tiny_config(max_steps=9), out, texts=TEXTS, resume=True)
    assert max(r["step"] for r in records(out)) == 9


def test_patience_stops_where_validation_no_longer_improves(tmp_path: Path) -> None:
    config = tiny_config(max_steps=500, eval_steps=2, patience=2, learning_rate=1e-9)
    train_session(config, tmp_path / "run", texts=TEXTS)
    evaluations = [r for r in records(tmp_path / "run") if r["event"] == "valid"]
    assert evaluations[-1]["step"] < 500
    assert [r["best"] for r in evaluations[-2:]] == [False, False]


def test_the_saved_model_is_that_of_the_best_evaluation(tmp_path: Path) -> None:
    out = tmp_path / "run"
    model = TextVAE.train(TEXTS, valid=TEXTS[:20], out=out, config=tiny_config(max_steps=60))
    evaluations = [r for r in records(out) if r["event"] == "valid"]
    best = min(evaluations, key=lambda r: r["nll_elbo"])
    assert model.metrics["step"] == best["step"]
    rec_at_start = next(r for r in evaluations)["rec"]
    assert best["rec"] < rec_at_start  # it has learnt something


@pytest.mark.parametrize("kind", ["vae", "ae", "lm"])
def test_the_curve_ends_where_the_evaluation_of_the_model_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("textvae.training.material.MONITORED_SENTENCES", 17)
    monkeypatch.setattr("textvae.training.material.BATCH", 6)
    monkeypatch.setattr("textvae.training.material.PIECE", 10)
    config = tiny_config(model=kind, seed=3, max_steps=10)
    model = TextVAE.train(TEXTS, valid=["", *TEXTS[::4]], out=tmp_path / "run", config=config)
    rows = [Row(text) for text in TEXTS[::4]]
    report = evaluate(model.model, model.tokenizer, rows, samples=1, seed=3, limit=17)
    watched = {key: value for key, value in model.metrics.items() if key in report}
    assert len(watched) == {"vae": 6, "ae": 1, "lm": 1}[kind]
    assert {key: report[key] for key in watched} == pytest.approx(watched, rel=1e-4)


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    train_session(tiny_config(keep=2), tmp_path / "run", texts=TEXTS)
    names = sorted(folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["step-000000015", "step-000000018"]


def test_a_folder_that_is_in_use_is_refused_and_a_foreign_one_never_overwritten(
    tmp_path: Path,
) -> None:
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="thesis"):
            train_session(tiny_config(), foreign, texts=TEXTS, overwrite=overwrite)
    assert (foreign / "config.json").read_text(encoding="utf-8") == '{"model_type": "bert"}'


def test_overwrite_keeps_what_textvae_did_not_write(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=2), out, texts=TEXTS)
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    train_session(tiny_config(max_steps=3), out, texts=TEXTS, overwrite=True)
    assert (out / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert max(r["step"] for r in records(out)) == 3


def test_an_autoencoder_samples_from_the_gaussian_of_its_codes(tmp_path: Path) -> None:
    model = TextVAE.train(TEXTS, out=tmp_path / "run", config=tiny_config(model="ae"))
    codes = torch.from_numpy(model.encode(TEXTS))
    drawn = model.model.prior_sample(torch.randn(20_000, 4))
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=0.15)
    assert torch.allclose(drawn.T.cov(), codes.T.cov(), atol=0.15)


def test_a_budget_is_the_smallest_of_its_limits() -> None:
    def steps(**limits: Any) -> int | None:
        return Budget.of(TrainingConfig(**limits), steps_per_epoch=10).steps

    assert steps(max_steps=35, epochs=4) == 35
    assert steps(max_steps=45, epochs=4) == 40
    assert steps(epochs=0.25) == 3
    assert steps(max_minutes=1) is None
    assert steps() == 200  # twenty epochs


def test_the_horizon_leaves_time_for_evaluations() -> None:
    budget = Budget(None, 100.0)
    horizon = budget.horizon_from_speed(
        step=10, seconds=5.0, step_seconds=0.1, evaluation_seconds=1.0
    )
    assert 10 + (95 - 10) / 0.1 * 0.95 < horizon <= 10 + (95 - 10) / 0.1


@pytest.mark.parametrize(
    ("figures", "weight", "warns"),
    [
        ({"z_gain": 0.01, "kl": 0.1}, 1.0, True),
        ({"z_gain": 0.01, "kl": 0.1}, 0.2, False),  # still annealing
        ({"z_gain": 6.0, "kl": 8.0}, 1.0, False),
        ({"z_gain": 0.01}, 1.0, False),  # an autoencoder
        ({"nll_iw": 30.0}, 1.0, False),  # a language model
    ],
)
def test_collapse_is_said_once_the_kl_counts(
    figures: dict[str, float], weight: float, warns: bool
) -> None:
    assert (collapse_warning(figures, weight, beta=1.0) is not None) == warns


def test_trackers_get_the_figures_of_metrics_jsonl(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    train_session(tiny_config(track=["tensorboard"], max_steps=6), out, texts=TEXTS)
    events = EventAccumulator(str(out / "tracking" / "textvae")).Reload()
    found = {event.step: event.value for event in events.Scalars("train/rec")}
    expected = {r["step"]: r["rec"] for r in records(out) if r["event"] == "train"}
    assert found == pytest.approx(expected, rel=1e-6)


def test_an_unknown_or_missing_tracker_is_said_before_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"papyrus.*choose from"):
        train_session(tiny_config(track=["papyrus"]), tmp_path / "a", texts=TEXTS)
    assert not (tmp_path / "a").exists()
