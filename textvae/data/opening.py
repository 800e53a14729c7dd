"""Rows from any source that a user names: files of all formats, globs, stdin, data sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from textvae.config import DataConfig
from textvae.data.columns import Choice
from textvae.data.doubts import watched
from textvae.data.rows import Row, checked_row, hash_fraction, text_cleaner
from textvae.data.sources import Source, find_sources
from textvae.data.text_formats import read_rows
from textvae.errors import DataError
from textvae.progress import Remarks

__all__ = ["Row", "hash_fraction", "open_rows", "read_sentences", "rows_of", "rows_of_texts"]


def open_rows(
    specs: Sequence[str],
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    needs_label: bool = True,
    lowercase: bool = False,
    normalization: str = "none",
    remarks: Remarks | None = None,
) -> Iterator[Row]:
    """The rows of files, globs, `-` (stdin) and `hf:` names, one source after the other, streamed.

    A blank line is a row with an empty text. Missing files raise at the call; errors inside a file
    raise when the stream reaches them. `remarks` hears which columns were recognized, and what is
    likely to be a mistake. Without `needs_label`, a table may lack the label column.

    Raises:
        NotFoundError: a file, data set or column does not exist.
        DataError: a file cannot be read in the format of its name; the message names the line.
    """
    choice = Choice(text_column, label_column, needs_label)
    rows = rows_of(find_sources(specs), choice, remarks or Remarks(), doubts=True)
    return clean_rows(rows, lowercase=lowercase, normalization=normalization)


def read_sentences(specs: Sequence[str], data: DataConfig) -> list[Row]:
    """All rows of `specs`, one for each input line, prepared like the model's training data.

    Raises:
        NotFoundError, DataError: as in `open_rows`; also if there are no rows.
    """
    rows = list(
        open_rows(
            specs,
            text_column=data.text_column,
            label_column=data.label_column,
            lowercase=data.lowercase,
            normalization=data.normalization,
        )
    )
    if not rows:
        raise DataError(f"{', '.join(specs)}: no sentences found")
    return rows


def rows_of(
    sources: Iterable[Source], choice: Choice, remarks: Remarks, *, doubts: bool = False
) -> Iterator[Row]:
    """The rows of the given sources, unchanged; with `doubts`, doubtful texts are warned of."""
    for source in sources:
        if source.format == "hf":
            # Imported here: `datasets` takes seconds to import.
            from textvae.data.hub import read_hub_rows

            rows = read_hub_rows(source.name, choice, remarks)
        else:
            rows = read_rows(source, choice, remarks)
        yield from watched(rows, source.name, remarks) if doubts else rows


def rows_of_texts(
    texts: Iterable[str | Row], data: DataConfig, *, name: str = "texts"
) -> Iterator[Row]:
    """The rows of texts in memory, with the normalization and lower-casing of `data`.

    Raises:
        DataError: a text is not a string.
    """
    rows = (
        checked_row(f"{name}[{place}]", item.text, item.label, item.log_prob)
        if isinstance(item, Row)
        else checked_row(f"{name}[{place}]", item)
        for place, item in enumerate(texts)
    )
    return clean_rows(rows, lowercase=data.lowercase, normalization=data.normalization)


def clean_rows(rows: Iterator[Row], *, lowercase: bool, normalization: str) -> Iterator[Row]:
    """The rows with normalized and lower-cased texts."""
    clean = text_cleaner(lowercase=lowercase, normalization=normalization)
    if clean is None:
        return rows
    return (Row(clean(row.text), row.label, row.log_prob) for row in rows)
