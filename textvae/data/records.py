"""The records of separated values: RFC 4180, or without quoting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textvae.data.lines import LINE_ENDS
from textvae.data.rows import LONGEST_TEXT
from textvae.data.sources import Source
from textvae.errors import DataError

Lines = Iterable[tuple[int, str]]  # numbered, with their ends
Records = Iterator[tuple[int, list[str]]]  # numbered by the line in which they begin


def records_of(lines: Lines, separator: str, source: Source) -> Records:
    """(line number, fields) of each record; a blank line has none."""
    if source.format == ".tsv" and separator == "\t":
        bare = ((number, line.rstrip(LINE_ENDS)) for number, line in lines)
        return ((number, line.split("\t") if line else []) for number, line in bare)
    return csv_records(lines, separator, source.name)


def csv_records(lines: Lines, separator: str, name: str) -> Records:
    """The records of RFC 4180: a quoted field may hold separators, doubled quotes and newlines.

    As by `csv.reader(strict=True)`, whose limit on the length of a field is global to the process,
    so it is not ours to raise. If the header has a blank after each separator, blanks after
    separators are left out.

    Args:
        lines: (number, line with its end).
        separator: one character.
        name: of the file, for messages.
    """
    lines = iter(lines)
    blanks: bool | None = None  # left out after a separator; None: the header is still to come
    for number, line in lines:
        body = line.rstrip(LINE_ENDS)
        if blanks is None:
            cells = body.split(separator)[1:]
            blanks = bool(cells) and all(cell.startswith(" ") and cell.strip() for cell in cells)
        if '"' in body:
            yield number, _quoted_record(number, line, lines, separator, blanks, name)
        elif body:
            fields = body.split(separator)
            if blanks:
                fields[1:] = [field.lstrip(" ") for field in fields[1:]]
            yield number, fields
        else:
            yield number, []


def _quoted_record(
    number: int,
    line: str,
    lines: Iterator[tuple[int, str]],
    separator: str,
    blanks: bool,
    name: str,
) -> list[str]:
    """The fields of the record that begins with `line`; takes further lines inside a quotation."""
    record: list[str] = []
    place, length = 0, len(line)
    while True:
        while blanks and record and line.startswith(" ", place):
            place += 1
        if line.startswith('"', place):
            pieces: list[str] = []
            place += 1
            while True:
                end = line.find('"', place)
                if end >= 0:
                    pieces.append(line[place:end])
                    place = end + 1
                    if not line.startswith('"', place):
                        break
                    pieces.append('"')
                    place += 1
                    continue
                pieces.append(line[place:])
                place, line = 0, next(lines, (0, ""))[1]
                length += len(line)
                _check_quotation(number, line, length, name)
            record.append("".join(pieces))
        else:
            end = line.find(separator, place)
            end = len(line.rstrip(LINE_ENDS)) if end < 0 else end
            record.append(line[place:end])
            place = end
        if place >= len(line) or line[place] in LINE_ENDS:
            return record
        if line[place] != separator:
            raise DataError(
                f"{name}:{number}: not valid CSV (RFC 4180): {separator!r} expected after the "
                f"quotation mark that ends a field, found {line[place]!r}"
            )
        place += 1


def _check_quotation(number: int, line: str, length: int, name: str) -> None:
    """Raise DataError if a quoted field goes on after the end of the file, or for too long."""
    if not line:
        raise DataError(
            f"{name}:{number}: not valid CSV (RFC 4180): a quotation mark in this record is never "
            "closed"
        )
    if length > LONGEST_TEXT:
        raise DataError(
            f"{name}:{number}: a record of more than {LONGEST_TEXT >> 20} MiB; is a quotation "
            "mark never closed?"
        )
