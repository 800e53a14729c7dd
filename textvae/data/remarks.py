"""What there is to say about an input while it is read, each thing once."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]


def silent(message: str) -> None:
    """Says nothing."""


class Remarks:
    """Tells a person about an input; what is said twice is told once.

    Args:
        note: hears what was recognized, such as the separator of a table.
        warn: hears what is likely to be a mistake.
    """

    def __init__(self, note: Say = silent, warn: Say = silent) -> None:
        self._note, self._warn = note, warn
        self._said: set[str] = set()

    def note(self, name: str, what: str) -> None:
        """Say what was recognized in the input `name`; once for all inputs of which it holds."""
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
