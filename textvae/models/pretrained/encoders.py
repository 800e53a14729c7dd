"""Pretrained encoders: a network of transformers, or static vectors, each with its own pooling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.data.vocabulary import Vocabulary
from textvae.errors import ConfigError, ModelFormatError, flag
from textvae.models.dropout import dropout
from textvae.models.encoder import Encoder
from textvae.models.pooling import Pooling
from textvae.models.pretrained.framing import check_rows, frame_of
from textvae.models.pretrained.modules import (
    StatesPooling,
    UnitLength,
    dense_layer,
    modules_of,
    pooling_modes,
)
from textvae.models.pretrained.opening import open_network, read_settings
from textvae.models.pretrained.reference import Reference
from textvae.models.pretrained.static import StaticTable, is_static, load_table
from textvae.models.pretrained.training_mode import (
    prepare_training,
    pretrained_parameters,
    saved_tensors,
    trained_parameters,
)
from textvae.randomness.noise import StepNoise

HALVED = ("t5", "mt5", "umt5")  # models of encoder and decoder, of which only the first is built
NETWORK = "network"  # the attribute that holds the pretrained weights


class SentenceNetwork(nn.Module):
    """A network of transformers, and what its sentence-transformers folder does with the states."""

    transformer: Any  # a PreTrainedModel of transformers, which has no type before its import

    def __init__(
        self,
        transformer: nn.Module,
        pooling: StatesPooling,
        head: nn.Sequential,
        width: int,
        output_size: int,
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling
        self.head = head
        self.width = width  # of a state
        self.output_size = output_size  # of a vector

    @property
    def embedding(self) -> nn.Embedding:
        """The embeddings of the tokens."""
        return self.transformer.get_input_embeddings()  # type: ignore[no-any-return]


def load_encoder(reference: Reference) -> nn.Module:
    """The pretrained network or table of `reference`, on the CPU, in float32.

    Raises:
        ModelFormatError: as `open_network` and `load_table`.
    """
    if is_static(reference):
        return load_table(reference)
    from transformers import AutoModel, AutoModelForTextEncoding

    settings = read_settings(reference)
    halved = settings.get("model_type") in HALVED or settings.get("is_encoder_decoder")
    transformer: Any = open_network(reference, AutoModelForTextEncoding if halved else AutoModel)
    if getattr(transformer, "pooler", None) is not None:
        transformer.pooler = None  # often not trained, and never used here
    width = output_size = int(transformer.config.hidden_size)
    modes: list[str] = []
    steps: list[nn.Module] = []
    for kind, folder in modules_of(reference):
        if kind == "Pooling" and not modes and not steps:
            modes = pooling_modes(folder)
            output_size = width * len(modes)
        elif kind == "Normalize":
            steps.append(UnitLength())
        elif kind == "Dense":
            layer, output_size = dense_layer(folder, output_size)
            steps.append(layer)
        elif kind != "Dropout":
            raise ModelFormatError(f"{reference.folder}: textvae does not know its module {kind}")
    pooling = StatesPooling(modes or ["mean"])
    network = SentenceNetwork(transformer, pooling, nn.Sequential(*steps), width, output_size)
    return network.requires_grad_(False)


def pretrained_encoder(
    config: ModelConfig,
    vocabulary: Vocabulary,
    max_tokens: int,
    reference: Reference,
    network: nn.Module,
) -> Encoder:
    """The encoder around a network or table of `load_encoder`."""
    if isinstance(network, StaticTable):
        return StaticEncoder(config, vocabulary, max_tokens, reference, network)
    assert isinstance(network, SentenceNetwork)
    return TransformersEncoder(config, vocabulary, max_tokens, reference, network)


class PretrainedEncoder(Encoder):
    """Base class: which weights are trained and saved, and encodings that were computed before.

    The pretrained network never uses dropout of its own. `embedding_dropout` and
    `variational_dropout` act on its input, drawn from the noise of the training step.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: Vocabulary,
        max_tokens: int,
        output_size: int,
        reference: Reference,
        network: nn.Module,
    ) -> None:
        super().__init__(vocabulary, max_tokens, output_size)
        self.config, self.mode = config, config.encoder_training
        self.reference: Reference = reference
        prepare_training(network, self.mode, config.lora_rank)
        self.network = network.eval()

    @property
    def fixed_by(self) -> str | None:
        """The digest of the model and the pooling, if frozen and without dropout, else None."""
        config = self.config
        varies = config.embedding_dropout or config.variational_dropout
        if self.mode != "frozen" or config.pooling == "attention" or varies:
            return None
        return f"{self.reference.digest} {config.pooling}"

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """The encoder, its pretrained network without dropout in any case."""
        super().train(mode)
        self.network.eval()
        return self

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters to train: all, those of the adapters, or none of the network."""
        return trained_parameters(self, NETWORK, self.mode)

    def pretrained(self) -> Iterator[nn.Parameter]:
        """The trained parameters of the pretrained network and its adapters."""
        return pretrained_parameters(self, NETWORK, self.mode)

    def saved(self) -> dict[str, Tensor]:
        """The tensors that the pretrained model does not hold."""
        return saved_tensors(self, NETWORK, self.mode)

    def finish_loading(self, device: torch.device | str) -> None:
        """Move the pretrained weights, which the model file does not hold, to the device."""
        self.to(device)
        super().finish_loading(device)

    def forward(self, source: Tokens, noise: StepNoise | None = None) -> Tensor:
        """The vector of each sentence, shape (B, H)."""
        if self.fixed_by is None:
            return self._encode(source, noise)
        if source.vectors is not None:
            return source.vectors
        with torch.no_grad():
            return self._encode(source, noise)

    def _encode(self, source: Tokens, noise: StepNoise | None) -> Tensor:
        raise NotImplementedError


class TransformersEncoder(PretrainedEncoder):
    """An encoder of transformers: BERT, RoBERTa, MiniLM, ModernBERT, the encoder of T5, ..."""

    network: SentenceNetwork

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: Vocabulary,
        max_tokens: int,
        reference: Reference,
        network: SentenceNetwork,
    ) -> None:
        own = None if config.pooling == "pretrained" else Pooling(config.pooling, network.width)
        output_size = network.output_size if own is None else network.width
        rows = network.embedding.num_embeddings
        frame = frame_of(reference, vocabulary, rows, network.transformer.config.pad_token_id)
        _check_length(network.transformer, max_tokens, frame.added, reference)
        super().__init__(config, vocabulary, max_tokens, output_size, reference, network)
        self.frame = frame
        self.pooling = own

    @property
    def has_unit_length(self) -> bool:
        """True if the last module of the folder is a normalization, and its modules are used."""
        head = self.network.head
        return self.pooling is None and len(head) > 0 and isinstance(head[-1], UnitLength)

    def _encode(self, source: Tokens, noise: StepNoise | None) -> Tensor:
        framed = self.frame(source)
        states = self._states(framed, source, noise)
        if self.pooling is not None:
            return self.pooling(states, framed)
        return self.network.head(self.network.pooling(states, framed.mask))

    def _states(self, framed: Tokens, source: Tokens, noise: StepNoise | None) -> Tensor:
        config, mask = self.config, framed.mask.long()
        given: dict[str, Tensor] = {"input_ids": framed.ids}
        if noise is not None and (config.embedding_dropout or config.variational_dropout):
            # The noise of a step covers the tokens of our sentences, not those around them.
            first, last = len(self.frame.before), len(self.frame.before) + source.ids.size(1)
            embedded = self.network.embedding(framed.ids)
            inner = dropout(embedded[:, first:last], config.embedding_dropout, noise)
            inner = dropout(inner, config.variational_dropout, noise, shared=True)
            parts = [embedded[:, :first], inner, embedded[:, last:]]
            given = {"inputs_embeds": torch.cat(parts, dim=1)}
        return self.network.transformer(**given, attention_mask=mask).last_hidden_state

    def word_average(self, source: Tokens) -> Tensor:
        """The mean token embedding of each sentence, without special tokens, shape (B, E)."""
        ids = source.ids.masked_fill(source.ids >= self.frame.rows, self.frame.pad_id)
        words = source.mask & (source.ids != self.vocabulary.eos_id)  # (B, T)
        embedded = self.network.embedding(ids) * words[..., None]  # (B, T, E)
        return (embedded.sum(1) / words.sum(1, keepdim=True).clamp(min=1)).float()


class StaticEncoder(PretrainedEncoder):
    """Static word vectors: the mean over a sentence, of length 1 where the model says so."""

    network: StaticTable

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: Vocabulary,
        max_tokens: int,
        reference: Reference,
        network: StaticTable,
    ) -> None:
        for name, value in (
            ("embedding_dropout", config.embedding_dropout),
            ("variational_dropout", config.variational_dropout),
        ):
            if value:
                raise ConfigError(f"{name} {value:g} does not apply to static word vectors")
        if config.pooling not in ("pretrained", "mean"):
            raise ConfigError(
                f"pooling {config.pooling} does not apply to static word vectors; choose "
                "pretrained or mean"
            )
        check_rows(reference, vocabulary, network.embedding.num_embeddings)
        super().__init__(config, vocabulary, max_tokens, network.width, reference, network)

    @property
    def has_unit_length(self) -> bool:
        """True if the model scales its vectors to the length 1."""
        return self.config.pooling == "pretrained" and self.network.has_unit_length

    def _encode(self, source: Tokens, noise: StepNoise | None) -> Tensor:
        return self.network(source) if self.config.pooling == "pretrained" else self._mean(source)

    def word_average(self, source: Tokens) -> Tensor:
        """The mean vector of the words of each sentence, shape (B, E)."""
        return self._mean(source)

    def _mean(self, source: Tokens) -> Tensor:
        words = source.mask & (source.ids != self.vocabulary.eos_id)
        return self.network.average(source.ids, words)


def _check_length(
    transformer: nn.Module, max_tokens: int, added: int, reference: Reference
) -> None:
    """Raise ConfigError if sentences may be longer than the table of learned positions."""
    for name, module in transformer.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1  # RoBERTa
            most = module.num_embeddings - offset - added + 1  # our end token is among `added`
            if max_tokens > most:
                raise ConfigError(
                    f"max_tokens {max_tokens:,}: the encoder {reference.ref} reads at most "
                    f"{most:,}; lower {flag('max_tokens')}"
                )
