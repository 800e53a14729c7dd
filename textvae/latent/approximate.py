"""An index for approximate search among many vectors, by the package usearch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError, UsageError, option
from textvae.files.atomic import replacing
from textvae.files.untrusted import reason
from textvae.latent.neighbors import Metric
from textvae.progress import Progress

_NAMES: dict[Metric, str] = {"cosine": "cos", "euclidean": "l2sq", "dot": "ip"}  # in usearch
_DIGEST = hashlib.sha256().digest_size  # bytes at the end of a file


class VectorIndex:
    """A graph of near vectors (HNSW), whose search sees only some of them. Malkov & Yashunin 2018.

    Args:
        index: of usearch; its keys are the indices of the vectors.
    """

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(
        cls,
        blocks: Iterable[tuple[int, NDArray[np.floating]]],
        dimensions: int,
        metric: Metric,
        *,
        n: int,
        threads: int,
        progress: Progress,
    ) -> VectorIndex:
        """The index of (index of the first vector, vectors (B, D)).

        Raises:
            UsageError: usearch is not installed.
        """
        index = _usearch().Index(ndim=dimensions, metric=_NAMES[metric], dtype="f32")
        for first, vectors in blocks:
            keys = np.arange(first, first + len(vectors), dtype=np.uint64)
            index.add(keys, np.ascontiguousarray(vectors, dtype=np.float32), threads=threads)
            progress("indexing", first + len(vectors), n)
        return cls(index)

    @classmethod
    def load(cls, path: Path, dimensions: int, metric: Metric, *, n: int) -> VectorIndex:
        """The index in a file of `save`.

        Raises:
            UsageError: usearch is not installed.
            DataError: the file is damaged, or the index of other vectors or of another metric.
        """
        usearch = _usearch()
        try:
            size = path.stat().st_size - _DIGEST
            with path.open("rb") as file:
                # usearch believes what a file says: a damaged one would crash the process.
                if size < 0 or _digest(file, size) != file.read():
                    raise DataError(
                        f"{path}: damaged, or not an index that textvae wrote; delete the file, or "
                        "name another"
                    )
            index = usearch.Index.restore(str(path), view=True)
        except (RuntimeError, ValueError, OSError) as error:
            raise DataError(f"{path}: not an index of usearch: {reason(error)}") from None
        if index is None:
            raise DataError(f"{path}: not an index of usearch")
        like = usearch.Index(ndim=1, metric=_NAMES[metric]).metric_kind
        if (len(index), index.ndim, index.metric_kind) != (n, dimensions, like):
            raise DataError(
                f"{path}: an index of {len(index):,} vectors of {index.ndim} dimensions "
                f"({index.metric_kind}); expected {n:,} of {dimensions} for {metric}: delete the "
                "file, or name another"
            )
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the index and its digest, completely or not at all."""
        with replacing(path) as file:
            self._index.save(file.name)
            with open(file.name, "rb") as written:
                digest = _digest(written, os.fstat(written.fileno()).st_size)
            file.seek(0, os.SEEK_END)
            file.write(digest)

    def holds(self, indices: NDArray[np.integer], vectors: NDArray[np.floating]) -> bool:
        """True if these are the vectors (B, D) with these indices."""
        own = self._index.get(np.asarray(indices, dtype=np.uint64))
        return own is not None and np.allclose(own, vectors, atol=1e-6)

    def search(self, queries: NDArray[np.floating], k: int) -> list[NDArray[np.intp]]:
        """The indices of about the k nearest vectors of each query (Q, D)."""
        if not len(queries):
            return []
        found = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), k, threads=1)
        if len(queries) == 1:
            return [np.asarray(found.keys, dtype=np.intp)]
        pairs = zip(found.keys, found.counts, strict=True)
        return [keys[:count].astype(np.intp) for keys, count in pairs]


def _digest(file: BinaryIO, size: int) -> bytes:
    """The SHA-256 of the next `size` bytes."""
    digest = hashlib.sha256()
    while size > 0 and (part := file.read(min(size, 1 << 20))):
        digest.update(part)
        size -= len(part)
    return digest.digest()


def _usearch() -> Any:
    try:
        from usearch import index
    except ImportError:
        raise UsageError(
            f"{option('approximate')} needs the package usearch; try pip install "
            "'textvae[neighbors]', or leave the option out: the exact search takes about a second "
            "for a million vectors"
        ) from None
    return index
