"""Input sources: files, globs and standard input, decompressed and decoded."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from textvae.data.rows import LONGEST_TEXT
from textvae.errors import DataError, NotFoundError, shown

FORMATS = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
COMPRESSIONS = (".gz", ".xz", ".bz2", ".zst")
STDIN = "stdin"  # its name in errors
BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CHUNK_BYTES = 1 << 20
_PACKED_BYTES = 4 << 10  # compressed bytes read at once; they unpack to at most 128 MiB
_XZ_MEMORY = 1 << 29  # limit on the memory that a header may request; `xz -9` needs an eighth
_BOMB_BYTES = 16 << 20  # any file may unpack to this size, larger ones by the ratios below
# Ordinary text compresses to a third or less. Lines that differ only in a number reach 1/600 with
# .xz; .gz reaches 1/400 only on identical lines.
_BOMB_RATIOS = {".gz": 300}
_BOMB_RATIO = 1000


@dataclass(frozen=True)
class Source:
    """One input of rows: a file, standard input or a data set."""

    name: str  # as shown in errors
    format: str  # one of FORMATS, or "hf"
    compression: str = ""  # one of COMPRESSIONS, or nothing
    path: Path | None = None  # None: standard input, or a data set


def find_sources(specs: Sequence[str]) -> list[Source]:
    """The sources of file names, globs, `-` and `hf:` names, in the given order.

    Raises:
        NotFoundError: a file does not exist, or a glob matches nothing.
        DataError: a name is a folder, or a file has an unknown format.
    """
    sources: list[Source] = []
    for spec in specs:
        if spec == "-":
            sources.append(Source(STDIN, ".txt"))
        elif spec.startswith("hf:"):
            sources.append(Source(spec, "hf"))
        else:
            sources += [_file_source(name) for name in _matching_files(spec)]
    return sources


def _matching_files(spec: str) -> list[str]:
    if os.path.exists(spec) or not glob.has_magic(spec):
        return [spec]
    found = sorted(glob.glob(spec, recursive=True))
    if not found:
        raise NotFoundError(f"{spec}: no file matches this pattern")
    return found


def _file_source(name: str) -> Source:
    path = Path(name)
    try:
        mode = os.stat(name).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a NUL in a name
        raise NotFoundError(f"{name}: no such file") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{name}: is a folder; name its files, for example '{path / '*.txt'}'")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    if not suffixes:  # no suffix, such as /dev/stdin: one sentence per line
        return Source(name, ".txt", compression, path)
    if suffixes[-1] not in FORMATS:
        raise DataError(
            f"{name}: unknown format {shown(suffixes[-1])}; expected {', '.join(FORMATS)}, "
            f"optionally with {', '.join(COMPRESSIONS)}; use `-` to read plain lines from stdin"
        )
    return Source(name, suffixes[-1], compression, path)


def read_chunks(source: Source) -> Iterator[bytes]:
    """The bytes of a source, decompressed.

    Raises:
        NotFoundError: the file does not exist any more.
        DataError: the file cannot be read, or its compressed data is damaged, truncated, or a
            decompression bomb.
    """
    try:
        if source.path is None:
            if sys.stdin is None:
                raise DataError("stdin: is closed; name a file, or pipe text into stdin")
            yield from _blocks(sys.stdin.buffer)
        else:
            with open(source.path, "rb") as stream:
                yield from _decompressed(stream, source)
    except FileNotFoundError:
        raise NotFoundError(f"{source.name}: no such file") from None
    except _damages() as error:
        raise _damaged(source, error) from None
    except OSError as error:
        if error.strerror is None:  # bz2 has no error class of its own
            raise _damaged(source, error) from None
        raise DataError(f"{source.name}: cannot be read: {error.strerror}") from None


def _damaged(source: Source, error: Exception) -> DataError:
    return DataError(f"{source.name}: damaged or truncated {source.compression} data: {error}")


def _damages() -> tuple[type[Exception], ...]:
    """The exceptions of damaged compressed data; .zst's only if its package was imported."""
    damages = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
    module = sys.modules.get("compression.zstd") or sys.modules.get("zstandard")
    return damages if module is None else (*damages, module.ZstdError)


