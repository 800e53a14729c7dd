"""The bytes of a source: decompressed in small pieces, and no decompression bomb."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

from textvae.data.sources import Source
from textvae.errors import DataError, NotFoundError

_CHUNK_BYTES = 1 << 20
_PACKED_BYTES = 4 << 10  # compressed bytes read at once; they unpack to at most 128 MiB
_XZ_MEMORY = 1 << 29  # limit on the memory that a header may request; `xz -9` needs an eighth
_BOMB_BYTES = 16 << 20  # any file may unpack to this size, larger ones by the ratios below
# Ordinary text compresses to a third or less. Lines that differ only in a number reach 1/600 with
# .xz; .gz reaches 1/400 only on identical lines.
_BOMB_RATIOS = {".gz": 300}
_BOMB_RATIO = 1000


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
