"""What people see in notebooks and Python sessions: bars and tables, and Python's warnings."""

from __future__ import annotations

import logging
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest
from running import Terminal
from small_runs import TEXTS

import textvae
from textvae import TextVAE
from textvae.progress import Watcher, bars, python_warning
from textvae.progress.bars import (
    Cell,
    NotebookBars,
    no_bars_inside,
    python_progress,
    shows_progress,
)
from textvae.training.display import NotebookReporter, WarningReporter, python_reporter

TINY = {"max_steps": 4, "hidden_size": 8, "embedding_size": 8, "latent_size": 2, "device": "cpu",
        "log_steps": 2, "tokenizer": "word"}  # fmt: skip


class Screen:
    """Stands for IPython's display: keeps what each output shows."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, str]] = []

    def __call__(self, data: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        place = len(self.outputs)
        self.outputs.append(data)

        def update(data: dict[str, str], *, raw: bool) -> None:
            self.outputs[place] = data

        return types.SimpleNamespace(update=update)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A notebook's kernel around this process."""
    screen, ipython = Screen(), types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel="a kernel")  # type: ignore[attr-defined]
    display = types.ModuleType("IPython.display")
    display.display = screen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return screen


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal at stderr; not a fixture, as pytest sets stderr between set-up and test."""
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    for name in ("GIT_PAGER", "JPY_PARENT_PID", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return stream


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "cache"))


def train(**options: Any) -> list[str]:
    """The warnings of a training."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TextVAE.train(TEXTS, **TINY, **options)
    ours = [w for w in caught if w.category is textvae.TextVAEWarning]
    assert all(w.filename == __file__ for w in ours)  # the line of the caller
    return [str(w.message) for w in ours]


def test_a_training_in_a_notebook_shows_one_table(notebook: Screen) -> None:
    train()
    (output,) = notebook.outputs
    for shown in ("encoding texts", "training a vae", "4/4", "nll_elbo", "sentences/s"):
        assert shown in output["text/plain"]
        assert shown in output["text/html"]
    assert "\x1b" not in output["text/plain"]


def test_a_training_in_a_terminal_shows_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_a_terminal(monkeypatch)
    train()
    assert "training a vae" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()


def test_where_nobody_watches_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    train()
    assert capfd.readouterr() == ("", "")


def test_progress_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    terminal = at_a_terminal(monkeypatch)
    train(progress=False)
    assert terminal.getvalue() == ""
    notebook = request.getfixturevalue("notebook")
    train(progress=False)
    assert notebook.outputs == []


@pytest.mark.parametrize("progress", [True, False])
def test_losses_of_text_are_warned_of(progress: bool) -> None:
    assert any("truncated to 3 tokens" in text for text in train(max_tokens=3, progress=progress))


def test_a_warning_comes_each_time_and_can_be_filtered() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):  # as when a cell is run again
            python_warning("collapse")
    assert [str(w.message) for w in caught] == ["collapse", "collapse"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=textvae.TextVAEWarning)
        python_warning("collapse")


def test_a_reporter_of_ones_own_hears_everything(notebook: Screen) -> None:
    class Mine(WarningReporter):
        heard: list[str] = []  # noqa: RUF012

        def progress(self, phase: str, done: int, total: int) -> None:
            self.heard.append(phase)

    TextVAE.train(TEXTS, **TINY, reporter=Mine(), max_tokens=64)
    assert {"reading texts", "training the word tokenizer", "encoding texts"} <= set(Mine.heard)
    assert not notebook.outputs


def test_html_of_a_cell_is_escaped_and_drawn_again() -> None:
    screen = Screen()
    reporter = NotebookReporter(Cell(screen))
    reporter.progress("reading <b>\x1b[2J", 512, 1024)
    reporter.message("a & b")
    reporter.close()
    (output,) = screen.outputs
    assert output["text/plain"] == "a & b"
    assert "a &amp; b" in output["text/html"]
    line = NotebookBars(Cell(screen)).line("reading <b>\x1b[2J", 512, 1024)
    assert line.startswith("reading <b>\\x1b[2J  ━━━━━━━━━━━━━━━─")
    assert "512/1,024" in line


def test_long_calls_show_bars_and_short_ones_do_not(
    notebook: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    @shows_progress
    def work(n: int, *, watcher: Watcher | None = None) -> int:
        assert watcher is not None
        watcher.progress("working", n, 9)
        with python_progress() as inner:  # a call inside the call
            inner("inside", 1, 2)
        return n

    assert work(3) == 3
    assert notebook.outputs == []
    monkeypatch.setattr(bars, "_SHORT", 0.0)
    assert work(3) == 3
    assert [output["text/plain"].split("  ")[0] for output in notebook.outputs] == ["working"]
    work(3, watcher=Watcher())  # given: it decides
    assert len(notebook.outputs) == 1
    with pytest.raises(ZeroDivisionError), python_progress() as progress:
        progress("working", 1 // 0, 2)
    work(3)
    assert len(notebook.outputs) == 2


def test_embedding_evaluating_and_sampling_from_python_show_bars(
    tiny_vae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = at_a_terminal(monkeypatch)
    vae = TextVAE.from_pretrained(tiny_vae)
    vae.encode(TEXTS)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(bars, "_SHORT", 0.0)
    vae.encode(TEXTS)
    vae.log_likelihood(TEXTS[:4], samples=2)
    vae.generate(2)
    vae.evaluate(TEXTS[:8], samples=2)
    for phase in ("encoding", "likelihood", "sampling", "z_gain"):
        assert phase in terminal.getvalue()
    shown = terminal.getvalue()
    vae.evaluate(TEXTS[:8], samples=2, watcher=Watcher())
    with no_bars_inside():  # as in a command, which has its own
        vae.encode(TEXTS)
    assert terminal.getvalue() == shown


def test_a_logger_still_hears_what_a_training_says(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="textvae"):
        TextVAE.train(TEXTS, **TINY)
    assert any("encoding texts" in record.message for record in caplog.records)
    assert isinstance(python_reporter(progress=False), WarningReporter)


class Log:
    """What some programs put in place of stderr."""

    def write(self, text: str) -> int:
        """Take a text."""
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("closed", [False, True])
def test_a_stderr_that_is_closed_or_replaced_shows_no_bars(
    tiny_vae: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed: bool
) -> None:
    vae = TextVAE.from_pretrained(tiny_vae)
    stream: Any = Log()
    if closed:
        stream = (tmp_path / "log").open("w")
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = bars.is_live_terminal()
    vectors = vae.encode(["us !"])
    monkeypatch.undo()
    assert not shown
    assert vectors.shape == (1, vae.latent_size)
