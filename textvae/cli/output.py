"""What a command prints: data on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from textvae.number_format import human

LONGEST_LINE = 5_000  # characters of an error or a warning; names of files can have 4,096
WIDEST_COLUMN = 60  # of a table; a longer cell makes only its own row longer
LINE_BREAKS = re.compile(r"[\r\n]")
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # all but the tab
# With those that break lines, or turn the direction of all that follows.
_UNSEEN = r"\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
CONTROLS_FOR_EYES = re.compile(rf"[\x00-\x08\x0a-\x1f{_UNSEEN}]")
CONTROLS_IN_JSON = re.compile(rf"[{_UNSEEN}]")  # json itself escapes those below 0x20


class ReaderGone(Exception):
    """The reader of stdout has closed it, as `head` does when it has enough."""


class Output:
    """Prints the data of a command as text or JSON, and notes and warnings.

    Args:
        as_json: print each record as JSON instead of text.
        quiet: print no notes and warnings; errors are printed elsewhere.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def row(self, record: Mapping[str, Any], text: str) -> None:
        """Print one line of data: `record` as JSON, or `text`, its line breaks escaped."""
        if self.as_json:
            self._write(to_json(record))
        else:
            # A row is a line whatever the sentence holds.
            pattern = CONTROLS_FOR_EYES if sys.stdout.isatty() else LINE_BREAKS
            self._write(pattern.sub(_escape, text))

    def report(self, record: Mapping[str, Any]) -> None:
        """Print one report: `record` as a JSON object, or as a table of names and values."""
        if self.as_json:
            self._write(to_json(record), always=True)
            return
        for line in table_lines(record):
            self._write(CONTROLS_FOR_EYES.sub(_escape, line))

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Print a heading and rows of cells, in blocks that fit the width of the terminal."""
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in grid_lines(rows, width):
            self._write(CONTROLS_FOR_EYES.sub(_escape, line))

    def text(self, text: str) -> None:
        """Print a document, such as TOML, as it is."""
        self._write(text.rstrip("\n"))

    def note(self, text: str) -> None:
        """Print a line of information on stderr."""
        if not self.quiet:
            say(LINE_BREAKS.sub(_escape, text))

    def warn(self, text: str) -> None:
        """Warn on stderr of a result that may not be what people expect."""
        self.note(f"textvae: warning: {one_line(text)}")

    def note_typing(self, file: str) -> None:
        """Tell people how to end sentences that they are about to type."""
        if file == "-" and sys.stdin is not None and sys.stdin.isatty():
            self.note("reading sentences from the terminal, one a line; end with Ctrl-D")

    def _write(self, line: str, *, always: bool = False) -> None:
        if self.as_json and (always or sys.stdout.isatty()):
            line = CONTROLS_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
        try:
            sys.stdout.write(line + "\n")
        except OSError as error:
            raise lost_data(error) from None


def tabbed(*cells: str) -> str:
    r"""The cells as one row of text with tabs between them; tabs inside a cell are escaped.

    >>> print(tabbed("1\t2", "3").expandtabs(8))
    1\t2    3
    """
    return "\t".join(cell.replace("\t", "\\t") for cell in cells)


def one_line(text: str) -> str:
    """`text` as one line, with control characters escaped and the middle of a long text left out.

    The message of a library about a damaged file can quote the whole file.
    """
    line = CONTROLS.sub(_escape, text.strip())
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]}...{line[-half:]}"


def say(text: str) -> None:
    """Write a text to stderr with control characters escaped; texts and paths may hold them."""
    lines = [CONTROLS_FOR_EYES.sub(_escape, line) for line in text.split("\n")]
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except (OSError, ValueError):  # closed, or a full disk: nobody can be told
        discard(sys.stderr)


def to_json(record: Mapping[str, Any]) -> str:
    """`record` on one line; numbers that are not finite become null, because JSON has no NaN."""
    return json.dumps(_plain(record), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def table_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Lines `name  value`, with standard errors beside their figures and sections indented."""
    shown = [key for key in record if not (key.endswith("_se") and key[:-3] in record)]
    width = max((len(key) for key in shown if len(key) <= WIDEST_COLUMN), default=0)
    for key in shown:
        value = record[key]
        if isinstance(value, Mapping):
            yield key
            yield from ("  " + line for line in table_lines(value))
        else:
            error = record.get(f"{key}_se")
            beside = "" if error is None else f" ± {human(error)}"
            yield f"{key:<{width}}  {human(value)}{beside}"


def grid_lines(rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """Lines of a table: the first column left-aligned, the others right-aligned.

    Columns that do not fit into `width` follow in another block, which repeats the first column.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    start = 1
    while start < len(widths):
        end, used = start + 1, widths[0] + 2 + widths[start]
        while end < len(widths) and (width is None or used + 2 + widths[end] <= width):
            used += 2 + widths[end]
            end += 1
        if start > 1:
            yield ""
        for row in rows:
            cells = [row[i].rjust(widths[i]) for i in range(start, end)]
            yield "  ".join([row[0].ljust(widths[0]), *cells])
        start = end


def lost_data(error: OSError) -> Exception:
    """The error for data that could not be written to stdout."""
    if isinstance(error, BrokenPipeError):
        return ReaderGone()
    return OSError(error.errno, error.strerror or str(error), "standard output")


def prepare_streams() -> None:
    """Make the standard streams accept any text: data is UTF-8, and no character is an error.

    Streams that the caller closed (`>&-`) are opened: an empty stdin, a stdout whose reader has
    gone, a stderr that nobody reads. Otherwise the next file to be opened would take their number,
    and receive what is printed.
    """
    if sys.stdin is None:
        sys.stdin = open(_opened(0, os.open(os.devnull, os.O_RDONLY)), encoding="utf-8")
    if sys.stdout is None:
        reader, writer = os.pipe()
        os.close(reader)
        sys.stdout = open(_opened(1, writer), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(_opened(2, os.open(os.devnull, os.O_WRONLY)), "w", encoding="utf-8")
    _reconfigure(sys.stderr, errors="backslashreplace")
    if sys.stdout.isatty():
        _reconfigure(sys.stdout, errors="backslashreplace")
    else:
        _reconfigure(sys.stdout, encoding="utf-8", errors="backslashreplace")


def _reconfigure(stream: IO[str], **settings: str) -> None:
    reconfigure = getattr(stream, "reconfigure", None)  # a replaced stream may have none
    if reconfigure is not None:
        reconfigure(**settings)


def _opened(number: int, descriptor: int) -> int:
    """The file descriptor, moved to the number of a standard stream if that is free."""
    with contextlib.suppress(OSError):
        os.fstat(number)
        return descriptor  # taken, perhaps by itself
    os.dup2(descriptor, number)
    os.close(descriptor)
    return number


def discard(stream: IO[str]) -> None:
    """Discard the rest of a stream, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def settle_stdout() -> None:
    """Write the buffered data before an error is printed; discard it if that fails."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        discard(sys.stdout)


def _escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]  # \n, \x1b, \u202e
