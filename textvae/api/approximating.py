"""Approximate search of near lines by a saved index, with its recall."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from textvae.api.line_vectors import LineBlock, LineVectors
from textvae.errors import DataError, UsageError, flag, option, worded
from textvae.files.destination import check_folder
from textvae.latent.approximate import VectorIndex
from textvae.latent.neighbors import Metric, Near, NearestVectors, recall
from textvae.number_format import counted
from textvae.progress import Watcher

SAMPLE = 100  # lines whose neighbors, without the line itself, are searched exactly too
_MORE = 32  # candidates of a query beside 2 k, because equal texts are listed once


def n_candidates(k: int, n: int) -> int:
    """How many of n lines an index names for a query, of which the k nearest are listed."""
    return min(2 * k + _MORE, n)


def search_by_index(
    lines: LineVectors,
    queries: NDArray[np.floating],
    k: int,
    metric: Metric,
    *,
    left_out: list[str | None],
    path: Path,
    watcher: Watcher,
) -> tuple[list[list[Near]], int, float]:
    """The nearest lines of each query, the number of lines, and the recall on a sample of lines.

    Raises:
        UsageError: the lines have no file of vectors, or usearch is not installed.
        DataError: the index belongs to other vectors.
    """
    index = _index_of(lines, queries.shape[1], metric, path, watcher)
    n = lines.n or 0
    sample = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.intp))
    own: list[Hashable] = sample.tolist()  # a line is no neighbor of itself
    mine = _Candidates(index, queries, k, metric, left_out, n=n)
    sampled = np.empty((len(sample), queries.shape[1]), dtype=np.float32)
    for block in lines.blocks():
        mine.add(block)
        inside = _inside(sample, block)
        places = sample[inside] - block.first
        sampled[inside] = block.vectors[places]
        if block.rows is not None:
            own[inside] = [block.rows[place].text for place in places]
    if not index.holds(sample, sampled):
        raise DataError(
            f"{path}: an index of other vectors than those of {lines.name}; delete the file, or "
            "name another"
        )
    exact = NearestVectors(sampled, k, metric, left_out=own)
    of_index = _Candidates(index, sampled, k, metric, own, n=n)
    for block in lines.blocks():
        keys = None if block.rows is None else [row.text for row in block.rows]
        exact.add(block.vectors, block.first, keys=keys)
        of_index.add(block)
        watcher.progress("recall", block.first + len(block.vectors), n)
    share = recall(of_index.nearest.found(), exact.found())
    watcher.note(
        f"approximate search: finds {share:.1%} of the exact neighbors of "
        f"{counted(len(sample), 'line')}"
    )
    found = mine.nearest.found()
    short = sum(len(row) < min(k, n) for row in found)
    if short:
        watcher.warn(
            f"queries with fewer than {min(k, n):,} neighbors in the index: {short:,} of "
            f"{len(found):,}, perhaps because lines repeat; leave {flag('approximate')} out"
        )
    return found, n, share


def _index_of(
    lines: LineVectors, dimensions: int, metric: Metric, path: Path, watcher: Watcher
) -> VectorIndex:
    """The index in the file, or a new one, which is written there."""
    if lines.file is None or lines.n is None:
        raise UsageError(
            f"{option('approximate')}: needs a file of vectors, .npy or .parquet; write "
            + worded("the file with textvae embed", "the file with write_vectors")
        )
    if lines.n == 0:
        raise DataError(f"{lines.name}: no vectors in it")
    if path.exists():
        return VectorIndex.load(path, dimensions, metric, n=lines.n)
    check_folder(path, lines.name, name="approximate")
    index = VectorIndex.build(
        ((block.first, block.vectors) for block in lines.blocks()),
        dimensions,
        metric,
        n=lines.n,
        threads=torch.get_num_threads(),
        progress=watcher.progress,
    )
    index.save(path)
    watcher.note(f"index of {counted(lines.n, 'vector')} in {path}")
    return index


class _Candidates:
    """The lines that an index names for some queries, scored exactly as their blocks pass."""

    def __init__(
        self,
        index: VectorIndex,
        queries: NDArray[np.floating],
        k: int,
        metric: Metric,
        left_out: Sequence[Hashable | None],
        *,
        n: int,
    ) -> None:
        self.nearest = NearestVectors(queries, k, metric, left_out=left_out)
        found = index.search(queries, n_candidates(k, n))
        places = np.concatenate(found)
        order = np.argsort(places, kind="stable")
        self._places = places[order]  # ascending
        self._queries = np.repeat(np.arange(len(found)), [len(row) for row in found])[order]

    def add(self, block: LineBlock) -> None:
        """Score the candidates that stand in the block."""
        inside = _inside(self._places, block)
        places, queries = self._places[inside] - block.first, self._queries[inside]
        keys = None if block.rows is None else [row.text for row in block.rows]
        for q in np.unique(queries):
            self.nearest.add_candidates(
                int(q),
                places[queries == q],
                block.vectors,
                block.first,
                keys=keys,
                items=block.rows,
            )


def _inside(places: NDArray[np.intp], block: LineBlock) -> slice:
    """The part of ascending places that stands in the block."""
    ends = np.searchsorted(places, [block.first, block.first + len(block.vectors)])
    return slice(int(ends[0]), int(ends[1]))
