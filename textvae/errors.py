"""All errors that textvae raises on purpose, under one root class, each with its exit code.

A message says what is wrong, where, and what to try, in one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LONGEST_SHOWN = 100  # characters of a value in a message
_ON_COMMAND_LINE: ContextVar[bool] = ContextVar("on_command_line", default=False)


def shown(value: object) -> str:
    """The `repr` of a value for a message: printable, one line, truncated to 100 characters.

    >>> shown("a\\nb"), len(shown("a" * 1000))
    ("'a\\\\nb'", 100)
    """
    text = repr(value).replace("\n", " ")  # of a Series, say, has lines
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


@contextmanager
def for_command_line() -> Iterator[None]:
    """A block whose messages name options as the command line does, `--valid`, and not `valid=`."""
    before = _ON_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _ON_COMMAND_LINE.reset(before)


def worded(command_line: str, python: str) -> str:
    """The wording for whoever reads the message: a user of the command line or of Python."""
    return command_line if _ON_COMMAND_LINE.get() else python


def flag(name: str) -> str:
    """The name of an option in a message: `--max-tokens` or `max_tokens`."""
    return worded(f"--{name.replace('_', '-')}", name)


def option(name: str, value: object = ...) -> str:
    """An option as a message names it, with its value if one is given.

    >>> option("valid"), option("max_tokens", 64), option("truncate", True)
    ('valid=...', 'max_tokens=64', 'truncate=True')
    >>> with for_command_line():
    ...     option("valid"), option("max_tokens", 64), option("truncate", True)
    ('--valid', '--max-tokens 64', '--truncate')
    """
    if value is ... or value is True:
        return worded(flag(name), f"{name}={'...' if value is ... else value}")
    plain = value if isinstance(value, int | float) else str(value)
    return worded(f"{flag(name)} {plain}", f"{name}={plain!r}")


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
