"""Encoders: the tokens of a sentence -> one vector, before the latent."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.data.vocabulary import Vocabulary
from textvae.models.dropout import regularised_embedding
from textvae.models.networks import ENCODER_NETWORKS
from textvae.models.part import Part
from textvae.models.pooling import Pooling
from textvae.models.pretrained.reference import Reference
from textvae.randomness.noise import StepNoise


class Encoder(Part):
    """Base class of encoders; each has its own tokenizer.

    Args:
        vocabulary: the vocabulary of the encoder's tokenizer.
        max_tokens: the longest sentence in tokens, end token included.
        output_size: H, the width of the vectors.
    """

    reference: Reference | None = None  # to the pretrained model that the part is built on

    def __init__(self, vocabulary: Vocabulary, max_tokens: int, output_size: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.max_tokens = max_tokens
        self.output_size = output_size

    @property
    def is_frozen(self) -> bool:
        """True if training does not change the encoder."""
        return next(self.trained(), None) is None

    @property
    def has_unit_length(self) -> bool:
        """True if all vectors have the length 1."""
        return False

    @property
    def fixed_by(self) -> str | None:
        """A name for all that the vectors depend on if training never changes them, else None.

        Vectors of one name can be stored, and used in other trainings.
        """
        return None

    def forward(self, source: Tokens, noise: StepNoise | None = None) -> Tensor:
        """The vector of each sentence, shape (B, H)."""
        raise NotImplementedError

    def word_average(self, source: Tokens) -> Tensor:
        """The mean token embedding of each sentence, without the end token, shape (B, E).

        The mean of an empty sentence is zero.
        """
        raise NotImplementedError


class NetworkEncoder(Encoder):
    """A GRU, an LSTM or a Transformer over token embeddings, then pooling."""

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary, max_tokens: int) -> None:
        # Do not reorder: the order of the layers decides which weights a seed gives.
        embedding = nn.Embedding(vocabulary.size, config.embedding_size)
        states = ENCODER_NETWORKS[config.encoder](config, max_tokens)
        pooling = Pooling(config.pooling, states.output_size, states.backward_size)
        super().__init__(vocabulary, max_tokens, states.output_size)
        self.config = config
        self.embedding = embedding
        self.states = states
        self.pooling = pooling
        self.shares_embedding = False

    def share_embedding(self, embedding: nn.Embedding) -> None:
        """Read tokens with the decoder's embedding, which the decoder trains and saves."""
        self.embedding = embedding
        self.shares_embedding = True

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters of the encoder alone."""
        return ((name, p) for name, p in super().trained() if self._is_own(name))

    def saved(self) -> dict[str, Tensor]:
        """The tensors of the encoder alone."""
        return {name: tensor for name, tensor in super().saved().items() if self._is_own(name)}

    def _is_own(self, name: str) -> bool:
        return not (self.shares_embedding and name == "embedding.weight")

    def forward(self, source: Tokens, noise: StepNoise | None = None) -> Tensor:
        """The pooled states of each sentence, shape (B, H); bidirectional: (B, 2H)."""
        embedded = regularised_embedding(self.embedding, source.ids, self.config, noise)
        return self.pooling(self.states(embedded, source), source)

    def word_average(self, source: Tokens) -> Tensor:
        """The mean token embedding of each sentence, without the end token, shape (B, E)."""
        words = source.mask & (source.ids != self.vocabulary.eos_id)  # (B, T)
        embedded = self.embedding(source.ids) * words[..., None]  # (B, T, E)
        return (embedded.sum(1) / words.sum(1, keepdim=True).clamp(min=1)).float()
