"""What people see on stderr while a model trains or measures."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from running import Terminal

from textvae.cli import progress
from textvae.cli.output import Output

START = {"model": "vae", "parameters": 12345, "sentences": 150, "horizon": 2000, "device": "cpu"}
TRAIN_RECORD = {
    "event": "train", "step": 50, "epoch": 0.5, "loss": 30.25, "rec": 28.5, "kl": 3.5,
    "kl_weight": 0.5, "timing": {"sentences_per_second": 812.4, "seconds": 5, "seconds_left": 83},
}  # fmt: skip
VALID_RECORD = {
    "event": "valid", "step": 50, "epoch": 0.5, "rec": 29.5, "kl": 3.25, "nll_elbo": 32.75,
    "z_gain": 1.5, "mi": 2.25, "active_units": 12, "best": True, "timing": {"seconds": 1},
}  # fmt: skip


def report_all(reporter) -> None:
    reporter.start(START)
    reporter.message("tokenizer trained")
    for record in (TRAIN_RECORD, VALID_RECORD):
        reporter.log(record)
    reporter.warn("the latent is collapsing")
    reporter.close()
    reporter.close()  # a second time, as after an error


@pytest.mark.parametrize("width", [40, 100])
def test_the_live_table_shows_all_figures_within_the_width(width: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, no_color=True)
    report_all(progress.training_reporter(Output(), console))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    for shown in ("50/2,000", "28.500", "29.500", "32.750", "1.500", "2.250", "12", "0.500",
                  "812", "1:23", "the latent is collapsing"):  # fmt: skip
        assert shown in text
    assert max(map(len, re.split(r"[\r\n]", text))) <= width
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", screen.getvalue())  # no color


def test_without_a_terminal_training_prints_a_line_for_each_record(capsys) -> None:
    report_all(progress.training_reporter(Output()))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 5
    assert "step 50/2,000" in lines[2]
    assert "kl_weight 0.500" in lines[2]
    assert "1:23 left" in lines[2]
    assert "z_gain 1.500" in lines[3]
    assert lines[3].endswith("(best)")
    assert lines[4] == "textvae: warning: the latent is collapsing"


def test_a_long_training_prints_ever_fewer_lines(capsys) -> None:
    """One after 5 seconds, or 2 % of the time so far; each evaluation; the last before both."""
    now = 0.0
    reporter = progress.LineReporter(clock=lambda: now)
    reporter.start(START)
    for second in range(40_000):
        now = float(second)
        reporter.log({**TRAIN_RECORD, "step": second + 1})
        if second % 10_000 == 5_000:
            reporter.log({**VALID_RECORD, "step": second + 1})
    reporter.close()
    lines = capsys.readouterr().err.splitlines()[1:]
    steps = [int(line.split("/")[0].split()[-1].replace(",", "")) for line in lines
             if line.startswith("train")]  # fmt: skip
    assert steps[:4] == [1, 6, 11, 16]
    assert steps[-1] == 40_000
    assert len(steps) < 50 + 50 * 6
    assert len(lines) - len(steps) == 4


def test_bars_of_the_preparation_make_room_for_the_table() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, no_color=True)
    reporter = progress.training_reporter(Output(), console)
    reporter.message("reading a.txt")
    reporter.progress("reading a.txt", 1, 2)
    reporter.progress("encoding a.txt", 700, 1000)
    reporter.start(START)
    reporter.log(TRAIN_RECORD)
    reporter.close()
    text = screen.getvalue()
    assert "700/1000" in text
    assert text.rindex("700/1000") < text.index("28.500")


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "xterm-color", "GIT_PAGER": "cat"},  # what Jupyter's kernel sets for `!`
        {"TERM": "xterm-256color", "JPY_PARENT_PID": "5"},
        {"TERM": "dumb"},
        {"TERM": ""},
    ],
)
def test_a_terminal_that_keeps_all_of_its_output_gets_lines(monkeypatch, environment) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    for name in ("TERM", "GIT_PAGER", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert not isinstance(progress.training_reporter(Output()), progress.LineReporter)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert isinstance(progress.training_reporter(Output()), progress.LineReporter)


def test_the_name_of_a_bar_has_no_control_character(monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bars(Output()) as advance:
        advance("runs/\x1b]0;title\x07", 1, 2)
    assert "runs/" in terminal.getvalue()
    assert "\x1b]0;" not in terminal.getvalue()
    assert "\x07" not in terminal.getvalue()


def test_progress_bars_leave_stdout_to_the_data(capsys, monkeypatch) -> None:
    """rich would by default redirect stdout to the terminal that the bars are on."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bars(Output()) as advance:
        advance("likelihood", 1, 2)
        Output().row({}, "data")
    assert "likelihood" in terminal.getvalue()
    assert capsys.readouterr().out == "data\n"


def test_quiet_training_says_nothing(capsys) -> None:
    report_all(progress.training_reporter(Output(quiet=True)))
    assert capsys.readouterr() == ("", "")
