"""What may go wrong in a training: steps that are not finite, torn checkpoints, two at once."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training import TEXTS, all_tensors, records, tiny_config
from torch import Tensor

from textvae.errors import DivergedError, ModelFormatError, UsageError
from textvae.files.lock import sole_training
from textvae.objectives.training_loss import TrainingLoss
from textvae.training.checkpoints import TrainingState
from textvae.training.loop import TrainingRun
from textvae.training.reporting import LoggingReporter
from textvae.training.session import train_session
from textvae.training.updates import Updates


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "cache"))


class Heard(LoggingReporter):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def poison(monkeypatch: pytest.MonkeyPatch, when: Callable[[TrainingState], bool]) -> None:
    """Make the loss, and with it the gradient, nan in the steps of a run that `when` names."""
    states: list[TrainingRun] = []
    update, forward = TrainingRun.update, TrainingLoss.forward

    def watched(run: TrainingRun, batch: Any) -> None:
        states[:] = [run]
        update(run, batch)

    def poisoned(*arguments: Any) -> tuple[Tensor, dict[str, Tensor]]:
        loss, sums = forward(*arguments)
        return (loss * math.nan if when(states[0].state) else loss), sums

    monkeypatch.setattr(TrainingRun, "update", watched)
    monkeypatch.setattr(TrainingLoss, "forward", poisoned)


METHODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "target": {"target_kl": 2.0},
    "adversarial": {"adversarial_weight": 2.0, "bag_of_words_weight": 0.5},
    "normalised": {"posterior_batch_norm": 0.7},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_step_that_is_not_finite_moves_nothing_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    poison(monkeypatch, lambda state: state.step == 6)
    moved: dict[int, bool] = {}
    step = Updates.step

    def compared(updates: Updates, *arguments: Any, **options: Any) -> dict[str, Tensor]:
        def everything() -> list[Tensor]:
            own = [p.detach().clone() for p in updates.loss.parameters()]
            state = updates.optimizer.state
            own += [value.clone() for one in state.values() for value in one.values()]
            return own + list(updates.auxiliary_tensors().values())

        before = everything()
        sums = step(updates, *arguments, **options)
        after = everything()
        same = len(before) == len(after) and all(map(torch.equal, before, after))
        moved[len(moved)] = not same
        return sums

    monkeypatch.setattr(Updates, "step", compared)
    heard, out = Heard(), tmp_path / "run"
    train_session(tiny_config(max_steps=10, **METHODS[method]), out, texts=TEXTS, reporter=heard)
    assert moved == {number: number != 6 for number in range(10)}
    logged = {r["step"]: r.get("skipped") for r in records(out) if r["event"] == "train"}
    assert logged == {2: None, 4: None, 6: None, 8: 1, 10: None}
    assert any("1 of the last 2 steps were skipped" in warning for warning in heard.warnings)
    figures = [value for r in records(out) for value in r.values() if isinstance(value, float)]
    assert all(map(math.isfinite, figures))


def test_the_mean_of_a_log_line_is_of_the_steps_that_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(max_steps=3, log_steps=1)
    train_session(config, tmp_path / "each", texts=TEXTS)
    poison(monkeypatch, lambda state: state.step == 2)
    train_session(tiny_config(max_steps=3, log_steps=3), tmp_path / "all", texts=TEXTS)
    each = [r for r in records(tmp_path / "each") if r["event"] == "train"][:2]
    (three,) = (r for r in records(tmp_path / "all") if r["event"] == "train")
    for key in ("loss", "rec", "kl", "gradient_norm"):  # batches are equally large
        assert three[key] == pytest.approx((each[0][key] + each[1][key]) / 2)


def test_repeated_ones_go_back_to_the_last_checkpoint_at_half_the_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"max_steps": 40, "log_steps": 5, "eval_steps": 10}
    options |= {"learning_rate_schedule": "constant", "warmup_steps": 0, "learning_rate": 0.01}
    poison(monkeypatch, lambda state: state.step >= 12 and state.rollbacks < 2)
    heard, out = Heard(), tmp_path / "run"
    train_session(tiny_config(**options), out, texts=TEXTS, reporter=heard)
    back = [r for r in records(out) if r["event"] == "rollback"]
    # By step 25 more than ten in a row are not finite; at step 20 none has been saved for that.
    places = [(r["from_step"], r["step"], r["learning_rate_factor"]) for r in back]
    assert places == [(25, 10, 0.5), (25, 10, 0.25)]
    rates = {r["step"]: r["learning_rate"] for r in records(out) if r["event"] == "train"}
    assert rates == pytest.approx(
        dict.fromkeys([5, 10], 0.01) | dict.fromkeys(range(15, 41, 5), 0.0025)
    )
    assert sum("going back to step 10" in warning for warning in heard.warnings) == 2


def test_a_run_that_went_back_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"max_steps": 40, "log_steps": 5, "eval_steps": 10, "target_kl": 2.0}
    poison(monkeypatch, lambda state: state.step >= 12 and not state.rollbacks)
    train_session(tiny_config(**options), tmp_path / "whole", texts=TEXTS)

    class Killed(Exception):
        pass

    class Killing(Heard):
        def warn(self, text: str) -> None:
            super().warn(text)
            self.back = getattr(self, "back", False) or "going back" in text

        def log(self, record: dict[str, Any]) -> None:
            if getattr(self, "back", False) and record["step"] == 15:
                raise Killed

    with pytest.raises(Killed):
        train_session(tiny_config(**options), tmp_path / "torn", texts=TEXTS, reporter=Killing())
    train_session(tiny_config(**options), tmp_path / "torn", texts=TEXTS, resume=True)
    assert all_tensors(tmp_path / "torn") == all_tensors(tmp_path / "whole")
    assert records(tmp_path / "torn") == records(tmp_path / "whole")


def test_what_never_becomes_finite_ends_with_a_sentence_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda state: state.step >= 12)
    with pytest.raises(
        DivergedError, match=r"after going back 3 times .* the model of step 1\d is"
    ):
        train_session(tiny_config(max_steps=200, eval_steps=5), tmp_path / "run", texts=TEXTS)


def test_a_figure_of_the_validation_that_is_not_finite_sends_the_run_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the bound itself is: it cannot be written, nor the model be judged."""
    import textvae.training.loop as loop

    calls, monitor = [0], loop.monitor

    def overflowing(*arguments: Any) -> dict[str, float]:
        calls[0] += 1
        return monitor(*arguments) | ({"z_gain": math.inf} if calls[0] == 2 else {})

    monkeypatch.setattr(loop, "monitor", overflowing)
    heard = Heard()
    train_session(tiny_config(), tmp_path / "run", texts=TEXTS, reporter=heard)
    assert any("the validation z_gain is inf at step 10" in said for said in heard.warnings)
    [back] = [r for r in records(tmp_path / "run") if r["event"] == "rollback"]
    assert (back["from_step"], back["step"]) == (10, 5)


