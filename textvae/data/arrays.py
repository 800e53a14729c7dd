"""The items of a JSON array, one at a time, whatever the length of the file."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any

from textvae.data import encodings
from textvae.data.rows import LONGEST_TEXT
from textvae.data.sources import Source
from textvae.errors import DataError
from textvae.files.untrusted import without_doubles

_BLANKS = " \t\r\n"
_DECODER = json.JSONDecoder(object_pairs_hook=without_doubles)


def array_items(chunks: Iterable[bytes], source: Source) -> Iterator[tuple[str, Any]]:
    """(place in the file for messages, object or string) of each item of an array.

    Raises:
        DataError: the content is not valid JSON, an item is neither an object nor a string or is
            longer than 16 MiB, or objects and strings are mixed.
    """
    text = _Text(chunks, source)
    text.skip("[")
    number, kind = 0, ""
    while True:
        number += 1
        where = f"{source.name}: item {number:,}"
        start = text.peek()
        if start == "]" and number == 1:
            break
        if start not in ("{", '"') or start != (kind or start):
            what = f"found {start!r}" if start else "found the end of the file"
            raise DataError(f"{where}: expected JSON objects only, or strings only, {what}")
        kind = start
        yield where, text.item(where)
        follows = text.peek()
        if follows == "]":
            break
        if follows != ",":
            what = f"found {follows!r}" if follows else "found the end of the file"
            raise DataError(f"{where}: not valid JSON: expected , or ] after it, {what}")
        text.skip(",")
    text.skip("]")
    if text.peek():
        raise DataError(f"{source.name}: not valid JSON: text after the end of the array")


class _Text:
    """Text that is decoded as it is needed; what has been read is forgotten."""

    def __init__(self, chunks: Iterable[bytes], source: Source) -> None:
        self._pieces = _decoded(chunks, source)
        self._text = ""
        self._place = 0

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            while self._place < len(self._text):
                character = self._text[self._place]
                if character not in _BLANKS:
                    return character
                self._place += 1
            if not self._more(1):
                return ""

    def skip(self, expected: str) -> None:
        """Go past the next character, which is `expected`."""
        found = self.peek()
        assert found == expected, found  # the callers have looked
        self._place += 1

    def item(self, where: str) -> Any:
        """The next object or string."""
        while True:
            try:
                value, self._place = _DECODER.raw_decode(self._text, self._place)
                return value
            except json.JSONDecodeError as error:
                length = len(self._text) - self._place
                if length > LONGEST_TEXT:
                    raise DataError(
                        f"{where}: more than {LONGEST_TEXT >> 20} MiB, or not valid JSON: "
                        f"{error.msg}"
                    ) from None
                if not self._more(length):  # twice as much, so that all tries take linear time
                    place = error.pos - self._place + 1
                    raise DataError(
                        f"{where}: not valid JSON: {error.msg} at character {place:,} of the item"
                    ) from None
            except ValueError as error:  # a duplicate name, a number of 5,000 digits
                raise DataError(f"{where}: not valid JSON: {error}") from None
            except RecursionError:
                raise DataError(f"{where}: not valid JSON: nested too deeply") from None

    def _more(self, least: int) -> bool:
        """Read at least so many characters; False if there are none."""
        pieces, length = [self._text[self._place :]], 0
        for piece in self._pieces:
            pieces.append(piece)
            length += len(piece)
            if length >= least:
                break
        self._text, self._place = "".join(pieces), 0
        return length > 0


def _decoded(chunks: Iterable[bytes], source: Source) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, n_beyond_ascii = 1, 0
    for chunk in chunks:
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError:
            raise _not_utf8(chunk, line, n_beyond_ascii, source) from None
        if "\0" in text:
            raise DataError(f"{source.name}: contains a NUL byte; is the file UTF-8 text?")
        line += text.count("\n")
        n_beyond_ascii += not text.isascii()
        yield text
    if decoder.getstate()[0]:
        raise DataError(f"{source.name}: not valid UTF-8: the last character is incomplete")


def _not_utf8(chunk: bytes, line: int, n_beyond_ascii: int, source: Source) -> DataError:
    """The error of a chunk that begins in line `line` and is not UTF-8."""
    lines = chunk.splitlines()
    bad = next((n for n, raw in enumerate(lines) if not encodings.is_utf8(raw)), 0)
    n_beyond_ascii += sum(not raw.isascii() for raw in lines[:bad])
    advice = encodings.advice(line + bad, lines[bad], n_beyond_ascii, lines[bad + 1 :])
    return DataError(f"{source.name}:{line + bad}: not valid UTF-8; {advice}")
