"""Every error a user can meet, under one root, each with the exit code of the command line.

A message says what is wrong, where, and what to try, in one line.
"""

from __future__ import annotations

_LONGEST_SHOWN = 100  # characters of a value in a message


def shown(value: object) -> str:
    """A value as messages quote it: printable, on one line, and no longer than people read.

    >>> shown("a\\nb"), len(shown("a" * 1000))
    ("'a\\\\nb'", 100)
    """
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def is_utf8(text: str) -> bool:
    """Whether a file can hold `text`: names in no UTF-8 reach us with halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class TextVAEError(Exception):
    """Root of all errors that textvae raises on purpose."""

    exit_code = 1


class UsageError(TextVAEError):
    """A call that makes no sense: options that contradict, a command a model cannot serve."""

    exit_code = 2


class NotFoundError(TextVAEError):
    """A file, folder, column, data set or model that is not there."""

    exit_code = 3


class InvalidError(TextVAEError):
    """Something that is there but cannot be used; parent of the data and configuration errors."""

    exit_code = 4


class DataError(InvalidError):
    """Text or a data file that cannot be read or used."""


class ConfigError(InvalidError):
    """A configuration value outside what is allowed."""


class ModelFormatError(InvalidError):
    """A model folder that is damaged, incomplete, or of an unknown format."""


class DivergedError(TextVAEError):
    """Training produced values that are not finite and could not recover."""

    exit_code = 5


class InterruptedRun(TextVAEError):
    """Training stopped by a signal after saving; `exit_code` follows the signal."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