# checkpoints


def stopped_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """(a whole run, one that was killed after its third checkpoint)"""
    train_session(tiny_config(), tmp_path / "whole", texts=TEXTS)
    save = TrainingRun.save_checkpoint

    def dying(run: TrainingRun) -> None:
        save(run)
        if run.state.step == 10:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "save_checkpoint", dying)
        with pytest.raises(MemoryError):
            train_session(tiny_config(), tmp_path / "torn", texts=TEXTS)
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
    train_session(tiny_config(), torn, texts=TEXTS, resume=True, reporter=heard)
    assert any(str(newest) in warning and "damaged" in warning for warning in heard.warnings)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)


def test_without_a_whole_checkpoint_there_is_nothing_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, torn = stopped_run(tmp_path, monkeypatch)
    for state in (torn / "checkpoints").glob("*/state.json"):
        state.write_text("{")
    with pytest.raises(ModelFormatError, match="no checkpoint is whole"):
        train_session(tiny_config(), torn, texts=TEXTS, resume=True)


@pytest.mark.parametrize("suffix", [".old", ".part"])
def test_a_checkpoint_that_was_being_replaced_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    whole, torn = stopped_run(tmp_path, monkeypatch)
    newest = torn / "checkpoints" / "step-000000010"
    os.replace(newest, newest.with_name(newest.name + suffix))
    (state,) = (torn / "checkpoints").glob("step-000000005/state.json")
    state.write_text("{")  # so that only the renamed one is left
    train_session(tiny_config(), torn, texts=TEXTS, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)
    assert {folder.name for folder in (torn / "checkpoints").iterdir()} == {
        "step-000000015",
        "step-000000018",
    }


def test_a_checkpoint_that_cannot_be_written_leaves_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import textvae.training.checkpoints as checkpoints

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
        train_session(tiny_config(), out, texts=TEXTS)
    folders = sorted(folder.name for folder in (out / "checkpoints").iterdir())
    assert folders == ["step-000000000", "step-000000005"]
    assert all(checkpoints.damage(out / "checkpoints" / name) is None for name in folders)


# two at once


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
            train_session(tiny_config(), out, texts=TEXTS, overwrite=True)
        assert not (out / "checkpoints").exists()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with sole_training(out):  # raises nothing: the system took the lock back
        (out / "taken").touch()
    assert (out / "taken").exists()
