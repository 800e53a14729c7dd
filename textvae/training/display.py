"""A training as people watch it: a table that stays in place, in a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textvae.number_format import counted, human
from textvae.progress import python_warning
from textvae.progress.bars import (
    Cell,
    NotebookBars,
    TerminalBars,
    as_text,
    duration,
    is_live_terminal,
    notebook_display,
    printable,
    stderr_console,
    terminal_may_be_gone,
)
from textvae.training.reporting import LoggingReporter, Reporter

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

# Keys of the records that are shown, in this order; each model defines some of them.
FIGURES = ("loss", "rec", "kl", "nll_elbo", "nll_iw", "z_gain", "mi", "active_units")
# Terms of the loss, where it has them.
TERMS = ("bag_of_words", "mmd", "contrastive", "adversarial", "discriminator")
_MOST_MESSAGES = 20  # kept above the table of a notebook


def python_reporter(*, progress: bool = True) -> Reporter:
    """The reporter of a training from Python: a table where a person watches, else only warnings.

    Args:
        progress: show the table, in a terminal or a notebook.
    """
    display = notebook_display() if progress else None
    if display is not None:
        return NotebookReporter(Cell(display))
    if progress and is_live_terminal():
        return WarningLiveReporter(stderr_console())
    return WarningReporter()


class WarningReporter(LoggingReporter):
    """Warns as Python does, and sends everything else to the logger `textvae`."""

    def warn(self, text: str) -> None:
        python_warning(text)


class TrainingTable:
    """The last figures of a training."""

    def __init__(self) -> None:
        self._horizon: int | None = None
        self._train: dict[str, Any] = {}
        self._valid: dict[str, Any] = {}

    def start(self, info: Mapping[str, Any]) -> None:
        """Take the number of steps."""
        self._horizon = info.get("horizon")

    def log(self, record: dict[str, Any]) -> None:
        """Take the figures of a record."""
        if record["event"] == "valid":
            self._valid = record
        else:
            self._train = record

    def render(self) -> Table:
        """The table; it fits 40 columns."""
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


class LiveReporter:
    """A table that stays in place with the messages above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = TerminalBars(console)
        self._table = TrainingTable()
        self._live: Live | None = None

    def message(self, text: str) -> None:
        with terminal_may_be_gone:
            self._console.print(printable(text, lines=True), markup=False, highlight=False)

    def warn(self, text: str) -> None:
        text = printable(f"warning: {text}", lines=True)
        with terminal_may_be_gone:
            self._console.print(text, markup=False, highlight=False, style="yellow")

    def progress(self, phase: str, done: int, total: int) -> None:
        self._bars.show(phase, done, total)

    def start(self, info: dict[str, Any]) -> None:
        from rich.live import Live

        self._bars.close()
        self._table.start(info)
        self.message(start_line(info))
        # Otherwise rich would redirect stdout to its own console, which is stderr.
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False)
        with terminal_may_be_gone:
            self._live.start()

    def log(self, record: dict[str, Any]) -> None:
        self._table.log(record)
        if self._live is not None:
            with terminal_may_be_gone:
                self._live.update(self._table.render(), refresh=True)

    def close(self) -> None:
        self._bars.close()
        if self._live is not None:
            with terminal_may_be_gone:
                self._live.stop()


class WarningLiveReporter(LiveReporter):
    """A table in the terminal of a Python session, where warnings are Python's."""

    def warn(self, text: str) -> None:
        python_warning(text)


class NotebookReporter:
    """A table in the output of a notebook's cell; the cell keeps the last one."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._bars = NotebookBars(cell, above=self._all_messages)
        self._table = TrainingTable()
        self._messages: list[str] = []

    def message(self, text: str) -> None:
        self._messages = [*self._messages, printable(text, lines=True)][-_MOST_MESSAGES:]
        self._cell.draw(self._all_messages)

    def warn(self, text: str) -> None:
        python_warning(text)

    def progress(self, phase: str, done: int, total: int) -> None:
        self._bars.show(phase, done, total)

    def start(self, info: dict[str, Any]) -> None:
        self._table.start(info)
        self.message(start_line(info))

    def log(self, record: dict[str, Any]) -> None:
        self._table.log(record)
        self._cell.draw(lambda: f"{self._all_messages()}\n\n{as_text(self._table.render())}")

    def close(self) -> None:
        self._cell.redraw()

    def _all_messages(self) -> str:
        return "\n".join(self._messages)


def start_line(info: Mapping[str, Any]) -> str:
    """The facts of a run in one line; those that the trainer does not know are left out."""
    names = {"vae": "a vae", "ae": "an ae", "lm": "an lm"}
    facts = [f"training {names[info['model']]}" if "model" in info else "training"]
    if "parameters" in info:
        trained = info.get("trained", info["parameters"])
        some = "" if trained == info["parameters"] else f" ({human(trained)} trained)"
        facts.append(f"{human(info['parameters'])} parameters{some}")
    if "sentences" in info:
        facts.append(f"{human(info['sentences'])} sentences")
    if "vocab_size" in info:
        facts.append(f"vocabulary {human(info['vocab_size'])}")
    if "padding" in info:
        facts.append(f"{info['padding']:.0%} padding")
    facts += [str(info[key]) for key in ("device", "precision") if key in info]
    if info.get("threads") is not None:
        facts.append(counted(info["threads"], "thread"))
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
