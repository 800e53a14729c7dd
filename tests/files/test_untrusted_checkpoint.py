"""An untrusted checkpoint: digests, links, states and tensors are checked before use."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import random_word_model
from safetensors.torch import load_file, save_file
from tampering import edit_json

from textvae.config import Config
from textvae.errors import ModelFormatError
from textvae.schedules import PeakRate
from textvae.training.checkpoints import (
    damage,
    digest,
    load_checkpoint,
    save_checkpoint,
)
from textvae.training.limits import Limits
from textvae.training.schedule import Schedule
from textvae.training.state import FORMAT, TrainingState


def small_run(out: Path) -> tuple[Any, torch.optim.Optimizer]:
    """A checkpoint of a model after one step of Adam."""
    model = random_word_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    sum(p.square().sum() for p in model.parameters()).backward()
    optimizer.step()
    save_checkpoint(out, model, optimizer, TrainingState(step=1), {}, keep=1)
    return model, optimizer


def resume(out: Path) -> TrainingState:
    model = random_word_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    return load_checkpoint(out, model, optimizer, lambda tensors: None, lambda text: None)


def sign(checkpoint: Path) -> None:
    """Have the digests fit what was changed, as a stranger would."""
    digests = {p.name: digest(p) for p in checkpoint.iterdir() if p.name != "sha256.json"}
    (checkpoint / "sha256.json").write_text(json.dumps(digests), encoding="utf-8")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    small_run(tmp_path / "run")
    assert resume(tmp_path / "run").step == 1
    return tmp_path / "run" / "checkpoints" / "step-000000001"


@pytest.mark.parametrize(
    "digests",
    [{"../../../secret": "0"}, {"/dev/zero": "0"}, {"sub/file": "0"}, [], {}, {"state.json": "0"}],
)
def test_digests_lead_nowhere_else_and_leave_nothing_out(
    checkpoint: Path, tmp_path: Path, digests: Any
) -> None:
    """Reading /dev/zero to its end would never end."""
    (tmp_path / "secret").write_text("x")
    path = checkpoint / "sha256.json"
    right = json.loads(path.read_text())
    complete = isinstance(digests, dict) and any("/" in name for name in digests)
    path.write_text(json.dumps(right | digests if complete else digests))
    assert damage(checkpoint) is not None
    with pytest.raises(ModelFormatError, match="no checkpoint is complete"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "optimizer.safetensors"])
def test_a_checkpoint_of_links_is_refused(checkpoint: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(checkpoint / name, tmp_path / name)
    (checkpoint / name).unlink()
    (checkpoint / name).symlink_to(tmp_path / name)
    with pytest.raises(ModelFormatError, match="no checkpoint is complete"):
        resume(tmp_path / "run")


def test_a_checkpoint_that_is_a_link_itself_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    """All its files would lie inside of what it leads to."""
    checkpoint.rename(tmp_path / "elsewhere")
    checkpoint.symlink_to(tmp_path / "elsewhere")
    assert "leads out of the folder" in str(damage(checkpoint))
    with pytest.raises(ModelFormatError, match="no checkpoint is complete"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "optimizer.safetensors"])
def test_a_checkpoint_of_pipes_is_not_waited_for(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    os.mkfifo(checkpoint / name)
    assert damage(checkpoint) == f"{name} does not match its digest"


def test_a_checkpoint_without_digests_is_none(checkpoint: Path) -> None:
    (checkpoint / "sha256.json").unlink()
    assert damage(checkpoint) == "it has no sha256.json"


@pytest.mark.parametrize(
    "change",
    [
        {"step": "1"}, {"step": -1}, {"step": True}, {"step": 1.5}, {"step": 10**30}, {"hats": 1},
        {"eval_steps": 0}, {"closing_seconds": -1}, {"best": "low"}, {"seconds": float("nan")},
        {"window": {"loss": "x"}}, {"window": {"loss": float("inf")}}, {"window": {"\x1b[": 1.0}},
        {"window": []}, {"\x1b\n": 1}, {"target_kl": ["x"]},
        {"aggressive": []}, {"rollbacks": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_that_cannot_be_is_refused(checkpoint: Path, change: dict[str, Any]) -> None:
    edit_json(checkpoint / "state.json", **change)
    sign(checkpoint)
    with pytest.raises(ModelFormatError, match="damaged checkpoint") as caught:
        resume(checkpoint.parent.parent)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("state", [[], 3, None, "step", {"format": FORMAT, "step": {"step": 1}}])
def test_a_state_of_another_form_is_refused(checkpoint: Path, state: Any) -> None:
    (checkpoint / "state.json").write_text(json.dumps(state))
    sign(checkpoint)
    with pytest.raises(ModelFormatError, match=r"damaged checkpoint: state\.json") as caught:
        resume(checkpoint.parent.parent)
    assert "\n" not in str(caught.value)


def test_a_state_of_another_method_is_refused() -> None:
    config = Config.resolve(options={"aggressive": True})
    one = type("One", (), {"count": 1, "is_main": True})()
    limits, cpu = Limits(100, None), torch.device("cpu")
    schedule = Schedule(config, limits, PeakRate(0.1), TrainingState(), one, cpu)
    good = {"active": True, "mi": None, "updates": 3, "decoder_is_due": False, "before": 1.0}
    for change in ({"updates": "3"}, {"window": {"x": 1}}, {"mi": "x"}, {"active": 1}):
        bad = {**good, "window": {}, **change}
        with pytest.raises(ModelFormatError, match="aggressive"):
            schedule.restore(TrainingState(aggressive=bad))
    schedule.restore(TrainingState(aggressive={**good, "window": {}}))
    held = Config.resolve(options={"target_kl": 4.0})
    schedule = Schedule(held, limits, PeakRate(0.1), TrainingState(), one, cpu)
    with pytest.raises(ModelFormatError, match="target_kl has 1 numbers"):
        schedule.restore(TrainingState(target_kl=[0.0]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoder.embedding.weight/exp_avg", torch.zeros(3)),
        ("encoder.embedding.weight/exp_avg", torch.full((10, 4), torch.nan)),
        ("encoder.embedding.weight/exp_avg_sq", torch.full((10, 4), -1.0)),
        ("encoder.embedding.weight/exp_avg", torch.zeros(10, 4, dtype=torch.float16)),
        ("encoder.embedding.weight/step", torch.tensor(-1.0)),
        ("encoder.embedding.weight/step", torch.zeros(2)),
        ("encoder.embedding.weight/other", torch.zeros(10, 4)),
        ("nothing/step", torch.tensor(1.0)),
        ("encoder.embedding.weight/step", None),
    ],
    ids=range(9),
)
def test_an_optimizer_state_that_would_spoil_the_weights_is_refused(
    checkpoint: Path, key: str, value: torch.Tensor | None
) -> None:
    path = checkpoint / "optimizer.safetensors"
    tensors = load_file(path)
    if value is None:
        del tensors[key]
    else:
        tensors[key] = value
    save_file(tensors, path)
    sign(checkpoint)
    with pytest.raises(ModelFormatError, match=r"damaged checkpoint: .*"):
        resume(checkpoint.parent.parent)
