"""Numbers formatted for messages and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def human(value: Any) -> str:
    """A value as text: four decimals, thousands separators, a dash for None."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value != 0 and not 1e-3 <= abs(value) < 1e9:
            return f"{value:.4g}"
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(human(item) for item in value) or "-"
    return str(value)


def short(value: Any) -> str:
    """A figure with three decimals, for a narrow table.

    >>> short(2.5), short(None), short(12345.6)
    ('2.500', '-', '12,345.6')
    """
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 1000 else human(value)


def with_error(record: Mapping[str, Any], key: str) -> str:
    """The figure `key` and its standard error `key_se`, or a dash."""
    error = record.get(f"{key}_se")
    return short(record.get(key)) + ("" if error is None else f" ± {short(error)}")


def counted(n: int, noun: str) -> str:
    """A count with its noun: `1 label`, `2 labels`, `1,000 labels`."""
    return f"{human(n)} {noun}" if n == 1 else f"{human(n)} {noun}s"
