"""The finished parts of a vector file, in a folder beside it until all are done."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.data.arrow import to_numpy
from textvae.errors import DataError, UsageError, option, worded
from textvae.export.formats import parquet_schema, parquet_table
from textvae.export.table import Block
from textvae.files.atomic import half_written, replacing
from textvae.files.lock import LOCK_FILE
from textvae.files.untrusted import parse_json, read_text
from textvae.number_format import counted

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray

    from textvae.data.input_rows import Sentences

PART = 16_384  # rows of a part: sorted by length together, and all that an interruption can lose
RUN_FILE = "run.json"
FILES = r"run\.json|part-\d{6}\.parquet"
NAMES = {"model": "model", "input": "input", "part": "version"}
NO_PART = (KeyError, TypeError, ValueError, AttributeError)  # from a table of other columns


class Parts:
    """The parts of one run: part k holds the rows from k * PART on.

    Each is a file that is complete or missing. A note of what the run computes lies beside the
    parts, so that another run does not take them for its own.

    Args:
        destination: the vector file.
    """

    def __init__(self, destination: Path) -> None:
        self.folder = destination.with_name(f".{destination.name}.parts")

    def claim(self, run: Mapping[str, Any], *, start_over: bool = False) -> None:
        """Take the folder for `run`, which names all that its vectors depend on.

        Parts of the same run stay. Parts of an input that can be read only once (its `input` is
        None) are of no use to another run and are removed.

        Args:
            start_over: remove all parts.

        Raises:
            UsageError: there are parts of another run, which would be lost.
        """
        self.folder.mkdir(exist_ok=True)
        mine = json.loads(json.dumps(run))
        left = self._run()
        same = left == mine and mine["input"] is not None and not start_over
        if (
            not same
            and not start_over
            and (left is None or "input" not in left or left["input"] is not None)
        ):
            self._refuse_to_lose(left or {}, mine)
        for path in half_written(self.folder, FILES) if same else self._files():
            path.unlink(missing_ok=True)
        with replacing(self.folder / RUN_FILE) as file:
            file.write(json.dumps(mine).encode())

    def _refuse_to_lose(self, left: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
        if done := self.rows_done():
            names = [
                NAMES.get(key) or named(key)
                for key in mine
                if key not in left or left[key] != mine[key]
            ]
            raise UsageError(
                f"{self.folder} holds {counted(done, 'sentence')} of an interrupted run with "
                f"another {' and '.join(names)}; repeat that {worded('command', 'call')} to "
                f"continue, or pass {option('start_over', True)} to discard the partial run"
            )

    def count(self, rows: int) -> int:
        """The number of parts of so many rows."""
        return -(-rows // PART)

    def holds(self, number: int, rows: int) -> bool:
        """True if the part exists and has so many rows."""
        from pyarrow import ArrowException, parquet

        try:
            found: int = parquet.read_metadata(self._path(number)).num_rows
        except (OSError, ArrowException):  # not there, or damaged by a crash of the machine
            return False
        return found == rows

    def rows_done(self) -> int:
        """The rows of all existing parts."""
        from pyarrow import ArrowException, parquet

        done = 0
        for path in self.folder.glob("part-*.parquet"):
            with contextlib.suppress(OSError, ArrowException):
                done += parquet.read_metadata(path).num_rows
        return done

    def write(self, number: int, block: Block, cut: int) -> None:
        """Write a part; `cut` counts its truncated sentences."""
        from pyarrow import parquet

        schema = parquet_schema(block, {"start": str(block.start), "cut": str(cut)})
        table = parquet_table(block, schema)
        with replacing(self._path(number)) as file:
            parquet.write_table(
                table,
                file,
                compression="none",
                use_dictionary=False,
                write_page_checksum=True,
            )

    def blocks(self, count: int) -> Iterator[Block]:
        """The first `count` parts, one after the other.

        Raises:
            DataError: one is missing or damaged.
        """
        for number in range(count):
            yield self._read(number)

    def cut(self, count: int) -> int:
        """The number of truncated sentences in the first `count` parts."""
        from pyarrow import parquet

        metadata = (parquet.read_schema(self._path(number)).metadata for number in range(count))
        return sum(int(found[b"cut"]) for found in metadata)

    def remove(self) -> None:
        """Remove the parts, and the folder if nothing else is in it."""
        for path in [*self._files(), self.folder / LOCK_FILE]:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def are_none(self) -> bool:
        """True if the folder exists and holds no more than its lock."""
        return self.folder.is_dir() and {p.name for p in self.folder.iterdir()} <= {LOCK_FILE}

    def _read(self, number: int) -> Block:
        from pyarrow import ArrowException, parquet

        path = self._path(number)
        try:
            # Not read_table, which imports pandas.
            with parquet.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read()
            return Block(
                int(table.schema.metadata[b"start"]),
                table["text"].to_pylist(),
                table["label"].to_pylist(),
                _matrix(table["vector"]),
                _matrix(table["variance"]) if "variance" in table.column_names else None,
            )
        except (OSError, ArrowException, *NO_PART) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            path.unlink(missing_ok=True)  # to be computed again
            raise DataError(
                f"{path}: cannot be read ({reason}); "
                f"{worded('run the same command again', 'repeat the call')}, and where several "
                "machines share the work, on a file system that all of them see"
            ) from None

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.parquet"

    def _files(self) -> list[Path]:
        whole = [path for path in self.folder.glob("*") if re.fullmatch(FILES, path.name)]
        return [*whole, *half_written(self.folder, FILES)]

    def _run(self) -> dict[str, Any] | None:
        """The run that the folder belongs to; None if unknown."""
        try:
            found = parse_json(read_text(self.folder / RUN_FILE))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def named(key: str) -> str:
    """The option that stands for a key of a run."""
    if key == "sample_seed":
        return worded("--sample or --seed", "sample_seed")
    return worded(option(key), key)


def input_state(sentences: Sentences) -> list[tuple[str, int, int]] | None:
    """Path, bytes and time of change of each file of an input; None: it can be read only once."""
    from textvae.data.input_rows import file_name
    from textvae.data.sources import find_sources

    if not isinstance(sentences, str | Path):
        return None
    state = []
    for source in find_sources([file_name(sentences)]):
        if source.path is None or not source.path.is_file():
            return None
        found = source.path.stat()
        state.append((str(source.path.resolve()), found.st_size, found.st_mtime_ns))
    return state


def _matrix(column: pyarrow.ChunkedArray) -> NDArray[np.float32]:
    """The lists of a column as a matrix (N, D)."""
    lists = column.combine_chunks()
    return to_numpy(lists.flatten()).reshape(-1, lists.type.list_size)
