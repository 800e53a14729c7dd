"""The model of sentences: an encoder, a posterior, a prior and a decoder, joined.

A VAE has all four. An autoencoder has a point for a posterior, and the Gaussian of its codes for
a prior. A language model is a decoder alone. Losses, figures and decoding are compositions of the
parts and live elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.errors import UsageError
from textvae.gaussian import DiagonalGaussian
from textvae.models.decoder import Decoder
from textvae.models.encoder import Encoder
from textvae.models.part import Part
from textvae.models.posterior import Point, Posterior
from textvae.models.prior import Prior
from textvae.randomness.noise import StepNoise

Layer = Literal["latent", "encoder"]  # where the vector of a sentence is taken


class SentenceModel(nn.Module):
    """A sentence VAE, autoencoder or language model, by the parts that it has.

    A model holds no state of training: noise comes as an argument, weights of losses stay
    in the objective. In float32 results do not depend on the rest of the batch, except for
    batch-normalised posteriors in training, that is with noise.

    Args:
        config: the architecture.
        decoder: the part that every model has.
        encoder, posterior, prior: of a model with a latent; all of them or none.
    """

    def __init__(
        self,
        config: ModelConfig,
        decoder: Decoder,
        *,
        encoder: Encoder | None = None,
        posterior: Posterior | None = None,
        prior: Prior | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        # In the order of the computation, which is that of the weights in an optimizer.
        self.encoder = encoder
        self.posterior = posterior
        self.prior = prior
        self.decoder = decoder

    @property
    def kind(self) -> str:
        """`vae`, `ae` or `lm`, for people; code asks the parts."""
        return self.config.model

    @property
    def latent_size(self) -> int:
        """Z; 0 without a latent."""
        return 0 if self.prior is None else self.prior.latent_size

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.decoder.device

    # tokens -> latent

    def infer(self, source: Tokens, noise: StepNoise | None = None) -> DiagonalGaussian:
        """q(z|x), shape (B, Z).

        Raises:
            UsageError: the model has no posterior with a density.
        """
        q = None if self.posterior is None else self.latent(source, noise)
        if not isinstance(q, DiagonalGaussian):
            raise UsageError(f"a model of kind {self.kind!r} has no posterior; train a vae")
        return q

    def latent(self, source: Tokens, noise: StepNoise | None = None) -> DiagonalGaussian | Point:
        """The posterior of each sentence, or its point, shape (B, Z).

        Raises:
            UsageError: the model is a language model.
        """
        encoder, posterior = self._reader()
        return posterior(encoder(source, noise), noise)  # type: ignore[no-any-return]

    def code(self, source: Tokens, noise: StepNoise | None = None) -> Tensor:
        """The vector of each sentence, (B, Z): the posterior mean, or the autoencoder's point.

        Raises:
            UsageError: the model is a language model.
        """
        return self.latent(source, noise).mean

    def pooled(self, source: Tokens) -> Tensor:
        """The encoder's vector of each sentence, before the bottleneck, (B, H).

        Raises:
            UsageError: the model is a language model.
        """
        return self._reader()[0](source).float()

    def word_average(self, source: Tokens) -> Tensor:
        """The mean of the encoder's token embeddings of each sentence, end token apart, (B, E).

        Raises:
            UsageError: the model is a language model.
        """
        return self._reader()[0].word_average(source)

    def _reader(self) -> tuple[Encoder, Posterior]:
        if self.encoder is None or self.posterior is None:
            raise UsageError("a language model has no latent; train a vae or an ae")
        return self.encoder, self.posterior

    # what is trained, and what is stored

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The parts that the model has, by name."""
        for name in ("encoder", "posterior", "prior", "decoder"):
            part: Part | None = getattr(self, name)
            if part is not None:
                yield name, part

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters that training moves, by `part.name`."""
        for part, module in self.parts():
            for name, parameter in module.trained():
                yield f"{part}.{name}", parameter

    def saved(self) -> dict[str, Tensor]:
        """The tensors that the model's file holds, by `part.name`."""
        return {
            f"{part}.{name}": tensor
            for part, module in self.parts()
            for name, tensor in module.saved().items()
        }

    def finish_loading(self, device: torch.device | str) -> None:
        """Restore what the file leaves out, after the saved tensors were assigned."""
        for _, part in self.parts():
            part.finish_loading(device)
