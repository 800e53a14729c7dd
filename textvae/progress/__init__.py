"""Who is told what long work does, and how far it is."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import FrameType
from typing import TypeVar

from textvae.errors import TextVAEWarning

Progress = Callable[[str, int, int], None]  # phase, done, total (0: unknown)
Say = Callable[[str], None]
T = TypeVar("T")


def no_progress(phase: str, done: int, total: int) -> None:
    """Show nothing."""


def silent(text: str) -> None:
    """Say nothing."""


def python_warning(text: str) -> None:
    """Warn as Python does, at the line of the caller's code that called textvae.

    `warnings.filterwarnings` can switch it off by its category. A filter apart, it is always shown:
    a second run in the same notebook warns again.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame.f_globals.get("__name__")):
        frame = frame.f_back
    where = ("textvae", 1) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
    module = None if frame is None else frame.f_globals.get("__name__")
    warnings.warn_explicit(text, TextVAEWarning, *where, module=module, registry={})


def _is_ours(module: str | None) -> bool:
    return module is not None and (module == "textvae" or module.startswith("textvae."))


def counted_off(
    items: Iterable[T], progress: Progress, phase: str, total: int = 0, *, every: int = 1_000
) -> Iterator[T]:
    """The items, while `progress` is told how many there were so far, after `every` so many.

    >>> list(counted_off("ab", lambda *facts: print(*facts), "reading", 2))
    reading 2 2
    ['a', 'b']
    """
    done = 0
    for item in items:
        yield item
        done += 1
        if done % every == 0:
            progress(phase, done, max(done, total) if total else 0)
    if done % every or not done:
        progress(phase, done, done)


class Remarks:
    """Tells a person about an input while it is read; what is said twice is told once.

    Args:
        note: gets what was recognized, such as the separator of a table.
        warn: gets what is likely to be a mistake.

    Attributes:
        columns: the names of the columns of text and label, or None, of each table that was read.
    """

    def __init__(self, note: Say = silent, warn: Say = silent) -> None:
        self._note, self._warn = note, warn
        self._said: set[str] = set()
        self.columns: dict[str, tuple[str, str | None]] = {}

    def note(self, name: str, what: str) -> None:
        """Say what was recognized in the input `name`; once for all inputs of which it is true."""
        if self._is_new(what):
            self._note(f"{name}: {what}")

    def warn(self, name: str, what: str) -> None:
        """Say what may be a mistake in the input `name`."""
        if self._is_new(f"{name}: {what}"):
            self._warn(f"{name}: {what}")

    def _is_new(self, message: str) -> bool:
        new = message not in self._said
        self._said.add(message)
        return new


@dataclass(frozen=True)
class Watcher:
    """The three functions that long work calls.

    Args:
        note: gets a line of information; by default the logger `textvae`.
        warn: gets a line about a result that may not be what people expect; by default a warning
            of the category `textvae.TextVAEWarning`.
        progress: gets (phase, done, total); by default nothing is shown.
    """

    note: Say = logging.getLogger("textvae").info
    warn: Say = python_warning
    progress: Progress = no_progress

    @cached_property
    def remarks(self) -> Remarks:
        """Says each thing about the input once, however often it is read."""
        return Remarks(self.note, self.warn)
