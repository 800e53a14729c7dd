"""Reporters, which listen to a training run, and the record of its saved model."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Protocol

LOGGER = logging.getLogger("textvae")
LOGGER.addHandler(logging.NullHandler())  # a library is quiet until someone listens


class Reporter(Protocol):
    """A listener of a training run: a terminal, a log, a notebook."""

    def message(self, text: str) -> None:
        """A line of information."""

    def warn(self, text: str) -> None:
        """Something the user should act on."""

    def progress(self, phase: str, done: int, total: int) -> None:
        """How far the reading, the tokenizer or the encoding is; a total of 0 is unknown."""

    def start(self, info: dict[str, Any]) -> None:
        """The facts of the run, once, before the first step."""

    def log(self, record: dict[str, Any]) -> None:
        """A record of metrics.jsonl, with `event` train or valid."""

    def close(self) -> None:
        """The run has ended."""


class LoggingReporter:
    """Reports to Python's logging under the name `textvae`: silent until one configures it."""

    def message(self, text: str) -> None:
        LOGGER.info(text)

    def warn(self, text: str) -> None:
        LOGGER.warning(text)

    def progress(self, phase: str, done: int, total: int) -> None:
        pass

    def start(self, info: dict[str, Any]) -> None:
        LOGGER.info("training %s", info)

    def log(self, record: dict[str, Any]) -> None:
        LOGGER.info("%s", record)

    def close(self) -> None:
        pass


def best_record(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The evaluation of the weights that were saved last; empty if there was none."""
    best: dict[str, Any] = {}
    for record in records:
        if record.get("event") == "valid" and record.get("best"):
            best = record
    return best
