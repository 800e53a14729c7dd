"""What people see during long work: a live table for training, progress bars otherwise.

All of it goes to stderr. Where stderr is not a terminal, training prints plain lines.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from textvae.cli.output import Output, one_line, say
from textvae.progress import Progress, Watcher, no_progress
from textvae.progress.bars import TerminalBars, is_live_terminal, stderr_console
from textvae.training.display import LiveReporter, record_line, start_line

if TYPE_CHECKING:
    from rich.console import Console

    from textvae.training.reporting import Reporter

# Lines of a training that nobody watches: none sooner after another than so many seconds, or than
# this share of the whole time so far, so that a long run prints some hundred lines.
_BETWEEN_LINES = 5.0
_SHARE_BETWEEN_LINES = 0.02


def training_reporter(output: Output, console: Console | None = None) -> Reporter:
    """The reporter that suits stderr: a live table, plain lines, or silence with --quiet."""
    if output.quiet:
        return SilentReporter()
    if console is None:
        if not is_live_terminal():
            return LineReporter()
        console = stderr_console()
    return LiveReporter(console)


class SilentReporter:
    """Prints nothing; for --quiet."""

    def message(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def progress(self, phase: str, done: int, total: int) -> None:
        pass

    def start(self, info: dict[str, Any]) -> None:
        pass

    def log(self, record: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


class LineReporter:
    """Lines for logs, pipes and dumb terminals: each evaluation, and some steps between.

    Args:
        clock: gives the seconds since any moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._last: float | None = None
        self._waiting: str | None = None  # the last record, not printed
        self._horizon: int | None = None

    def message(self, text: str) -> None:
        say(text)

    def warn(self, text: str) -> None:
        say(f"textvae: warning: {one_line(text)}")

    def progress(self, phase: str, done: int, total: int) -> None:
        pass  # the message at the start of a phase is enough

    def start(self, info: dict[str, Any]) -> None:
        self._started, self._horizon = self._clock(), info.get("horizon")
        say(start_line(info))

    def log(self, record: dict[str, Any]) -> None:
        line = record_line(record, self._horizon)
        if record["event"] == "valid":
            self._say_waiting()  # the steps beside their evaluation
            say(line)
        elif self._is_due():
            self._waiting, self._last = None, self._clock()
            say(line)
        else:
            self._waiting = line

    def close(self) -> None:
        self._say_waiting()

    def _say_waiting(self) -> None:
        if self._waiting is not None:
            say(self._waiting)
            self._waiting = None

    def _is_due(self) -> bool:
        if self._last is None:
            return True
        now = self._clock()
        least = max(_BETWEEN_LINES, _SHARE_BETWEEN_LINES * (now - self._started))
        return now - self._last >= least


@contextlib.contextmanager
def watching(output: Output) -> Iterator[Watcher]:
    """The watcher that shows notes, warnings and progress on stderr."""
    with progress_bars(output) as progress:
        yield Watcher(output.note, output.warn, progress)


@contextlib.contextmanager
def progress_bars(output: Output) -> Iterator[Progress]:
    """A function to call with (phase, done, total); a total of 0 is unknown.

    Bars appear in terminals only, not in log files. The bar of a phase replaces the bar before it.
    """
    if output.quiet or not is_live_terminal():
        yield no_progress
        return
    bars = TerminalBars(stderr_console())
    try:
        yield bars.show
    finally:
        bars.close()
