"""Maps of sentences: their vectors in two dimensions, in groups, and paths on the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textvae.api.encoding import encode_all, require_latent
from textvae.api.interpolating import path as walk
from textvae.api.protocol import TextModel
from textvae.arguments import seed_of, whole_number
from textvae.data.input_rows import Sentences, name_of, prepared_rows
from textvae.data.rows import Row
from textvae.data.texts import one_text
from textvae.decoding.walk import Spacing, n_points
from textvae.errors import DataError, UsageError, option, worded
from textvae.evaluation.sentences import lowest_hashed_rows
from textvae.latent.interpolation import Method, interpolate
from textvae.latent.projection import MapMethod, Projection, check_method, project
from textvae.models.sentence import Layer
from textvae.number_format import counted
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

if TYPE_CHECKING:
    from textvae.latent.clusters import Clusters

MAP_SENTENCES = 5_000  # more hide each other


@dataclass(frozen=True)
class MapPoint:
    """A sentence on a map.

    Args:
        index: of the line of input, from 0.
        cluster: None without k.
    """

    index: int
    x: float
    y: float
    text: str
    label: str | None
    cluster: int | None


@dataclass(frozen=True)
class SentenceMap:
    """N sentences on a plane.

    Args:
        source: the name of the file.
        n_read: sentences in the source, of which N are on the map.
        indices: the line of input of each sentence, from 0.
        projection: the points (N, 2), and the places of other vectors.
        clusters: by k-means on the vectors themselves; None without k.
        label_column: the column of the labels that the caller named.
    """

    model: str
    source: str
    method: MapMethod
    layer: Layer
    seed: int
    n_read: int
    rows: Sequence[Row] = field(repr=False)
    indices: Sequence[int] = field(repr=False)
    projection: Projection = field(repr=False)
    clusters: Clusters | None = field(repr=False)
    label_column: str | None = None

    def points(self) -> list[MapPoint]:
        """The sentences with their places, in the order of the input."""
        of = [None] * len(self.rows) if self.clusters is None else self.clusters.of.tolist()
        places = self.projection.points.tolist()
        return [
            MapPoint(index, x, y, row.text, row.label, cluster)
            for index, (x, y), row, cluster in zip(self.indices, places, self.rows, of, strict=True)
        ]

    def groups(self) -> list[str | None]:
        """The group of each sentence: its cluster, or without k its label."""
        if self.clusters is None:
            return [row.label for row in self.rows]
        names = self.cluster_names()
        return [names[number] for number in self.clusters.of]

    def cluster_names(self) -> list[str]:
        """The number of each cluster with the sentence nearest to its centre."""
        if self.clusters is None:
            return []
        texts = [row.text for row in self.rows]
        nearest = [self.clusters.nearest(n, 1, texts) for n in range(len(self.clusters.centres))]
        return [f"{number}: {texts[found[0]]}" for number, found in enumerate(nearest)]

    def to_dict(self) -> dict[str, Any]:
        """The report that `textvae plot map --json` prints."""
        report: dict[str, Any] = {
            "model": self.model,
            "n_sentences": self.n_read,
            "n_drawn": len(self.rows),
            "method": self.method,
            "layer": self.layer,
            "seed": self.seed,
            "explained": self.projection.explained,
            "k": None if self.clusters is None else len(self.clusters.centres),
        }
        report = {key: value for key, value in report.items() if value is not None}
        points = [
            {key: value for key, value in vars(point).items() if value is not None}
            for point in self.points()
        ]
        return report | {"points": points}


@dataclass(frozen=True)
class PathStep:
    """A step of a path: the sentence that a point decodes to, and its place on the map.

    Args:
        t: its place on the path in the latent, from 0 to 1.
    """

    step: int
    t: float
    text: str
    x: float
    y: float


@dataclass(frozen=True)
class PathOnMap:
    """A path between two sentences, on a map of others.

    Args:
        a, b: the sentences at its ends.
        path: the form of the path in the latent.
        decoding: how the sentences were decoded.
    """

    map: SentenceMap
    a: str
    b: str
    path: Method
    spacing: Spacing
    decoding: dict[str, Any]
    steps: tuple[PathStep, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report that `textvae plot path --json` prints."""
        steps = [dict(vars(step)) for step in self.steps]
        own = {"a": self.a, "b": self.b, "path": self.path, "spacing": self.spacing}
        return self.map.to_dict() | own | {"decoding": self.decoding, "steps": steps}


