"""Signals: obeyed once the run is saved, and at once when they come twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from small_runs import TEXTS, all_tensors, records, tiny_config

from textvae.errors import InterruptedRun
from textvae.saving.folder import load_model
from textvae.signals import exit_when_asked
from textvae.training import loop
from textvae.training.accelerator import StopSignal
from textvae.training.reporting import LoggingReporter
from textvae.training.run import TrainingRun
from textvae.training.train import train_model


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


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_a_hangup_is_remembered_and_is_never_impatience() -> None:
    """A closed terminal sends several, and a session that ends SIGTERM as well."""
    before = signal.getsignal(signal.SIGHUP)
    with StopSignal().listening() as stop:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        assert stop.number == signal.SIGTERM
        with pytest.raises(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGHUP) is before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignal().listening() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.number is None
        exit_when_asked()
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_a_second_signal_leaves_what_was_saved(tmp_path: Path) -> None:
    class Twice(LoggingReporter):
        def log(self, record: dict[str, Any]) -> None:
            if record["step"] == 12:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_model(tiny_config(), whole, texts=TEXTS)
    with pytest.raises(KeyboardInterrupt):
        train_model(tiny_config(), torn, texts=TEXTS, reporter=Twice())
    load_model(torn)
    train_model(tiny_config(), torn, texts=TEXTS, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)


@pytest.mark.parametrize("ends", [False, True])
def test_a_signal_at_any_moment_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """In what comes before the end it is obeyed; in the end itself there is nothing to stop."""
    config = tiny_config(model="ae", max_steps=6, eval_steps=2)
    train_model(config, tmp_path / "whole", texts=TEXTS)
    at_the_end = ((loop, "finish"), (TrainingRun, "fit_prior_of_best"))
    before = ((TrainingRun, "begin"), (loop, "evaluate"), (TrainingRun, "save_checkpoint"))
    for owner, name in at_the_end if ends else before:
        out, function = tmp_path / name, getattr(owner, name)

        def signalled(
            *arguments: Any, owner: Any = owner, function: Any = function, **rest: Any
        ) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            monkeypatch.setattr(owner, function.__name__, function)
            function(*arguments, **rest)

        monkeypatch.setattr(owner, name, signalled)
        if ends:
            train_model(config, out, texts=TEXTS)
        else:
            with pytest.raises(InterruptedRun) as interrupted:
                train_model(config, out, texts=TEXTS)
            assert interrupted.value.exit_code == 143
            load_model(out)
            train_model(config, out, texts=TEXTS, resume=True)
        assert all_tensors(out) == all_tensors(tmp_path / "whole")
        assert records(out) == records(tmp_path / "whole")