def _blocks(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while block := stream.read(_CHUNK_BYTES):
        yield block


def check_expansion(name: str, packed: int, unpacked: int, ratio: int = _BOMB_RATIO) -> None:
    """Raise DataError if `packed` bytes unpack to so many that they are a decompression bomb."""
    if unpacked > max(_BOMB_BYTES, ratio * packed):
        raise DataError(
            f"{name}: unpacks to more than {ratio:,} times its size, unlike real text; "
            "if the file is right, unpack it first, or convert it to .txt or .jsonl"
        )


class _Counted:
    """A binary stream that counts the bytes read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self.count += len(block)
        return block


def _decompressed(stream: IO[bytes], source: Source) -> Iterator[bytes]:
    if not source.compression:
        yield from _blocks(stream)
        return
    packed, unpacked = _Counted(stream), 0
    for block in _unpacked(packed, source):
        unpacked += len(block)
        ratio = _BOMB_RATIOS.get(source.compression, _BOMB_RATIO)
        check_expansion(source.name, packed.count, unpacked, ratio)
        yield block


def _unpacked(packed: Any, source: Source) -> Iterator[bytes]:
    if source.compression == ".gz":
        with gzip.open(packed) as unpacked:
            yield from _blocks(unpacked)
    elif source.compression == ".xz":
        yield from _frames(packed, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY))
    elif source.compression == ".bz2":
        yield from _frames(packed, bz2.BZ2Decompressor)
    else:
        yield from _frames(packed, _zstd(source.name))


def _frames(packed: Any, new_frame: Callable[[], Any]) -> Iterator[bytes]:
    """The decompressed data of all frames of a stream, in blocks of bounded size.

    Frame by frame, because the libraries' own readers accept a truncated last frame, or garbage
    after a frame, as the end of the data. Zeros after a frame are padding.
    """
    frame, block = new_frame(), b""
    while True:
        if not block and (frame is None or frame.needs_input):
            block = packed.read(_PACKED_BYTES)
            if not block:
                break
        if frame is None:
            block = block.lstrip(b"\0")
            if not block:
                continue
            frame = new_frame()
        yield frame.decompress(block, _CHUNK_BYTES)
        block, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        raise EOFError("the last frame is incomplete")


def _zstd(name: str) -> Callable[[], Any]:
    """The function that makes a .zst decompressor for one frame."""
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.ZstdDecompressor
    try:
        import zstandard
    except ImportError:
        raise DataError(
            f"{name}: .zst needs the package zstandard; install it with `pip install zstandard`"
        ) from None
    whole = zstandard.ZstdDecompressor()

    class Frame:
        """A frame decompressor with the interface of the standard library."""

        needs_input = True

        def __init__(self) -> None:
            self._frame = whole.decompressobj()

        def decompress(self, block: bytes, size: int) -> bytes:
            return self._frame.decompress(block)

        @property
        def eof(self) -> bool:
            return self._frame.eof

        @property
        def unused_data(self) -> bytes:
            return self._frame.unused_data

    return Frame


def read_lines(source: Source) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its newline character) for the lines of UTF-8 text.

    A byte-order mark at the start is skipped; a carriage return at the end of a line stays.

    Raises:
        DataError: a line is not UTF-8, has a NUL character, or exceeds 16 MiB; the message names
            the file and line.
    """
    for number, raw in enumerate(_raw_lines(source), start=1):
        if len(raw) > LONGEST_TEXT:
            raise DataError(
                f"{source.name}:{number}: a line of more than {LONGEST_TEXT >> 20} MiB; expected "
                "one sentence per line"
            )
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source.name}:{number}: not valid UTF-8 (byte 0x{raw[error.start]:02x} at byte "
                f"{error.start + 1} of the line); convert the file, for example with "
                f"`iconv -f {'UTF-16' if raw.startswith(_UTF16) else 'LATIN1'} -t UTF-8`"
            ) from None
        if "\0" in line:
            raise DataError(f"{source.name}:{number}: contains a NUL byte; is the file UTF-8 text?")
        yield number, line


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks without a byte-order mark at the start."""
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= len(BOM):
            break
    yield start.removeprefix(BOM)
    yield from chunks


def _raw_lines(source: Source) -> Iterator[bytes]:
    """The lines as bytes; a line above LONGEST_TEXT is cut, but stays above LONGEST_TEXT."""
    unfinished: list[bytes] = []
    for chunk in _without_mark(read_chunks(source)):
        first, *more = chunk.split(b"\n")
        unfinished.append(first)
        if more or sum(map(len, unfinished)) > LONGEST_TEXT:
            yield b"".join(unfinished)
            *complete, last = more or [b""]
            yield from complete
            unfinished = [last]
    last_line = b"".join(unfinished)
    if last_line:
        yield last_line
