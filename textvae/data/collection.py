"""Collections: the rows of a user's data, which can be read repeatedly, and a digest of them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from textvae.config import DataConfig
from textvae.data.cache import fingerprint
from textvae.data.columns import Choice
from textvae.data.compression import read_chunks
from textvae.data.opening import clean_rows, rows_of, rows_of_texts
from textvae.data.rows import Row, hash_fraction
from textvae.data.sources import STDIN, Source, find_sources
from textvae.errors import DataError
from textvae.progress import Watcher, counted_off

_FORMAT = 2  # of cached files; increase it when the same input would give another result
_COMPRESSED = 5  # size of text / size of its compressed file, approximate
_LINES = (".txt", ".csv", ".tsv", ".jsonl")  # formats with a row for each line, or about that
_MIB = 1 << 20


@dataclass(frozen=True)
class Share:
    """The texts whose `hash_fraction` is in [start, end); duplicates stay together.

    >>> Share(0.0, 0.5).first(0.1)
    Share(start=0.0, end=0.05)
    """

    start: float = 0.0
    end: float = 1.0

    def first(self, part: float) -> Share:
        """A random part of these texts."""
        return replace(self, end=self.start + part * (self.end - self.start))

    @property
    def is_all(self) -> bool:
        """True if every text is in this share."""
        return self == ALL


ALL = Share()


@dataclass(frozen=True)
class Collection:
    """Rows that can be read repeatedly, or a share of them, and a digest that changes with them."""

    name: str  # for messages
    all_rows: Callable[[], Iterator[Row]]  # of the source; see `rows` for those of the share
    digest: str
    text_bytes: int  # approximate
    n_rows: int  # of the source, approximate; 0: unknown
    share: Share = ALL

    def rows(self, watcher: Watcher, phase: str) -> Iterator[Row]:
        """The rows of the share; the watcher is told how far the reading of the source is."""
        rows = counted_off(self.all_rows(), watcher.progress, phase, self.n_rows)
        if self.share.is_all:
            return rows
        start, end = self.share.start, self.share.end
        return (row for row in rows if start <= hash_fraction(row.text) < end)

    def split(self, fraction: float) -> tuple[Collection, Collection]:
        """(training, validation), split by a hash of each text, so duplicates stay together."""
        train = replace(
            self, digest=fingerprint(self.digest, f"train {fraction}"), share=Share(start=fraction)
        )
        valid = replace(
            self,
            digest=fingerprint(self.digest, f"valid {fraction}"),
            share=Share(end=fraction),
            text_bytes=int(self.text_bytes * fraction),
        )
        return train, valid


def collect_texts(
    texts: Iterable[str | Row], data: DataConfig, name: str, watcher: Watcher
) -> Collection:
    """The collection of texts in memory."""
    kept = list(texts)  # a generator can be read only once
    return _hashed(name, lambda: rows_of_texts(kept, data, name=name), data, watcher, len(kept))


def collect(
    stack: ExitStack, specs: Sequence[str], data: DataConfig, watcher: Watcher
) -> Collection:
    """The collection of files, globs, `-` and `hf:` names; the stack holds temporary copies.

    Raises:
        NotFoundError, DataError: as in `open_rows`.
    """
    name = ", ".join(STDIN if spec == "-" else spec for spec in specs)
    found = find_sources(specs)
    watcher.note(f"reading {name}")  # may wait for another process
    sources = [_rereadable(stack, source, watcher) for source in found]

    choice = Choice(data.text_column, data.label_column)

    def all_rows() -> Iterator[Row]:
        rows = rows_of(sources, choice, watcher.remarks)
        return clean_rows(rows, lowercase=data.lowercase, normalization=data.normalization)

    if any(source.format == "hf" for source in sources):
        return _hashed(name, all_rows, data, watcher)
    for source in sources:  # what is recognized is told even if the encoded corpus is cached
        next(rows_of([source], choice, watcher.remarks), None)
    scans = [_scan(source, watcher) for source in sources]
    digests = [
        (source.format, source.compression, digest)
        for source, (digest, _) in zip(sources, scans, strict=True)
    ]
    size = sum(_size(source) * (_COMPRESSED if source.compression else 1) for source in sources)
    known = all(source.format in _LINES and not source.compression for source in sources)
    n_rows = sum(n_lines for _, n_lines in scans) if known else 0
    return Collection(name, all_rows, fingerprint(digests, _options(data)), size, n_rows)


def _options(data: DataConfig) -> list[object]:
    """What the rows of a source depend on."""
    return [data.text_column, data.label_column, data.lowercase, data.normalization, _FORMAT]


def _rereadable(stack: ExitStack, source: Source, watcher: Watcher) -> Source:
    """`source`, copied to a temporary file if it can be read only once."""
    if source.format == "hf" or (source.path is not None and source.path.is_file()):
        return source
    spool = stack.enter_context(tempfile.NamedTemporaryFile(prefix="textvae-"))
    n_bytes = 0
    try:
        for chunk in read_chunks(source):
            spool.write(chunk)
            n_bytes += len(chunk)
            watcher.progress(f"reading {source.name} (MiB)", n_bytes // _MIB, 0)
        spool.flush()
    except OSError as error:
        raise DataError(
            f"{source.name}: cannot copy to {spool.name}: {error}; try another folder with TMPDIR"
        ) from None
    return replace(source, path=Path(spool.name), compression="")


def _size(source: Source) -> int:
    assert source.path is not None  # for the type checker: Hugging Face data sets never come here
    return source.path.stat().st_size


def _scan(source: Source, watcher: Watcher) -> tuple[str, int]:
    """(digest, number of lines) of the bytes of the file: much faster than reading rows."""
    digest, n_lines, n_bytes, last = hashlib.blake2b(digest_size=16), 0, 0, b"\n"
    phase, total = f"reading {source.name} (MiB)", -(-_size(source) // _MIB)
    for chunk in read_chunks(replace(source, compression="")):
        digest.update(chunk)
        n_lines += chunk.count(b"\n")
        n_bytes += len(chunk)
        last = chunk[-1:]
        watcher.progress(phase, min(-(-n_bytes // _MIB), total), total)
    return digest.hexdigest(), n_lines + (last != b"\n")


def _hashed(
    name: str,
    rows: Callable[[], Iterator[Row]],
    data: DataConfig,
    watcher: Watcher,
    total: int = 0,
) -> Collection:
    digest, size, n_rows = hashlib.blake2b(digest_size=16), 0, 0
    for row in counted_off(rows(), watcher.progress, f"reading {name}", total):
        encoded = row.text.encode()
        size += len(encoded)
        n_rows += 1
        digest.update(f"{len(encoded)} {row.label!r} {row.log_prob!r} ".encode())
        digest.update(encoded)
    return Collection(name, rows, fingerprint(digest.hexdigest(), _options(data)), size, n_rows)
