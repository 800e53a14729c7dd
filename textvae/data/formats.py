"""The rows of each file format."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from textvae.data.rows import Row, checked_row
from textvae.data.sources import Source, check_expansion, read_chunks, read_lines
from textvae.errors import DataError, NotFoundError, is_utf8, option, shown
from textvae.files.untrusted import without_doubles

if TYPE_CHECKING:
    import pyarrow

LOG_PROB = "log_prob"
_LISTED, _LONG_NAME = 9, 50  # columns listed in a message; characters of a name shown unquoted
_SMALL = 64 << 10  # bytes; a smaller Parquet file counts as this size in the expansion check
_FEW_BYTES = 1 << 20  # of a batch
# Rows decoded at once: few, because each may be as long as a text can be, even if a text that all
# rows share is stored once.
_PARQUET_ROWS = 8


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read."""

    text: str
    label: str | None
    log_prob: str | None


@dataclass(frozen=True)
class Choice:
    """The columns that the user asked for; None: the default names."""

    text: str | None = None
    label: str | None = None

    def among(self, names: Sequence[str], textual: Sequence[str], where: str) -> Columns:
        """The columns to read of a file with columns `names`.

        Args:
            names: all columns.
            textual: the columns that may hold the text.
            where: file (and line) for messages.

        Raises:
            NotFoundError: a column does not exist, or the text column is unclear; the message
                lists the columns.
            DataError: a column name occurs twice.
        """
        more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
        first = [name if len(name) < _LONG_NAME else shown(name) for name in names[:_LISTED]]
        listing = f"its columns are {', '.join(first) or 'none'}{more}"
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise DataError(f"{where}: duplicate column {shown(doubled[0])}; {listing}")
        for wanted in (self.text, self.label):
            if wanted is not None and wanted not in names:
                raise NotFoundError(f"{where}: no column {shown(wanted)}; {listing}")
        label = self.label or ("label" if "label" in names and self.text != "label" else None)
        text = self.text or ("text" if "text" in names else None)
        if text is None:
            candidates = [name for name in textual if name not in (label, LOG_PROB)]
            if len(candidates) != 1:
                raise NotFoundError(
                    f"{where}: no column 'text'; {listing}; choose one with {option('text_column')}"
                )
            text = candidates[0]
        free = LOG_PROB in names and LOG_PROB not in (text, label)
        return Columns(text, label, LOG_PROB if free else None)


def read_rows(source: Source, choice: Choice) -> Iterator[Row]:
    """The rows of one file or stream; a blank line is an empty sentence.

    Raises:
        NotFoundError: the file or a column does not exist.
        DataError: the content cannot be read; the message names the file and, if known, the line.
    """
    return _READERS[source.format](source, choice)


def _txt_rows(source: Source, choice: Choice) -> Iterator[Row]:
    for _, line in read_lines(source):
        yield Row(line.strip())


def _tsv_rows(source: Source, choice: Choice) -> Iterator[Row]:
    """The rows of tab-separated values without quoting: a quotation mark is ordinary text."""
    lines = ((number, line.removesuffix("\r")) for number, line in read_lines(source))
    return _table_rows(
        ((number, line.split("\t") if line else []) for number, line in lines), source, choice
    )


def _csv_rows(source: Source, choice: Choice) -> Iterator[Row]:
    """The rows of RFC 4180: a quoted field may hold commas, doubled quotes and newlines."""
    return _table_rows(_csv_records(source), source, choice)


def _csv_records(source: Source) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((line + "\n" for _, line in read_lines(source)), strict=True)
    while True:
        number = reader.line_num + 1  # first line of the record, which may span several
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The limit of csv is global to the process, so it is not ours to raise.
            if "field limit" in str(error):
                raise DataError(
                    f"{source.name}:{number}: a field of more than {csv.field_size_limit():,} "
                    "characters; is a quotation mark never closed? If the field is right, use "
                    ".tsv or .jsonl"
                ) from None
            raise DataError(f"{source.name}:{number}: not valid CSV (RFC 4180): {error}") from None
        yield number, record


def _table_rows(
    records: Iterable[tuple[int, list[str]]], source: Source, choice: Choice
) -> Iterator[Row]:
    records = iter(records)
    _, names = next(records, (1, []))
    if not names:
        raise DataError(f"{source.name}:1: expected a header line with the column names")
    columns = choice.among(names, names, f"{source.name}:1")
    text = names.index(columns.text)
    label = None if columns.label is None else names.index(columns.label)
    log_prob = None if columns.log_prob is None else names.index(columns.log_prob)
    for number, record in records:
        if not record:
            yield Row("")
            continue
        if len(record) != len(names):
            raise DataError(
                f"{source.name}:{number}: expected {len(names)} fields as in the header, "
                f"found {len(record)}"
            )
        yield checked_row(
            f"{source.name}:{number}",
            record[text],
            None if label is None else record[label],
            None if log_prob is None else record[log_prob],
        )


def _jsonl_rows(source: Source, choice: Choice) -> Iterator[Row]:
    columns: Columns | None = None
    label: str | None = None
    log_prob: str | None = None
    for number, line in read_lines(source):
        where = f"{source.name}:{number}"
        if not line.strip():
            yield Row("")
            continue
        record = _json_object(line, where)
        if columns is None:
            textual = [name for name, value in record.items() if isinstance(value, str)]
            columns = choice.among(list(record), textual, where)
            # Later objects may have a label even if the first one has none.
            label = columns.label or ("label" if columns.text != "label" else None)
            log_prob = LOG_PROB if LOG_PROB not in (columns.text, label) else None
        if columns.text not in record:
            raise DataError(f"{where}: this object has no {shown(columns.text)}")
        yield checked_row(
            where,
            record[columns.text],
            value_of(record, label),
            value_of(record, log_prob),
        )


def value_of(record: Mapping[str, Any], name: str | None) -> Any:
    """The value of an optional column of a record; None if `name` is None or missing."""
    return None if name is None else record.get(name)


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line, object_pairs_hook=without_doubles)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: not valid JSON: {error.msg} at character {error.pos + 1} of the line"
        ) from None
    except ValueError as error:  # a duplicate name, a number of 5,000 digits
        raise DataError(f"{where}: not valid JSON: {error}") from None
    except RecursionError:
        raise DataError(f"{where}: not valid JSON: nested too deeply") from None
    if not isinstance(record, dict):
        raise DataError(f"{where}: expected a JSON object, found {type(record).__name__}")
    return record


def _parquet_rows(source: Source, choice: Choice) -> Iterator[Row]:
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
            columns = choice.among(schema.names, textual, source.name)
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


_READERS: dict[str, Callable[[Source, Choice], Iterator[Row]]] = {
    ".txt": _txt_rows,
    ".csv": _csv_rows,
    ".tsv": _tsv_rows,
    ".jsonl": _jsonl_rows,
    ".parquet": _parquet_rows,
}
