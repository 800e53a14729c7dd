"""Numbers that callers give, checked at the border: sizes, counts and seeds."""

from __future__ import annotations

import math
import operator
import secrets
from numbers import Real

from textvae.errors import UsageError, flag, shown

SEEDS = 2**64  # a seed is below this
FARTHEST = 1e6  # multiples of a difference; latents beyond overflow float32 in the networks


def whole_number(name: str, value: object, *, least: int, example: int) -> int:
    """The argument `name` as an int.

    Raises:
        UsageError: not a whole number, or below `least`; True and 2.0 are no whole numbers.
    """
    number = integer(value)
    if number is None or number < least:
        raise UsageError(
            f"{flag(name)} {shown(value)} must be a whole number, {least} or more; try {example}"
        )
    return number


def batch_size(value: object) -> int:
    """The number of sentences that a model reads or writes at once."""
    return whole_number("batch_size", value, least=1, example=256)


def seed_of(value: object, name: str = "seed") -> int:
    """The seed itself; for None a fresh one, different at each call.

    Raises:
        UsageError: neither None nor a whole number from 0 to 2**64 - 1.
    """
    if value is None:
        return secrets.randbelow(2**63)  # which a configuration can hold too
    number = integer(value)
    if number is None or not 0 <= number < SEEDS:
        raise UsageError(
            f"{name} {shown(value)} must be a whole number from 0 to 2**64 - 1, or None for a "
            "fresh seed; try 0"
        )
    return number


def distance(name: str, value: object) -> float:
    """The argument `name` as a float.

    Raises:
        UsageError: not a finite number, or below 0.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise UsageError(f"{flag(name)} {shown(value)} must be a finite number, 0 or more; try 1.0")
    return float(value)


def number(name: str, value: object) -> float:
    """The argument `name` as a float, of either sign.

    Raises:
        UsageError: not a finite number, or one beyond a million.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise UsageError(f"{flag(name)} {shown(value)} must be a finite number; try 1.0")
    if abs(float(value)) > FARTHEST:
        raise UsageError(
            f"{flag(name)} {shown(value)} must be from {-FARTHEST:,.0f} to {FARTHEST:,.0f}; try 1.0"
        )
    return float(value)


def integer(value: object) -> int | None:
    """The value as an int if it is one, of Python or NumPy; None for True, 2.0, "2" and arrays."""
    if isinstance(value, bool) or type(value).__name__ == "bool":  # numpy.bool
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # it decides what an integer is
    except TypeError:
        return None
