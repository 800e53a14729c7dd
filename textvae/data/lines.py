"""The lines of a text file: decoded, numbered, of bounded length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textvae.data import encodings
from textvae.data.compression import read_chunks
from textvae.data.kinds import KINDS, kind_of
from textvae.data.rows import LONGEST_TEXT
from textvae.data.sources import STDIN, Source
from textvae.errors import DataError, shown

BOM = b"\xef\xbb\xbf"
LINE_ENDS = "\r\n"
_HEAD = 8 << 10  # bytes by which a kind of file is recognized


def read_lines(source: Source, *, ends: bool = False) -> Iterator[tuple[int, str]]:
    """(number from 1, line) for the lines of UTF-8 text, without their line ends or with them.

    A line ends with LF, CRLF or a lone carriage return. A byte-order mark at the start is skipped.

    Raises:
        DataError: a line is not UTF-8, has a NUL character, or exceeds 16 MiB; the message names
            the file and line. Also if the content is another kind of file.
    """
    yield from lines_of(text_chunks(source), source, ends=ends)


def lines_of(
    chunks: Iterable[bytes], source: Source, *, ends: bool = False
) -> Iterator[tuple[int, str]]:
    """The lines of `chunks`, the bytes of `source`; see `read_lines`."""
    n_beyond_ascii = 0
    raw_lines = _raw_lines(chunks)
    for number, raw in enumerate(raw_lines, start=1):
        if len(raw) > LONGEST_TEXT and len(raw.rstrip(b"\r\n")) > LONGEST_TEXT:
            raise DataError(
                f"{source.name}:{number}: a line of more than {LONGEST_TEXT >> 20} MiB; expected "
                "one sentence per line"
            )
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            at_hand = source.path is not None and source.path.is_file()  # a pipe may never end
            more = raw_lines if at_hand else ()
            advice = encodings.advice(number, raw, n_beyond_ascii, more)
            raise DataError(
                f"{source.name}:{number}: not valid UTF-8 (byte 0x{raw[error.start]:02x} at byte "
                f"{error.start + 1} of the line); {advice}"
            ) from None
        if "\0" in line:
            raise DataError(f"{source.name}:{number}: contains a NUL byte; is the file UTF-8 text?")
        n_beyond_ascii += not line.isascii()
        yield number, line if ends else line.rstrip(LINE_ENDS)


def text_chunks(source: Source) -> Iterator[bytes]:
    """The bytes of a text file, without a byte-order mark at the start.

    Raises:
        DataError: the file begins as one that is no text.
    """
    chunks = read_chunks(source)
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= _HEAD:
            break
    _check_is_text(source, start[:_HEAD])
    yield start.removeprefix(BOM)
    yield from chunks


def _check_is_text(source: Source, head: bytes) -> None:
    kind = kind_of(head)
    if kind is not None:
        what, how = KINDS[kind]
        if source.name == STDIN:
            how = how.replace("give it a name that ends in", "write it to a file named")
        raise DataError(f"{source.name}: the content is {what}; {how}")
    if source.unknown and b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            f"{source.name}: unknown format {shown(source.unknown)}: binary data; expected text, "
            "one sentence per line, or a table (.csv, .tsv, .jsonl, .parquet)"
        )


def _raw_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines with their ends; one above LONGEST_TEXT is cut, but stays above LONGEST_TEXT."""
    unfinished: list[bytes] = []
    length, held = 0, b""
    for chunk in chunks:
        chunk = held + chunk
        held = b"\r" if chunk.endswith(b"\r") else b""  # which may be the half of a CRLF
        lines = chunk[: len(chunk) - len(held)].splitlines(keepends=True)
        last = lines.pop() if lines and not lines[-1].endswith((b"\n", b"\r")) else b""
        if lines:
            lines[0] = b"".join([*unfinished, lines[0]])
            yield from lines
            unfinished, length = [], 0
        if last:
            unfinished.append(last)
            length += len(last)
        if length > LONGEST_TEXT:
            yield b"".join(unfinished)
            unfinished, length = [], 0
    last_line = b"".join(unfinished) + held
    if last_line:
        yield last_line
