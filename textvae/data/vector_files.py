"""Vectors read back from `.npy` and `.parquet` files, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textvae.data.compression import check_expansion
from textvae.errors import DataError, is_utf8, shown
from textvae.files.untrusted import parse_json, reason

if TYPE_CHECKING:
    import pyarrow

VALUES = 3 << 19  # of a block; more would not stay in a processor's cache
_FEWEST_ROWS, _MOST_ROWS = 256, 16_384  # of a block
VECTOR = "vector"  # a column
_DESCRIPTION = b"textvae"  # of the vectors, in the metadata of a .parquet file


@dataclass(frozen=True, eq=False)
class VectorBlock:
    """Consecutive rows of a file."""

    first: int  # index of the first row
    vectors: NDArray[Any]  # (B, D) of floats or int8; (B, ceil(D / 8)) uint8 for bits
    texts: list[str] | None  # None where the file has no texts
    labels: list[str | None] | None


@dataclass(frozen=True)
class VectorFile:
    """A file of vectors.

    Args:
        n: rows.
        width: values in a row.
        kind: of the values, as in `numpy.dtype.kind`, and their bytes: `f4`, `i1`, `u1`.
        description: what `textvae embed` says of the vectors: layer, normalize, quantize, ...;
            empty where the file has no place for a description.
    """

    path: Path
    n: int
    width: int
    kind: str
    has_texts: bool
    description: dict[str, Any]

    def blocks(self) -> Iterator[VectorBlock]:
        """The rows, some thousand at a time.

        Raises:
            DataError: the file is damaged.
        """
        found = _npy_blocks if self.path.suffix.lower() == ".npy" else _parquet_blocks
        rows = VALUES // max(self.width, 1)
        return found(self, max(_FEWEST_ROWS, min(rows, _MOST_ROWS)))


def holds_vectors(path: Path) -> bool:
    """True for a `.npy` file, and for a `.parquet` file with a column `vector`."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return path.is_file()
    if suffix not in (".parquet", ".pq") or not path.is_file() or not is_utf8(str(path)):
        return False
    import pyarrow
    from pyarrow import parquet

    try:
        return VECTOR in parquet.read_schema(path).names
    except (pyarrow.ArrowException, OSError):
        return False  # the reader of texts says what is wrong


def open_vectors(path: Path) -> VectorFile:
    """The file of vectors; only its header is read.

    Raises:
        DataError: the file is damaged, or does not hold a table of numbers.
    """
    return _open_npy(path) if path.suffix.lower() == ".npy" else _open_parquet(path)


# .npy


def _mapped(path: Path) -> NDArray[Any]:
    try:
        return np.lib.format.open_memmap(path, mode="r")  # which refuses objects
    except (ValueError, EOFError, OSError, OverflowError, MemoryError) as error:
        raise DataError(f"{path}: damaged or not a .npy file: {reason(error)}") from None


def _open_npy(path: Path) -> VectorFile:
    array = _mapped(path)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: an array of shape {array.shape} and type {array.dtype}; expected numbers of "
            "shape (N, D), a row for each sentence"
        )
    n, width = array.shape
    return VectorFile(path, n, width, array.dtype.str[1:], has_texts=False, description={})


def _npy_blocks(file: VectorFile, rows: int) -> Iterator[VectorBlock]:
    for first in range(0, file.n, rows):
        # Mapped anew for each block: the memory of the last one is released.
        yield VectorBlock(first, np.array(_mapped(file.path)[first : first + rows]), None, None)


# .parquet


def _open_parquet(path: Path) -> VectorFile:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        type_, meta = file.schema_arrow.field(VECTOR).type, file.metadata
        description = _description(path, file.schema_arrow.metadata or {})
        groups = map(meta.row_group, range(meta.num_row_groups))
        check_expansion(str(path), path.stat().st_size, sum(g.total_byte_size for g in groups))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: damaged or not a Parquet file: {reason(error)}") from None
    width, kind = getattr(type_, "list_size", -1), ""
    if pyarrow.types.is_fixed_size_list(type_):
        kind = _kind(type_.value_type)
    if not kind:
        raise DataError(
            f"{path}: the column {VECTOR} is of type {type_}; expected lists of one length of "
            "numbers"
        )
    has_texts = "text" in file.schema_arrow.names
    return VectorFile(path, meta.num_rows, width, kind, has_texts, description)


def _kind(type_: pyarrow.DataType) -> str:
    try:
        kind = np.dtype(type_.to_pandas_dtype()).str[1:]
    except (NotImplementedError, TypeError):
        return ""
    return kind if kind[0] in "fiu" else ""


def _description(path: Path, metadata: dict[bytes, bytes]) -> dict[str, Any]:
    try:
        found = parse_json(metadata.get(_DESCRIPTION, b"{}").decode())
    except ValueError as error:
        raise DataError(f"{path}: the description of its vectors is damaged: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: the description of its vectors is {shown(found)}, not an object")
    return found


def _parquet_blocks(file: VectorFile, rows: int) -> Iterator[VectorBlock]:
    import pyarrow
    from pyarrow import parquet

    first = 0
    try:
        source = parquet.ParquetFile(file.path)
        columns = [n for n in (VECTOR, "text", "label") if n in source.schema_arrow.names]
        for batch in source.iter_batches(batch_size=rows, columns=columns):
            lists = batch.column(VECTOR)
            if lists.null_count or lists.flatten().null_count:
                raise DataError(f"{file.path}: a vector is missing in the rows from {first}")
            vectors = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, file.width)
            texts, labels = (
                batch.column(name).to_pylist() if name in columns else None
                for name in ("text", "label")
            )
            if texts is not None and not all(isinstance(text, str) for text in texts):
                raise DataError(f"{file.path}: a text is missing in the rows from {first}")
            yield VectorBlock(first, vectors, texts, labels)
            first += batch.num_rows
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file.path}: damaged: {reason(error)}") from None
