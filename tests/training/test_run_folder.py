"""The folder of a run: what is refused, overwritten, removed, moved, or locked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_runs import TEXTS, all_tensors, records, tiny_config

from textvae.errors import NotFoundError, UsageError
from textvae.files.lock import LOCK_FILE, sole_training
from textvae.training import run, run_folder, train
from textvae.training.reporting import LoggingReporter
from textvae.training.train import train_model


def test_a_mistake_leaves_the_model_that_overwrite_would_replace(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=2), out, texts=TEXTS)
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(NotFoundError):
        train_model(tiny_config(train=["typo.txt"]), out, overwrite=True)
    assert (out / "model.safetensors").read_bytes() == before


def test_a_folder_that_is_in_use_is_refused_and_a_foreign_one_never_overwritten(
    tmp_path: Path,
) -> None:
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="thesis"):
            train_model(tiny_config(), foreign, texts=TEXTS, overwrite=overwrite)
    assert (foreign / "config.json").read_text(encoding="utf-8") == '{"model_type": "bert"}'


def test_overwrite_keeps_what_textvae_did_not_write(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=2), out, texts=TEXTS)
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    train_model(tiny_config(max_steps=3), out, texts=TEXTS, overwrite=True)
    assert (out / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert max(r["step"] for r in records(out)) == 3


def test_a_folder_that_was_filled_while_the_text_was_encoded_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, load = tmp_path / "run", train.load_corpora

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(train, "load_corpora", load)
        train_model(tiny_config(max_steps=2, seed=1), out, texts=TEXTS)
        return load(*arguments, **options)

    monkeypatch.setattr(train, "load_corpora", meanwhile)
    with pytest.raises(UsageError, match="not empty"):
        train_model(tiny_config(max_steps=3, seed=2), out, texts=TEXTS)
    assert max(r["step"] for r in records(out)) == 2


@pytest.mark.parametrize("where", ["cache", "deep/cache", ""])
def test_the_cache_may_lie_in_the_folder_of_the_run(tmp_path: Path, where: str) -> None:
    out = tmp_path / "run"
    config = tiny_config(max_steps=2, cache_dir=str(out / where))
    train_model(config, out, texts=TEXTS)
    with pytest.raises(UsageError, match="not empty"):
        train_model(config, out, texts=TEXTS)
    train_model(tiny_config(max_steps=4, cache_dir=str(out / where)), out, resume=True, texts=TEXTS)
    assert records(out)[-1]["step"] == 4


class Moving(LoggingReporter):
    """Gives the folder of the run another name when step 8 is logged."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def log(self, record: dict[str, Any]) -> None:
        if record["step"] == 8:
            self.out.rename(self.out.with_name("moved"))


def test_a_run_whose_folder_is_moved_stops_and_can_be_resumed_there(tmp_path: Path) -> None:
    train_model(tiny_config(), tmp_path / "whole", texts=TEXTS)
    out = tmp_path / "run"
    with pytest.raises(OSError, match="moved") as error:
        train_model(tiny_config(), out, texts=TEXTS, reporter=Moving(out))
    assert error.value.filename == str(out)
    assert not hasattr(error.value, "__notes__")  # by its name there is nothing to resume
    assert not out.exists()
    moved = tmp_path / "moved"
    train_model(tiny_config(), moved, texts=TEXTS, resume=True)
    assert all_tensors(moved) == all_tensors(tmp_path / "whole")
    assert records(moved) == records(tmp_path / "whole")


class Killed(BaseException):
    pass


def test_a_run_killed_in_its_first_moment_can_be_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*arguments: Any, **options: Any) -> None:
        raise Killed

    for number, name in enumerate(["write_atomically", "MetricsLog"]):
        out = tmp_path / str(number)
        with monkeypatch.context() as patch:
            patch.setattr(run, name, dying)
            with pytest.raises(Killed):
                train_model(tiny_config(max_steps=1), out, texts=TEXTS)
        (out / ".experiment.toml.123.part").write_bytes(b"[data]")
        with pytest.raises(UsageError, match="overwrite=True" if number else "leave resume out"):
            train_model(tiny_config(max_steps=1), out, texts=TEXTS, resume=True)
        train_model(tiny_config(max_steps=1), out, texts=TEXTS, overwrite=number == 1)
        assert not list(out.glob(".*.part"))


@pytest.mark.parametrize("trained", [True, False])
def test_what_was_half_removed_can_still_be_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: bool
) -> None:
    remove = run_folder.remove
    for most in range(len(run_folder.WRITTEN)):
        out = tmp_path / str(most)
        train_model(tiny_config(max_steps=1), out, texts=TEXTS)
        if not trained:
            (out / "experiment.toml").unlink()
        calls = []

        def dying(path: Path, calls: list[Path] = calls, most: int = most) -> None:
            if len(calls) == most:
                raise Killed
            calls.append(path)
            remove(path)

        with monkeypatch.context() as patch:
            patch.setattr(run_folder, "remove", dying)
            with pytest.raises(Killed):
                run_folder.prepare_folder(out, resume=False)
        if any(path.name != LOCK_FILE for path in out.iterdir()):
            run_folder.check_folder(out, resume=False, overwrite=True)


def test_a_second_training_into_the_folder_is_refused_and_a_crash_leaves_no_lock(
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    code = (
        "import sys, time; from pathlib import Path; "
        "from textvae.files.lock import sole_training\n"
        f"with sole_training(Path({str(out)!r})): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(UsageError, match="another process is training"):
            train_model(tiny_config(), out, texts=TEXTS, overwrite=True)
        assert not (out / "checkpoints").exists()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with sole_training(out):  # raises nothing: the system took the lock back
        (out / "taken").touch()
    assert (out / "taken").exists()