@shows_progress
def sentence_map(
    vae: TextModel,
    sentences: Sentences,
    *,
    name: str | None = None,
    method: MapMethod = "pca",
    k: int | None = None,
    limit: int | None = MAP_SENTENCES,
    layer: Layer = "latent",
    text_column: str | None = None,
    label_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> SentenceMap:
    """The places of sentences on a map of their vectors.

    >>> found = vae.sentence_map("sentences.txt", k=8)  # doctest: +SKIP
    >>> textvae.plots.sentence_map(found).save("map.html")  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences.
        method: `pca`, `tsne` or `umap`; see `textvae.latent.projection.project`.
        k: also group the vectors by k-means.
        limit: sentences on the map, a fixed subset by a hash of the text; None: all.
        layer: as in `encode`.
        seed: of k-means, t-SNE and UMAP; None takes a fresh one, which the result names.

    Raises:
        UsageError: a language model, an unknown method, or one whose package is not installed.
        DataError: no sentences, or fewer than k.
    """
    from textvae.classification.task import warn_of_missing, warn_of_similar
    from textvae.latent import clusters

    seed = seed_of(seed)
    check_method(method)
    k = None if k is None else whole_number("k", k, least=1, example=8)
    limit = None if limit is None else whole_number("limit", limit, least=1, example=MAP_SENTENCES)
    require_latent(vae, "draw a map", name)
    watcher = watcher or Watcher()
    read = prepared_rows(
        sentences,
        vae.config.data,
        text_column=text_column,
        label_column=label_column,
        remarks=watcher.remarks,
    )
    chosen, n_read = lowest_hashed_rows(read, limit)
    rows, source = [row for _, row in chosen], name_of(sentences)
    _check_count(source, len(rows), k)
    warn_of_missing(source, rows, watcher.warn)
    warn_of_similar({row.label for row in rows if row.label is not None}, watcher.warn)
    vectors = encode_all(vae, [row.text for row in rows], watcher, layer=layer)
    return SentenceMap(
        model=str(vae.folder or "") if name is None else name,
        source=source,
        method=method,
        layer=layer,
        seed=seed,
        n_read=n_read,
        rows=rows,
        indices=[index for index, _ in chosen],
        projection=project(vectors, method, seed=seed, progress=watcher.progress),
        clusters=None if k is None else clusters.cluster(vectors, k, seed=seed),
        label_column=label_column,
    )


@shows_progress
def path_on_map(
    vae: TextModel,
    sentences: Sentences,
    a: str,
    b: str,
    steps: int = 7,
    *,
    path: Method = "slerp",
    spacing: Spacing = "text",
    watcher: Watcher | None = None,
    **options: Any,
) -> PathOnMap:
    """The path from one sentence to another, ends included, on a map of sentences.

    >>> found = vae.path_on_map("sentences.txt", "a ...", "b ...", steps=5)  # doctest: +SKIP
    >>> textvae.plots.path_on_map(found).save("path.svg")  # doctest: +SKIP

    Args:
        path: `linear` or `slerp`, the `method` of `interpolate`.
        spacing: as in `interpolate`.
        options: of `sentence_map`, apart from `layer`.

    Raises:
        UsageError, DataError: as in `sentence_map` and `interpolate`.
    """
    watcher = watcher or Watcher()
    steps = whole_number("steps", steps, least=2, example=7)
    require_latent(vae, "draw a path", options.get("name"))
    if options.get("layer", "latent") != "latent":
        raise UsageError(f"{option('layer', options['layer'])}: a path goes through the latent")
    ends = encode_all(vae, [one_text(a, "a"), one_text(b, "b")], watcher, phase="ends")
    walked = walk(vae, a, b, steps, method=path, spacing=spacing)
    points = interpolate(ends[0], ends[1], n_points(steps, spacing), method=path)
    taken = points[[round(sentence.t * (len(points) - 1)) for sentence in walked]]
    found = sentence_map(vae, sentences, watcher=watcher, **options)
    places = found.projection.place(taken).tolist()
    numbered = tuple(
        PathStep(step, sentence.t, sentence.text, *place)
        for step, (sentence, place) in enumerate(zip(walked, places, strict=True))
    )
    return PathOnMap(found, a, b, path, spacing, vae.decoding().to_dict(), numbered)


def _check_count(source: str, n: int, k: int | None) -> None:
    if not n:
        raise DataError(f"{source}: no sentences in it")
    if k is not None and k > n:
        only, lower = "is" if n == 1 else "are", worded("-k", "k")
        raise DataError(
            f"{source}: k is {k:,}, but there {only} only {counted(n, 'sentence')} on the map; "
            f"lower {lower}"
        )
