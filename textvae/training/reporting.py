"""What a training run says while it runs, and to whom."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from textvae.files.atomic import naming

METRICS_FILE = "metrics.jsonl"
LOGGER = logging.getLogger("textvae")
LOGGER.addHandler(logging.NullHandler())  # a library is quiet until someone listens


class Reporter(Protocol):
    """Whoever listens to a training run: a terminal, a log, a notebook."""

    def message(self, text: str) -> None:
        """A line of information."""

    def warn(self, text: str) -> None:
        """Something the user should act on."""

    def start(self, info: dict[str, Any]) -> None:
        """The facts of the run, once, before the first step."""

    def log(self, record: dict[str, Any]) -> None:
        """A record of the kind that metrics.jsonl holds, `event` train or valid."""

    def close(self) -> None:
        """The run has ended."""


class LoggingReporter:
    """Reports to Python's logging under the name `textvae`: silent until one configures it."""

    def message(self, text: str) -> None:
        LOGGER.info(text)

    def warn(self, text: str) -> None:
        LOGGER.warning(text)

    def start(self, info: dict[str, Any]) -> None:
        LOGGER.info("training %s", info)

    def log(self, record: dict[str, Any]) -> None:
        LOGGER.info("%s", record)

    def close(self) -> None:
        pass


class MetricsFile:
    """metrics.jsonl: a line each log and evaluation, written at once and whole.

    Args:
        path: the file.
        keep_bytes: what a resumed run keeps of it; what came after its checkpoint goes.
    """

    def __init__(self, path: Path, keep_bytes: int) -> None:
        self._path = path
        with naming(path):
            self._file = open(path, "ab", buffering=0)  # a buffer would try again what failed
            self.truncate(keep_bytes)

    def truncate(self, keep_bytes: int) -> None:
        """Forget what came after the first so many bytes."""
        if self._file.tell() > keep_bytes:
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)

    def records_after(self, start: int) -> list[dict[str, Any]]:
        """The records after the first so many bytes."""
        with naming(self._path), open(self._path, "rb") as file:
            file.seek(start)
            return [json.loads(line) for line in file]

    def write(self, record: dict[str, Any]) -> None:
        """Append one record, or nothing of it where it cannot be written."""
        line, before = json.dumps(record, allow_nan=False).encode() + b"\n", self._file.tell()
        with naming(self._path):
            try:
                written = 0
                while written < len(line):
                    written += self._file.write(line[written:])
            except BaseException:
                self.truncate(before)
                raise

    def flush(self) -> None:
        """Have the system write it to the disk."""
        with naming(self._path):
            os.fsync(self._file.fileno())

    @property
    def bytes_written(self) -> int:
        """Length of the file."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def best_record(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The evaluation of the weights that were saved last; empty where there was none."""
    best: dict[str, Any] = {}
    for record in records:
        if record.get("event") == "valid" and record.get("best"):
            best = record
    return best
