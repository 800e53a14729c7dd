"""Who is told what long work does, and how far it is."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[str, int, int], None]  # phase, done, total (0: unknown)
Say = Callable[[str], None]


def no_progress(phase: str, done: int, total: int) -> None:
    """Show nothing."""


def python_warning(text: str) -> None:
    """Warn as Python does, which `warnings.filterwarnings` can switch off."""
    warnings.warn(text, stacklevel=2)


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
