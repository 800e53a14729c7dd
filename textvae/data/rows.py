"""A row of input: its checks, and the normalization of its text before tokenization."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from textvae.errors import DataError, is_utf8, shown

LONGEST_TEXT = 16 << 20  # bytes of a line, characters of a text; a sentence is shorter


@dataclass(frozen=True, slots=True)
class Row:
    """One sentence of the input, before tokenization."""

    text: str
    label: str | None = None
    log_prob: float | None = None


def checked_row(where: str, text: object, label: object = None, log_prob: object = None) -> Row:
    """A row made of values from a file; `where` names the file and line in errors.

    Raises:
        DataError: the text is not a string of Unicode characters or is too long, the label is not
            a string or a number, or log_prob is not a finite number.
    """
    if not isinstance(text, str):
        raise DataError(f"{where}: the text is {_kind(text)}, not a string")
    check_characters(where, "text", text)
    if label is not None and not isinstance(label, str | int | float):
        raise DataError(f"{where}: the label is {_kind(label)}, not a string or a number")
    return Row(text, _label(where, label), _number(where, log_prob))


def check_characters(where: str, what: str, text: str) -> None:
    """Raise DataError if `text` is too long, or contains a lone surrogate."""
    if len(text) > LONGEST_TEXT:
        raise DataError(
            f"{where}: the {what} has {len(text):,} characters; expected a sentence, "
            f"{LONGEST_TEXT:,} at most"
        )
    if not is_utf8(text):
        raise DataError(f"{where}: the {what} contains a lone surrogate, which is not a character")


def _label(where: str, value: str | int | float | None) -> str | None:
    """A label without surrounding white space; None if empty or NaN."""
    if isinstance(value, float):
        if math.isnan(value):  # a gap in a column of numbers
            return None
        if value.is_integer() and abs(value) < 2**53:
            value = int(value)  # a gap turns a column of integers into floats
    label = "" if value is None else str(value).strip()
    check_characters(where, "label", label)
    return label or None


def _number(where: str, value: object) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # float() decides what is a number
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where}: log_prob {shown(value)} is not a finite number")
    return number


def _kind(value: object) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"


def text_cleaner(*, lowercase: bool, normalization: str) -> Callable[[str], str] | None:
    """The function that normalizes and lower-cases a text; None if there is nothing to do."""
    if normalization == "none":
        return str.lower if lowercase else None
    form = normalization.upper()
    if not lowercase:
        return lambda text: unicodedata.normalize(form, text)  # type: ignore[arg-type]
    return lambda text: unicodedata.normalize(form, text).lower()  # type: ignore[arg-type]


def hash_fraction(text: str, *, purpose: str = "") -> float:
    """A number in [0, 1) that depends only on the text, uniform over texts.

    Numbers for different purposes (at most 16 bytes) are independent.

    >>> hash_fraction("the soup was cold .") == hash_fraction("the soup was cold .")
    True
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=purpose.encode()).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
