"""Where a command speaks: data to stdout, and only data; everything else to stderr."""

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

from textvae.data.remarks import Remarks
from textvae.wording import human

LONGEST_LINE = 5_000  # characters of an error or a warning; names of files can have 4,096
WIDEST_COLUMN = 60  # of a table; what is longer pushes its own row alone
LINE_BREAKS = re.compile(r"[\r\n]")
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # all but the tab
# With those that break lines, or turn the direction of all that follows.
_UNSEEN = r"\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
CONTROLS_FOR_EYES = re.compile(rf"[\x00-\x08\x0a-\x1f{_UNSEEN}]")
CONTROLS_IN_JSON = re.compile(rf"[{_UNSEEN}]")  # json itself escapes those below 0x20


class ReaderGone(Exception):
    """The reader of stdout has closed it, as `head` does when it has enough."""


class Output:
    """A command's voice: as text for people, or as JSON.

    Args:
        as_json: print each record as JSON instead of text.
        quiet: say nothing on stderr; errors are not this object's business.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.remarks = Remarks(self.note, self.warn)  # on the input, each once

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
        """Print rows of cells under the first, the heading; in a terminal as wide as that."""
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in grid_lines(rows, width):
            self._write(CONTROLS_FOR_EYES.sub(_escape, line))

    def text(self, text: str) -> None:
        """Print a document, such as TOML, as it is."""
        self._write(text.rstrip("\n"))

    def note(self, text: str) -> None:
        """Tell people something, on one line of stderr."""
        if not self.quiet:
            say(LINE_BREAKS.sub(_escape, text))

    def warn(self, text: str) -> None:
        """Tell people on stderr that something may not be what they expect."""
        self.note(f"textvae: warning: {one_line(text)}")

    def _write(self, line: str, *, always: bool = False) -> None:
        if self.as_json and (always or sys.stdout.isatty()):
            line = CONTROLS_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
        try:
            sys.stdout.write(line + "\n")
        except OSError as error:
            raise lost_data(error) from None


def one_line(text: str) -> str:
    """`text` as one line, whatever the names, columns and texts hold that it quotes.

    What libraries say of a damaged file can quote all of it: the middle is left out then.
    """
    line = CONTROLS.sub(_escape, text.strip())
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]}...{line[-half:]}"


def say(text: str) -> None:
    """Write a line to stderr; control characters, which texts and paths may hold, are escaped."""
    lines = [CONTROLS_FOR_EYES.sub(_escape, line) for line in text.split("\n")]
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except (OSError, ValueError):  # closed, a full disk: nobody is left to tell
        discard(sys.stderr)


def to_json(record: Mapping[str, Any]) -> str:
    """`record` on one line; what is not finite is null, because JSON has no NaN."""
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
    """Lines `name  value`; a standard error stands beside its figure, a section is indented."""
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
    """Lines of a table whose first column goes left, the others right, two spaces between.

    Columns that do not fit into `width` follow below, in a further block that begins with the
    first column again.
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
    """What became of data that could not be written to stdout, as an error that names it."""
    if isinstance(error, BrokenPipeError):
        return ReaderGone()
    return OSError(error.errno, error.strerror or str(error), "standard output")


def prepare_streams() -> None:
    """Make the standard streams fit for any text: data is UTF-8, and no character is an error.

    Those that the caller closed (`>&-`) are opened: an empty stdin, a stdout whose reader has gone,
    a stderr that nobody reads. The next file would else take their place, and what is printed to
    no stderr would go to stdout.
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
    """The open file under the number of a standard stream, where that is free."""
    with contextlib.suppress(OSError):
        os.fstat(number)
        return descriptor  # taken, perhaps by itself
    os.dup2(descriptor, number)
    os.close(descriptor)
    return number


def discard(stream: IO[str]) -> None:
    """Send the rest of a stream nowhere, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def settle_stdout() -> None:
    """Write what data there are before an error is told; what cannot be written is discarded."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        discard(sys.stdout)


def _escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]  # \n, \x1b, \u202e
