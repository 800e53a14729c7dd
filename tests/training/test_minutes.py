"""A run with minutes uses all of them, and its schedules reach their ends."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from small_runs import (
    TEXTS,
    Heard,
    StopAt,
    all_tensors,
    fake_time,
    newest_state,
    poison,
    records,
    tiny_config,
)

from textvae.errors import InterruptedRun
from textvae.training.limits import Place
from textvae.training.reporting import LoggingReporter
from textvae.training.train import train_model

MINUTES = {
    "max_steps": None, "max_minutes": 2, "eval_steps": None, "log_steps": 1, "warmup_steps": 0,
    "learning_rate": 0.01, "kl_warmup": 0.9, "seed": 1,
}  # fmt: skip
FINAL_RATE = pytest.approx(0.01 * 0.05, rel=0.02)


def trained(out: Path) -> list[dict[str, Any]]:
    return [r for r in records(out) if r["event"] == "train"]


def evaluated(out: Path) -> list[int]:
    return [r["step"] for r in records(out) if r["event"] == "valid"]


def test_minutes_are_used_up_and_evaluations_come_at_even_shares_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_time(monkeypatch, step=1.0)
    train_model(tiny_config(**MINUTES), tmp_path / "run", texts=TEXTS)
    assert newest_state(tmp_path / "run").place == Place(120, 120.0)
    assert evaluated(tmp_path / "run") == list(range(12, 121, 12))
    last = trained(tmp_path / "run")[-1]
    assert last["learning_rate"] == pytest.approx(0.01 * 0.05)
    assert last["kl_weight"] == 1.0


@pytest.mark.parametrize("model", ["vae", "ae"])
def test_the_last_evaluation_and_the_saving_are_within_the_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    fake = fake_time(monkeypatch, step=0.5, evaluation=2.0, checkpoint=1.0, prior=4.0)
    before = fake.now
    train_model(tiny_config(model=model, **MINUTES), tmp_path / "run", texts=TEXTS)
    assert 119.0 <= fake.now - before <= 120.5  # to a step
    assert trained(tmp_path / "run")[-1]["learning_rate"] == FINAL_RATE


def test_a_machine_that_becomes_slow_changes_neither_the_time_nor_the_ends_of_the_schedules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_time(monkeypatch, step=0.5, evaluation=1.0)
    before = fake.now

    class Slowing(LoggingReporter):
        def log(self, record: dict[str, Any]) -> None:
            if record["step"] == 60:
                fake.step, fake.evaluation = 3.0, 2.0

    train_model(tiny_config(**MINUTES), tmp_path / "run", texts=TEXTS, reporter=Slowing())
    assert 117.0 <= fake.now - before <= 122.0  # to a step
    assert len(evaluated(tmp_path / "run")) == 10
    rates = [r["learning_rate"] for r in trained(tmp_path / "run")]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.01 * 0.05)


def test_the_first_evaluation_shows_how_long_the_last_one_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where `eval_steps` asks for none."""
    fake = fake_time(monkeypatch, step=1.0, evaluation=5.0)
    before = fake.now
    config = tiny_config(**MINUTES | {"eval_steps": 10_000})
    train_model(config, tmp_path / "run", texts=TEXTS)
    assert evaluated(tmp_path / "run") == [12, 110]
    assert fake.now - before == 120.0


def test_an_evaluation_longer_than_its_share_leaves_steps_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_time(monkeypatch, step=1.0, evaluation=15.0)
    train_model(tiny_config(**MINUTES), tmp_path / "run", texts=TEXTS)
    steps = evaluated(tmp_path / "run")
    assert len(steps) < 10
    assert min(after - before for before, after in pairwise(steps)) > 1


def test_pretraining_takes_its_share_of_the_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_time(monkeypatch, step=1.0)
    heard = Heard()
    config = tiny_config(pretrain_share=0.25, **MINUTES)
    train_model(config, tmp_path / "run", texts=TEXTS, reporter=heard)
    assert any("autoencoder ends at step 30" in text for text in heard.messages)
    assert newest_state(tmp_path / "run").step == 120


def test_a_run_with_minutes_continues_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seconds of the first start count; those between the starts do not."""
    fake = fake_time(monkeypatch, step=1.0, evaluation=2.0)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_model(tiny_config(**MINUTES), whole, texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_model(tiny_config(**MINUTES), torn, texts=TEXTS, reporter=StopAt(50))
    fake.now += 10_000
    train_model(tiny_config(**MINUTES), torn, texts=TEXTS, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)


def test_more_minutes_continue_a_complete_run_on_the_new_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_time(monkeypatch, step=1.0)
    out = tmp_path / "run"
    train_model(tiny_config(**MINUTES), out, texts=TEXTS)
    train_model(tiny_config(**MINUTES | {"max_minutes": 4}), out, texts=TEXTS, resume=True)
    assert newest_state(out).place == Place(240, 240.0)
    assert evaluated(out) == [*range(12, 121, 12), *range(144, 241, 24)]
    rates = {r["step"]: r["learning_rate"] for r in trained(out)}
    assert rates[121] > 0.005 > rates[120]
    assert rates[240] == pytest.approx(0.01 * 0.05)
    heard, before = Heard(), records(out)
    train_model(
        tiny_config(**MINUTES | {"max_minutes": 4}), out, texts=TEXTS, resume=True, reporter=heard
    )
    assert any("complete at step 240" in text for text in heard.messages)
    assert records(out) == before


def test_a_run_that_goes_back_still_ends_with_its_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_time(monkeypatch, step=1.0)
    before = fake.now
    poison(monkeypatch, lambda state: state.step >= 30 and not state.rollbacks)
    train_model(tiny_config(**MINUTES), tmp_path / "run", texts=TEXTS)
    assert fake.now - before == 120.0
    assert trained(tmp_path / "run")[-1]["learning_rate"] == pytest.approx(0.005 * 0.05)
    assert newest_state(tmp_path / "run").step < 120


def test_the_clock_changes_nothing_in_a_run_with_steps_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(pretrain_share=0.3, target_kl=2.0)
    train_model(config, tmp_path / "real", texts=TEXTS)
    fake_time(monkeypatch, step=1000.0, evaluation=5000.0)
    train_model(config, tmp_path / "fake", texts=TEXTS)
    assert all_tensors(tmp_path / "fake") == all_tensors(tmp_path / "real")
    assert records(tmp_path / "fake") == records(tmp_path / "real")
