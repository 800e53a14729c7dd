"""Builds a new model from its configuration, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from textvae.config import ModelConfig, is_own
from textvae.data.vocabulary import Vocabulary
from textvae.models.decoder import Decoder, NetworkDecoder
from textvae.models.encoder import Encoder, NetworkEncoder
from textvae.models.label_head import LabelHead
from textvae.models.posterior import GaussianPosterior, PointPosterior
from textvae.models.pretrained.reference import Reference, find_reference
from textvae.models.prior import PRIORS, CodeGaussian, Prior
from textvae.models.sentence import SentenceModel


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained model with its network, whose weights are read."""

    reference: Reference
    network: nn.Module


def find_references(config: ModelConfig) -> dict[str, Reference]:
    """The pretrained models that `encoder` and `decoder` name, on this machine.

    Raises:
        NotFoundError, ModelFormatError: as `find_reference`.
    """
    named = {"encoder": config.encoder, "decoder": config.decoder}
    if config.model == "lm":
        del named["encoder"]
    return {part: find_reference(name) for part, name in named.items() if not is_own(name)}


def load_backbones(references: Mapping[str, Reference]) -> dict[str, Backbone]:
    """The pretrained networks of `encoder` and `decoder`, on the CPU, in float32.

    A new network each time, because a part may add adapters to it and train it.
    """
    loaded = {}
    for part, reference in references.items():
        loaded[part] = Backbone(reference, _load_network(part, reference))
    return loaded


def _load_network(part: str, reference: Reference) -> nn.Module:
    # Imported here: transformers takes seconds, and few models need it.
    if part == "encoder":
        from textvae.models.pretrained.encoders import load_encoder

        return load_encoder(reference)
    from textvae.models.pretrained.causal import load_causal

    return load_causal(reference)


def build_model(
    config: ModelConfig,
    vocabulary: Vocabulary,
    max_tokens: int,
    *,
    encoder_vocabulary: Vocabulary | None = None,
    encoder_max_tokens: int | None = None,
    classes: Sequence[str] = (),
    backbones: Mapping[str, Backbone] | None = None,
) -> SentenceModel:
    """A model with new weights, drawn from torch's global generator.

    Do not reorder the parts: the order decides which weights a seed gives.

    Args:
        vocabulary: the vocabulary of the decoder's tokenizer.
        max_tokens: the longest sentence in tokens, end token included.
        encoder_vocabulary: the vocabulary of the encoder's own tokenizer; None: encoder and decoder
            share the tokenizer.
        encoder_max_tokens: the same for the encoder; default: as the decoder.
        classes: the labels that the head on labels predicts; empty: the model has no such head.
        backbones: the pretrained networks of `encoder` and `decoder`, where the configuration
            names some.
    """
    backbones = backbones or {}
    if config.model == "lm":
        return SentenceModel(config, build_decoder(config, vocabulary, max_tokens, 0, backbones))
    encoder = build_encoder(
        config, encoder_vocabulary or vocabulary, encoder_max_tokens or max_tokens, backbones
    )
    kind = GaussianPosterior if config.model == "vae" else PointPosterior
    posterior = kind(config, encoder.output_size, unit_length=encoder.has_unit_length)
    decoder = build_decoder(config, vocabulary, max_tokens, config.latent_size, backbones)
    if config.tie_embeddings and encoder_vocabulary is None:
        _share_embedding(encoder, decoder)
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


def _share_embedding(encoder: Encoder, decoder: Decoder) -> None:
    """Let the encoder read with the decoder's embedding, if both are networks of our own."""
    if isinstance(encoder, NetworkEncoder) and isinstance(decoder, NetworkDecoder):
        encoder.share_embedding(decoder.embedding)


def build_encoder(
    config: ModelConfig,
    vocabulary: Vocabulary,
    max_tokens: int,
    backbones: Mapping[str, Backbone],
) -> Encoder:
    """A network of our own, or one around the pretrained `backbones["encoder"]`."""
    if is_own(config.encoder):
        return NetworkEncoder(config, vocabulary, max_tokens)
    from textvae.models.pretrained.encoders import pretrained_encoder

    own = backbones["encoder"]
    return pretrained_encoder(config, vocabulary, max_tokens, own.reference, own.network)


def build_decoder(
    config: ModelConfig,
    vocabulary: Vocabulary,
    max_tokens: int,
    latent_size: int,
    backbones: Mapping[str, Backbone],
) -> Decoder:
    """A network of our own, or one around the pretrained `backbones["decoder"]`."""
    if is_own(config.decoder):
        return NetworkDecoder(config, vocabulary, max_tokens, latent_size)
    from textvae.models.pretrained.causal import PretrainedDecoder

    own = backbones["decoder"]
    return PretrainedDecoder(
        config, vocabulary, max_tokens, latent_size, own.reference, own.network
    )
