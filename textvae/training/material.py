"""What the loop takes its sentences from: the training corpus, and slices of both corpora."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from textvae.data.batches import by_length
from textvae.data.corpus import DeviceCorpus, EncodedCorpus, fits_on_device
from textvae.data.prepare import Corpora
from textvae.evaluation.likelihood import Chunk
from textvae.evaluation.sentences import lowest_hashes
from textvae.models.sentence import SentenceModel

MONITORED_SENTENCES = 1_000  # of the validation set, at each evaluation
PRIOR_SENTENCES = 8_192  # whose codes the prior of an autoencoder is fitted to
BATCH = 128
PIECE = 4_096  # texts


def resident(corpus: EncodedCorpus, device: torch.device) -> EncodedCorpus | DeviceCorpus:
    """The corpus on the device where it is a GPU with room for it, else as it lies on disk."""
    if device.type != "cpu" and fits_on_device(corpus, device):
        return corpus.on_device(device)
    return corpus


def monitored_chunks(corpora: Corpora, device: torch.device) -> list[Chunk]:
    """A fixed slice of the validation set, sentences of similar length together.

    The slice of `evaluate --limit`, each sentence in its place, so that its figures are those of
    `evaluate MODEL VALID --limit 1000 --samples 1` with the seed of the training.
    """
    target, source = corpora.valid, corpora.source.valid
    rows = np.array(lowest_hashes(texts_of(target), MONITORED_SENTENCES))
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


@torch.no_grad()
def training_codes(model: SentenceModel, corpus: EncodedCorpus) -> Tensor:
    """Codes (N, Z) of sentences evenly spread over the corpus that the encoder reads."""
    count = len(corpus)
    rows = np.linspace(0, count - 1, min(count, PRIOR_SENTENCES)).astype(np.int64)
    batches = by_length(corpus.lengths[rows], BATCH)
    return torch.cat([model.code(corpus.tokens(rows[b]).to(model.device)) for b in batches])
