"""Comparison of reconstructions with their sentences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from textvae.decoding.blocks import largest_id
from textvae.evaluation.likelihood import Chunk, inference
from textvae.models.sentence import SentenceModel


def exact_match(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """The share of sentences that are equal, ignoring white space."""
    same = sum(h.split() == r.split() for h, r in zip(hypotheses, references, strict=True))
    return same / len(references)


def token_accuracy(model: SentenceModel, chunks: Sequence[Chunk], z: Tensor) -> float:
    """The share of tokens, ends included, that the decoder ranks first; z (N, Z)."""
    correct, total, decoder = 0, 0, model.decoder
    with inference(model):
        for chunk in chunks:
            tokens = chunk.target.to(model.device)
            state = decoder.start(z[chunk.places].float().to(model.device), len(tokens))
            previous = torch.full_like(tokens.ids[:, 0], decoder.vocabulary.bos_id)
            for t in range(tokens.ids.size(1)):
                logits, state = decoder.step(previous, state)
                previous = tokens.ids[:, t]
                correct += int(((largest_id(logits) == previous) & tokens.mask[:, t]).sum())
            total += int(tokens.lengths.sum())
    return correct / total
