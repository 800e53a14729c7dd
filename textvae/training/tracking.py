"""Trackers of experiments (TensorBoard, Weights & Biases, ...), as Accelerate knows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers

from textvae.config import Config
from textvae.errors import UsageError


class Trackers:
    """The trackers of a run; their files go into the folder `tracking` of the model."""

    def __init__(self, names: Sequence[str], out: Path, config: Config) -> None:
        self._trackers = [started(name, out) for name in names]
        for tracker in self._trackers:
            tracker.store_init_configuration(flat(config))

    def log(self, record: dict[str, Any]) -> None:
        """Send the figures of a record of metrics.jsonl, under event/figure."""
        figures = {**record, **record.get("timing", {})}
        values = {
            f"{record['event']}/{key}": float(value)
            for key, value in figures.items()
            if isinstance(value, int | float) and key != "step"
        }
        for tracker in self._trackers:
            tracker.log(values, step=record["step"])

    def close(self) -> None:
        """Let every tracker finish its work."""
        for tracker in self._trackers:
            tracker.finish()


def check_trackers(names: Sequence[str]) -> None:
    """Raise UsageError for a tracker that is unknown or not installed."""
    installed = [str(name) for name in get_available_trackers()]
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(LOGGER_TYPE_TO_CLASS)
            raise UsageError(f"tracker {name!r} is unknown; choose from {known}")
        if name not in installed:
            raise UsageError(f"tracker {name!r} is not installed; try pip install {name}")


def started(name: str, out: Path) -> GeneralTracker:
    """The tracker of this name, at work."""
    kind = LOGGER_TYPE_TO_CLASS[name]
    where = {"logging_dir": str(out / "tracking")} if kind.requires_logging_directory else {}
    tracker = kind("textvae", **where)
    if hasattr(tracker, "start"):  # newer releases of accelerate start lazily
        tracker.start()
    return tracker


def flat(config: Config) -> dict[str, Any]:
    """The configuration as section/key -> a scalar."""
    return {
        f"{section}/{key}": value if isinstance(value, bool | int | float | str) else str(value)
        for section, values in config.model_dump(mode="json").items()
        for key, value in values.items()
    }
