"""The signals that ask a program to end."""

from __future__ import annotations

import signal
import sys
from types import FrameType

HANGUP: int | None = getattr(signal, "SIGHUP", None)  # a closed terminal; Windows has none


def ending_signals() -> list[int]:
    """SIGINT, SIGTERM and, where it exists, SIGHUP; `nohup` ignores SIGHUP, and then so do we."""
    signals: list[int] = [signal.SIGINT, signal.SIGTERM]
    if HANGUP is not None and signal.getsignal(HANGUP) != signal.SIG_IGN:
        signals.append(HANGUP)
    return signals


def exit_when_asked() -> None:
    """Make SIGTERM and SIGHUP raise SystemExit, so that half-written files are removed.

    SIGINT raises KeyboardInterrupt, as always in Python.
    """
    for number in ending_signals():
        if number != signal.SIGINT:
            signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    if number == HANGUP:  # a closed terminal sends several, and the next must not stop the removal
        signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
