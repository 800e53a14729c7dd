"""The frame of a compressed text: a header, blocks with checksums, and a digest of the content."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from textvae.errors import DataError
from textvae.files.untrusted import parse_json

MAGIC = b"textvae-lm\n"
VERSION = 1
_MOST_HEADER = 1 << 16
_MOST_BLOCK = 1 << 28  # bytes of a part of a block
_DIGEST = 32


@dataclass(frozen=True)
class Block:
    """Some lines of the text.

    Args:
        n_lines: how many.
        tokens: the lines that the model codes.
        others: the places and bytes of the other lines, compressed by zlib; often empty.
    """

    n_lines: int
    tokens: bytes
    others: bytes


class BlockWriter:
    """Writes the header, then blocks, and counts the bytes."""

    def __init__(self, file: IO[bytes], header: dict[str, Any]) -> None:
        self._file, self.n_bytes = file, 0
        described = json.dumps({"version": VERSION, **header}).encode()
        self._write(MAGIC + _number(len(described)) + described)

    def add(self, block: Block) -> None:
        """Write a block that has lines."""
        content = b"".join(
            (_number(block.n_lines), *(_number(len(p)) + p for p in (block.tokens, block.others)))
        )
        self._write(content + _checksum(content))

    def finish(self, *, ends_with_newline: bool, digest: bytes) -> None:
        """Write the end: if the text ends with a newline, and the SHA-256 of the text."""
        self._write(_number(0) + bytes([ends_with_newline]) + digest)

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self.n_bytes += len(content)


class BlockReader:
    """Reads what a `BlockWriter` wrote; `name` is for messages.

    Raises:
        DataError: the file is not of this format, or damaged.
    """

    ends_with_newline: bool  # known after the last block
    digest: bytes

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name
        if file.read(len(MAGIC)) != MAGIC:
            raise DataError(f"{name}: not a file of textvae compress")
        try:
            header = parse_json(self._exactly(self._number(_MOST_HEADER)).decode())
        except ValueError:
            raise self._damaged() from None
        if not isinstance(header, dict) or header.get("version") != VERSION:
            raise DataError(f"{name}: an unknown version of the format; install a newer textvae")
        self.header: dict[str, Any] = header

    def blocks(self) -> Iterator[Block]:
        """All blocks, in order."""
        while n_lines := self._number(_MOST_BLOCK):
            parts = [self._exactly(self._number(_MOST_BLOCK)) for _ in range(2)]
            content = b"".join((_number(n_lines), *(_number(len(p)) + p for p in parts)))
            if self._exactly(4) != _checksum(content):
                raise self._damaged()
            yield Block(n_lines, *parts)
        end = self._exactly(1 + _DIGEST)
        if end[0] > 1 or self._file.read(1):
            raise self._damaged()
        self.ends_with_newline, self.digest = bool(end[0]), end[1:]

    def _number(self, most: int) -> int:
        value = shift = 0
        while True:
            byte = self._exactly(1)[0]
            value |= (byte & 127) << shift
            if value > most:
                raise self._damaged()
            if byte < 128:
                return value
            shift += 7

    def _exactly(self, n: int) -> bytes:
        content = self._file.read(n)
        if len(content) < n:
            raise self._damaged()
        return content

    def _damaged(self) -> DataError:
        return DataError(f"{self._name}: damaged or incomplete; compress the text again")


def packed_lines(lines: dict[int, bytes]) -> bytes:
    """Lines by their places, compressed; empty without lines."""
    if not lines:
        return b""
    content = b"".join(_number(place) + _number(len(line)) + line for place, line in lines.items())
    return zlib.compress(content, 9)


def unpacked_lines(content: bytes, n_lines: int) -> dict[int, bytes]:
    """The lines of `packed_lines`, in a block of `n_lines` lines.

    Raises:
        ValueError: the bytes are something else.
    """
    if not content:
        return {}
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(content, _MOST_BLOCK)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    lines: dict[int, bytes] = {}
    at = 0
    while at < len(plain):
        place, at = _number_at(plain, at)
        length, at = _number_at(plain, at)
        if place in lines or place >= n_lines:
            raise ValueError(f"line {place}")
        lines[place] = plain[at : at + length]
        at += length
    if at != len(plain) or inflate.unconsumed_tail:
        raise ValueError("incomplete")
    return lines


def _number(value: int) -> bytes:
    """A number in groups of 7 bits, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number_at(content: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place after it."""
    value = shift = 0
    while at < len(content):
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if value > _MOST_BLOCK:
            break
    raise ValueError("incomplete")


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "big")
