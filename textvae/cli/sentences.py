"""Sentences of a file or of stdin, in chunks, one row for each line."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textvae.cli.output import Output
from textvae.errors import DataError, UsageError
from textvae.wording import counted

if TYPE_CHECKING:
    from textvae.api import TextVAE
    from textvae.data.readers import Row

CHUNK = 1024  # rows read, computed and written at once


def read_rows(
    vae: TextVAE,
    file: str,
    output: Output,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
) -> Iterator[Row]:
    """The rows of `file`, prepared as the model's training text was; nothing is dropped.

    A text column that is not named is that of the training.
    """
    return prepared(
        vae,
        raw_rows(
            file,
            output,
            text_column=text_column or vae.config.data.text_column,
            label_column=label_column,
        ),
    )


def raw_rows(
    file: str, output: Output, *, text_column: str | None = None, label_column: str | None = None
) -> Iterator[Row]:
    """The rows of `file` as they stand there; nothing is dropped."""
    from textvae.data.readers import open_rows

    if file == "-" and sys.stdin is not None and sys.stdin.isatty():
        output.note("reading sentences from the terminal, one a line; end with Ctrl-D")
    return open_rows(
        [file], text_column=text_column, label_column=label_column, remarks=output.remarks
    )


def told_if_none(rows: Iterator[Row], file: str, output: Output) -> Iterator[Row]:
    """The rows; where there is none, people are told why nothing comes of it."""
    n = 0
    for n, row in enumerate(rows, start=1):  # noqa: B007  # counted
        yield row
    if n == 0:
        output.warn(f"{'stdin' if file == '-' else file}: no sentence in it")


def with_text(rows: Iterator[Row], file: str) -> Iterator[Row]:
    """The rows, of which one at least has a text.

    Raises:
        DataError: at the end, where none has.
    """
    n, spoken = 0, False
    for n, row in enumerate(rows, start=1):  # noqa: B007  # counted
        spoken = spoken or bool(row.text.strip())
        yield row
    if not spoken:
        raise DataError(
            f"{'stdin' if file == '-' else file}: no sentence to evaluate: {n:,} lines, none "
            "with text"
        )


def prepared(vae: TextVAE, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows with their texts prepared as the model's training text was."""
    from textvae.data.readers import clean_rows

    data = vae.config.data
    return clean_rows(rows, lowercase=data.lowercase, normalization=data.normalization)


def in_chunks(rows: Iterator[Row], size: int | None = None) -> Iterator[tuple[int, list[Row]]]:
    """(index of the first row, rows), `size` rows at a time; by default `CHUNK`."""
    start = 0
    while chunk := list(itertools.islice(rows, size or CHUNK)):
        yield start, chunk
        start += len(chunk)


def load_encoder(name: str, device: str, what: str) -> TextVAE:
    """The model, with a latent to do `what` by; if not, no input is read in vain.

    Raises:
        UsageError: it is a language model.
    """
    from textvae.api import TextVAE

    vae = TextVAE.from_pretrained(name, device=device)
    if vae.kind == "lm":
        raise UsageError(f"{name} is a language model: it has no latent to {what} by")
    return vae


def tell_cut(n: int, vae: TextVAE, output: Output) -> None:
    """Say how many sentences were cut, if any."""
    if n:
        were = "was" if n == 1 else "were"
        output.warn(f"{counted(n, 'sentence')} exceeded {vae.max_tokens} tokens and {were} cut")
