"""Rows from whatever a user names: files in any known format, globs, stdin, data sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from textvae.config import DataConfig
from textvae.data.formats import Choice, read_rows
from textvae.data.rows import Row, checked_row, hash_fraction, text_cleaner
from textvae.data.sources import Source, find_sources
from textvae.errors import DataError

__all__ = ["Row", "hash_fraction", "open_rows", "read_sentences", "rows_of", "rows_of_texts"]


def open_rows(
    specs: Sequence[str],
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    lowercase: bool = False,
    normalization: str = "none",
) -> Iterator[Row]:
    """The rows of files, globs, `-` (stdin) and `hf:` names, one after the other, as a stream.

    A blank line is kept as a row with an empty text. What is not there is found out at the
    call, what is wrong inside a file when its row is reached.

    Raises:
        NotFoundError: a file, data set or column that is not there.
        DataError: a file that cannot be read as what its name says, with its line.
    """
    choice = Choice(text_column, label_column)
    rows = rows_of(find_sources(specs), choice)
    return clean_rows(rows, lowercase=lowercase, normalization=normalization)


def read_sentences(specs: Sequence[str], data: DataConfig) -> list[Row]:
    """All rows of `specs`, one for each input line, prepared as the model's training data was.

    Raises:
        NotFoundError, DataError: as `open_rows`; also where there is no row at all.
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
        raise DataError(f"{', '.join(specs)}: no sentences in it")
    return rows


def rows_of(sources: Iterable[Source], choice: Choice) -> Iterator[Row]:
    """The rows of sources that were found before, as they stand there."""
    for source in sources:
        if source.format == "hf":
            # Here and not above: `datasets` takes seconds to import.
            from textvae.data.hub import read_hub_rows

            yield from read_hub_rows(source.name, choice)
        else:
            yield from read_rows(source, choice)


def rows_of_texts(texts: Iterable[str], data: DataConfig, *, name: str = "texts") -> Iterator[Row]:
    """The rows of texts in memory, lower-cased and normalised as `data` says.

    Raises:
        DataError: one that is not a string.
    """
    rows = (checked_row(f"{name}[{place}]", text) for place, text in enumerate(texts))
    return clean_rows(rows, lowercase=data.lowercase, normalization=data.normalization)


def clean_rows(rows: Iterator[Row], *, lowercase: bool, normalization: str) -> Iterator[Row]:
    """The rows with their texts lower-cased and normalised."""
    clean = text_cleaner(lowercase=lowercase, normalization=normalization)
    if clean is None:
        return rows
    return (Row(clean(row.text), row.label, row.log_prob) for row in rows)
