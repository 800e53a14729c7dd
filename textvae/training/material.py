"""What the loop takes its sentences from: the training corpus, and slices of both corpora."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from textvae.data.batches import Tokens
from textvae.data.corpus import DeviceCorpus, EncodedCorpus, fits_on_device
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


def monitored_chunks(corpus: EncodedCorpus, device: torch.device) -> list[Chunk]:
    """A fixed slice of the validation set, sentences of like length together.

    That of `evaluate --limit`, each sentence in its place, so that its figures are those of
    `evaluate MODEL VALID --limit 1000 --samples 1` with the seed of the training.
    """
    rows = np.array(lowest_hashes(texts_of(corpus), MONITORED_SENTENCES))
    order = np.argsort(corpus.lengths[rows], kind="stable")
    return [
        Chunk(corpus.tokens(rows[places]).to(device), torch.from_numpy(places))
        for places in np.split(order, range(BATCH, len(order), BATCH))
    ]


def texts_of(corpus: EncodedCorpus) -> Iterator[str]:
    """All texts of a corpus, some of them in memory at a time."""
    for first in range(0, len(corpus), PIECE):
        yield from corpus.texts(np.arange(first, min(first + PIECE, len(corpus))))


@torch.no_grad()
def training_codes(model: SentenceModel, corpus: EncodedCorpus) -> Tensor:
    """Codes (N, Z) of sentences evenly spread over the training corpus."""
    count = len(corpus)
    rows = np.linspace(0, count - 1, min(count, PRIOR_SENTENCES)).astype(np.int64)
    return torch.cat(
        [model.code(tokens) for tokens in batches_by_length(corpus, rows, model.device)]
    )


def batches_by_length(
    corpus: EncodedCorpus, rows: np.ndarray, device: torch.device
) -> Iterator[Tokens]:
    """Some sentences of a corpus, the short ones first."""
    rows = rows[np.argsort(corpus.lengths[rows], kind="stable")]
    for first in range(0, len(rows), BATCH):
        yield corpus.tokens(rows[first : first + BATCH]).to(device)
