"""Opening what a user names: files, globs and standard input, decompressed and decoded."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from textvae.errors import DataError, NotFoundError

FORMATS = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
COMPRESSIONS = (*_OPENERS, ".zst")
BOM = b"\xef\xbb\xbf"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """One place that rows come from."""

    name: str  # as errors call it
    format: str  # one of FORMATS, or "hf"
    compression: str = ""  # one of COMPRESSIONS, or nothing
    path: Path | None = None  # None: standard input, or a data set


def find_sources(specs: Sequence[str]) -> list[Source]:
    """The sources that file names, globs, `-` and `hf:` names stand for, in their order.

    Raises:
        NotFoundError: a file that is not there, a glob that matches nothing.
        DataError: a folder, or a file whose name tells no known format.
    """
    sources: list[Source] = []
    for spec in specs:
        if spec == "-":
            sources.append(Source("stdin", ".txt"))
        elif spec.startswith("hf:"):
            sources.append(Source(spec, "hf"))
        else:
            sources += [_file_source(name) for name in _matching_files(spec)]
    return sources


def _matching_files(spec: str) -> list[str]:
    if Path(spec).exists() or not glob.has_magic(spec):
        return [spec]
    found = sorted(glob.glob(spec, recursive=True))
    if not found:
        raise NotFoundError(f"{spec}: no file matches this pattern")
    return found


def _file_source(name: str) -> Source:
    path = Path(name)
    if not path.exists():
        raise NotFoundError(f"{name}: no such file")
    if path.is_dir():
        raise DataError(f"{name}: is a folder; name its files, for example '{path / '*.txt'}'")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    if not suffixes:  # a name without a suffix, such as /dev/stdin: a sentence a line
        return Source(name, ".txt", compression, path)
    if suffixes[-1] not in FORMATS:
        raise DataError(
            f"{name}: unknown format {suffixes[-1]!r}; expected {', '.join(FORMATS)}, each also "
            f"with {', '.join(COMPRESSIONS)}; plain lines can be piped in with `-`"
        )
    return Source(name, suffixes[-1], compression, path)


def read_chunks(source: Source) -> Iterator[bytes]:
    """The bytes of a source, decompressed.

    Raises:
        NotFoundError: the file is gone.
        DataError: the file cannot be read, or its compressed data is damaged or truncated.
    """
    try:
        if source.path is None:
            yield from _blocks(sys.stdin.buffer)
        else:
            with open(source.path, "rb") as stream:
                yield from _decompressed(stream, source)
    except FileNotFoundError:
        raise NotFoundError(f"{source.name}: no such file") from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise DataError(
            f"{source.name}: damaged or truncated {source.compression} data: {error}"
        ) from None
    except OSError as error:
        what = error.strerror or f"damaged {source.compression} data: {error}"
        raise DataError(f"{source.name}: cannot be read: {what}") from None


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(_CHUNK_BYTES):
        yield block


def _decompressed(stream: IO[bytes], source: Source) -> Iterator[bytes]:
    if source.compression == ".zst":
        yield from _zstd_blocks(stream, source.name)
    elif source.compression:
        opener = _OPENERS[source.compression]
        with opener(stream) as unpacked:
            yield from _blocks(unpacked)
    else:
        yield from _blocks(stream)


def _zstd_blocks(stream: IO[bytes], name: str) -> Iterator[bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd

        try:
            yield from _blocks(zstd.open(stream))
        except zstd.ZstdError as error:
            raise EOFError(str(error)) from None
        return
    try:
        import zstandard
    except ImportError:
        raise DataError(
            f"{name}: .zst needs the package zstandard; install it with `pip install zstandard`"
        ) from None
    # Frame by frame: zstandard's stream reader takes a truncated frame for the end of the data.
    decompressor, frame = zstandard.ZstdDecompressor(), None
    for block in _blocks(stream):
        while block:
            frame = frame or decompressor.decompressobj()
            try:
                yield frame.decompress(block)
            except zstandard.ZstdError as error:
                raise EOFError(str(error)) from None
            block = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("the last frame is not complete")


def read_lines(source: Source) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its newline character) of a source of UTF-8 text.

    A byte-order mark at the start is left out; a carriage return at the end of a line stays.

    Raises:
        DataError: bytes that are not UTF-8, or NUL characters, with file and line.
    """
    for number, raw in enumerate(_raw_lines(source), start=1):
        if number == 1:
            raw = raw.removeprefix(BOM)
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source.name}:{number}: not valid UTF-8 (byte 0x{raw[error.start]:02x} at byte "
                f"{error.start + 1} of the line); convert the file, for example with iconv"
            ) from None
        if "\0" in line:
            raise DataError(
                f"{source.name}:{number}: holds a NUL byte; is this text in UTF-8 at all?"
            )
        yield number, line


def _raw_lines(source: Source) -> Iterator[bytes]:
    unfinished: list[bytes] = []
    for chunk in read_chunks(source):
        first, *more = chunk.split(b"\n")
        unfinished.append(first)
        if more:
            yield b"".join(unfinished)
            *complete, last = more
            yield from complete
            unfinished = [last]
    last_line = b"".join(unfinished)
    if last_line:
        yield last_line
