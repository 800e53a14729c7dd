"""What the loop takes its sentences from: the training corpus, and slices of both corpora."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from textvae.data.batches import Tokens
from textvae.data.corpus import DeviceCorpus, EncodedCorpus, fits_on_device
from textvae.data.noise import derived_seed
from textvae.models.sentence import SentenceModel

MONITORED_SENTENCES = 1_000  # of the validation set, at each evaluation
PRIOR_SENTENCES = 8_192  # whose codes the prior of an autoencoder is fitted to
BATCH = 128


def resident(corpus: EncodedCorpus, device: torch.device) -> EncodedCorpus | DeviceCorpus:
    """The corpus on the device where it is a GPU with room for it, else as it lies on disk."""
    if device.type != "cpu" and fits_on_device(corpus, device):
        return corpus.on_device(device)
    return corpus


def monitored_batches(corpus: EncodedCorpus, seed: int, device: torch.device) -> list[Tokens]:
    """A fixed slice of the validation set, in batches of sentences of like length."""
    rows = np.arange(len(corpus))
    if len(rows) > MONITORED_SENTENCES:
        random = np.random.Generator(np.random.Philox(derived_seed(seed, "monitored")))
        rows = np.sort(random.permutation(rows)[:MONITORED_SENTENCES])
    return list(batches_by_length(corpus, rows, device))


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
