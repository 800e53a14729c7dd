"""Steps and figures that are not finite: skipped, counted, and when too many, gone back from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import (
    TEXTS,
    Heard,
    StopAt,
    all_tensors,
    newest_state,
    poison,
    records,
    scored,
    tiny_config,
)
from torch import Tensor

from textvae.errors import InterruptedRun
from textvae.training import loop
from textvae.training.checkpoints import checkpoint_folders
from textvae.training.optimizer import ModelOptimizer
from textvae.training.reporting import best_record
from textvae.training.run import TrainingRun
from textvae.training.train import train_model

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
    step = ModelOptimizer.step

    def compared(updates: ModelOptimizer, *arguments: Any, **options: Any) -> dict[str, Tensor]:
        def everything() -> list[Tensor]:
            own = [p.detach().clone() for p in updates.loss.parameters()]
            state = updates.adam.state
            own += [value.clone() for one in state.values() for value in one.values()]
            return own + list(updates.auxiliary_tensors().values())

        before = everything()
        sums = step(updates, *arguments, **options)
        after = everything()
        same = len(before) == len(after) and all(map(torch.equal, before, after))
        moved[len(moved)] = not same
        return sums

    monkeypatch.setattr(ModelOptimizer, "step", compared)
    heard, out = Heard(), tmp_path / "run"
    train_model(tiny_config(max_steps=10, **METHODS[method]), out, texts=TEXTS, reporter=heard)
    assert moved == {number: number != 6 for number in range(10)}
    logged = {r["step"]: r.get("skipped") for r in records(out) if r["event"] == "train"}
    assert logged == {2: None, 4: None, 6: None, 8: 1, 10: None}
    assert any("1 of the last 2 steps were skipped" in warning for warning in heard.warnings)
    figures = [value for r in records(out) for value in r.values() if isinstance(value, float)]
    assert all(map(math.isfinite, figures))


def test_a_gradient_that_is_not_finite_in_the_adversary_alone_moves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = ModelOptimizer.step, [0]

    def poisoned(
        updates: ModelOptimizer, *arguments: Any, **options: Any
    ) -> dict[str, torch.Tensor]:
        calls[0] += 1
        parameter = next(updates.auxiliaries()["discriminator"][0].parameters())
        hook = parameter.register_hook(lambda g: g * math.nan if calls[0] == 5 else g)
        try:
            return step(updates, *arguments, **options)
        finally:
            hook.remove()

    monkeypatch.setattr(ModelOptimizer, "step", poisoned)
    heard = Heard()
    config = tiny_config(max_steps=10, adversarial_weight=2.0)
    train_model(config, tmp_path / "run", texts=TEXTS, reporter=heard)
    assert [said[:31] for said in heard.warnings if "skipped" in said] == [
        "1 of the last 2 steps were skip"
    ]


def test_the_mean_of_a_log_line_is_of_the_steps_that_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(max_steps=3, log_steps=1)
    train_model(config, tmp_path / "each", texts=TEXTS)
    poison(monkeypatch, lambda state: state.step == 2)
    train_model(tiny_config(max_steps=3, log_steps=3), tmp_path / "all", texts=TEXTS)
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
    train_model(tiny_config(**options), out, texts=TEXTS, reporter=heard)
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
    train_model(tiny_config(**options), tmp_path / "whole", texts=TEXTS)

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
        train_model(tiny_config(**options), tmp_path / "torn", texts=TEXTS, reporter=Killing())
    train_model(tiny_config(**options), tmp_path / "torn", texts=TEXTS, resume=True)
    assert all_tensors(tmp_path / "torn") == all_tensors(tmp_path / "whole")
    assert records(tmp_path / "torn") == records(tmp_path / "whole")


def test_a_raised_run_that_goes_back_still_comes_to_its_new_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    options = {"log_steps": 10, "eval_steps": 10}
    train_model(tiny_config(max_steps=10, **options), out, texts=TEXTS)
    poison(monkeypatch, lambda state: state.step >= 10 and not state.rollbacks)
    train_model(tiny_config(max_steps=30, **options), out, texts=TEXTS[1:], resume=True)
    assert [r["step"] for r in records(out) if r["event"] == "rollback"] == [10]
    assert max(r["step"] for r in records(out)) == 30
    heard = Heard()  # what was said once of the other text is not said again
    train_model(
        tiny_config(max_steps=30, **options), out, texts=TEXTS[1:], resume=True, reporter=heard
    )
    assert heard.warnings == []


def test_the_best_model_keeps_its_record_where_a_run_goes_back_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    scored(monkeypatch, [100.0, 90.0, 50.0, 60.0, 60.0, 95.0, 96.0, 97.0, 98.0])
    poison(monkeypatch, lambda state: state.step >= 15 and not state.rollbacks)
    saved: dict[int, bytes] = {}
    save = TrainingRun.save_best

    def watched(run: TrainingRun) -> None:
        save(run)
        saved[run.state.step] = (out / "model.safetensors").read_bytes()

    monkeypatch.setattr(TrainingRun, "save_best", watched)
    config = tiny_config(max_steps=30, eval_steps=5, checkpoint_steps=10, log_steps=13)
    train_model(config, out, texts=TEXTS)
    assert (out / "model.safetensors").read_bytes() == saved[15]
    best = best_record(records(out))
    assert (best["step"], best["nll_elbo"]) == (15, 50.0)
    assert newest_state(out).best_step == 15
    assert "those of step 15 of 30" in (out / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("keep", [1, 2])
def test_an_interruption_among_skipped_steps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int
) -> None:
    """A checkpoint written there is one to go on from, none to go back to."""
    config = tiny_config(max_steps=40, log_steps=7, eval_steps=10, keep=keep)
    poison(monkeypatch, lambda state: state.step >= 12 and not state.rollbacks)
    train_model(config, tmp_path / "whole", texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_model(config, tmp_path / "torn", texts=TEXTS, reporter=StopAt(14))
    train_model(config, tmp_path / "torn", texts=TEXTS, resume=True)
    assert [r["step"] for r in records(tmp_path / "whole") if r["event"] == "rollback"] == [10]
    assert records(tmp_path / "torn") == records(tmp_path / "whole")
    assert all_tensors(tmp_path / "torn") == all_tensors(tmp_path / "whole")
    assert len(checkpoint_folders(tmp_path / "torn")) == keep


def test_a_figure_of_the_validation_that_is_not_finite_sends_the_run_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the bound itself is: it cannot be written, nor the model be judged."""
    calls, monitor = [0], loop.monitor

    def overflowing(*arguments: Any) -> dict[str, float]:
        calls[0] += 1
        return monitor(*arguments) | ({"z_gain": math.inf} if calls[0] == 2 else {})

    monkeypatch.setattr(loop, "monitor", overflowing)
    heard = Heard()
    train_model(tiny_config(), tmp_path / "run", texts=TEXTS, reporter=heard)
    assert any("the validation z_gain is inf at step 10" in said for said in heard.warnings)
    [back] = [r for r in records(tmp_path / "run") if r["event"] == "rollback"]
    assert (back["from_step"], back["step"]) == (10, 5)


def test_a_last_evaluation_that_is_not_finite_sends_the_run_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, [50.0, 40.0, 30.0, math.inf, 35.0])
    heard = Heard()
    train_model(tiny_config(), tmp_path / "run", texts=TEXTS, reporter=heard)
    assert any("bound is inf at step 18; going back to step 15" in w for w in heard.warnings)
    assert records(tmp_path / "run")[-1]["step"] == 18


def test_skipped_steps_after_the_last_log_line_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda state: state.step in (5, 17))
    heard = Heard()
    train_model(tiny_config(log_steps=16), tmp_path / "run", texts=TEXTS, reporter=heard)
    skipped = [said for said in heard.warnings if "skipped" in said]
    assert [said[:32] for said in skipped] == [
        "1 of the last 16 steps were skip",
        "1 of the last 2 steps were skipp",
    ]
    assert "2 in all" in skipped[-1]
