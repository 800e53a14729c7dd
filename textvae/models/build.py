"""Builds a new model from its configuration, part by part."""

from __future__ import annotations

from collections.abc import Sequence

from textvae.config import ModelConfig
from textvae.data.vocabulary import Vocabulary
from textvae.models.decoder import NetworkDecoder
from textvae.models.encoder import NetworkEncoder
from textvae.models.label_head import LabelHead
from textvae.models.posterior import GaussianPosterior, PointPosterior, Posterior
from textvae.models.prior import PRIORS, CodeGaussian, Prior
from textvae.models.sentence import SentenceModel


def build_model(
    config: ModelConfig,
    vocabulary: Vocabulary,
    max_tokens: int,
    *,
    encoder_vocabulary: Vocabulary | None = None,
    encoder_max_tokens: int | None = None,
    classes: Sequence[str] = (),
) -> SentenceModel:
    """A model with new weights, drawn from torch's global generator.

    Do not reorder the parts: the order decides which weights a seed gives.

    Args:
        vocabulary: the vocabulary of the decoder's tokenizer.
        max_tokens: the longest sentence in tokens, end token included.
        encoder_vocabulary, encoder_max_tokens: the same for the encoder; default: as the decoder.
        classes: the labels that the head on labels predicts; empty: the model has no such head.
    """
    if config.model == "lm":
        return SentenceModel(config, NetworkDecoder(config, vocabulary, max_tokens, 0))
    encoder = NetworkEncoder(
        config, encoder_vocabulary or vocabulary, encoder_max_tokens or max_tokens
    )
    posterior: Posterior
    if config.model == "vae":
        posterior = GaussianPosterior(config, encoder.output_size)
    else:
        posterior = PointPosterior(config, encoder.output_size)
    decoder = NetworkDecoder(config, vocabulary, max_tokens, config.latent_size)
    prior: Prior
    if config.model == "vae":
        prior = PRIORS[config.prior](config.latent_size)
    else:
        prior = CodeGaussian(config.latent_size)
    label_head = LabelHead(config.latent_size, classes) if classes else None
    return SentenceModel(
        config,
        decoder,
        encoder=encoder,
        posterior=posterior,
        prior=prior,
        label_head=label_head,
    )
