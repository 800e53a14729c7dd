"""The rows of .csv and .tsv files: the separator and the header, recognized or refused.

The rule. The separator is the one of the file's name (comma or TAB) if the header line, split by
it, has the text column. Otherwise it is the one of , ; TAB | by which the header has the text
column, or, if none has, more than one column, and by which the first rows have as many fields as
the header. A first line `sep=;` declares it, as in Excel. What is ambiguous is refused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from textvae.data.columns import SEPARATORS, TEXT, Choice, Columns
from textvae.data.lines import read_lines
from textvae.data.records import Lines, Records, records_of
from textvae.data.rows import Row, checked_row
from textvae.data.sources import Source
from textvae.errors import DataError, flag, option, shown, worded
from textvae.number_format import counted
from textvae.progress import Remarks

_OWN = {".csv": ",", ".tsv": "\t"}
_DECLARATION = re.compile(r'"?sep=([^"\w\s]|\t)"?[\r\n]*', re.IGNORECASE)
_SAMPLE_LINES, _SAMPLE_CHARACTERS = 200, 1 << 20
_LONGEST_NAME = 40  # characters of a column that is taken without being asked for
_SENTENCE_END = tuple(".!?…。！？,;:")


def table_rows(source: Source, choice: Choice, remarks: Remarks) -> Iterator[Row]:
    """The rows of separated values; RFC 4180, but for TABs in .tsv, which has no quoting.

    Raises:
        NotFoundError: a column does not exist.
        DataError: the separator or the header is ambiguous, or a row does not fit the header.
    """
    lines = read_lines(source, ends=True)
    sample: list[tuple[int, str]] = []
    own = _OWN[source.format]
    declared = ""
    for first in islice(lines, 1):
        match = _DECLARATION.fullmatch(first[1])
        declared = match[1] if match else ""
        sample += [] if match else [first]
    separator = declared or own
    header = _header(_kept(sample, lines), separator, source)
    if header is None or not choice.has_text(header):
        sample += _some(lines)
        if not declared:
            separator = _recognized(sample, choice, own, source)
    records = records_of(chain(sample, lines), separator, source)
    told = () if separator == own else (f"its columns are separated by {_called(separator)}",)
    yield from _rows(records, sample, told, source, choice, remarks)


def _rows(
    records: Records,
    sample: Sequence[tuple[int, str]],
    told: Sequence[str],
    source: Source,
    choice: Choice,
    remarks: Remarks,
) -> Iterator[Row]:
    line, names = next(records, (1, []))
    where = f"{source.name}:{line}"
    if not names:
        raise DataError(f"{where}: expected a header line with the column names")
    hint = ", or put a header line such as text,label first if there is none"
    columns = choice.among(names, names, where, hint=hint)
    if choice.text is None and columns.text.strip().casefold() != TEXT:
        _check_header(columns, names, sample, where)
    choice.tell(columns, remarks, source.name, *told)
    text = names.index(columns.text)
    label = None if columns.label is None else names.index(columns.label)
    log_prob = None if columns.log_prob is None else names.index(columns.log_prob)
    for number, record in records:
        if not record:
            yield Row("")
            continue
        if not _fits(record, names, text):
            raise DataError(
                f"{source.name}:{number}: expected {counted(len(names), 'field')} as in the "
                f"header, found {len(record)}{_quoting_hint(record, names, source)}"
            )
        yield checked_row(
            f"{source.name}:{number}",
            _cell(record, text),
            _cell(record, label),
            _cell(record, log_prob),
        )


def _cell(record: Sequence[str], place: int | None) -> str | None:
    return None if place is None or place >= len(record) else record[place]


def _fits(record: Sequence[str], names: Sequence[str], text: int | None) -> bool:
    """True if a record has the fields of the header.

    Empty columns at the end, which spreadsheets write, may be missing; empty fields may follow,
    unless they may come from the separators in a text without quotation marks: the text is the
    last column, or a field after it begins with a space, as the words after a comma do.
    """
    if len(record) == len(names):
        return True
    if len(record) < len(names):
        return not any(name.strip() for name in names[len(record) :])
    if len(names) == 1 or text == len(names) - 1 or any(map(str.strip, record[len(names) :])):
        return False
    spaced = any(name.startswith(" ") for name in names)  # `text, label` has a space in each field
    return spaced or not any(cell.startswith(" ") for cell in record[(text or 0) + 1 :])


def _quoting_hint(record: Sequence[str], names: Sequence[str], source: Source) -> str:
    if len(record) < len(names) or source.format == ".tsv":
        return ""
    return "; a text with separators needs quotation marks around it, or a file named .txt"


def _check_header(
    columns: Columns, names: Sequence[str], sample: Sequence[tuple[int, str]], where: str
) -> None:
    """Raise DataError if the first line of a file of one column may be its first sentence."""
    name = columns.text
    if sum(bool(other.strip()) for other in names) > 1:
        return
    cells = [line.strip().strip('"') for _, line in sample[1:]]
    if (
        name.strip()
        and not re.search(r"\s", name.strip())
        and len(name) <= _LONGEST_NAME
        and not name.strip().endswith(_SENTENCE_END)
        and name.strip() not in cells
    ):
        return
    short = len(name) <= _LONGEST_NAME and name.isprintable()
    choice = worded(
        f"{flag('text_column')} {shlex.quote(name)}" if short else flag("text_column"),
        option("text_column", name if short else ...),
    )
    raise DataError(
        f"{where}: the first line, {shown(name)}, may be the name of the column or the first "
        f"sentence; if it is the name, choose it with {choice}; if it is a sentence, "
        "put a line `text` before it, or name the file .txt"
    )


# the separator


def _recognized(sample: Sequence[tuple[int, str]], choice: Choice, own: str, source: Source) -> str:
    """The separator of a table whose header has no text column by the separator of its name.

    Raises:
        DataError: several separators are possible, or the rows do not fit the one of the header.
    """
    headers = {
        separator: header
        for separator in SEPARATORS
        if (header := _header(iter(sample), separator, source)) is not None
    }
    others = {separator: names for separator, names in headers.items() if separator != own}
    with_text = [separator for separator, names in others.items() if choice.has_text(names)]
    if not with_text and len(headers.get(own, [])) > 1:
        return own
    possible = with_text or [separator for separator, names in others.items() if len(names) > 1]
    fitting = [
        separator
        for separator in possible
        if _misfit(sample, headers[separator], separator, source) is None
    ]
    if len(fitting) == 1:
        return fitting[0]
    number = sample[0][0] if sample else 1
    if fitting:
        by = " or ".join(map(_called, fitting))
        raise DataError(
            f"{source.name}:{number}: the columns may be separated by {by}; declare the separator "
            "in a line of its own before the header, for example `sep=;`"
        )
    if with_text:
        separator = with_text[0]
        line, n_fields = _misfit(sample, headers[separator], separator, source) or (number, 0)
        raise DataError(
            f"{source.name}:{line}: the header has {len(headers[separator])} columns, separated by "
            f"{_called(separator)}, but this line has {n_fields}; mend the line, or, if the file "
            f"has one column, choose it with {option('text_column')}"
        )
    return own


def _misfit(
    sample: Sequence[tuple[int, str]], names: Sequence[str], separator: str, source: Source
) -> tuple[int, int] | None:
    """(line, fields) of the first row in the sample that does not fit the header; None: all fit."""
    records = records_of(iter(sample), separator, source)
    number = sample[0][0]  # there is one, the header
    try:
        for number, record in islice(records, 1, None):
            if record and not _fits(record, names, None):
                return number, len(record)
    except DataError:  # the end of the sample may be inside a quoted field
        if len(sample) < _SAMPLE_LINES and _length(sample) < _SAMPLE_CHARACTERS:
            return number + 1, 0
    return None


def _header(lines: Lines, separator: str, source: Source) -> list[str] | None:
    """The names of the columns; None if the header line is not valid by this separator."""
    try:
        return next(records_of(lines, separator, source), (1, []))[1]
    except DataError as error:
        if "not valid CSV" not in str(error):
            raise
        return None


def _kept(sample: list[tuple[int, str]], lines: Lines) -> Iterator[tuple[int, str]]:
    """The lines of `sample`, then `lines`, which are added to it as they are read."""
    yield from list(sample)
    for line in lines:
        sample.append(line)
        yield line


def _some(lines: Lines) -> Iterator[tuple[int, str]]:
    """The first of `lines`: enough to recognize a table."""
    length = 0
    for number, line in islice(lines, _SAMPLE_LINES):
        yield number, line
        length += len(line)
        if length > _SAMPLE_CHARACTERS:
            return


def _length(sample: Sequence[tuple[int, str]]) -> int:
    return sum(len(line) for _, line in sample)


def _called(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))
