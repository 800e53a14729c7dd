"""Lossless compression of a text file by a language model, and back, bit for bit.

A sentence takes about its -log2 p(x) bits. Lines that the model cannot write, because they are not
UTF-8, too long or not what its tokenizer gives back, are compressed by zlib instead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from textvae.api.protocol import TextModel
from textvae.decoding.coded_tokens import decode_tokens, encode_tokens
from textvae.errors import DataError, NotFoundError, UsageError, shown
from textvae.files.atomic import replacing
from textvae.files.compressed_blocks import (
    Block,
    BlockReader,
    BlockWriter,
    packed_lines,
    unpacked_lines,
)
from textvae.files.destination import check_folder
from textvae.files.home import home_path
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress
from textvae.saving.identity import writer_fingerprint

_LINES, _NUMBERS = 1024, 2**22  # of a block: lines, and numbers in the logits of a step
_BYTES = 2**24  # of the lines of a block, apart from the last line
_LONGEST_CODED = 2**20  # bytes of a line: above, the tokenizer would need much memory for nothing
_LONGEST = 2**26  # bytes of a line: a block of longer ones could not be read again


@dataclass(frozen=True)
class Compressed:
    """The sizes of a compressed text.

    Args:
        n_lines: lines of the text.
        n_other_lines: lines that the model cannot write.
        n_bytes: of the text.
        n_compressed: bytes of the compressed file.
    """

    n_lines: int
    n_other_lines: int
    n_bytes: int
    n_compressed: int

    @property
    def bits_per_byte(self) -> float | None:
        """Bits of the compressed file for each byte of the text; None for an empty text."""
        return 8 * self.n_compressed / self.n_bytes if self.n_bytes else None

    def to_dict(self) -> dict[str, Any]:
        """The report of `textvae compress --json`."""
        return {**vars(self), "bits_per_byte": self.bits_per_byte}


@shows_progress
def compress(
    lm: TextModel, source: str | Path, out: str | Path, *, watcher: Watcher | None = None
) -> Compressed:
    """Write a text file, compressed by a language model.

    Each block of lines is decompressed again as a check. The compressed file can be decompressed
    with the same model on the same kind of processor, with the same version of torch: otherwise the
    last bits of the probabilities differ, and `decompress` says so. The size of the model is not
    counted: the model must be there to decompress.

    >>> lm.compress("test.txt", "test.tvc").bits_per_byte  # doctest: +SKIP

    Args:
        source: a file of any bytes; made for one sentence a line.
        out: the compressed file.

    Raises:
        UsageError: the model is no language model, or `out` is `source`.
        NotFoundError: no such file.
        DataError: a line of more than 64 MiB.
    """
    place, target = _checked(lm, source, out)
    watcher, size = watcher or Watcher(), place.stat().st_size
    digest, n_lines, n_other, n_bytes, last = hashlib.sha256(), 0, 0, 0, b"\n"
    with place.open("rb") as file, replacing(target) as stream, one_thread():
        writer = BlockWriter(stream, _circumstances(lm))
        for lines in _line_blocks(file, lines_a_block(lm), str(place)):
            block, others = _block(lm, [line.removesuffix(b"\n") for line in lines])
            writer.add(block)
            for line in lines:
                digest.update(line)
                n_bytes += len(line)
            n_lines, n_other, last = n_lines + len(lines), n_other + others, lines[-1]
            watcher.progress("compressing", n_bytes, max(size, n_bytes))
        writer.finish(ends_with_newline=last.endswith(b"\n"), digest=digest.digest())
    return Compressed(n_lines, n_other, n_bytes, writer.n_bytes)


@shows_progress
def decompress(
    lm: TextModel, source: str | Path, out: str | Path, *, watcher: Watcher | None = None
) -> Compressed:
    """Write the text that `compress` read, bit for bit.

    Raises:
        UsageError: the model is not the one that compressed the text, or `out` is `source`.
        NotFoundError: no such file.
        DataError: the file is damaged, or was compressed on another kind of machine.
    """
    place, target = _checked(lm, source, out)
    watcher, digest = watcher or Watcher(), hashlib.sha256()
    n_lines = n_other = n_bytes = 0
    with place.open("rb") as file, replacing(target) as stream, one_thread():
        reader = BlockReader(file, str(place))
        _check_circumstances(reader.header, lm, place)
        before = b""  # written once it is known if a newline follows
        for block in reader.blocks():
            lines, others = _lines(lm, block, place, reader.header)
            content = b"\n".join(lines)
            for part in (before, content):
                digest.update(part)
                stream.write(part)
            before, n_bytes = b"\n", n_bytes + len(before) + len(content)
            n_lines, n_other = n_lines + len(lines), n_other + others
            watcher.progress("decompressing", file.tell(), place.stat().st_size)
        last = before if reader.ends_with_newline else b""
        digest.update(last)
        stream.write(last)
        if digest.digest() != reader.digest:
            raise _differs(place, reader.header)
    return Compressed(n_lines, n_other, n_bytes + len(last), place.stat().st_size)


def lines_a_block(lm: TextModel) -> int:
    """Lines that are coded at once; limits the memory of the logits."""
    return max(1, min(_LINES, _NUMBERS // lm.model.decoder.vocabulary.size))


@contextmanager
def one_thread() -> Iterator[None]:
    """A block in which torch has one thread: the last bits of a float depend on the threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _checked(lm: TextModel, source: str | Path, out: str | Path) -> tuple[Path, Path]:
    if lm.model.prior is not None:
        raise UsageError(
            f"{lm.folder or 'the model'} is of the kind {lm.kind}; compression needs the exact "
            "probabilities of a language model: train an lm"
        )
    place, target = home_path(source), home_path(out)
    if not place.is_file():
        what = "this is a folder" if os.path.isdir(place) else "no such file"
        raise NotFoundError(f"{source}: {what}; name a file")
    check_folder(target, str(place))
    return place, target


