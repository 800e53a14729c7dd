"""Checkpoints: what they keep, and which one a run continues from when files are damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from small_runs import TEXTS, Heard, all_tensors, records, tiny_config

from textvae.errors import ModelFormatError
from textvae.training import checkpoints
from textvae.training.checkpoints import checkpoint_folders
from textvae.training.run import TrainingRun
from textvae.training.train import train_model


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    train_model(tiny_config(keep=2), tmp_path / "run", texts=TEXTS)
    names = sorted(folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["step-000000015", "step-000000018"]


def test_what_the_loss_has_of_its_own_is_kept_where_there_is_any(tmp_path: Path) -> None:
    for name, terms in (("plain", {}), ("own", {"bag_of_words_weight": 0.5})):
        train_model(tiny_config(max_steps=2, **terms), tmp_path / name, texts=TEXTS)
    assert "auxiliaries.safetensors" not in all_tensors(tmp_path / "plain")
    assert "auxiliaries.safetensors" in all_tensors(tmp_path / "own")


def stopped_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """(a whole run, one that was killed after its third checkpoint)"""
    train_model(tiny_config(), tmp_path / "whole", texts=TEXTS)
    save = TrainingRun.save_checkpoint

    def dying(run: TrainingRun) -> None:
        save(run)
        if run.state.step == 10:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "save_checkpoint", dying)
        with pytest.raises(MemoryError):
            train_model(tiny_config(), tmp_path / "torn", texts=TEXTS)
    return tmp_path / "whole", tmp_path / "torn"


@pytest.mark.parametrize("name", ["weights", "optimizer"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_torn_checkpoint_is_named_and_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    whole, torn = stopped_run(tmp_path, monkeypatch)
    newest = torn / "checkpoints" / "step-000000010"
    file = newest / f"{name}.safetensors"
    content = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    else:
        content[-5] ^= 1  # a value that safetensors itself would take
        file.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    heard = Heard()
    train_model(tiny_config(), torn, texts=TEXTS, resume=True, reporter=heard)
    assert any(str(newest) in warning and "damaged" in warning for warning in heard.warnings)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)


def test_without_a_whole_checkpoint_there_is_nothing_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, torn = stopped_run(tmp_path, monkeypatch)
    for state in (torn / "checkpoints").glob("*/state.json"):
        state.write_text("{")
    with pytest.raises(ModelFormatError, match="no checkpoint is complete"):
        train_model(tiny_config(), torn, texts=TEXTS, resume=True)


@pytest.mark.parametrize("suffix", [".old", ".part"])
def test_a_checkpoint_that_was_being_replaced_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    whole, torn = stopped_run(tmp_path, monkeypatch)
    newest = torn / "checkpoints" / "step-000000010"
    os.replace(newest, newest.with_name(newest.name + suffix))
    (state,) = (torn / "checkpoints").glob("step-000000005/state.json")
    state.write_text("{")  # so that only the renamed one is left
    train_model(tiny_config(), torn, texts=TEXTS, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)
    assert {folder.name for folder in (torn / "checkpoints").iterdir()} == {
        "step-000000015",
        "step-000000018",
    }


def test_a_checkpoint_that_cannot_be_written_leaves_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = checkpoints.write_weights, []

    def full(path: Path, model: Any) -> None:
        written.append(path)
        if len(written) == 3:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device", str(path))
        write(path, model)

    monkeypatch.setattr(checkpoints, "write_weights", full)
    out = tmp_path / "run"
    with pytest.raises(OSError, match="No space left"):
        train_model(tiny_config(), out, texts=TEXTS)
    folders = sorted(folder.name for folder in (out / "checkpoints").iterdir())
    assert folders == ["step-000000000", "step-000000005"]
    assert all(checkpoints.damage(out / "checkpoints" / name) is None for name in folders)


@pytest.mark.parametrize("found", [None, 1, 3, "x"])
def test_a_state_of_another_format_is_refused_with_what_to_do(tmp_path: Path, found: Any) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=2), out, texts=TEXTS)
    folder = checkpoint_folders(out)[-1]
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    state |= {"horizon": 18, "planned_seconds": 0.0, "format": found}
    if found is None:  # as before states had a format
        del state["format"]
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    digests = {p.name: checkpoints.digest(p) for p in folder.iterdir() if p.name != "sha256.json"}
    (folder / "sha256.json").write_text(json.dumps(digests), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"state\.json: .*format .*start over"):
        train_model(tiny_config(max_steps=4), out, texts=TEXTS, resume=True)
