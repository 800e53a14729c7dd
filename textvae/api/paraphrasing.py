"""Variations of sentences: what points near the vector of a sentence decode to, ranked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from textvae.api.encoding import SPREAD_OF_CODES, require_latent, surroundings, warn_of_cut
from textvae.api.protocol import TextModel
from textvae.arguments import distance, seed_of, whole_number
from textvae.data.input_rows import (
    CHUNK,
    Sentences,
    in_chunks,
    name_of,
    prepared_rows,
    warn_of_blank,
)
from textvae.data.rows import Row
from textvae.data.writing import letters
from textvae.decoding.generation import decode_batches, default_decoding
from textvae.errors import UsageError, flag, option
from textvae.evaluation.likelihood import chunks_by_length, log_likelihoods
from textvae.latent.clusters import unit
from textvae.number_format import counted, human
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress
from textvae.randomness.purposes import VARIATION
from textvae.randomness.seeds import derived_seed
from textvae.randomness.streams import SampleStreams

Rank = Literal["similarity", "likelihood"]
SCALE = 0.5  # of the noise, in standard deviations of the posterior
DRAWS = 100  # points that are decoded for a sentence
MOST_DRAWS = 10_000


@dataclass(frozen=True)
class Paraphrase:
    """A variation of a sentence.

    Args:
        index: of the sentence in the input, from 0.
        rank: 1 is the best.
        similarity: cosine of the vectors of the sentence and of the variation, encoded again.
        log_likelihood: log p(variation | z) in nats, z the vector of the sentence.
    """

    index: int
    text: str
    rank: int
    paraphrase: str
    similarity: float
    log_likelihood: float

    def to_dict(self) -> dict[str, Any]:
        """The variation as `textvae paraphrase --json` prints it, but for `decoding`."""
        return dict(vars(self))


@shows_progress
def paraphrase(
    vae: TextModel,
    sentences: Sentences,
    n: int = 5,
    *,
    scale: float | None = None,
    draws: int = DRAWS,
    by: Rank = "similarity",
    name: str | None = None,
    text_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> list[Paraphrase]:
    """At most n variations of each sentence, the best first; never the sentence itself.

    The vector of the sentence and `draws` points around it are decoded greedily: z = mean + scale *
    stddev * noise of the posterior, the noise of a draw from the stream (seed, draw, sentence).
    Texts that differ only in case, spacing and punctuation count as equal: variations differ from
    the sentence and from each other by more. All that are found are ranked, so the variations of a
    smaller n are the first of a larger n.

    >>> vae.paraphrase(["the soup was cold ."], n=3)[0].paraphrase  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences. Blank ones are skipped;
            you are told how many.
        scale: size of the noise in standard deviations of the posterior, 0.5 by default; for an
            ae in those of all its codes, 0.2 by default.
        draws: points that are decoded for each sentence.
        by: `similarity` or `likelihood`, see `Paraphrase`; longer sentences are less likely.
        seed: None takes a fresh one.

    Raises:
        UsageError: a language model, or an option out of range.
    """
    found = iter_paraphrase(
        vae,
        sentences,
        n,
        scale=scale,
        draws=draws,
        by=by,
        name=name,
        text_column=text_column,
        seed=seed,
        watcher=watcher,
    )
    return list(found)


def iter_paraphrase(
    vae: TextModel,
    sentences: Sentences,
    n: int = 5,
    *,
    scale: float | None = None,
    draws: int = DRAWS,
    by: Rank = "similarity",
    name: str | None = None,
    text_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> Iterator[Paraphrase]:
    """The rows of `paraphrase`, one by one, in bounded memory; checked at the call."""
    n, seed = whole_number("n", n, least=1, example=5), seed_of(seed)
    draws = whole_number("draws", draws, least=1, example=DRAWS)
    if draws > MOST_DRAWS:
        raise UsageError(f"{option('draws', draws)}: expected {MOST_DRAWS:,} at most")
    if by not in get_args(Rank):
        raise UsageError(f"{option('by', by)} is unknown; try {' or '.join(get_args(Rank))}")
    require_latent(vae, "paraphrase", name)
    if scale is None:
        scale = SCALE if vae.model.has_density else SPREAD_OF_CODES
    search = _Search(vae, distance("scale", scale), draws, by, seed)
    watcher = watcher or Watcher()
    rows = prepared_rows(
        sentences, vae.config.data, text_column=text_column, remarks=watcher.remarks
    )
    chunks = in_chunks(rows, max(1, CHUNK // draws))
    return _best(search, chunks, n, name_of(sentences), watcher)


def _best(
    search: _Search, chunks: Iterator[tuple[int, list[Row]]], n: int, source: str, watcher: Watcher
) -> Iterator[Paraphrase]:
    """The n best variations of each sentence; warns of sentences that got fewer."""
    n_rows = n_blank = n_short = n_cut = 0
    for start, chunk in chunks:
        texts = {start + i: row.text for i, row in enumerate(chunk) if row.text.strip()}
        n_rows, n_blank = n_rows + len(texts), n_blank + len(chunk) - len(texts)
        cut, found = search.run(texts)
        n_cut += cut
        for own in found:
            n_short += len(own) < n
            yield from own[:n]
        watcher.progress("paraphrasing", start + len(chunk), 0)
    warn_of_cut(n_cut, search.vae.max_tokens_read, watcher.warn)
    warn_of_blank(n_blank, source, watcher.warn)
    if not n_rows:
        watcher.warn(f"{source}: no sentence in it")
    if n_short:
        watcher.warn(
            f"{human(n_short)} of {counted(n_rows, 'sentence')} got fewer than {n:,} variations in "
            f"{search.draws:,} draws; a larger {flag('scale')} or more {flag('draws')} may find "
            "more"
        )


@dataclass(frozen=True)
class _Search:
    """How the variations of sentences are found and ranked."""

    vae: TextModel
    scale: float
    draws: int
    by: Rank
    seed: int

    def run(self, texts: dict[int, str]) -> tuple[int, list[list[Paraphrase]]]:
        """The number of truncated sentences, and the variations of each, all of them, ranked.

        Args:
            texts: by their indices in the input.
        """
        if not texts:
            return 0, []
        vae = self.vae
        near = surroundings(vae, list(texts.values()))
        z = [near.mean]
        for draw in range(self.draws):
            streams = SampleStreams(derived_seed(self.seed, VARIATION, draw), list(texts))
            z.append(near.mean + self.scale * near.stddev * streams.normal(z[0].shape[1]).numpy())
        points = np.stack(z, axis=1)  # (N, 1 + draws, Z)
        latents = torch.from_numpy(points.reshape(-1, points.shape[-1]))
        ids = list(decode_batches(vae.model, latents, default_decoding(vae.model)))
        decoded = vae.tokenizer.decode(ids)
        per_sentence = points.shape[1]
        candidates = [
            _different(text, decoded[place * per_sentence :][:per_sentence], place * per_sentence)
            for place, text in enumerate(texts.values())
        ]
        return near.cut, list(self._ranked(texts, near.mean, candidates, decoded, ids))

    def _ranked(
        self,
        texts: dict[int, str],
        mean: NDArray[np.float32],
        candidates: Sequence[Sequence[int]],
        decoded: Sequence[str],
        ids: Sequence[Sequence[int]],
    ) -> Iterator[list[Paraphrase]]:
        """The variations of each sentence, the best first; `candidates` are places in `decoded`."""
        places = [place for own in candidates for place in own]
        own_mean = np.repeat(mean, [len(own) for own in candidates], axis=0)
        again = self.vae.encode([decoded[place] for place in places])
        similar = iter(np.einsum("nd,nd->n", unit(own_mean), unit(again)).tolist())
        chunks = chunks_by_length([ids[place] for place in places], self.vae.model)
        z = torch.from_numpy(own_mean).to(self.vae.model.device)
        likely = iter(log_likelihoods(self.vae.model, chunks, z).tolist() if places else [])
        for (index, text), own in zip(texts.items(), candidates, strict=True):
            found = [
                Paraphrase(index, text, 0, decoded[place], next(similar), next(likely))
                for place in own
            ]
            found.sort(
                key=lambda one: -(one.similarity if self.by == "similarity" else one.log_likelihood)
            )
            yield [replace(one, rank=rank) for rank, one in enumerate(found, start=1)]


def _different(text: str, decoded: Sequence[str], first: int) -> list[int]:
    """The places of texts that differ from the sentence and from those before, counted from
    `first`."""
    seen, found = {letters(text), ""}, []
    for place, other in enumerate(decoded, start=first):
        if letters(other) not in seen:
            seen.add(letters(other))
            found.append(place)
    return found
