"""Who is told what long work does, and how far it is."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

Progress = Callable[[str, int, int], None]  # phase, done, total (0: unknown)
Say = Callable[[str], None]


def no_progress(phase: str, done: int, total: int) -> None:
    """Show nothing."""


def silent(text: str) -> None:
    """Say nothing."""


def python_warning(text: str) -> None:
    """Warn as Python does, which `warnings.filterwarnings` can switch off."""
    warnings.warn(text, stacklevel=2)


class Remarks:
    """Tells a person about an input while it is read; what is said twice is told once.

    Args:
        note: gets what was recognized, such as the separator of a table.
        warn: gets what is likely to be a mistake.
    """

    def __init__(self, note: Say = silent, warn: Say = silent) -> None:
        self._note, self._warn = note, warn
        self._said: set[str] = set()

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
        warn: gets a line about a result that may not be what people expect; by default a warning.
        progress: gets (phase, done, total); by default nothing is shown.
    """

    note: Say = logging.getLogger("textvae").info
    warn: Say = python_warning
    progress: Progress = no_progress

    @cached_property
    def remarks(self) -> Remarks:
        """Says each thing about the input once, however often it is read."""
        return Remarks(self.note, self.warn)
