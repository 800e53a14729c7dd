"""All errors that textvae raises on purpose, under one root class, each with its exit code.

A message says what is wrong, where, and what to try, in one line.
"""

from __future__ import annotations

_LONGEST_SHOWN = 100  # characters of a value in a message


def shown(value: object) -> str:
    """The `repr` of a value for a message: printable, one line, truncated to 100 characters.

    >>> shown("a\\nb"), len(shown("a" * 1000))
    ("'a\\\\nb'", 100)
    """
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def is_utf8(text: str) -> bool:
    """True if `text` encodes as UTF-8.

    File names that are not valid UTF-8 reach Python with lone surrogates, which do not encode.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class TextVAEError(Exception):
    """The root of all errors that textvae raises on purpose."""

    exit_code = 1


class TextVAEWarning(UserWarning):
    """A result that may not be what people expect, such as truncated sentences or a collapse.

    `warnings.filterwarnings("ignore", category=textvae.TextVAEWarning)` switches these off.
    """


class UsageError(TextVAEError):
    """An invalid call: contradictory options, or a command that the model does not support."""

    exit_code = 2


class NotFoundError(TextVAEError):
    """A file, folder, column, data set or model does not exist."""

    exit_code = 3


class InvalidError(TextVAEError):
    """An input exists but is not usable; parent of the data, configuration and model errors."""

    exit_code = 4


class DataError(InvalidError):
    """Text or a data file cannot be read or used."""


class ConfigError(InvalidError):
    """A configuration key is unknown, or its value is not allowed."""


class ModelFormatError(InvalidError):
    """A model folder is damaged, incomplete, or in an unknown format."""


class DivergedError(TextVAEError):
    """Training produced non-finite values and could not recover."""

    exit_code = 5


class InterruptedRun(TextVAEError):
    """A signal stopped training, after a save; `exit_code` is 128 plus the signal number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
