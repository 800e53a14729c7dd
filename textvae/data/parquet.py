"""The rows of a Parquet file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from textvae.data.columns import Choice, value_of
from textvae.data.compression import check_expansion, read_chunks
from textvae.data.rows import Row, checked_row
from textvae.data.sources import Source
from textvae.errors import DataError, is_utf8
from textvae.progress import Remarks

if TYPE_CHECKING:
    import pyarrow

_SMALL = 64 << 10  # bytes; a smaller Parquet file counts as this size in the expansion check
_FEW_BYTES = 1 << 20  # of a batch
# Rows decoded at once: few, because each may be as long as a text can be, even if a text that all
# rows share is stored once.
_PARQUET_ROWS = 8


def parquet_rows(source: Source, choice: Choice, remarks: Remarks) -> Iterator[Row]:
    """The rows of a Parquet file, decoded a few at a time."""
    import pyarrow
    import pyarrow.parquet

    number = 0
    with tempfile.TemporaryFile() as spool:
        try:
            place = _seekable(source, spool)
            packed = os.stat(place if isinstance(place, Path) else place.fileno()).st_size
            file = pyarrow.parquet.ParquetFile(place)
            groups = map(file.metadata.row_group, range(file.num_row_groups))
            check_expansion(source.name, packed, sum(group.total_byte_size for group in groups))
            schema = file.schema_arrow
            textual = [field.name for field in schema if _holds_text(field.type)]
            plain = [field.name for field in schema if _holds_labels(field.type)]
            columns = choice.among(schema.names, textual, source.name, plain=plain)
            choice.tell(columns, remarks, source.name)
            wanted = [n for n in (columns.text, columns.label, columns.log_prob) if n is not None]
            unpacked = 0
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=wanted):
                for values in _values_of(batch, wanted):
                    number += 1
                    record = dict(zip(wanted, values, strict=True))
                    row = checked_row(
                        f"{source.name}: row {number}",
                        record[columns.text],
                        value_of(record, columns.label),
                        value_of(record, columns.log_prob),
                    )
                    # Equal texts are stored once, so a small file may hold billions of rows.
                    unpacked += len(row.text) + 1
                    check_expansion(source.name, max(packed, _SMALL), unpacked)
                    yield row
        except UnicodeDecodeError:
            raise DataError(
                f"{source.name}: row {number + 1}: the text is not valid UTF-8"
            ) from None
        except (pyarrow.ArrowException, OSError) as error:
            message = " ".join(str(error).split())
            raise DataError(f"{source.name}: damaged or not a Parquet file: {message}") from None
        except (ValueError, OverflowError) as error:  # a date beyond Python's range
            raise DataError(f"{source.name}: row {number + 1}: cannot be read: {error}") from None


def _values_of(batch: Any, wanted: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch as Python values; one by one if the batch is large or a value fails."""
    columns = [batch.column(name) for name in wanted]
    if batch.nbytes < _FEW_BYTES:
        with contextlib.suppress(ValueError, OverflowError):
            return zip(*(column.to_pylist() for column in columns), strict=True)
    rows = zip(*columns, strict=True)
    return (tuple(value.as_py() for value in row) for row in rows)


def _seekable(source: Source, spool: IO[bytes]) -> Any:
    """The path of a Parquet file, or `spool` filled with its decompressed bytes.

    Parquet is read from its end, so compressed files, pipes and stdin are unpacked first; so is a
    file whose name is not UTF-8, which pyarrow does not open.
    """
    path = source.path
    if path is not None and not source.compression and path.is_file() and is_utf8(str(path)):
        return path
    for chunk in read_chunks(source):
        spool.write(chunk)
    spool.seek(0)
    return spool


def _holds_text(type_: pyarrow.DataType) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(type_):
        return _holds_text(type_.value_type)
    return bool(
        types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_)
    )


def _holds_labels(type_: pyarrow.DataType) -> bool:
    import pyarrow.types as types

    number = types.is_integer(type_) or types.is_floating(type_) or types.is_boolean(type_)
    return number or _holds_text(type_)
