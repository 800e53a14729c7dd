"""Runs that cannot recover end with an error that says so, and leave the last good model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from safetensors.torch import load_file
from small_runs import CONSTANT, TEXTS, newest_state, poison, records, scored, tiny_config

from textvae.errors import DivergedError
from textvae.training.train import train_model


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
    with pytest.raises(DivergedError, match="lower learning_rate") as diverged:
        train_model(config, out, texts=TEXTS)
    assert diverged.value.exit_code == 5
    assert "NaN" not in (out / "metrics.jsonl").read_text(encoding="utf-8")
    if (out / "model.safetensors").exists():
        weights = load_file(out / "model.safetensors")
        assert all(value.isfinite().all() for value in weights.values())


def test_what_never_becomes_finite_ends_with_a_sentence_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda state: state.step >= 12)
    with pytest.raises(
        DivergedError, match=r"after going back 3 times .* the model of step 1\d is"
    ):
        train_model(tiny_config(max_steps=200, eval_steps=5), tmp_path / "run", texts=TEXTS)


def test_what_no_log_line_has_seen_is_judged_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda state: True)
    with pytest.raises(DivergedError, match="after going back 3 times"):
        train_model(tiny_config(log_steps=1_000), tmp_path / "run", texts=TEXTS)


@pytest.mark.parametrize("log_steps", [1, 2, 1_000])
def test_few_steps_all_of_which_were_skipped_are_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_steps: int
) -> None:
    poison(monkeypatch, lambda state: True)
    with pytest.raises(DivergedError, match="after going back 3 times"):
        train_model(tiny_config(max_steps=5, log_steps=log_steps), tmp_path / "run", texts=TEXTS)


def test_no_time_to_go_back_is_said_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, [math.nan])
    config = tiny_config(max_steps=None, max_minutes=1e-9, eval_steps=None)
    with pytest.raises(DivergedError, match=r"is nan at step 0; no model was saved") as error:
        train_model(config, tmp_path / "run", texts=TEXTS)
    assert "0 times" not in str(error.value)


def test_a_run_that_diverged_goes_on_with_the_learning_rate_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither with an eighth of it, nor without a way back."""
    out, ill = tmp_path / "run", [True]
    poison(monkeypatch, lambda state: state.step >= 12 and ill[0])
    config = tiny_config(max_steps=30, log_steps=3, learning_rate=0.01, **CONSTANT)
    with pytest.raises(DivergedError, match=r"0\.00125 at the end"):
        train_model(config, out, texts=TEXTS)
    ill[0] = False
    config = tiny_config(max_steps=30, log_steps=3, learning_rate=0.002, **CONSTANT)
    train_model(config, out, texts=TEXTS, resume=True)
    rates = {r["step"]: r["learning_rate"] for r in records(out) if r["event"] == "train"}
    assert (rates[9], rates[30]) == pytest.approx((0.01, 0.002))
    train_model(config, out, texts=TEXTS, resume=True)
    assert newest_state(out).rollbacks == 0
