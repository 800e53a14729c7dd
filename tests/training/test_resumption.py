"""Runs that go on otherwise than they began, go back, or end where nobody has looked yet."""

from __future__ import annotations

import math
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from test_recovery import Heard, poison
from test_training import TEXTS, StopAt, all_tensors, records, tiny_config

import textvae.training.loop as loop
from textvae.api import TextVAE
from textvae.errors import DataError, DivergedError, InterruptedRun, UsageError
from textvae.files.lock import LOCK_FILE
from textvae.saving.folder import load_model
from textvae.training import session
from textvae.training.budget import Budget
from textvae.training.checkpoints import checkpoint_folders, read_state
from textvae.training.loop import TrainingRun
from textvae.training.processes import Processes
from textvae.training.reporting import LoggingReporter, best_record
from textvae.training.runtime import StopSignal
from textvae.training.session import train_session
from textvae.training.updates import Updates

CONSTANT = {"learning_rate_schedule": "constant", "warmup_steps": 0, "kl_schedule": "constant"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "cache"))


def scored(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Have the evaluations of the runs to come find these bounds, one after the other."""
    monitor, left = loop.monitor, list(scores)

    def found(*arguments: Any) -> dict[str, float]:
        return monitor(*arguments) | {"nll_elbo": left.pop(0)}

    monkeypatch.setattr(loop, "monitor", found)


def newest_state(out: Path) -> Any:
    return read_state(checkpoint_folders(out)[-1] / "state.json")


# going back


def test_a_raised_run_that_goes_back_still_comes_to_its_new_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    options = {"log_steps": 10, "eval_steps": 10}
    train_session(tiny_config(max_steps=10, **options), out, texts=TEXTS)
    poison(monkeypatch, lambda state: state.step >= 10 and not state.rollbacks)
    train_session(tiny_config(max_steps=30, **options), out, texts=TEXTS[1:], resume=True)
    assert [r["step"] for r in records(out) if r["event"] == "rollback"] == [10]
    assert max(r["step"] for r in records(out)) == 30
    heard = Heard()  # what was said once of the other text is not said again
    train_session(
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
    train_session(config, out, texts=TEXTS)
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
    train_session(config, tmp_path / "whole", texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_session(config, tmp_path / "torn", texts=TEXTS, reporter=StopAt(14))
    train_session(config, tmp_path / "torn", texts=TEXTS, resume=True)
    assert [r["step"] for r in records(tmp_path / "whole") if r["event"] == "rollback"] == [10]
    assert records(tmp_path / "torn") == records(tmp_path / "whole")
    assert all_tensors(tmp_path / "torn") == all_tensors(tmp_path / "whole")
    assert len(checkpoint_folders(tmp_path / "torn")) == keep


# the end


def test_what_no_log_line_has_seen_is_judged_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda state: True)
    with pytest.raises(DivergedError, match="after going back 3 times"):
        train_session(tiny_config(log_steps=1_000), tmp_path / "run", texts=TEXTS)


@pytest.mark.parametrize("log_steps", [1, 2, 1_000])
def test_few_steps_all_of_which_were_skipped_are_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_steps: int
) -> None:
    poison(monkeypatch, lambda state: True)
    with pytest.raises(DivergedError, match="after going back 3 times"):
        train_session(tiny_config(max_steps=5, log_steps=log_steps), tmp_path / "run", texts=TEXTS)


def test_skipped_steps_after_the_last_log_line_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda state: state.step in (5, 17))
    heard = Heard()
    train_session(tiny_config(log_steps=16), tmp_path / "run", texts=TEXTS, reporter=heard)
    skipped = [said for said in heard.warnings if "skipped" in said]
    assert [said[:32] for said in skipped] == [
        "1 of the last 16 steps were skip",
        "1 of the last 2 steps were skipp",
    ]
    assert "2 in all" in skipped[-1]


def test_a_last_evaluation_that_is_not_finite_sends_the_run_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, [50.0, 40.0, 30.0, math.inf, 35.0])
    heard = Heard()
    train_session(tiny_config(), tmp_path / "run", texts=TEXTS, reporter=heard)
    assert any("bound is inf at step 18; going back to step 15" in w for w in heard.warnings)
    assert records(tmp_path / "run")[-1]["step"] == 18


def test_no_time_to_go_back_is_said_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, [math.nan])
    config = tiny_config(max_steps=None, max_minutes=1e-6, eval_steps=None)
    with pytest.raises(DivergedError, match=r"is nan at step 0; no model was saved") as error:
        train_session(config, tmp_path / "run", texts=TEXTS)
    assert "0 times" not in str(error.value)


def test_a_run_that_diverged_goes_on_with_the_learning_rate_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither with an eighth of it, nor without a way back."""
    out, ill = tmp_path / "run", [True]
    poison(monkeypatch, lambda state: state.step >= 12 and ill[0])
    config = tiny_config(max_steps=30, log_steps=3, learning_rate=0.01, **CONSTANT)
    with pytest.raises(DivergedError, match=r"0\.00125 at the end"):
        train_session(config, out, texts=TEXTS)
    ill[0] = False
    config = tiny_config(max_steps=30, log_steps=3, learning_rate=0.002, **CONSTANT)
    train_session(config, out, texts=TEXTS, resume=True)
    rates = {r["step"]: r["learning_rate"] for r in records(out) if r["event"] == "train"}
    assert (rates[9], rates[30]) == pytest.approx((0.01, 0.002))
    train_session(config, out, texts=TEXTS, resume=True)
    assert newest_state(out).rollbacks == 0


# the same again


def test_a_seed_decides_all_in_whatever_thread_it_is_trained(tmp_path: Path) -> None:
    config = tiny_config(max_steps=4)
    train_session(config, tmp_path / "here", texts=TEXTS)
    thread = threading.Thread(
        target=train_session, args=(config, tmp_path / "there"), kwargs={"texts": TEXTS}
    )
    thread.start()
    thread.join()
    train_session(config, tmp_path / "again", texts=TEXTS)
    for name in ("there", "again"):
        assert all_tensors(tmp_path / name) == all_tensors(tmp_path / "here")
        assert records(tmp_path / name) == records(tmp_path / "here")
        cards = [(tmp_path / place / "README.md").read_bytes() for place in ("here", name)]
        assert cards[0] == cards[1]  # with samples


def test_trainings_at_the_same_time_are_those_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fresh weights come from torch's global generator, and Accelerate's state is global."""
    build = loop.build_model

    def slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.1)
        return build(*arguments, **options)

    monkeypatch.setattr(loop, "build_model", slowly)
    for seed in (1, 2):
        config = tiny_config(seed=seed, max_steps=8 * seed, adversarial_weight=1.0)
        train_session(config, tmp_path / f"alone {seed}", texts=TEXTS)
    state = torch.get_rng_state()
    work = [
        threading.Thread(
            target=train_session,
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


# other settings


def test_another_interval_of_evaluations_counts_from_the_resumption(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=10), out, texts=TEXTS)
    train_session(tiny_config(max_steps=18, eval_steps=4), out, texts=TEXTS, resume=True)
    evaluated = [r["step"] for r in records(out) if r["event"] == "valid"]
    assert evaluated == [5, 10, 12, 16, 18]


def test_another_interval_of_log_lines_leaves_their_means_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each, other = tmp_path / "each", tmp_path / "other"
    train_session(tiny_config(max_steps=6, log_steps=1, **CONSTANT), each, texts=TEXTS)
    train_session(tiny_config(max_steps=4, log_steps=4, **CONSTANT), other, texts=TEXTS)
    config = tiny_config(max_steps=6, log_steps=3, **CONSTANT)
    train_session(config, other, texts=TEXTS, resume=True)
    norms = [r["gradient_norm"] for r in records(each) if r["event"] == "train"]
    found = [r["gradient_norm"] for r in records(other) if r["event"] == "train"]
    assert found == pytest.approx([sum(norms[:4]) / 4, sum(norms[4:]) / 2])
    poison(monkeypatch, lambda state: state.step >= 6)
    heard = Heard()
    config = tiny_config(max_steps=9, log_steps=4, **CONSTANT)
    train_session(config, other, texts=TEXTS, resume=True, reporter=heard)
    assert any(said.startswith("2 of the last 2 steps") for said in heard.warnings)


def test_more_steps_within_the_same_minutes_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Budget, "ready_to_estimate", lambda budget, steps, seconds: steps == 3)
    out = tmp_path / "run"
    for most, resume in ((6, False), (9, True)):
        config = tiny_config(max_steps=most, max_minutes=60, eval_steps=None)
        train_session(config, out, texts=TEXTS, resume=resume)
        assert newest_state(out).step == newest_state(out).horizon == most
    before = records(out)
    train_session(config, out, texts=TEXTS, resume=True)  # is complete: nothing is added
    assert records(out) == before


def test_what_has_run_out_of_patience_says_so(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(LoggingReporter):
        def message(self, text: str) -> None:
            said.append(text)

    config = tiny_config(max_steps=500, eval_steps=2, patience=2, learning_rate=1e-9)
    train_session(config, tmp_path / "run", texts=TEXTS)
    train_session(config, tmp_path / "run", texts=TEXTS, resume=True, reporter=Listening())
    assert any("complete" in text and "patience" in text for text in said)


# several processes


def test_no_process_writes_where_another_still_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that finds a checkpoint replaced under it would go on from another one, unseen."""
    done: list[str] = []

    def noting(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def noted(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            done.append(name)
            return result

        monkeypatch.setattr(owner, name, noted)

    train_session(tiny_config(max_steps=5), tmp_path / "run", texts=TEXTS)
    poison(monkeypatch, lambda state: state.step >= 5 and not state.rollbacks)
    for owner, name in ((loop, "load_checkpoint"), (loop, "save_checkpoint"), (Processes, "wait")):
        noting(owner, name)
    train_session(tiny_config(max_steps=18), tmp_path / "run", texts=TEXTS, resume=True)
    read = [place for place, name in enumerate(done) if name == "load_checkpoint"]
    assert [done[place + 1] for place in read] == ["wait", "wait"]  # resumed, and gone back


def test_a_run_is_interrupted_where_the_main_process_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends as the others do, or they would wait for each other."""

    def of_main(processes: Processes, value: Any) -> Any:
        return False if isinstance(value, bool) else value  # no signal has come there

    monkeypatch.setattr(Processes, "from_main", of_main)
    train_session(tiny_config(), tmp_path / "run", texts=TEXTS, reporter=StopAt(12))
    last = records(tmp_path / "run")[-1]
    assert (last["event"], last["step"]) == ("valid", 12)


# one loss of two


def test_a_gradient_that_is_not_finite_in_the_adversary_alone_moves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = Updates.step, [0]

    def poisoned(updates: Updates, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
        calls[0] += 1
        parameter = next(updates.auxiliaries()["discriminator"][0].parameters())
        hook = parameter.register_hook(lambda g: g * math.nan if calls[0] == 5 else g)
        try:
            return step(updates, *arguments, **options)
        finally:
            hook.remove()

    monkeypatch.setattr(Updates, "step", poisoned)
    heard = Heard()
    config = tiny_config(max_steps=10, adversarial_weight=2.0)
    train_session(config, tmp_path / "run", texts=TEXTS, reporter=heard)
    assert [said[:31] for said in heard.warnings if "skipped" in said] == [
        "1 of the last 2 steps were skip"
    ]


# folders


def test_a_folder_that_was_filled_while_the_text_was_encoded_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, load = tmp_path / "run", session.load_corpora

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(session, "load_corpora", load)
        train_session(tiny_config(max_steps=2, seed=1), out, texts=TEXTS)
        return load(*arguments, **options)

    monkeypatch.setattr(session, "load_corpora", meanwhile)
    with pytest.raises(UsageError, match="not empty"):
        train_session(tiny_config(max_steps=3, seed=2), out, texts=TEXTS)
    assert max(r["step"] for r in records(out)) == 2


class Moving(LoggingReporter):
    """Gives the folder of the run another name when step 8 is logged."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def log(self, record: dict[str, Any]) -> None:
        if record["step"] == 8:
            self.out.rename(self.out.with_name("moved"))


@pytest.mark.parametrize("where", ["cache", "deep/cache", ""])
def test_the_cache_may_lie_in_the_folder_of_the_run(tmp_path: Path, where: str) -> None:
    out = tmp_path / "run"
    config = tiny_config(max_steps=2, cache_dir=str(out / where))
    train_session(config, out, texts=TEXTS)
    with pytest.raises(UsageError, match="not empty"):
        train_session(config, out, texts=TEXTS)
    train_session(
        tiny_config(max_steps=4, cache_dir=str(out / where)), out, resume=True, texts=TEXTS
    )
    assert records(out)[-1]["step"] == 4


def test_a_run_whose_folder_is_moved_stops_and_can_be_resumed_there(tmp_path: Path) -> None:
    train_session(tiny_config(), tmp_path / "whole", texts=TEXTS)
    out = tmp_path / "run"
    with pytest.raises(OSError, match="moved") as error:
        train_session(tiny_config(), out, texts=TEXTS, reporter=Moving(out))
    assert error.value.filename == str(out)
    assert not hasattr(error.value, "__notes__")  # by its name there is nothing to resume
    assert not out.exists()
    moved = tmp_path / "moved"
    train_session(tiny_config(), moved, texts=TEXTS, resume=True)
    assert all_tensors(moved) == all_tensors(tmp_path / "whole")
    assert records(moved) == records(tmp_path / "whole")


class Killed(BaseException):
    pass


def test_a_run_killed_in_its_first_moment_can_be_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*arguments: Any, **options: Any) -> None:
        raise Killed

    for number, name in enumerate(["write_atomically", "Journal"]):
        out = tmp_path / str(number)
        with monkeypatch.context() as patch:
            patch.setattr(loop, name, dying)
            with pytest.raises(Killed):
                train_session(tiny_config(max_steps=1), out, texts=TEXTS)
        (out / ".experiment.toml.123.part").write_bytes(b"[data]")
        with pytest.raises(UsageError, match="--overwrite" if number else "leave --resume out"):
            train_session(tiny_config(max_steps=1), out, texts=TEXTS, resume=True)
        train_session(tiny_config(max_steps=1), out, texts=TEXTS, overwrite=number == 1)
        assert not list(out.glob(".*.part"))


@pytest.mark.parametrize("trained", [True, False])
def test_what_was_half_removed_can_still_be_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: bool
) -> None:
    remove = session.remove
    for most in range(len(session.WRITTEN)):
        out = tmp_path / str(most)
        train_session(tiny_config(max_steps=1), out, texts=TEXTS)
        if not trained:
            (out / "experiment.toml").unlink()
        calls = []

        def dying(path: Path, calls: list[Path] = calls, most: int = most) -> None:
            if len(calls) == most:
                raise Killed
            calls.append(path)
            remove(path)

        with monkeypatch.context() as patch:
            patch.setattr(session, "remove", dying)
            with pytest.raises(Killed):
                session.prepare_folder(out, resume=False)
        if any(path.name != LOCK_FILE for path in out.iterdir()):
            session.check_folder(out, resume=False, overwrite=True)


# signals


@pytest.mark.parametrize(
    ("number", "ends"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_second_signal_does_not_wait(number: int, ends: type[BaseException]) -> None:
    before = signal.getsignal(number)
    with StopSignal().listening() as stop:
        os.kill(os.getpid(), number)
        assert stop.number == number
        with pytest.raises(ends) as ended:
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    assert ends is KeyboardInterrupt or ended.value.code == 143


def test_a_second_signal_leaves_what_was_saved(tmp_path: Path) -> None:
    class Twice(LoggingReporter):
        def log(self, record: dict[str, Any]) -> None:
            if record["step"] == 12:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_session(tiny_config(), whole, texts=TEXTS)
    with pytest.raises(KeyboardInterrupt):
        train_session(tiny_config(), torn, texts=TEXTS, reporter=Twice())
    load_model(torn)
    train_session(tiny_config(), torn, texts=TEXTS, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)


@pytest.mark.parametrize("ends", [False, True])
def test_a_signal_at_any_moment_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """In what comes before the end it is obeyed; in the end itself there is nothing to stop."""
    config = tiny_config(model="ae", max_steps=6, eval_steps=2)
    train_session(config, tmp_path / "whole", texts=TEXTS)
    moments = ("end", "fit_prior_of_best") if ends else ("begin", "evaluate", "save_checkpoint")
    for name in moments:
        out, method = tmp_path / name, getattr(TrainingRun, name)

        def signalled(run: TrainingRun, *arguments: Any, method: Any = method, **rest: Any) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            monkeypatch.setattr(TrainingRun, method.__name__, method)
            method(run, *arguments, **rest)

        monkeypatch.setattr(TrainingRun, name, signalled)
        if ends:
            train_session(config, out, texts=TEXTS)
        else:
            with pytest.raises(InterruptedRun) as interrupted:
                train_session(config, out, texts=TEXTS)
            assert interrupted.value.exit_code == 143
            load_model(out)
            train_session(config, out, texts=TEXTS, resume=True)
        assert all_tensors(out) == all_tensors(tmp_path / "whole")
        assert records(out) == records(tmp_path / "whole")


# the tokenizer


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "of another model"])
def test_a_run_that_goes_on_with_other_text_keeps_its_tokenizer(tmp_path: Path, kind: str) -> None:
    """One trained anew gives other ids to the same words, which the weights know nothing of."""
    out, options = tmp_path / "run", {"tokenizer": kind, "vocab_size": 300}
    if kind == "of another model":
        train_session(tiny_config(max_steps=1), tmp_path / "other", texts=TEXTS[:40])
        options = {"tokenizer": str(tmp_path / "other"), "vocab_size": None}
    train_session(tiny_config(max_steps=5, **options), out, texts=TEXTS)
    before = load_model(out).tokenizer.fingerprint
    grown, heard = [*TEXTS, *(f"zebras quiz {text}" for text in TEXTS)], Heard()
    config = tiny_config(max_steps=10, **options)
    train_session(config, out, texts=grown, reporter=heard, resume=True)
    assert newest_state(out).tokenizer == before == load_model(out).tokenizer.fingerprint
    assert "its own tokenizer" in heard.warnings[0]


def test_a_run_whose_tokenizer_cannot_be_had_again_does_not_go_on(tmp_path: Path) -> None:
    out, other = tmp_path / "run", tmp_path / "other"
    train_session(tiny_config(max_steps=5), out, texts=TEXTS)
    train_session(tiny_config(max_steps=1), other, texts=TEXTS[:40])
    (out / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"not the one that this run began with; restore its token"):
        train_session(tiny_config(max_steps=10), out, texts=TEXTS[:40], resume=True)
    shutil.copy(other / "tokenizer.json", out)
    with pytest.raises(DataError, match="not the one that this run began with"):
        train_session(tiny_config(max_steps=10), out, texts=TEXTS, resume=True)
    (out / "tokenizer.json").unlink()
    train_session(tiny_config(max_steps=10), out, texts=TEXTS, resume=True)  # trained again
    whole = tmp_path / "whole"
    train_session(tiny_config(max_steps=5), whole, texts=TEXTS)
    train_session(tiny_config(max_steps=10), whole, texts=TEXTS, resume=True)
    assert all_tensors(out) == all_tensors(whole)


def test_another_tokenizer_is_refused_on_the_way(tmp_path: Path) -> None:
    train_session(tiny_config(max_steps=2), tmp_path / "run", texts=TEXTS)
    for change in ({"vocab_size": 290}, {"tokenizer": "word"}):
        config = tiny_config(max_steps=4, **change)
        with pytest.raises(UsageError, match=f"--resume: {next(iter(change))} is "):
            train_session(config, tmp_path / "run", texts=TEXTS, resume=True)


def test_what_came_from_standard_input_is_asked_for_again(tmp_path: Path) -> None:
    config = tiny_config(train=("-",))
    assert loop.how_to_resume(config, tmp_path).endswith(f"--out {tmp_path} < THE_SAME_TEXT")
    config = tiny_config(train=("a.txt",))
    assert loop.how_to_resume(config, tmp_path).endswith(f"--resume --out {tmp_path}")


def test_what_was_in_memory_is_asked_for_again(tmp_path: Path) -> None:
    """The command has no text for it."""
    with pytest.raises(InterruptedRun, match=r"with: TextVAE\.train\(THE_SAME_TEXT, out='.*run'"):
        train_session(tiny_config(), tmp_path / "run", texts=TEXTS, reporter=StopAt(4))


def test_from_python_a_run_goes_on_with_its_own_settings(tmp_path: Path) -> None:
    text, out, whole = tmp_path / "text.txt", tmp_path / "run", tmp_path / "whole"
    text.write_text("\n".join(TEXTS), encoding="utf-8")
    options = tiny_config().model_dump(include={"model": {"hidden_size", "embedding_size"}})
    options = options["model"] | {"vocab_size": 300, "threads": 1, "device": "cpu", "log_steps": 2}
    TextVAE.train(text, out=whole, max_steps=8, **options)
    TextVAE.train(text, out=out, max_steps=4, **options)
    TextVAE.train(out=out, resume=True, max_steps=8)
    TextVAE.train(text, out=tmp_path / "other", max_steps=4, **options)
    TextVAE.train(out=tmp_path / "other", resume=True, max_steps=8)
    assert all_tensors(out) == all_tensors(tmp_path / "other")
    assert newest_state(out).step == newest_state(whole).step == 8
    with pytest.raises(UsageError, match="nothing to train on"):
        TextVAE.train(out=tmp_path / "new")
