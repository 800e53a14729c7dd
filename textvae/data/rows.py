"""A row of input, and what is done to its text before anything else reads it."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from textvae.errors import DataError, is_utf8, shown

LONGEST_TEXT = 16 << 20  # bytes of a line, characters of a text: more is no sentence


@dataclass(frozen=True, slots=True)
class Row:
    """One sentence as it came, before tokenization."""

    text: str
    label: str | None = None
    log_prob: float | None = None


def checked_row(where: str, text: object, label: object = None, log_prob: object = None) -> Row:
    """A row of values from a file; `where` names file and line in errors.

    Raises:
        DataError: text that is not a string of Unicode characters or is beyond all length, a
            label that is not a single value, a log_prob that is not a finite number.
    """
    if not isinstance(text, str):
        raise DataError(f"{where}: the text is {_kind(text)}, not a string")
    check_characters(where, "text", text)
    if label is not None and not isinstance(label, str | int | float):
        raise DataError(f"{where}: the label is {_kind(label)}, not a string or a number")
    return Row(text, _label(where, label), _number(where, log_prob))


def check_characters(where: str, what: str, text: str) -> None:
    """Raise DataError where `text` is too long to be one, or holds what is no character of text."""
    if len(text) > LONGEST_TEXT:
        raise DataError(
            f"{where}: the {what} has {len(text):,} characters; expected a sentence, "
            f"{LONGEST_TEXT:,} at most"
        )
    if not is_utf8(text):
        raise DataError(f"{where}: the {what} holds half a surrogate pair, which is no character")


def _label(where: str, value: str | int | float | None) -> str | None:
    """A label without the white space around it; None where nothing is left, or it is NaN."""
    if isinstance(value, float):
        if math.isnan(value):  # what columns of numbers have where nothing is
            return None
        if value.is_integer() and abs(value) < 2**53:
            value = int(value)  # which became a float beside such a gap
    label = "" if value is None else str(value).strip()
    check_characters(where, "label", label)
    return label or None


def _number(where: str, value: object) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever float() refuses is the error
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where}: log_prob {shown(value)} is not a finite number")
    return number


def _kind(value: object) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"


def text_cleaner(*, lowercase: bool, normalization: str) -> Callable[[str], str] | None:
    """The function that normalises and lower-cases a text; None where there is nothing to do."""
    if normalization == "none":
        return str.lower if lowercase else None
    form = normalization.upper()
    if not lowercase:
        return lambda text: unicodedata.normalize(form, text)  # type: ignore[arg-type]
    return lambda text: unicodedata.normalize(form, text).lower()  # type: ignore[arg-type]


def hash_fraction(text: str, *, purpose: str = "") -> float:
    """A number in [0, 1) that depends on the text alone, evenly spread over texts.

    Numbers for different purposes (at most 16 bytes) are independent of each other.

    >>> hash_fraction("the soup was cold .") == hash_fraction("the soup was cold .")
    True
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=purpose.encode()).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
