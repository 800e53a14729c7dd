"""What a run writes down of its course: metrics.jsonl, the trackers, and who listens."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from textvae.config import Config
from textvae.training.reporting import METRICS_FILE, MetricsFile, Reporter, best_record
from textvae.training.tracking import Trackers


class Journal:
    """The records of the main process of a run.

    Args:
        out: folder of the run.
        config: what the trackers are told.
        reporter: who listens.
        keep_bytes: what a resumed run keeps of metrics.jsonl.
    """

    def __init__(self, out: Path, config: Config, reporter: Reporter, keep_bytes: int) -> None:
        self._out, self._place = out, out.stat()
        self._reporter = reporter
        with ExitStack() as opened:
            self._metrics = MetricsFile(out / METRICS_FILE, keep_bytes)
            opened.callback(self._metrics.close)
            if self._metrics.bytes_written < keep_bytes:
                reporter.warn(
                    f"{out / METRICS_FILE} is shorter than it was; what it lacks stays lost"
                )
            self._trackers = Trackers(config.training.track, out, config)
            opened.callback(self._trackers.close)
            self._all = opened.pop_all()  # closes each, also where another fails

    def write(self, record: dict[str, Any]) -> None:
        """A record of the training or of an evaluation."""
        self._metrics.write(record)
        self._trackers.log(record)
        self._reporter.log(record)

    def go_back(self, keep_bytes: int, event: dict[str, Any]) -> bool:
        """Forget what came after the first so many bytes of metrics.jsonl, and say why.

        The model that was saved last stays, so its record does; True where it was among them.
        """
        best = best_record(self._metrics.records_after(keep_bytes))
        self._metrics.truncate(keep_bytes)
        for record in (best, event) if best else (event,):
            self._metrics.write(record)
        return bool(best)

    def check_place(self) -> None:
        """Raise OSError where the folder of the run is no longer the one that it began in.

        What is written by name would otherwise begin a second folder, with half of a run.
        """
        if not self.is_in_place():
            moved = (
                "the folder was moved or removed while a training wrote into it; if it was moved, "
                "go on with --resume and its new name"
            )
            raise OSError(errno.ENOENT, moved, str(self._out))

    def is_in_place(self) -> bool:
        """Whether the folder of the run is still the one that it began in."""
        try:
            return os.path.samestat(self._out.stat(), self._place)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def flushed_bytes(self) -> int:
        """Length of metrics.jsonl, all of which is on the disk."""
        self._metrics.flush()
        return self._metrics.bytes_written

    def close(self) -> None:
        """Close what is open."""
        self._all.close()
