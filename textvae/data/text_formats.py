"""The rows of each file format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from textvae.data.arrays import array_items
from textvae.data.columns import (
    LABEL,
    LOG_PROB,
    SEPARATORS,
    TEXT,
    Choice,
    Columns,
    value_of,
)
from textvae.data.lines import lines_of, read_lines, text_chunks
from textvae.data.parquet import parquet_rows
from textvae.data.rows import Row, checked_row
from textvae.data.sources import Source
from textvae.data.tables import table_rows
from textvae.errors import DataError, shown
from textvae.files.untrusted import without_doubles
from textvae.progress import Remarks

_BLANKS = b" \t\r\n"


def read_rows(source: Source, choice: Choice, remarks: Remarks | None = None) -> Iterator[Row]:
    """The rows of one file or stream; a blank line is an empty sentence.

    Raises:
        NotFoundError: the file or a column does not exist.
        DataError: the content cannot be read; the message names the file and, if known, the line.
    """
    return _READERS[source.format](source, choice, remarks or Remarks())


def _txt_rows(source: Source, choice: Choice, remarks: Remarks) -> Iterator[Row]:
    for number, line in read_lines(source):
        if number == 1:
            _remark_on(line, source, remarks)
        yield Row(line.strip())


def _remark_on(line: str, source: Source, remarks: Remarks) -> None:
    """Say that an unknown format is read as plain text; warn if its first line looks like one of
    a table or of JSON."""
    if source.unknown:
        remarks.note(
            source.name,
            f"the ending {shown(source.unknown)} says no format; read as plain text, one sentence "
            "per line",
        )
    cells = (line.split(separator) for separator in SEPARATORS)
    names = [[cell.strip(' "').casefold() for cell in row] for row in cells if len(row) > 1]
    if any(TEXT in row for row in names):
        what = "the header of a table; if it is one, name the file .csv or .tsv"
    elif line.startswith('{"') or line.startswith(('[{"', '["')):
        what = "JSON; if it is, name the file .jsonl or .json"
    else:
        return
    remarks.warn(source.name, f"every line is read as a sentence, but the first looks like {what}")


def _jsonl_rows(source: Source, choice: Choice, remarks: Remarks) -> Iterator[Row]:
    return _object_rows(_json_lines(read_lines(source), source), source, choice, remarks)


def _json_lines(lines: Iterable[tuple[int, str]], source: Source) -> Iterator[tuple[str, Any]]:
    for number, line in lines:
        where = f"{source.name}:{number}"
        yield where, _json_object(line, where) if line.strip() else ""


def _json_rows(source: Source, choice: Choice, remarks: Remarks) -> Iterator[Row]:
    """The rows of an array of objects or of strings; or of one object per line, as in .jsonl."""
    chunks = text_chunks(source)
    start = b""
    for chunk in chunks:
        start += chunk
        if start.strip(_BLANKS):
            break
        start = start[-1:]  # white space only
    chunks = chain([start], chunks)
    if start.lstrip(_BLANKS).startswith(b"["):
        yield from _object_rows(array_items(chunks, source), source, choice, remarks)
        return
    lines = _json_lines(lines_of(chunks, source), source)
    first = True
    try:
        for row in _object_rows(lines, source, choice, remarks):
            yield row
            first = False
    except DataError as error:
        if not first:
            raise
        raise DataError(f"{error}; expected an array of objects or of strings") from None


def _object_rows(
    items: Iterable[tuple[str, Any]], source: Source, choice: Choice, remarks: Remarks
) -> Iterator[Row]:
    """The rows of (place, object or string); a string is a text without a label."""
    columns: Columns | None = None
    label: str | None = None
    log_prob: str | None = None
    for where, record in items:
        if isinstance(record, str):
            yield checked_row(where, record)
            continue
        if columns is None:
            textual = [name for name, value in record.items() if isinstance(value, str)]
            plain = [name for name, value in record.items() if not isinstance(value, list | dict)]
            columns = choice.among(list(record), textual, where, plain=plain)
            choice.tell(columns, remarks, source.name)
            # Later objects may have a label even if the first one has none.
            expected = choice.label or LABEL
            label = columns.label or (expected if columns.text != expected else None)
            log_prob = columns.log_prob or LOG_PROB
            log_prob = log_prob if log_prob not in (columns.text, label) else None
        if columns.text not in record:
            raise DataError(f"{where}: this object has no {shown(columns.text)}")
        yield checked_row(
            where,
            record[columns.text],
            value_of(record, label),
            value_of(record, log_prob),
        )


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
        hint = "; an array goes into a file named .json" if isinstance(record, list) else ""
        raise DataError(f"{where}: expected a JSON object, found {type(record).__name__}{hint}")
    return record


_READERS: dict[str, Callable[[Source, Choice, Remarks], Iterator[Row]]] = {
    ".txt": _txt_rows,
    ".csv": table_rows,
    ".tsv": table_rows,
    ".jsonl": _jsonl_rows,
    ".json": _json_rows,
    ".parquet": parquet_rows,
}
