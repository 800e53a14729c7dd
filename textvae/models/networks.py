"""The networks of encoders and decoders, by their names in the configuration."""

from __future__ import annotations

from collections.abc import Callable

from textvae.config import ModelConfig
from textvae.models.recurrent import RecurrentDecoder, RecurrentEncoder
from textvae.models.transformer import TransformerDecoder, TransformerEncoder

EncoderNetwork = RecurrentEncoder | TransformerEncoder
DecoderNetwork = RecurrentDecoder | TransformerDecoder

# (architecture, positions) -> states of a sentence
ENCODER_NETWORKS: dict[str, Callable[[ModelConfig, int], EncoderNetwork]] = {
    "gru": RecurrentEncoder,
    "lstm": RecurrentEncoder,
    "transformer": TransformerEncoder,
}
# (architecture, latent size, positions) -> states that predict the next token
DECODER_NETWORKS: dict[str, Callable[[ModelConfig, int, int], DecoderNetwork]] = {
    "gru": RecurrentDecoder,
    "lstm": RecurrentDecoder,
    "transformer": TransformerDecoder,
}
