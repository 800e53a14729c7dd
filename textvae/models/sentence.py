"""The model of sentences: an encoder, a posterior, a prior and a decoder.

A VAE has all four. An autoencoder's posterior is a point, and its prior is a Gaussian fitted to
its codes. A language model has only a decoder. Losses, metrics and decoding combine the parts in
other packages.
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

Layer = Literal["latent", "encoder"]  # the layer that gives the vector of a sentence


class SentenceModel(nn.Module):
    """A sentence VAE, an autoencoder or a language model, depending on its parts.

    A model holds no training state: noise is an argument, and the objective holds the weights of
    the loss. In float32 a result does not depend on the rest of the batch. The exception is a
    batch-normalised posterior in training (with noise).

    Args:
        config: the architecture.
        decoder: every model has one.
        encoder, posterior, prior: for a model with a latent; give all three or none.
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
        # Do not reorder: the order of the parts is the order of the weights in the optimizer.
        self.encoder = encoder
        self.posterior = posterior
        self.prior = prior
        self.decoder = decoder

    @property
    def kind(self) -> str:
        """`vae`, `ae` or `lm`, for messages; code asks the parts."""
        return self.config.model

    @property
    def latent_size(self) -> int:
        """Z; 0 without a latent."""
        return 0 if self.prior is None else self.prior.latent_size

    @property
    def has_density(self) -> bool:
        """True if the posterior q(z|x) is a distribution; False for a point, or without one."""
        return self.posterior is not None and self.posterior.has_density

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
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
        """The posterior of each sentence, or the autoencoder's point, shape (B, Z).

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
        """The encoder's vector of each sentence, before the latent, (B, H).

        Raises:
            UsageError: the model is a language model.
        """
        return self._reader()[0](source).float()

    def word_average(self, source: Tokens) -> Tensor:
        """The mean token embedding of each sentence in the encoder, without the end token, (B, E).

        Raises:
            UsageError: the model is a language model.
        """
        return self._reader()[0].word_average(source)

    def _reader(self) -> tuple[Encoder, Posterior]:
        if self.encoder is None or self.posterior is None:
            raise UsageError("a language model has no latent; train a vae or an ae")
        return self.encoder, self.posterior

    # another prior

    def with_prior(self, prior: Prior) -> SentenceModel:
        """A model of the same parts, not copied, with another prior."""
        other = SentenceModel(
            self.config,
            self.decoder,
            encoder=self.encoder,
            posterior=self.posterior,
            prior=prior.to(self.device),
        )
        return other.train(self.training)

    # parameters to train, tensors to save

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The parts of the model, by name."""
        for name in ("encoder", "posterior", "prior", "decoder"):
            part: Part | None = getattr(self, name)
            if part is not None:
                yield name, part

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters to train, by `part.name`."""
        for part, module in self.parts():
            for name, parameter in module.trained():
                yield f"{part}.{name}", parameter

    def saved(self) -> dict[str, Tensor]:
        """The tensors to save, by `part.name`."""
        return {
            f"{part}.{name}": tensor
            for part, module in self.parts()
            for name, tensor in module.saved().items()
        }

    def finish_loading(self, device: torch.device | str) -> None:
        """Restore the tensors that are not saved, after the saved tensors were assigned."""
        for _, part in self.parts():
            part.finish_loading(device)
