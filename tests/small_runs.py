"""Small trainings that tests share: sentences, settings, listeners, and what a run left."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from textvae.config import Config
from textvae.objectives.training_loss import TrainingLoss
from textvae.training import limits, loop, run
from textvae.training.checkpoints import checkpoint_folders
from textvae.training.optimizer import ModelOptimizer
from textvae.training.reporting import LoggingReporter
from textvae.training.run import TrainingRun
from textvae.training.state import TrainingState, read_state

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
NOISE = {"noise_drop": 0.1, "noise_blank": 0.1, "noise_substitute": 0.1, "noise_shuffle": 2.0}
BOUNDED = {"posterior_batch_norm": 0.7, "committed_rate": 0.5, "skip_z": True}
CONSTANT = {"learning_rate_schedule": "constant", "warmup_steps": 0, "kl_schedule": "constant"}


def tiny_config(**options: Any) -> Config:
    """The configuration of a training that takes a second, with these options."""
    return Config.resolve(options={**TINY, **options})


def records(out: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock."""
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key != "timing"} for line in lines
    ]


def last_checkpoint(out: Path) -> dict[str, torch.Tensor]:
    """Weights and optimizer state of the last checkpoint, by name."""
    newest = sorted((out / "checkpoints").iterdir())[-1]
    weights = load_file(newest / "weights.safetensors")
    return weights | load_file(newest / "optimizer.safetensors")


def all_tensors(out: Path) -> dict[str, bytes]:
    """Every file of tensors of a run and of its last checkpoint."""
    newest = sorted((out / "checkpoints").iterdir())[-1]
    files = [out / "model.safetensors", *newest.glob("*.safetensors")]
    return {file.name: file.read_bytes() for file in files}


def newest_state(out: Path) -> TrainingState:
    """The state of the last checkpoint."""
    return read_state(checkpoint_folders(out)[-1] / "state.json")


class StopAt(LoggingReporter):
    """Sends SIGINT to this process when training logs a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def log(self, record: dict[str, Any]) -> None:
        if record["event"] == "train" and record["step"] == self.step:
            os.kill(os.getpid(), signal.SIGINT)


class Heard(LoggingReporter):
    """Keeps the messages and warnings of a run."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def poison(monkeypatch: pytest.MonkeyPatch, when: Callable[[TrainingState], bool]) -> None:
    """Make the loss, and with it the gradient, nan in the steps of a run that `when` names."""
    runs: list[TrainingRun] = []
    step, forward = loop.train_step, TrainingLoss.forward

    def watched(run: TrainingRun, batch: Any, **weights: Any) -> None:
        runs[:] = [run]
        step(run, batch, **weights)

    def poisoned(*arguments: Any) -> tuple[Tensor, dict[str, Tensor]]:
        loss, sums = forward(*arguments)
        return (loss * math.nan if when(runs[0].state) else loss), sums

    monkeypatch.setattr(loop, "train_step", watched)
    monkeypatch.setattr(TrainingLoss, "forward", poisoned)


def scored(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Have the evaluations of the runs to come find these bounds, one after the other."""
    monitor, left = loop.monitor, list(scores)

    def found(*arguments: Any) -> dict[str, float]:
        return monitor(*arguments) | {"nll_elbo": left.pop(0)}

    monkeypatch.setattr(loop, "monitor", found)


class FakeTime:
    """A clock that stands still except while a run trains, evaluates, saves or fits a prior."""

    def __init__(self, step: float, evaluation: float, checkpoint: float, prior: float) -> None:
        self.now = 1000.0
        self.step, self.evaluation = step, evaluation
        self.checkpoint, self.prior = checkpoint, prior


def fake_time(
    monkeypatch: pytest.MonkeyPatch,
    *,
    step: float = 1.0,
    evaluation: float = 0.0,
    checkpoint: float = 0.0,
    prior: float = 0.0,
) -> FakeTime:
    """Let each step, evaluation, ... of the runs to come take so many seconds of a fake clock."""
    fake = FakeTime(step, evaluation, checkpoint, prior)

    def taking(owner: Any, name: str, kind: str) -> None:
        function = getattr(owner, name)

        def slow(*arguments: Any, **options: Any) -> Any:
            fake.now += getattr(fake, kind)
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, slow)

    taking(ModelOptimizer, "step", "step")
    taking(loop, "monitor", "evaluation")
    taking(run, "save_checkpoint", "checkpoint")
    taking(TrainingRun, "fit_prior_of_best", "prior")
    monkeypatch.setattr(run, "prior_fit_seconds", lambda model, corpus: fake.prior)
    monkeypatch.setattr(limits, "monotonic", lambda: fake.now)
    return fake
