"""The interface of a model that the functions of this package use; `TextVAE` has it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from textvae.config import Config
from textvae.data.tokenizers import Tokenizer
from textvae.decoding.settings import Sampling
from textvae.gaussian import DiagonalGaussian
from textvae.models.sentence import Layer, SentenceModel


class Vectors(Protocol):
    """The vectors of N sentences."""

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(N, D)."""

    @property
    def variances(self) -> NDArray[np.float32] | None:
        """(N, Z) of the posterior, where asked for."""

    @property
    def cut(self) -> int:
        """The number of truncated sentences: those beyond the model's limit."""


class TextModel(Protocol):
    """A trained model with its tokenizer and configuration."""

    model: SentenceModel
    tokenizer: Tokenizer  # of the decoder
    encoder_tokenizer: Tokenizer  # the same object where the encoder shares it
    config: Config
    folder: Path | None

    @classmethod
    def train(cls, texts: Iterable[str], *, config: Config) -> TextModel:
        """The model that a training on `texts` gives."""

    @property
    def kind(self) -> str:
        """`vae`, `ae` or `lm`."""

    @property
    def latent_size(self) -> int:
        """Z; 0 for a language model."""

    @property
    def max_tokens(self) -> int:
        """Longest sentence in tokens, the end token included."""

    @property
    def max_tokens_read(self) -> int:
        """The same for the encoder."""

    def embed(
        self,
        texts: Iterable[str],
        *,
        layer: Layer = "latent",
        normalize: bool = False,
        dimensions: int | None = None,
        with_variance: bool = False,
        sample_seed: int | None = None,
        first: int = 0,
    ) -> Vectors:
        """The vectors of sentences."""

    def posterior(self, texts: Iterable[str]) -> DiagonalGaussian:
        """q(z|x) of each sentence, (N, Z)."""

    def overlong(self, texts: Iterable[str]) -> int:
        """The number of texts beyond the limit of the encoder."""

    def word_average(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """The mean of the token embeddings of each sentence, (N, E)."""

    def vector_size(self, layer: Layer = "latent") -> int:
        """D, the dimensions of a vector."""

    def encode(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """The vector of each sentence, (N, Z)."""

    def decoding(self, **options: Any) -> Sampling:
        """The settings with which the model writes for these options."""

    def decode(self, z: NDArray[np.floating]) -> list[str]:
        """A sentence for each vector, (N, Z)."""

    def log_likelihood(
        self, texts: Iterable[str], *, truncate: bool = False
    ) -> NDArray[np.float64]:
        """log p(x) of each sentence in nats, (N,)."""