def _line_blocks(file: IO[bytes], n: int, name: str) -> Iterator[list[bytes]]:
    """At most n lines at a time, with their newlines, in bounded memory.

    Raises:
        DataError: a line is too long.
    """
    lines: list[bytes] = []
    n_lines = n_bytes = 0
    while line := file.readline(_LONGEST + 1):
        n_lines += 1
        if len(line) > _LONGEST:
            raise DataError(
                f"{name}: line {n_lines:,} has more than {_LONGEST:,} bytes; textvae compress is "
                "for texts with one sentence a line, so take xz or zstd instead"
            )
        lines.append(line)
        n_bytes += len(line)
        if len(lines) == n or n_bytes > _BYTES:
            yield lines
            lines, n_bytes = [], 0
    if lines:
        yield lines


def _block(lm: TextModel, lines: list[bytes]) -> tuple[Block, int]:
    """The block of lines, and how many of the lines the model cannot write."""
    texts = [_text(line) for line in lines]
    ids = lm.tokenizer.encode(["" if text is None else text for text in texts])
    back = lm.tokenizer.decode(ids)
    written, others = [], {}
    for place, (line, text, own, again) in enumerate(zip(lines, texts, ids, back, strict=True)):
        if text is not None and again == text and len(own) < lm.max_tokens:
            written.append(own)
        else:
            others[place] = line
    decoder = lm.model.decoder
    tokens = encode_tokens(decoder, written) if written else b""
    if written and decode_tokens(decoder, tokens, len(written)) != written:
        raise DataError("the model does not give the same probabilities twice; nothing is written")
    return Block(len(lines), tokens, packed_lines(others)), len(others)


def _lines(
    lm: TextModel, block: Block, path: Path, header: dict[str, Any]
) -> tuple[list[bytes], int]:
    """The lines of a block, and how many of the lines the model cannot write."""
    try:
        if block.n_lines > lines_a_block(lm):
            raise DataError("lines")
        others = unpacked_lines(block.others, block.n_lines)
        n_written = block.n_lines - len(others)
        ids = decode_tokens(lm.model.decoder, block.tokens, n_written) if n_written else []
        written = iter(lm.tokenizer.decode(ids))
        lines = [
            others[place] if place in others else next(written).encode()
            for place in range(block.n_lines)
        ]
    except (DataError, ValueError, StopIteration):
        raise _differs(path, header) from None
    return lines, len(others)


def _text(line: bytes) -> str | None:
    """The line, if it is UTF-8 and short enough for a model."""
    if len(line) > _LONGEST_CODED:
        return None
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _circumstances(lm: TextModel) -> dict[str, Any]:
    """What the probabilities depend on, to the last bit."""
    return {
        "model": writer_fingerprint(lm.model, lm.tokenizer),
        "torch": torch.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "device": lm.model.device.type,
    }


def _check_circumstances(header: dict[str, Any], lm: TextModel, path: Path) -> None:
    """Raise UsageError if another model compressed the text."""
    if header.get("model") != writer_fingerprint(lm.model, lm.tokenizer):
        raise UsageError(
            f"{path} was compressed by another model than {lm.folder or 'this one'}; use that model"
        )


def _differs(path: Path, header: dict[str, Any]) -> DataError:
    then = ", ".join(shown(header.get(name)) for name in ("torch", "processor", "device"))
    now = f"{torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    return DataError(
        f"{path}: the text does not come back: damaged, or compressed elsewhere (torch and "
        f"processor: {then}; here: {now})"
    )
