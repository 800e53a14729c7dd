"""Progress bars where a person watches: in a terminal or in a notebook."""

from __future__ import annotations

import contextlib
import html
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from textvae.progress import Progress, Watcher, no_progress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress as RichProgress

P = ParamSpec("P")
R = TypeVar("R")

ROOM_FOR_A_BAR = 60  # columns of a terminal
_NOTEBOOK_WIDTH = 80  # characters
_NOTEBOOK_BAR = 30
_SHORT = 2.0  # seconds; work in Python that takes less shows no bar
_BETWEEN_DRAWINGS = 0.5  # seconds in a notebook, where each drawing is a message to the browser


class Bars(Protocol):
    """Shows how far the phases of some work are."""

    def show(self, phase: str, done: int, total: int) -> None:
        """Show that `done` of `total` are done; a total of 0 is unknown."""

    def close(self) -> None:
        """Remove what is shown."""


class TerminalBars:
    """A bar in a terminal; the bar of a phase replaces the bar before it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: RichProgress | None = None
        self._phase: str | None = None

    def show(self, phase: str, done: int, total: int) -> None:
        with terminal_may_be_gone:
            if self._bars is None:
                self._bars = rich_progress(self._console)
                self._bars.start()
            if phase != self._phase:
                for task in self._bars.task_ids:
                    self._bars.remove_task(task)
                self._bars.add_task(printable(phase), total=total or None)
                self._phase = phase
            self._bars.update(self._bars.task_ids[-1], completed=done, total=total or None)

    def close(self) -> None:
        if self._bars is not None:
            with terminal_may_be_gone:
                self._bars.stop()
            self._bars = self._phase = None


class NotebookBars:
    """A bar in the output of a notebook's cell; the cell keeps the last one.

    Args:
        cell: where it is drawn.
        above: gives the lines to show above the bar.
    """

    def __init__(self, cell: Cell, above: Callable[[], str] = str) -> None:
        self._cell = cell
        self._above = above
        self._started = time.monotonic()  # the phase that is shown
        self._phase: str | None = None

    def show(self, phase: str, done: int, total: int) -> None:
        if self._phase not in (None, phase):
            self._started = time.monotonic()
        self._phase = phase
        self._cell.draw(lambda: f"{self._above()}\n{self.line(phase, done, total)}".lstrip("\n"))

    def line(self, phase: str, done: int, total: int) -> str:
        """`encoding texts  ━━━━━━━━────────  1,024/2,048  0:12`."""
        seconds = time.monotonic() - self._started
        if not total:
            return f"{printable(phase)}  {done:,}  {duration(seconds)}"
        full = _NOTEBOOK_BAR * done // max(total, 1)
        bar = "━" * full + "─" * (_NOTEBOOK_BAR - full)
        return f"{printable(phase)}  {bar}  {done:,}/{total:,}  {duration(seconds)}"

    def close(self) -> None:
        self._cell.redraw()


class Cell:
    """One piece of output of a notebook's cell, which is drawn again and again.

    Args:
        display: `IPython.display.display`; it needs no widgets.
    """

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None
        self._drawn = 0.0
        self._waiting: Callable[[], str] | None = None

    def draw(self, text: Callable[[], str]) -> None:
        """Show a text instead of the one before, at once or with the next; see `redraw`."""
        self._waiting = text
        if time.monotonic() - self._drawn >= _BETWEEN_DRAWINGS:
            self.redraw()

    def redraw(self) -> None:
        """Show the last text, if it is not shown yet."""
        if self._waiting is None:
            return
        text, self._waiting, self._drawn = self._waiting(), None, time.monotonic()
        style = "white-space: pre; overflow-x: auto; margin: 0"
        data = {"text/plain": text, "text/html": f'<pre style="{style}">{html.escape(text)}</pre>'}
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def rich_progress(console: Console) -> RichProgress:
    """The bar of rich that fits the width of a console and is removed at the end."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    return RichProgress(  # in a narrow terminal the bar and then the name give way to the figures
        TextColumn("{task.description}", markup=False, table_column=Column()),
        BarColumn(bar_width=None if console.width >= ROOM_FOR_A_BAR else 4),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
        console=console,
        transient=True,
        redirect_stdout=False,  # which would send the data on stdout to stderr
    )


def as_text(renderable: RenderableType, width: int = _NOTEBOOK_WIDTH) -> str:
    """A table of rich as plain text."""
    from rich.console import Console

    file = io.StringIO()
    console = Console(file=file, width=width, color_system=None, force_jupyter=False)
    console.print(renderable)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


# where a person watches

# A training of days goes on when the terminal that it was started from is closed.
terminal_may_be_gone = contextlib.suppress(OSError)


def is_live_terminal() -> bool:
    """True if stderr is a terminal that can move its cursor, with a person before it.

    The command after `!` in a notebook gets a terminal too, but the notebook stores all of its
    output.
    """
    term = os.environ.get("TERM", "" if os.name != "nt" else "windows")
    of_kernel = term == "xterm-color" and os.environ.get("GIT_PAGER") == "cat"
    if of_kernel or "JPY_PARENT_PID" in os.environ:
        return False
    try:
        is_terminal = sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, closed, or replaced by an object that logs
        return False
    return is_terminal and term not in ("", "dumb", "unknown")


def notebook_display() -> Callable[..., Any] | None:
    """The function that shows something in the cell of a notebook; None outside of notebooks."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):  # a terminal's IPython has none
        return None
    from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

    found: Callable[..., Any] = display
    return found


def stderr_console() -> Console:
    """A rich console on stderr, as wide as the terminal; with NO_COLOR nothing is bold either."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        stderr=True,
        highlight=False,
        color_system=None if plain else "auto",
        force_jupyter=False,
    )


def bars_for_a_person() -> Bars | None:
    """The bars that suit the notebook or the terminal; None where nobody watches."""
    display = notebook_display()
    if display is not None:
        return NotebookBars(Cell(display))
    return TerminalBars(stderr_console()) if is_live_terminal() else None


_quiet_inside: ContextVar[bool] = ContextVar("_quiet_inside", default=False)


@contextlib.contextmanager
def no_bars_inside() -> Iterator[None]:
    """A block in which calls show no bars: whoever made the block shows those of the whole."""
    token = _quiet_inside.set(True)
    try:
        yield
    finally:
        _quiet_inside.reset(token)


@contextlib.contextmanager
def python_progress() -> Iterator[Progress]:
    """The progress of a call from Python: bars if it takes long and a person watches."""
    bars = None if _quiet_inside.get() else bars_for_a_person()
    if bars is None:
        yield no_progress
        return
    started = time.monotonic()

    def show(phase: str, done: int, total: int) -> None:
        if time.monotonic() - started >= _SHORT:
            bars.show(phase, done, total)

    try:
        with no_bars_inside():
            yield show
    finally:
        bars.close()


def shows_progress(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, with bars where a person watches, unless its argument `watcher` is given."""

    @wraps(function)
    def watched(*arguments: P.args, **named: P.kwargs) -> R:
        if named.get("watcher") is not None:
            with no_bars_inside():
                return function(*arguments, **named)
        with python_progress() as progress:
            named["watcher"] = Watcher(progress=progress)
            return function(*arguments, **named)

    return watched


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


def printable(text: str, *, lines: bool = False) -> str:
    """`text` with control characters escaped; with `lines`, line breaks stay.

    rich hands escape sequences on, and a phase may be named after a folder.
    """
    kept = "\n" if lines else ""
    return "".join(c if c.isprintable() or c in kept else ascii(c)[1:-1] for c in text)
