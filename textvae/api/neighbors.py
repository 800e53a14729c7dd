"""The lines of a text that are nearest to some sentences, by their vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.api.encoding import encode_all, require_latent
from textvae.api.line_vectors import LineVectors, line_vectors
from textvae.api.protocol import TextModel
from textvae.arguments import whole_number
from textvae.data.input_rows import Sentences, name_of, prepared_rows, read_stdin_once
from textvae.data.rows import Row
from textvae.errors import DataError
from textvae.latent.clusters import unit
from textvae.latent.neighbors import Metric, Near, NearestVectors, check_metric
from textvae.models.sentence import Layer
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress


@dataclass(frozen=True)
class Neighbor:
    """A line near a query.

    Args:
        query: the sentence that the line is near to.
        rank: 1 for the nearest line.
        index: place of the line in the source, from 0.
        score: cosine similarity or dot product (larger is nearer), or Euclidean distance.
        text, label: None where the source has none.
    """

    query: str
    rank: int
    index: int
    score: float
    text: str | None
    label: str | None

    def to_dict(self) -> dict[str, Any]:
        """The line as `textvae neighbors --json` prints it, without undefined values."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Neighbors:
    """The nearest lines of each query, in the order of the queries.

    Args:
        n_lines: lines that were searched.
        recall: share of the exact neighbors that an approximate search finds, on a sample of the
            lines; None for an exact search.
    """

    model: str
    metric: Metric
    layer: Layer
    k: int
    n_lines: int
    recall: float | None
    found: tuple[tuple[Neighbor, ...], ...] = field(repr=False)

    def __iter__(self) -> Iterator[Neighbor]:
        """All neighbors of the first query, then of the second, ...; for a data frame."""
        return (near for row in self.found for near in row)


@shows_progress
def neighbors(
    vae: TextModel,
    sentences: Sentences,
    queries: Sentences,
    k: int = 10,
    *,
    name: str | None = None,
    metric: Metric = "cosine",
    texts: Sentences | None = None,
    without_query: bool = False,
    layer: Layer | None = None,
    approximate: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    watcher: Watcher | None = None,
) -> Neighbors:
    """The k lines nearest to each query, by the vectors of a model.

    The search is exact. The memory grows with the queries and k, not with the lines. Equal texts
    are listed once, by their first line. Of lines at the same distance, the earlier comes first.

    >>> found = vae.neighbors("reviews.txt", ["the soup was cold ."], k=5)  # doctest: +SKIP
    >>> [near.text for near in found.found[0]]  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences; or a file of their vectors,
            `.npy` or `.parquet`, which are reused.
        queries: the same, without files of vectors.
        texts: the sentences that belong to a `.npy` file.
        without_query: leave out lines equal to the query.
        layer: as in `encode`; None: the layer of the file of vectors, otherwise the latent.
        approximate: search by an index in this file, which is built and written if it does not
            exist; needs a file of vectors and the package usearch.

    Raises:
        UsageError: k below 1, an unknown metric, or a language model.
        DataError: no queries, no lines, or vectors of another model.
    """
    k = whole_number("k", k, least=1, example=10)
    check_metric(metric)
    require_latent(vae, "find neighbors", name)
    read_stdin_once(sentences, queries, texts)
    watcher = watcher or Watcher()
    lines = line_vectors(
        vae,
        sentences,
        texts=texts,
        layer=layer,
        text_column=text_column,
        label_column=label_column,
        watcher=watcher,
    )
    asked = [row.text for row in prepared_rows(queries, vae.config.data, remarks=watcher.remarks)]
    if not asked:
        raise DataError(f"{name_of(queries)}: no query in it")
    vectors = query_vectors(vae, asked, lines, watcher)
    left_out: list[str | None] = [text if without_query else None for text in asked]
    if approximate is not None:
        from textvae.api.approximating import search_by_index

        near, n_lines, share = search_by_index(
            lines, vectors, k, metric, left_out=left_out, path=Path(approximate), watcher=watcher
        )
    else:
        near, n_lines = search(lines, vectors, k, metric, left_out=left_out, watcher=watcher)
        share = None
    if n_lines == 0:
        raise DataError(f"{lines.name}: no sentences in it")
    alone = sum(not row for row in near)
    if alone and share is None:
        watcher.warn(
            f"{lines.name}: queries without neighbors, because all lines are equal to the query: "
            f"{alone:,} of {len(asked):,}"
        )
    return Neighbors(
        model=str(vae.folder or "") if name is None else name,
        metric=metric,
        layer=lines.layer,
        k=k,
        n_lines=n_lines,
        recall=share,
        found=tuple(
            tuple(_neighbor(query, rank, one) for rank, one in enumerate(row, start=1))
            for query, row in zip(asked, near, strict=True)
        ),
    )


def search(
    lines: LineVectors,
    queries: NDArray[np.floating],
    k: int,
    metric: Metric,
    *,
    left_out: list[str | None] | None = None,
    watcher: Watcher,
) -> tuple[list[list[Near]], int]:
    """The k nearest lines of each query (Q, D), with their rows, and the number of lines."""
    nearest, n_lines = NearestVectors(queries, k, metric, left_out=left_out), 0
    for block in lines.blocks():
        texts = None if block.rows is None else [row.text for row in block.rows]
        nearest.add(block.vectors, block.first, keys=texts, items=block.rows)
        n_lines = block.first + len(block.vectors)
        watcher.progress("searching", n_lines, lines.n or 0)
    return nearest.found(), n_lines


def query_vectors(
    vae: TextModel, queries: list[str], lines: LineVectors, watcher: Watcher
) -> NDArray[np.float32]:
    """The vectors of the queries, (Q, D), made as the vectors of the lines."""
    vectors = encode_all(vae, queries, watcher, layer=lines.layer, phase="queries")
    return unit(vectors).astype(np.float32) if lines.normalize else vectors


def _neighbor(query: str, rank: int, near: Near) -> Neighbor:
    row: Row | None = near.item
    text, label = (None, None) if row is None else (row.text, row.label)
    return Neighbor(query, rank, near.index, near.score, text, label)
