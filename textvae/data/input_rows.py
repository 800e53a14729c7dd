"""Sentences from a file or from memory, as rows, prepared as a model's training text was."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from textvae.config import DataConfig
from textvae.data.opening import clean_rows, open_rows
from textvae.data.rows import Row, checked_row
from textvae.data.texts import check_text, items_of, place_of, refuse_file_names
from textvae.errors import DataError, NotFoundError, UsageError, worded
from textvae.files.home import expand_home
from textvae.number_format import counted
from textvae.progress import Remarks, Say

CHUNK = 1024  # rows read, computed and written at once

# The name of a file, a glob, `-` (stdin), an `hf:` name; or sentences, with labels as rows.
Sentences: TypeAlias = str | Path | Iterable[str | Row]


def rows_from(
    sentences: Sentences,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    needs_label: bool = True,
    remarks: Remarks | None = None,
) -> Iterator[Row]:
    """The rows as they stand in the source, one for each line; nothing is dropped.

    `remarks` gets what is recognized in a file. Without `needs_label`, a table may lack the label
    column.

    Raises:
        NotFoundError: a file or column that is not there.
        DataError: a file that cannot be read, or a value that is no text.
        UsageError: a table instead of one of its columns, or several names of files.
    """
    if isinstance(sentences, str | Path):
        name = file_name(sentences)
        return open_rows(
            [name],
            text_column=text_column,
            label_column=label_column,
            needs_label=needs_label,
            remarks=remarks,
        )
    items = items_of(sentences)
    refuse_file_names(sentences)
    return _rows_of(items, sentences)


def file_name(sentences: str | Path) -> str:
    """The name of a file, a glob, `-` or an `hf:` name, with `~` expanded.

    Raises:
        NotFoundError: in Python, a name that is probably a sentence: a list was expected.
    """
    name = expand_home(str(sentences))
    sentence = len(name.split()) > 1 and not glob.has_magic(name) and not name.startswith("hf:")
    if sentence and not os.path.lexists(name):
        raise NotFoundError(
            f"{name}: no such file{worded('', '; to give a sentence, write a list: [text]')}"
        )
    return name


def _rows_of(items: Iterable[str | Row], given: object) -> Iterator[Row]:
    for place, row in enumerate(items):
        where = place_of(given, place)
        if isinstance(row, Row):
            yield checked_row(where, row.text, row.label, row.log_prob)
        else:
            check_text(row, where)
            yield Row(row)


def prepared(rows: Iterator[Row], data: DataConfig) -> Iterator[Row]:
    """The rows with their texts prepared as the model's training text was."""
    return clean_rows(rows, lowercase=data.lowercase, normalization=data.normalization)


def prepared_rows(
    sentences: Sentences,
    data: DataConfig,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    needs_label: bool = True,
    remarks: Remarks | None = None,
) -> Iterator[Row]:
    """The rows of `rows_from`, prepared; without a text column, that of the training is read."""
    rows = rows_from(
        sentences,
        text_column=text_column or data.text_column,
        label_column=label_column,
        needs_label=needs_label,
        remarks=remarks,
    )
    return prepared(rows, data)


def name_of(sentences: Sentences) -> str:
    """What messages call the source of sentences."""
    if isinstance(sentences, str | Path):
        return "stdin" if str(sentences) == "-" else str(sentences)
    return "texts"


def read_stdin_once(*sources: object) -> None:
    """Raise UsageError where standard input, `-`, is named twice."""
    if sum(isinstance(source, str | Path) and str(source) == "-" for source in sources) > 1:
        raise UsageError("`-` is given twice, but standard input can be read once; name a file")


def in_chunks(rows: Iterator[Row], size: int | None = None) -> Iterator[tuple[int, list[Row]]]:
    """(index of the first row, rows), `size` rows at a time; by default `CHUNK`."""
    start = 0
    while chunk := list(itertools.islice(rows, size or CHUNK)):
        yield start, chunk
        start += len(chunk)


def warn_if_empty(rows: Iterator[Row], name: str, warn: Say) -> Iterator[Row]:
    """The rows; at the end, a warning where there was none."""
    n = 0
    for n, row in enumerate(rows, start=1):  # noqa: B007  # counted
        yield row
    if n == 0:
        warn(f"{name}: no sentence in it")


def with_text(rows: Iterator[Row], name: str, warn: Say) -> Iterator[Row]:
    """The rows that have a text; at the end, a warning that says how many have none."""
    n = n_blank = 0
    for n, row in enumerate(rows, start=1):  # noqa: B007  # counted
        if row.text.strip():
            yield row
        else:
            n_blank += 1
    if n_blank < n:
        warn_of_blank(n_blank, name, warn)


def warn_of_blank(n: int, name: str, warn: Say) -> None:
    """Warn of the number of skipped blank lines, if any."""
    if n:
        warn(f"{name}: skipped {counted(n, 'blank line')}")


def require_text(rows: Iterator[Row], name: str) -> Iterator[Row]:
    """The rows, at least one of which has a text.

    Raises:
        DataError: at the end, where none has.
    """
    n, has_text = 0, False
    for n, row in enumerate(rows, start=1):  # noqa: B007  # counted
        has_text = has_text or bool(row.text.strip())
        yield row
    if not has_text:
        raise DataError(f"{name}: no sentence to evaluate: {counted(n, 'line')}, none with text")
