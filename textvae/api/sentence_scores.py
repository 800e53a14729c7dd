"""The likelihood of sentences under a model, and the distance of their latents to known ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from textvae.api.encoding import warn_of_cut
from textvae.api.protocol import TextModel
from textvae.data.input_rows import Sentences, in_chunks, name_of, prepared_rows, with_text
from textvae.data.rows import Row
from textvae.errors import DataError, UsageError, flag
from textvae.evaluation.likelihood import (
    Chunk,
    chunks_by_length,
    codes,
    importance_weighted,
    log_likelihoods,
    posteriors,
)
from textvae.evaluation.sentences import truncated
from textvae.latent.moments import Moments
from textvae.models.prior import CodeGaussian
from textvae.number_format import counted
from textvae.progress import Watcher

Measure = Literal["nll_per_byte", "nll_per_word", "nll_iw", "distance"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

_AT_ONCE = 256  # sentences


@dataclass(frozen=True)
class SentenceScore:
    """How usual a sentence is; larger numbers are less usual.

    Args:
        nll_iw: -log p(x) in nats, importance-weighted; exact for a language model.
        nll_per_word: `nll_iw` over the white-space words and one end.
        nll_per_byte: `nll_iw` over the UTF-8 bytes and one newline.
        distance: Mahalanobis distance of the posterior mean to the means of the reference, in
            standard deviations.
        truncated: True if the sentence exceeds the model's limit; then the figures are those of
            its beginning.
        unusual: True if the measure is above the threshold; None without a threshold.

    Figures that are not defined for the model are None.
    """

    index: int
    text: str
    label: str | None
    nll_iw: float | None
    nll_per_word: float | None
    nll_per_byte: float | None
    distance: float | None
    truncated: bool
    unusual: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """The scores as `textvae score --json` prints them, without undefined values."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class ModelScorer:
    """A model and how it scores; `gaussian` has the moments of the reference."""

    vae: TextModel
    samples: int
    seed: int
    watcher: Watcher
    text_column: str | None
    gaussian: CodeGaussian | None = None

    def figures(self) -> tuple[Measure, ...]:
        """The figures that the model has."""
        model = self.vae.model
        likely = model.posterior is None or model.has_density
        return tuple(
            one for one in MEASURES if (self.gaussian is not None if one == "distance" else likely)
        )

    def rows(self, source: Sentences, label_column: str | None = None) -> Iterator[Row]:
        return prepared_rows(
            source,
            self.vae.config.data,
            text_column=self.text_column,
            label_column=label_column,
            remarks=self.watcher.remarks,
        )

    def known(self, source: Sentences) -> Iterator[Row]:
        """The sentences that others are compared with; blank lines are skipped, with a warning."""
        return with_text(self.rows(source), name_of(source), self.watcher.warn)

    def fitted(self, reference: Sentences) -> CodeGaussian:
        """The Gaussian with the mean and covariance of the posterior means of the reference.

        Raises:
            UsageError: a language model.
            DataError: not more sentences than dimensions.
        """
        if self.vae.model.encoder is None:
            raise UsageError(
                f"a language model has no latent, so no distance; leave {flag('reference')} out"
            )
        size = self.vae.vector_size()
        moments, n_cut = Moments(size), 0
        for _, chunk in in_chunks(self.known(reference)):
            found = self.vae.embed([row.text for row in chunk])
            moments.add(found.vectors)
            n_cut += found.cut
            self.watcher.progress("reference", moments.n, 0)
        warn_of_cut(n_cut, self.vae.max_tokens_read, self.watcher.warn)
        if moments.n <= size:
            raise DataError(
                f"{name_of(reference)}: {counted(moments.n, 'sentence')}; a covariance of {size} "
                f"dimensions needs more than {size}: name a larger file"
            )
        gaussian = CodeGaussian(size)
        gaussian.fit_moments(torch.from_numpy(moments.mean), torch.from_numpy(moments.covariance))
        return gaussian

    def scores(self, rows: Iterator[Row], source: str, phase: str) -> Iterator[SentenceScore]:
        """The scores of the rows, computed some hundred at a time."""
        n_cut = n_unknown = 0
        for first, chunk in in_chunks(rows, _AT_ONCE):
            found = self._scored(first, chunk)
            n_cut += sum(one.truncated for one in found)
            n_unknown += self.vae.tokenizer.unknown_count([row.text for row in chunk])
            self.watcher.progress(phase, first + len(chunk), 0)
            yield from found
        warn_of_cut(n_cut, self.vae.max_tokens, self.watcher.warn)
        if n_unknown and "nll_iw" in self.figures():
            self.watcher.warn(
                f"{source}: {counted(n_unknown, 'token')} unknown to the tokenizer; sentences with "
                "unknown tokens look more likely than they are"
            )

    def _scored(self, first: int, rows: list[Row]) -> list[SentenceScore]:
        vae, model = self.vae, self.vae.model
        places = range(first, first + len(rows))
        texts, ids, cut = truncated(rows, places, vae.tokenizer, vae.max_tokens, truncate=True)
        source_ids = None
        if model.encoder is not None and vae.encoder_tokenizer is not vae.tokenizer:
            _, source_ids, cut_too = truncated(
                rows, places, vae.encoder_tokenizer, vae.max_tokens_read, truncate=True
            )
            cut |= cut_too
        chunks = chunks_by_length(ids, model, source_ids=source_ids)
        nll, distance = self._measured(chunks, first)
        return [
            SentenceScore(
                index=first + i,
                text=row.text,
                label=row.label,
                nll_iw=None if nll is None else float(nll[i]),
                nll_per_word=None if nll is None else float(nll[i]) / (len(text.split()) + 1),
                nll_per_byte=None if nll is None else float(nll[i]) / (len(text.encode()) + 1),
                distance=None if distance is None else float(distance[i]),
                truncated=i in cut,
            )
            for i, (row, text) in enumerate(zip(rows, texts, strict=True))
        ]

    def _measured(self, chunks: list[Chunk], first: int) -> tuple[Tensor | None, Tensor | None]:
        """-log p(x) and the distance of each sentence, each (B,), where they are defined."""
        model, nll, z = self.vae.model, None, None
        if model.posterior is None:
            return -log_likelihoods(model, chunks, None), None
        if model.has_density:
            q = posteriors(model, chunks)
            z, nll = (
                q.mean,
                importance_weighted(
                    model, chunks, q, samples=self.samples, seed=self.seed, first=first
                ).nll,
            )
        elif self.gaussian is not None:
            z = codes(model, chunks).double()
        if self.gaussian is None or z is None:
            return nll, None
        return nll, self.gaussian.distance(z)
