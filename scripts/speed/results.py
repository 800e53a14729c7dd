"""The arithmetic of the benchmark: medians of repeats, ratios of pairs, tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from commands import markdown

Row = dict[str, Any]


def summary(name: str, runs: Sequence[Row], others: Sequence[Row] = ()) -> Row:
    """The figures of a case from its repeats, and beside them those of another program.

    Each run has `seconds`, `tokens`, and maybe `limit_seconds`, `memory_mib`, `operators`. A ratio
    is taken pair by pair, of runs that followed each other, before its median.
    """
    row: Row = {"case": name, "repeats": len(runs), "seconds": _median(runs, "seconds")}
    if all(run["tokens"] for run in runs):
        row["tokens_per_second"] = round(statistics.median(map(speed, runs)))
        row["spread"] = round(max(map(speed, runs)) / min(map(speed, runs)), 2)
    if all(run.get("limit_seconds") for run in runs):
        shares = [run["limit_seconds"] / run["seconds"] for run in runs]
        row["of_limit"] = round(statistics.median(shares), 2)
    row["memory_mib"] = _median(runs, "memory_mib")
    operators = [run["operators"] for run in runs if run.get("operators")]
    if operators:
        row["operators"] = round(statistics.median(operators))
    pairs = [(mine, other) for mine, other in zip(runs, others, strict=False) if other]
    if pairs:
        row["over_other"] = round(statistics.median(speed(a) / speed(b) for a, b in pairs), 2)
        memory = [b["memory_mib"] / a["memory_mib"] for a, b in pairs if b.get("memory_mib")]
        if memory:
            row["other_memory"] = round(statistics.median(memory), 2)
    return row


def speed(run: Row) -> float:
    """Real tokens a second; of a command that reads none, runs a second."""
    return (run["tokens"] or 1) / run["seconds"]


def _median(runs: Sequence[Row], key: str) -> float:
    return round(statistics.median(run[key] for run in runs), 3)


COLUMNS = (  # (key, heading)
    ("case", "case"),
    ("tokens_per_second", "tokens/s"),
    ("seconds", "seconds"),
    ("spread", "max/min"),
    ("of_limit", "limit / time"),
    ("memory_mib", "peak MiB"),
    ("operators", "operators"),
    ("over_other", "speed / other"),
    ("other_memory", "other's memory / ours"),
    ("over_old", "speed / old"),
    ("old_memory", "old memory / new"),
)


def table(rows: Sequence[Row]) -> str:
    """The figures as a Markdown table, without columns that no row has."""
    columns = [(key, heading) for key, heading in COLUMNS if any(key in row for row in rows)]
    lines = [[_shown(row.get(key)) for key, _ in columns] for row in rows]
    return markdown([heading for _, heading in columns], lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float) and value >= 100:
        return f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def compared(rows: Sequence[Row], old: Sequence[Row]) -> list[Row]:
    """The rows, each with its speed and memory over those of the same case in `old`."""
    before = {row["case"]: row for row in old}
    found = []
    for row in rows:
        earlier = before.get(row["case"])
        if earlier is not None:
            now, then = (
                entry.get("tokens_per_second") or 1 / entry["seconds"] for entry in (row, earlier)
            )
            memory = round(earlier["memory_mib"] / row["memory_mib"], 2)
            row = {**row, "over_old": round(now / then, 2), "old_memory": memory}
        found.append(row)
    return found
