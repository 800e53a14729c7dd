"""Validation of a run: the slices of text that it looks at, and whether its latent collapsed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import monotonic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textvae.config import Config
from textvae.data.batches import Tokens, by_length
from textvae.data.corpus import EncodedCorpus
from textvae.data.prepare import Corpora
from textvae.errors import option, worded
from textvae.evaluation.likelihood import Chunk
from textvae.evaluation.sentences import lowest_hashes
from textvae.models.sentence import SentenceModel

MONITORED_SENTENCES = 1_000  # of the validation set, at each evaluation
PRIOR_SENTENCES = 8_192  # to whose codes the prior of an autoencoder is fitted
TIMED_SENTENCES = 256  # from which the time of that is estimated
BATCH = 128
PIECE = 4_096  # texts
COLLAPSED_GAIN = 0.5  # nats: below this the decoder takes next to nothing from z
EVALUATIONS_TO_WARN = 3  # in a row in which the latent looked collapsed


def monitored_rows(corpora: Corpora) -> NDArray[np.int64]:
    """The rows of a fixed slice of the validation set, (N,).

    It is the slice of `evaluate --limit`, so that the figures are those of `evaluate MODEL VALID
    --limit 1000 --samples 1` with the seed of the training.
    """
    return np.array(lowest_hashes(texts_of(corpora.valid), MONITORED_SENTENCES), np.int64)


def monitored_chunks(
    corpora: Corpora, rows: NDArray[np.int64], device: torch.device
) -> list[Chunk]:
    """The sentences of these rows, each with its place in `rows`, those of similar length together.

    The order of the rows is that of `evaluate`.
    """
    target, source = corpora.valid, corpora.source.valid
    chunks = []
    for places in by_length(target.lengths[rows], BATCH):
        written = target.tokens(rows[places]).to(device)
        read = written if source is target else source.tokens(rows[places]).to(device)
        chunks.append(Chunk(read, written, torch.from_numpy(places)))
    return chunks


def texts_of(corpus: EncodedCorpus) -> Iterator[str]:
    """All texts of a corpus, some of them in memory at a time."""
    for first in range(0, len(corpus), PIECE):
        yield from corpus.texts(np.arange(first, min(first + PIECE, len(corpus))))


# the prior of an autoencoder


def training_codes(
    model: SentenceModel, corpus: EncodedCorpus, sentences: int = PRIOR_SENTENCES
) -> Tensor:
    """Codes (N, Z) of sentences evenly spread over the corpus that the encoder reads."""
    return _spread(model, corpus, sentences, model.code)


def training_vectors(model: SentenceModel, corpus: EncodedCorpus) -> Tensor:
    """The encoder's vectors (N, H) of sentences evenly spread over the corpus."""
    return _spread(model, corpus, PRIOR_SENTENCES, model.pooled)


@torch.no_grad()
def _spread(
    model: SentenceModel,
    corpus: EncodedCorpus,
    sentences: int,
    encode: Callable[[Tokens], Tensor],
) -> Tensor:
    """What `encode` gives for sentences evenly spread over a corpus, in no particular order."""
    count = len(corpus)
    rows = np.linspace(0, count - 1, min(count, sentences)).astype(np.int64)
    batches = by_length(corpus.lengths[rows], BATCH)
    return torch.cat([encode(corpus.tokens(rows[places]).to(model.device)) for places in batches])


def prior_fit_seconds(model: SentenceModel, corpus: EncodedCorpus) -> float:
    """How long `training_codes` will take, estimated from a few sentences."""
    started = monotonic()
    timed = len(training_codes(model, corpus, TIMED_SENTENCES))
    seconds = monotonic() - started
    return seconds * min(len(corpus), PRIOR_SENTENCES) / timed


# collapse of the latent


class CollapseWatch:
    """Counts the evaluations in a row in which the latent looked collapsed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.count = 0

    def judge(
        self, figures: Mapping[str, float], kl_weight: float, full_weight: float
    ) -> str | None:
        """The warning, when `EVALUATIONS_TO_WARN` evaluations in a row call for it, or None."""
        warning = collapse_warning(figures, kl_weight, full_weight, self._config)
        self.count = self.count + 1 if warning is not None else 0
        return warning if self.count == EVALUATIONS_TO_WARN else None

    def verdict(self) -> str | None:
        """The warning at the end of a run whose last evaluation looked collapsed, or None."""
        if not self.count:
            return None
        return (
            "the latent has collapsed: the decoder of this model ignores it. Train longer, or "
            f"try {remedy(self._config)}"
        )


def collapse_warning(
    figures: Mapping[str, float],
    kl_weight: float,
    full_weight: float,
    config: Config,
) -> str | None:
    """A warning if the figures of an evaluation show a collapsed latent, or None.

    Judged by `z_gain`, what the decoder really takes from z, at the final weight of the KL;
    before that a latent may still be filling or emptying.
    """
    gain = figures.get("z_gain")
    if (
        gain is None
        or "kl" not in figures
        or gain >= COLLAPSED_GAIN
        or kl_weight < 0.99 * full_weight
    ):
        return None
    return (
        f"the latent is collapsing: z_gain {gain:.2f} nats, kl {figures['kl']:.2f} nats; the "
        f"decoder ignores z. Try {remedy(config)}"
    )


def remedy(config: Config) -> str:
    """What to try against collapse, beyond what the configuration does already."""
    model, objective = config.model, config.objective
    tries = []
    # A bound of many samples has no KL to spare, and the KL of a committed posterior stays anyway.
    if objective.importance_samples == 1 and not model.committed_rate:
        tries.append(_tried("free_bits", max(0.5, 2 * objective.free_bits)))
    tries += [_tried("word_dropout", share) for share in (0.3, 0.6) if share > model.word_dropout][
        :1
    ]
    smaller = worded("a smaller --beta", "a smaller beta")
    larger = worded("a larger --target-kl", "a larger target_kl")
    tries.append(smaller if objective.target_kl is None else larger)
    *first, last = tries
    return f"{', '.join(first)} or {last}" if first else last


def _tried(name: str, value: float) -> str:
    return option(name, int(value) if value.is_integer() else value)
