"""A whole training: one seed gives one model, nothing global changes, and figures are reported."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import TEXTS, all_tensors, records, tiny_config

from textvae import TextVAE
from textvae.errors import UsageError
from textvae.training import run
from textvae.training.reporting import LoggingReporter
from textvae.training.train import train_model


def test_the_same_seed_gives_the_same_model_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_model(tiny_config(seed=seed, max_steps=4), tmp_path / name, texts=TEXTS)
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


def test_a_seed_decides_all_in_whatever_thread_it_is_trained(tmp_path: Path) -> None:
    config = tiny_config(max_steps=4)
    train_model(config, tmp_path / "here", texts=TEXTS)
    thread = threading.Thread(
        target=train_model, args=(config, tmp_path / "there"), kwargs={"texts": TEXTS}
    )
    thread.start()
    thread.join()
    train_model(config, tmp_path / "again", texts=TEXTS)
    for name in ("there", "again"):
        assert all_tensors(tmp_path / name) == all_tensors(tmp_path / "here")
        assert records(tmp_path / name) == records(tmp_path / "here")
        cards = [(tmp_path / place / "README.md").read_bytes() for place in ("here", name)]
        assert cards[0] == cards[1]  # with samples


def test_trainings_at_the_same_time_are_those_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fresh weights come from torch's global generator, and Accelerate's state is global."""
    build = run.build_model

    def slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.1)
        return build(*arguments, **options)

    monkeypatch.setattr(run, "build_model", slowly)
    for seed in (1, 2):
        config = tiny_config(seed=seed, max_steps=8 * seed, adversarial_weight=1.0)
        train_model(config, tmp_path / f"alone {seed}", texts=TEXTS)
    state = torch.get_rng_state()
    work = [
        threading.Thread(
            target=train_model,
            args=(
                tiny_config(seed=seed, max_steps=8 * seed, adversarial_weight=1.0),
                tmp_path / str(seed),
            ),
            kwargs={"texts": TEXTS},
        )
        for seed in (1, 2)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert torch.equal(torch.get_rng_state(), state)
    for seed in (1, 2):
        assert all_tensors(tmp_path / str(seed)) == all_tensors(tmp_path / f"alone {seed}")


def test_cut_sentences_are_counted_aloud(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(LoggingReporter):
        def warn(self, text: str) -> None:
            said.append(text)

    config = tiny_config(max_tokens=4, max_steps=2)
    train_model(config, tmp_path / "run", texts=TEXTS, reporter=Listening())
    assert any("truncated to 4 tokens" in text for text in said)


def test_trackers_get_the_figures_of_metrics_jsonl(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    train_model(tiny_config(track=["tensorboard"], max_steps=6), out, texts=TEXTS)
    events = EventAccumulator(str(out / "tracking" / "textvae")).Reload()
    found = {event.step: event.value for event in events.Scalars("train/rec")}
    expected = {r["step"]: r["rec"] for r in records(out) if r["event"] == "train"}
    assert found == pytest.approx(expected, rel=1e-6)


def test_an_unknown_or_missing_tracker_is_said_before_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"papyrus.*choose from"):
        train_model(tiny_config(track=["papyrus"]), tmp_path / "a", texts=TEXTS)
    assert not (tmp_path / "a").exists()
