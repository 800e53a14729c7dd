"""Files of labelled sentences, in the formats that training sets have."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from textvae.errors import DataError, UsageError, option
from textvae.files.atomic import replacing
from textvae.files.destination import check_folder
from textvae.files.home import home_path

LABELLED_FORMATS = (".jsonl", ".csv", ".tsv")
_NOT_IN_TSV = re.compile(r"[\t\r\n]")

Rows = Iterable[tuple[str, str | None]]  # (text, label)


def check_labelled(path: Path, *inputs: str) -> None:
    """Raise before the work if the file cannot be written.

    Raises:
        UsageError: the ending of the name is not that of a known format, or the file is one of the
            `inputs`.
        NotFoundError: the folder does not exist.
    """
    if path.suffix.lower() not in LABELLED_FORMATS:
        known = f"{', '.join(LABELLED_FORMATS[:-1])} or {LABELLED_FORMATS[-1]}"
        raise UsageError(f"{option('out', path)}: the name must end in {known}")
    check_folder(path, *inputs)


def write_labelled(
    path: str | Path, rows: Rows, *, columns: tuple[str, str] = ("text", "label")
) -> int:
    """Write the rows as they come, completely or not at all; the number of rows.

    >>> extra = vae.augment("train.tsv")  # doctest: +SKIP
    >>> write_labelled("extra.tsv", [(one.text, one.label) for one in extra])  # doctest: +SKIP

    Args:
        path: its name ends in .jsonl, .csv or .tsv.
        columns: the names of the columns of text and label.

    Raises:
        DataError: a row that .tsv cannot hold, which has no quoting.
    """
    path = home_path(path)
    check_labelled(path)
    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        n = _WRITERS[path.suffix.lower()](text, rows, columns, path)
        text.detach()
    return n


def _write_jsonl(file: TextIO, rows: Rows, columns: tuple[str, str], path: Path) -> int:
    n = 0
    for n, row in enumerate(rows, start=1):  # noqa: B007  # counted
        file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")
    return n


def _write_csv(file: TextIO, rows: Rows, columns: tuple[str, str], path: Path) -> int:
    writer, n = csv.writer(file), 0
    writer.writerow(columns)
    for n, row in enumerate(rows, start=1):  # noqa: B007  # counted
        writer.writerow(row)
    return n


def _write_tsv(file: TextIO, rows: Rows, columns: tuple[str, str], path: Path) -> int:
    n = 0
    file.write("\t".join(columns) + "\n")
    for n, row in enumerate(rows, start=1):
        cells = ["" if cell is None else cell for cell in row]
        if any(map(_NOT_IN_TSV.search, cells)):
            raise DataError(
                f"{path}: row {n} has a TAB or a line break, and .tsv has no quoting; name a .csv "
                "or .jsonl"
            )
        file.write("\t".join(cells) + "\n")
    return n


_WRITERS: dict[str, Callable[[TextIO, Rows, tuple[str, str], Path], int]] = {
    ".jsonl": _write_jsonl,
    ".csv": _write_csv,
    ".tsv": _write_tsv,
}
