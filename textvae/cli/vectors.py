"""Files of sentence vectors: one writer a format, each written beside its place and renamed."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from textvae.cli.files import check_folder, replacing
from textvae.cli.output import to_json
from textvae.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.data.readers import Row


class VectorWriter(Protocol):
    """Takes vectors chunk by chunk, in the order of the input."""

    def write(self, start: int, rows: Sequence[Row], vectors: NDArray[np.float32]) -> None:
        """Append `vectors` (N, Z) of `rows`; `start` is the index of the first."""

    def close(self) -> None:
        """Finish the file."""


def check_destination(path: Path) -> None:
    """Raise now what would else be noticed when all vectors are computed.

    Raises:
        UsageError: the ending of the name is not that of a known format.
        NotFoundError: the folder does not exist.
    """
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"--out {path}: the name must end in {', '.join(WRITERS)}")
    check_folder(path)


@contextlib.contextmanager
def vector_writer(path: Path, latent_size: int) -> Iterator[VectorWriter]:
    """The writer for the format that the name of `path` ends in; an error leaves no file."""
    writer_of = WRITERS[path.suffix.lower()]
    with replacing(path) as file, contextlib.closing(writer_of(file, latent_size)) as writer:
        yield writer


def json_row(index: int, row: Row, vector: NDArray[np.float32]) -> dict[str, Any]:
    """A vector as a JSON record, with the shortest decimals that give the same float32."""
    values = [float(str(value)) for value in vector]
    return {"index": index, "text": row.text, "label": row.label, "vector": values}


class NpyWriter:
    """`.npy`: the matrix (N, Z) alone."""

    def __init__(self, file: IO[bytes], latent_size: int) -> None:
        self._file = file
        self._latent_size = latent_size
        self._n = 0
        self._write_header()

    def write(self, start: int, rows: Sequence[Row], vectors: NDArray[np.float32]) -> None:
        self._file.write(vectors.astype("<f4", order="C").tobytes())
        self._n += len(vectors)

    def close(self) -> None:
        # NumPy pads the header for a growing first axis, so that its length stays the same.
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        from numpy.lib import format as npy

        shape = (self._n, self._latent_size)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, header)


class TextWriter:
    """What the writers of text files share: UTF-8 on the open file."""

    def __init__(self, file: IO[bytes], latent_size: int) -> None:
        import io

        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)

    def close(self) -> None:
        self._text.detach()


class CsvWriter(TextWriter):
    """`.csv`: columns index, text, label, z0 ... ; RFC 4180."""

    def __init__(self, file: IO[bytes], latent_size: int) -> None:
        super().__init__(file, latent_size)
        self._rows = csv.writer(self._text)
        self._rows.writerow(["index", "text", "label", *(f"z{i}" for i in range(latent_size))])

    def write(self, start: int, rows: Sequence[Row], vectors: NDArray[np.float32]) -> None:
        for index, (row, vector) in enumerate(zip(rows, vectors, strict=True), start):
            self._rows.writerow([index, row.text, row.label, *map(str, vector)])


class JsonlWriter(TextWriter):
    """`.jsonl`: an object a line."""

    def write(self, start: int, rows: Sequence[Row], vectors: NDArray[np.float32]) -> None:
        for index, (row, vector) in enumerate(zip(rows, vectors, strict=True), start):
            self._text.write(to_json(json_row(index, row, vector)) + "\n")


class ParquetWriter:
    """`.parquet`: columns index, text, label, vector; a row group for each chunk."""

    def __init__(self, file: IO[bytes], latent_size: int) -> None:
        import pyarrow
        from pyarrow import parquet

        vector = pyarrow.list_(pyarrow.float32(), latent_size)
        text = pyarrow.string()
        fields = {"index": pyarrow.int64(), "text": text, "label": text, "vector": vector}
        self._schema = pyarrow.schema(list(fields.items()))
        self._parquet = parquet.ParquetWriter(file, self._schema)

    def write(self, start: int, rows: Sequence[Row], vectors: NDArray[np.float32]) -> None:
        import pyarrow

        columns = [
            pyarrow.array(range(start, start + len(rows)), pyarrow.int64()),
            pyarrow.array([row.text for row in rows], pyarrow.string()),
            pyarrow.array([row.label for row in rows], pyarrow.string()),
            pyarrow.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1]),
        ]
        self._parquet.write_table(pyarrow.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        self._parquet.close()


class CollectingWriter:
    """What the writers share whose formats must know all rows first."""

    def __init__(self, file: IO[bytes], latent_size: int) -> None:
        import numpy as np

        self._file = file
        self._rows: list[Row] = []
        self._vectors = [np.empty((0, latent_size), dtype=np.float32)]

    def write(self, start: int, rows: Sequence[Row], vectors: NDArray[np.float32]) -> None:
        self._rows += rows
        self._vectors.append(vectors)


class NpzWriter(CollectingWriter):
    """`.npz`: arrays vectors, texts and, where there are any, labels (none is empty)."""

    def close(self) -> None:
        import numpy as np

        arrays: dict[str, Any] = {
            "vectors": np.concatenate(self._vectors),
            "texts": np.array([row.text for row in self._rows], dtype=np.str_),
        }
        if any(row.label is not None for row in self._rows):
            arrays["labels"] = np.array([row.label or "" for row in self._rows], dtype=np.str_)
        np.savez(self._file, **arrays)


class SafetensorsWriter(CollectingWriter):
    """`.safetensors`: the tensor `vectors` alone; the format has no place for texts."""

    def close(self) -> None:
        import numpy as np
        from safetensors.numpy import save

        self._file.write(save({"vectors": np.concatenate(self._vectors)}))


WRITERS: dict[str, Callable[[IO[bytes], int], VectorWriter]] = {
    ".npy": NpyWriter,
    ".npz": NpzWriter,
    ".csv": CsvWriter,
    ".jsonl": JsonlWriter,
    ".parquet": ParquetWriter,
    ".safetensors": SafetensorsWriter,
}
