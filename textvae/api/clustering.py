"""Clusters of sentences by k-means on their vectors, each described by sentences and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from textvae.api.encoding import encode_all, require_latent
from textvae.api.protocol import TextModel
from textvae.arguments import seed_of, whole_number
from textvae.data.input_rows import Sentences, name_of, prepared_rows
from textvae.data.rows import Row
from textvae.errors import DataError, worded
from textvae.models.sentence import Layer
from textvae.number_format import counted
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

if TYPE_CHECKING:
    from textvae.latent.clusters import Agreement, Clusters


@dataclass(frozen=True)
class NearSentence:
    """A sentence near the centre of its cluster."""

    index: int
    text: str
    distance: float


@dataclass(frozen=True)
class Cluster:
    """A group of sentences.

    Args:
        cluster: its number; the largest is 0.
        label, purity: its most frequent label and that label's share; None without labels.
        centre: the sentence that the mean of its vectors decodes to; None for encoder states.
        nearest: the sentences nearest to the centre, equal texts once.
    """

    cluster: int
    size: int
    label: str | None
    purity: float | None
    centre: str | None
    nearest: tuple[NearSentence, ...]

    def to_dict(self) -> dict[str, Any]:
        """The cluster as `textvae cluster --json` prints it, without undefined values."""
        record = {key: value for key, value in vars(self).items() if value is not None}
        return record | {"nearest": [asdict(sentence) for sentence in self.nearest]}


@dataclass(frozen=True)
class Assignment:
    """The cluster of a sentence, and its distance to the centre."""

    index: int
    text: str
    label: str | None
    cluster: int
    distance: float


@dataclass(frozen=True)
class Clustering:
    """The clusters of sentences, the largest first.

    Args:
        agreement: how the clusters agree with the labels; None without labels.
        clusters: a description of each.
        rows: the sentences.
        found: the cluster and the distance of each sentence, and the centres.
    """

    model: str
    k: int
    layer: Layer
    normalize: bool
    seed: int
    agreement: Agreement | None
    clusters: tuple[Cluster, ...]
    rows: Sequence[Row] = field(repr=False)
    found: Clusters = field(repr=False)

    @property
    def inertia(self) -> float:
        """Sum of the squared distances of the vectors to their centres."""
        return self.found.inertia

    def assignments(self) -> Iterator[Assignment]:
        """The cluster of each sentence, in the order of the input."""
        assigned = zip(
            self.rows, self.found.of.tolist(), self.found.distances.tolist(), strict=True
        )
        for index, (row, number, distance) in enumerate(assigned):
            yield Assignment(index, row.text, row.label, number, distance)

    def to_dict(self) -> dict[str, Any]:
        """The report that `textvae cluster --json` prints."""
        report: dict[str, Any] = {
            "model": self.model,
            "n_sentences": len(self.rows),
            "k": self.k,
            "layer": self.layer,
            "normalize": self.normalize,
            "seed": self.seed,
            "inertia": self.inertia,
        }
        if self.agreement is not None:
            report |= {
                "n_labelled": self.agreement.n_labelled,
                "purity": self.agreement.purity,
                "nmi": self.agreement.nmi,
            }
        return report | {"clusters": [cluster.to_dict() for cluster in self.clusters]}


@shows_progress
def cluster(
    vae: TextModel,
    sentences: Sentences,
    k: int,
    *,
    name: str | None = None,
    nearest: int = 5,
    layer: Layer = "latent",
    normalize: bool = False,
    text_column: str | None = None,
    label_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> Clustering:
    """The clusters of sentences by k-means on their vectors, the largest first.

    >>> vae.cluster("sentences.txt", k=8).clusters[0].centre  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences.
        nearest: sentences listed for each cluster.
        layer, normalize: as in `encode`.
        seed: None takes a fresh one, which the result names.

    Raises:
        UsageError: k below 1, or a language model.
        DataError: fewer sentences, or fewer different vectors, than k.
    """
    from textvae.classification.task import warn_of_missing, warn_of_similar
    from textvae.latent import clusters as groups

    k, seed = whole_number("k", k, least=1, example=8), seed_of(seed)
    nearest = whole_number("nearest", nearest, least=0, example=5)
    require_latent(vae, "cluster", name)
    watcher = watcher or Watcher()
    rows = list(
        prepared_rows(
            sentences,
            vae.config.data,
            text_column=text_column,
            label_column=label_column,
            remarks=watcher.remarks,
        )
    )
    source = name_of(sentences)
    if not rows:
        raise DataError(f"{source}: no sentences in it")
    if k > len(rows):
        n, lower = counted(len(rows), "sentence"), worded("-k", "k")
        only = "is" if len(rows) == 1 else "are"
        raise DataError(f"{source}: k is {k:,}, but there {only} only {n}; lower {lower}")
    warn_of_missing(source, rows, watcher.warn)
    warn_of_similar({row.label for row in rows if row.label is not None}, watcher.warn)
    texts = [row.text for row in rows]
    vectors = encode_all(vae, texts, watcher, layer=layer)
    found = groups.cluster(groups.unit(vectors) if normalize else vectors, k, seed=seed)
    agreement = groups.agreement(found, [row.label for row in rows])
    decoded: Sequence[str | None] = [None] * k
    if layer == "latent":
        decoded = vae.decode(groups.means(vectors, found.of, k))
    return Clustering(
        model=str(vae.folder or "") if name is None else name,
        k=k,
        layer=layer,
        normalize=normalize,
        seed=seed,
        agreement=agreement,
        clusters=tuple(
            _described(found, agreement, number, decoded[number], texts, nearest)
            for number in range(k)
        ),
        rows=rows,
        found=found,
    )


def _described(
    found: Clusters,
    agreement: Agreement | None,
    number: int,
    decoded: str | None,
    texts: Sequence[str],
    nearest: int,
) -> Cluster:
    majority = None if agreement is None else agreement.majorities[number]
    label, purity = (None, None) if majority is None else majority
    near = tuple(
        NearSentence(place, texts[place], float(found.distances[place]))
        for place in found.nearest(number, nearest, texts)
    )
    return Cluster(number, found.sizes[number], label, purity, decoded, near)
