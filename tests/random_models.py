"""Tiny real models with random weights, large enough that the latent matters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.data.tokenizers import Tokenizer
from textvae.data.vocabulary import Vocabulary
from textvae.evaluation.likelihood import Chunk
from textvae.gaussian import DiagonalGaussian
from textvae.models.build import build_model
from textvae.models.sentence import SentenceModel

PAD, BOS, EOS = 0, 1, 2
WORDS = ("cat", "dog", "soup", "sees", "the", ".")


def random_model(
    kind: str = "vae", *, words: int = 3, seed: int = 0, **sizes: Any
) -> SentenceModel:
    """A model over `words` tokens beside padding, start and end (ids 0, 1, 2)."""
    defaults = {
        "latent_size": 2,
        "hidden_size": 8,
        "embedding_size": 4,
        "tie_embeddings": False,
        "max_tokens": 8,
    }
    settings = defaults | sizes
    max_tokens = settings.pop("max_tokens")
    config = ModelConfig(model=kind, **settings)  # type: ignore[arg-type]
    model = build_model(config, Vocabulary(words + 3, PAD, BOS, EOS), max_tokens)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.7, generator=random)
    return model.eval()


def kl(q: DiagonalGaussian) -> Tensor:
    """KL of each posterior to the standard normal, in nats, (B,)."""
    return q.kl_to_standard_normal().sum(-1)


def chunks_in_order(batches: Iterable[Tokens]) -> list[Chunk]:
    """The batches as they come, their sentences counted through."""
    chunks, first = [], 0
    for tokens in batches:
        chunks.append(Chunk(tokens, tokens, torch.arange(first, first + len(tokens))))
        first += len(tokens)
    return chunks


def word_tokenizer() -> Tokenizer:
    """Pad, start, end, unknown, then the words."""
    return Tokenizer.train(WORDS, kind="word", vocab_size=len(WORDS) + 4)


def random_word_model(kind: str = "vae", **sizes: Any) -> SentenceModel:
    """A model of the tokens of `word_tokenizer`."""
    return random_model(kind, words=len(WORDS) + 1, **sizes)


@torch.no_grad()
def ignore_latent(model: SentenceModel) -> None:
    """Cut every path from z into a recurrent decoder."""
    model.decoder.network.first_state.weight.zero_()
    model.decoder.network.rnn.weight_ih_l0[:, model.config.embedding_size :] = 0


def decoded_positions(model: SentenceModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by samples x sentences x tokens with each call of the decoder."""
    sizes: list[int] = []
    inner = model.decoder.log_likelihood

    def log_likelihood(target: Tokens, z: Tensor) -> Tensor:
        sizes.append(z.shape[:-1].numel() * target.ids.size(1))
        return inner(target, z)

    monkeypatch.setattr(model.decoder, "log_likelihood", log_likelihood)
    return sizes
