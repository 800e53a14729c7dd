"""What people see during long work: a live table for training, progress bars otherwise.

All of it goes to stderr. Where stderr is not a terminal, training prints plain lines.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from textvae.cli.output import Output, one_line, say
from textvae.number_format import human
from textvae.progress import Progress, Watcher

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from textvae.training.reporting import Reporter

ROOM_FOR_A_BAR = 60  # columns of a terminal

# Keys of the records that are shown, in this order; each model defines some of them.
FIGURES = ("loss", "rec", "kl", "nll_elbo", "nll_iw", "z_gain", "mi", "active_units")
# Terms of the loss, where it has them.
TERMS = ("bag_of_words", "mmd", "contrastive", "adversarial", "discriminator")


def training_reporter(output: Output, console: Console | None = None) -> Reporter:
    """The reporter that suits stderr: a live table, plain lines, or silence with --quiet."""
    if output.quiet:
        return SilentReporter()
    if console is None:
        if not _is_live_terminal():
            return LineReporter()
        console = stderr_console()
    return LiveReporter(console)


class SilentReporter:
    """Prints nothing; for --quiet."""

    def message(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def start(self, info: dict[str, Any]) -> None:
        pass

    def log(self, record: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


class LineReporter:
    """A line for each record; for logs, pipes and dumb terminals."""

    def __init__(self) -> None:
        self._horizon: int | None = None

    def message(self, text: str) -> None:
        say(text)

    def warn(self, text: str) -> None:
        say(f"textvae: warning: {one_line(text)}")

    def start(self, info: dict[str, Any]) -> None:
        self._horizon = info.get("horizon")
        say(start_line(info))

    def log(self, record: dict[str, Any]) -> None:
        say(record_line(record, self._horizon))

    def close(self) -> None:
        pass


# A training of days goes on when the terminal that it was started from is closed.
terminal_may_be_gone = contextlib.suppress(OSError)


class LiveReporter:
    """A table that stays in place with the messages above it; it fits 40 columns."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        # Otherwise rich would redirect stdout to its own console, which is stderr.
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False)
        self._horizon: int | None = None
        self._train: dict[str, Any] = {}
        self._valid: dict[str, Any] = {}

    def message(self, text: str) -> None:
        with terminal_may_be_gone:
            self._console.print(_printable(text), markup=False, highlight=False)

    def warn(self, text: str) -> None:
        with terminal_may_be_gone:
            self._console.print(
                _printable(f"warning: {text}"), markup=False, highlight=False, style="yellow"
            )

    def start(self, info: dict[str, Any]) -> None:
        self._horizon = info.get("horizon")
        self.message(start_line(info))
        with terminal_may_be_gone:
            self._live.start()

    def log(self, record: dict[str, Any]) -> None:
        if record["event"] == "valid":
            self._valid = record
        else:
            self._train = record
        with terminal_may_be_gone:
            self._live.update(self._table(), refresh=True)

    def close(self) -> None:
        with terminal_may_be_gone:
            self._live.stop()

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        # What does not fit goes on in the next line; by default its end is cut off.
        table.add_column("", style="dim", overflow="fold")
        table.add_column("train", justify="right", overflow="fold")
        table.add_column("valid", justify="right", style="bold", overflow="fold")
        table.add_row("step", step_of(self._train, self._horizon), step_of(self._valid, None))
        for key in FIGURES + TERMS:
            if key in self._train or key in self._valid:
                table.add_row(key, figure(self._train, key), figure(self._valid, key))
        if "kl" in self._train:
            table.add_row("weight of KL", figure(self._train, "kl_weight"), "")
        timing = self._train.get("timing", {})
        table.add_row("sentences/s", speed(timing), "")
        table.add_row("time left", duration(timing.get("seconds_left")), "")
        return table


def start_line(info: Mapping[str, Any]) -> str:
    """The facts of a run in one line; those that the trainer does not know are left out."""
    names = {"vae": "a vae", "ae": "an ae", "lm": "an lm"}
    facts = [f"training {names[info['model']]}" if "model" in info else "training"]
    if "parameters" in info:
        facts.append(f"{human(info['parameters'])} parameters")
    if "sentences" in info:
        facts.append(f"{human(info['sentences'])} sentences")
    if "vocab_size" in info:
        facts.append(f"vocabulary {human(info['vocab_size'])}")
    if "padding" in info:
        facts.append(f"{info['padding']:.0%} padding")
    facts += [str(info[key]) for key in ("device", "precision") if key in info]
    if info.get("threads") is not None:
        facts.append(f"{info['threads']} threads")
    return ", ".join(facts)


def record_line(record: Mapping[str, Any], horizon: int | None) -> str:
    """A record of metrics.jsonl as a line: `train step 50/1,000  rec 33.2100  ...`."""
    timing = record.get("timing", {})
    parts = [f"{record['event']} step {step_of(record, horizon)}"]
    parts += [f"{key} {figure(record, key)}" for key in FIGURES + TERMS if key in record]
    if "kl" in record and "kl_weight" in record:
        parts.append(f"kl_weight {figure(record, 'kl_weight')}")
    if "sentences_per_second" in timing:
        parts.append(f"{speed(timing)} sentences/s")
    if timing.get("seconds_left") is not None:
        parts.append(f"{duration(timing['seconds_left'])} left")
    if record.get("best"):
        parts.append("(best)")
    return "  ".join(parts)


def step_of(record: Mapping[str, Any], horizon: int | None) -> str:
    """`1,200/5,000`, or `1,200` where no horizon is known, or a dash."""
    if "step" not in record:
        return "-"
    return human(record["step"]) + (f"/{human(horizon)}" if horizon else "")


def figure(record: Mapping[str, Any], key: str) -> str:
    """The value of `key`, or a dash if it is not defined for this model."""
    value = record.get(key)
    return f"{value:.3f}" if isinstance(value, float) else human(value)


def speed(timing: Mapping[str, Any]) -> str:
    """Sentences a second, without decimals."""
    value = timing.get("sentences_per_second")
    return "-" if value is None else human(round(value))


def duration(seconds: float | None) -> str:
    """`1:02:03`, `2:03`, or a dash.

    >>> duration(3723.4), duration(9), duration(None)
    ('1:02:03', '0:09', '-')
    """
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


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
    if output.quiet or not _is_live_terminal():
        yield lambda phase, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    console = stderr_console()
    columns = (  # in a narrow terminal the bar and then the name give way to the figures
        TextColumn("{task.description}", markup=False, table_column=Column()),
        BarColumn(bar_width=None if console.width >= ROOM_FOR_A_BAR else 4),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
    )
    # Without the redirection, which would send the data on stdout to stderr.
    with Bars(*columns, console=console, transient=True, redirect_stdout=False) as bars:
        tasks: dict[str, Any] = {}

        def advance(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                for former in tasks.values():
                    bars.update(former, visible=False)
                # A phase may be named after a folder, and rich hands escape sequences on.
                tasks[phase] = bars.add_task(_printable(one_line(phase)), total=total or None)
            bars.update(tasks[phase], completed=done, total=total or None)

        yield advance


def stderr_console() -> Console:
    """A rich console on stderr, as wide as the terminal; with NO_COLOR nothing is bold either."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))
    return Console(stderr=True, highlight=False, color_system=None if plain else "auto")


def _is_live_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
