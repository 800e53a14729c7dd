"""Encoders: the tokens of a sentence -> one vector, before the bottleneck."""

from __future__ import annotations

from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.data.vocabulary import Vocabulary
from textvae.models.dropout import regularised_embedding
from textvae.models.networks import ENCODER_NETWORKS
from textvae.models.part import Part
from textvae.models.pooling import Pooling
from textvae.randomness.noise import StepNoise


class Encoder(Part):
    """Reads sentences in tokens of its own tokenizer.

    Args:
        vocabulary: of its tokenizer.
        max_tokens: longest sentence, end token included.
        output_size: H, the width of its vectors.
    """

    def __init__(self, vocabulary: Vocabulary, max_tokens: int, output_size: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.max_tokens = max_tokens
        self.output_size = output_size

    def forward(self, source: Tokens, noise: StepNoise | None = None) -> Tensor:
        """The vector of each sentence, shape (B, H)."""
        raise NotImplementedError

    def word_average(self, source: Tokens) -> Tensor:
        """The mean embedding of the tokens of each sentence, end token apart, shape (B, E).

        The mean of an empty sentence is zero.
        """
        raise NotImplementedError


class NetworkEncoder(Encoder):
    """Embedded tokens through a GRU, an LSTM or a Transformer, and pooled."""

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary, max_tokens: int) -> None:
        # The networks come first: the order of their weights decides what a seed means.
        embedding = nn.Embedding(vocabulary.size, config.embedding_size)
        states = ENCODER_NETWORKS[config.encoder](config, max_tokens)
        pooling = Pooling(config.pooling, states.output_size, states.backward_size)
        super().__init__(vocabulary, max_tokens, states.output_size)
        self.config = config
        self.embedding = embedding
        self.states = states
        self.pooling = pooling

    def forward(self, source: Tokens, noise: StepNoise | None = None) -> Tensor:
        """The pooled states of each sentence, shape (B, H), or (B, 2H) if read both ways."""
        embedded = regularised_embedding(self.embedding, source.ids, self.config, noise)
        return self.pooling(self.states(embedded, source), source)

    def word_average(self, source: Tokens) -> Tensor:
        """The mean embedding of the tokens of each sentence, end token apart, shape (B, E)."""
        words = source.mask & (source.ids != self.vocabulary.eos_id)  # (B, T)
        embedded = self.embedding(source.ids) * words[..., None]  # (B, T, E)
        return (embedded.sum(1) / words.sum(1, keepdim=True).clamp(min=1)).float()
