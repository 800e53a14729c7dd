"""The log of a run: metrics.jsonl, the trackers and the reporter get each of its records."""

from __future__ import annotations

import errno
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from textvae.config import Config
from textvae.errors import worded
from textvae.files.atomic import naming
from textvae.files.names import METRICS_FILE
from textvae.training.reporting import Reporter, best_record
from textvae.training.tracking import Trackers


class MetricsLog:
    """Writes the records of the main process of a run.

    Args:
        out: folder of the run.
        config: sent to the trackers.
        reporter: gets each record, too.
        keep_bytes: length of metrics.jsonl that a resumed run keeps.
    """

    def __init__(self, out: Path, config: Config, reporter: Reporter, keep_bytes: int) -> None:
        self._out, self._place = out, out.stat()
        self._reporter = reporter
        with ExitStack() as opened:
            self._metrics = MetricsFile(out / METRICS_FILE, keep_bytes)
            opened.callback(self._metrics.close)
            if self._metrics.bytes_written < keep_bytes:
                short = "is shorter than at the checkpoint; the missing lines are lost"
                reporter.warn(f"{out / METRICS_FILE} {short}")
            self._trackers = Trackers(config.training.track, out, config)
            opened.callback(self._trackers.close)
            self._all = opened.pop_all()  # closes each, also where another fails

    def write(self, record: dict[str, Any]) -> None:
        """Write a record of training steps or of an evaluation."""
        self._metrics.write(record)
        self._trackers.log(record)
        self._reporter.log(record)

    def go_back(self, keep_bytes: int, event: dict[str, Any]) -> bool:
        """Remove the records after the first `keep_bytes` of metrics.jsonl, and write why.

        The model that was saved last stays, so its record stays, too; True if it was among them.
        """
        best = best_record(self._metrics.records_after(keep_bytes))
        self._metrics.truncate(keep_bytes)
        for record in (best, event) if best else (event,):
            self._metrics.write(record)
        return bool(best)

    def check_place(self) -> None:
        """Raise OSError if the folder of the run was moved or removed.

        Writing by name would otherwise create a second folder, with half of a run.
        """
        if not self.is_in_place():
            moved = (
                "the folder was moved or removed during the training; if it was moved, resume with "
                f"{worded('--resume and --out with its new name', 'resume=True and its new name')}"
            )
            raise OSError(errno.ENOENT, moved, str(self._out))

    def is_in_place(self) -> bool:
        """True if the folder of the run is still the one in which it started."""
        try:
            return os.path.samestat(self._out.stat(), self._place)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def flushed_bytes(self) -> int:
        """Length of metrics.jsonl, after it was flushed to the disk."""
        self._metrics.flush()
        return self._metrics.bytes_written

    def close(self) -> None:
        """Close metrics.jsonl and the trackers."""
        self._all.close()


class MetricsFile:
    """metrics.jsonl: one line per record, written at once and completely.

    Args:
        path: the file.
        keep_bytes: the length at the checkpoint of a resumed run; later lines are removed.
    """

    def __init__(self, path: Path, keep_bytes: int) -> None:
        self._path = path
        with naming(path):
            self._file = open(path, "ab", buffering=0)  # a buffer would try again what failed
            self.truncate(keep_bytes)

    def truncate(self, keep_bytes: int) -> None:
        """Remove all after the first `keep_bytes`."""
        if self._file.tell() > keep_bytes:
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)

    def records_after(self, start: int) -> list[dict[str, Any]]:
        """The records after the first `start` bytes."""
        with naming(self._path), open(self._path, "rb") as file:
            file.seek(start)
            return [json.loads(line) for line in file]

    def write(self, record: dict[str, Any]) -> None:
        """Append one record; on an error, nothing of it."""
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
        """Flush the file to the disk."""
        with naming(self._path):
            os.fsync(self._file.fileno())

    @property
    def bytes_written(self) -> int:
        """Length of the file."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
