"""Steps, epochs, minutes and patience end a run; its progress decides schedules and evaluations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import TEXTS, fake_time, last_checkpoint, newest_state, records, tiny_config

from textvae.config import TrainingConfig
from textvae.training.limits import START, Clock, Limits, Place
from textvae.training.reporting import LoggingReporter
from textvae.training.train import train_model


def test_the_smallest_limit_counts() -> None:
    def steps(**limits: Any) -> int | None:
        return Limits.of(TrainingConfig(**limits), steps_per_epoch=10).steps

    assert steps(max_steps=35, epochs=4) == 35
    assert steps(max_steps=45, epochs=4) == 40
    assert steps(epochs=0.25) == 3
    assert steps(max_minutes=1) is None
    assert steps() == 1_000
    assert Limits.of(TrainingConfig(), steps_per_epoch=100).steps == 2_000  # twenty epochs


def test_max_steps_counts_from_the_first_start(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=6), out, texts=TEXTS)
    train_model(tiny_config(max_steps=9), out, texts=TEXTS, resume=True)
    assert max(r["step"] for r in records(out)) == 9


def test_max_steps_hold_beside_minutes(tmp_path: Path) -> None:
    train_model(tiny_config(max_steps=7, max_minutes=60), tmp_path / "run", texts=TEXTS)
    assert max(r["step"] for r in records(tmp_path / "run")) == 7


def test_a_limit_on_time_that_is_not_reached_changes_nothing(tmp_path: Path) -> None:
    """Progress is the larger of both shares, and that of the steps is far ahead."""
    for name, minutes in (("steps", None), ("both", 60)):
        config = tiny_config(max_minutes=minutes, eval_steps=4, checkpoint_steps=4)
        train_model(config, tmp_path / name, texts=TEXTS)
    expected, found = last_checkpoint(tmp_path / "steps"), last_checkpoint(tmp_path / "both")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize(
    ("minutes", "steps", "seconds", "left"),
    [
        (None, None, 5.0, None),
        (None, 110, 5.0, 50.0),
        (1.0, None, 5.0, 55.0),
        (1.0, 110, 5.0, 50.0),
        (1.0, 10**6, 5.0, 55.0),
        (1.0, 10**6, 70.0, 0.0),
        (1.0, 5, 5.0, 0.0),
    ],
)
def test_the_time_left_ends_with_the_minutes_where_the_steps_would_not(
    minutes: float | None, steps: int | None, seconds: float, left: float | None
) -> None:
    limits = Limits(steps, minutes and 60 * minutes)
    assert limits.seconds_left(Place(10, seconds), step_seconds=0.5) == left


def test_patience_stops_where_validation_no_longer_improves(tmp_path: Path) -> None:
    config = tiny_config(max_steps=500, eval_steps=2, patience=2, learning_rate=1e-9)
    train_model(config, tmp_path / "run", texts=TEXTS)
    evaluations = [r for r in records(tmp_path / "run") if r["event"] == "valid"]
    assert evaluations[-1]["step"] < 500
    assert [r["best"] for r in evaluations[-2:]] == [False, False]


def test_what_has_run_out_of_patience_says_so(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(LoggingReporter):
        def message(self, text: str) -> None:
            said.append(text)

    config = tiny_config(max_steps=500, eval_steps=2, patience=2, learning_rate=1e-9)
    train_model(config, tmp_path / "run", texts=TEXTS)
    train_model(config, tmp_path / "run", texts=TEXTS, resume=True, reporter=Listening())
    assert any("complete" in text and "patience" in text for text in said)


def test_more_steps_within_the_same_minutes_are_trained(tmp_path: Path) -> None:
    out = tmp_path / "run"
    for most, resume in ((6, False), (9, True)):
        config = tiny_config(max_steps=most, max_minutes=60, eval_steps=None)
        train_model(config, out, texts=TEXTS, resume=resume)
        assert newest_state(out).step == most
    before = records(out)
    train_model(config, out, texts=TEXTS, resume=True)  # is complete: nothing is added
    assert records(out) == before


def test_no_step_is_evaluated_twice(tmp_path: Path) -> None:
    """The end of the minutes asks for an evaluation, and `eval_steps` may ask for the same one."""
    config = tiny_config(max_steps=None, max_minutes=0.02, eval_steps=1, checkpoint_steps=1000)
    train_model(config, tmp_path / "run", texts=TEXTS)
    steps = [r["step"] for r in records(tmp_path / "run") if r["event"] == "valid"]
    assert len(steps) == len(set(steps)) > 1


# progress


@pytest.mark.parametrize(
    ("limits", "now", "progress"),
    [
        (Limits(200, None), Place(50, 1e9), 0.25),  # the clock does not count
        (Limits(None, 60.0), Place(10**9, 15.0), 0.25),  # the steps do not count
        (Limits(200, 60.0), Place(50, 30.0), 0.5),
        (Limits(200, 60.0), Place(150, 30.0), 0.75),
        (Limits(200, 60.0), START, 0.0),
        (Limits(200, None), Place(201, 0.0), 1.0),
        (Limits(None, 60.0), Place(0, 61.0), 1.0),
    ],
)
def test_progress_is_the_larger_of_the_shares_of_steps_and_time(
    limits: Limits, now: Place, progress: float
) -> None:
    assert limits.progress(now) == progress


def test_the_seconds_of_the_closing_are_kept_free() -> None:
    limits = Limits(None, 60.0)
    assert limits.progress(Place(5, 25.0), closing=10.0) == 0.5
    assert limits.progress(Place(5, 50.0), closing=10.0) == 1.0
    assert limits.progress(Place(5, 1.0), closing=70.0) == 1.0  # there is no time for a step
    assert Limits(10, None).progress(Place(5, 50.0), closing=70.0) == 0.5


def test_a_phase_has_a_progress_of_its_own() -> None:
    limits = Limits(100, 1000.0)
    assert limits.progress(Place(10, 0.0), share=0.2) == 0.5
    assert limits.progress(Place(10, 150.0), share=0.2) == 0.75
    assert limits.progress(Place(20, 200.0), since=Place(20, 200.0)) == 0.0
    assert limits.progress(Place(60, 200.0), since=Place(20, 200.0)) == 0.5
    assert limits.progress(Place(20, 800.0), since=Place(20, 200.0)) == 0.75
    assert limits.progress(Place(100, 300.0), since=Place(20, 200.0)) == 1.0


@pytest.mark.parametrize(("steps", "expected"), [(40, 4), (105, 10), (7, 1), (None, None)])
def test_a_run_with_steps_alone_is_evaluated_every_tenth_of_them(
    steps: int | None, expected: int | None
) -> None:
    limits = Limits(steps, None if steps else 1e9)
    due = [
        step
        for step in range(1, (steps or 50) + 1)
        if limits.evaluation_is_due(Place(step, 0.0), Place(step - 1, 0.0), 0.0)
    ]
    assert due == ([] if expected is None else list(range(expected, (steps or 0) + 1, expected)))


# several processes


class Two:
    """The second of two processes, whose main one is 100 s ahead."""

    count = 2

    def __init__(self) -> None:
        self.votes = 0

    def from_main(self, value: Any) -> Any:
        self.votes += 1
        return (value[0] + 100.0, value[1]) if isinstance(value, tuple) else value + 100.0


@pytest.mark.parametrize(("step", "votes"), [(0.001, 5), (0.25, 16), (3.0, 64)])
def test_processes_ask_the_main_one_for_the_time_about_every_second(
    monkeypatch: pytest.MonkeyPatch, step: float, votes: int
) -> None:
    fake, processes = fake_time(monkeypatch), Two()
    clock = Clock(processes, START, decides=True)
    seen = []
    for number in range(1, 65):
        fake.now += step
        seen.append(clock.seconds_at(number))
    assert processes.votes == pytest.approx(votes, abs=1)
    assert seen == sorted(seen)
    assert seen[0] >= 100.0


def test_processes_do_not_ask_for_the_time_where_it_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_time(monkeypatch)
    processes = Two()
    clock = Clock(processes, START, decides=False)
    for number in range(1, 65):
        clock.seconds_at(number)
    assert processes.votes == 0


def test_the_speed_of_a_resumed_run_is_that_of_its_own_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3 is not logged before the first run ends; its sentences took no time in the second."""
    fake_time(monkeypatch)  # a second a step
    out = tmp_path / "run"
    for steps in (3, 8):
        config = tiny_config(max_steps=steps, log_steps=2, eval_steps=100)
        train_model(config, out, texts=TEXTS, resume=steps == 8)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    speeds = [r["timing"]["sentences_per_second"] for r in lines if r["event"] == "train"]
    assert len(speeds) == 4
    assert all(7 <= speed <= 9 for speed in speeds)
