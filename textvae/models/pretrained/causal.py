"""A pretrained causal language model as a decoder of z: GPT-2, Llama, Qwen and their kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.data.vocabulary import Vocabulary
from textvae.errors import ConfigError, ModelFormatError
from textvae.models.decoder import Decoder
from textvae.models.dropout import drop_words, dropout
from textvae.models.pretrained.causal_checks import cache_argument, check_network
from textvae.models.pretrained.injections import INJECTIONS, Injection, measured_sizes
from textvae.models.pretrained.reference import Reference
from textvae.models.pretrained.training_mode import (
    prepare_training,
    pretrained_parameters,
    recompute_layers,
    saved_tensors,
    trained_parameters,
)
from textvae.models.softmax import linear_nll
from textvae.randomness.noise import StepNoise


def load_causal(reference: Reference) -> nn.Module:
    """The causal language model in a pretrained folder, on the CPU, in float32.

    Raises:
        ModelFormatError: the architecture is no causal language model, or as `open_network`.
    """
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    from textvae.models.pretrained.opening import open_network, read_settings

    name = read_settings(reference).get("model_type")
    if name in CONFIG_MAPPING_NAMES and name not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ModelFormatError(
            f"{reference.folder}: {name} is no causal language model; choose a decoder such as "
            "GPT-2, Llama or Qwen"
        )
    return open_network(reference, AutoModelForCausalLM)


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class CausalState:
    """Keys and values of the tokens so far, and the terms of z that are added at each step."""

    keys_values: tuple[Tensor, ...]  # keys, values, keys, ... of each layer, (N, heads, T, D)
    added: Tensor | None  # to the embedding, (N, E)
    skipped: Tensor | None  # to the output state, (N, E)

    def rows(self, index: Tensor) -> CausalState:
        """The state of the sentences at the indices `index` (M,)."""
        return CausalState(
            tuple(tensor[index] for tensor in self.keys_values),
            None if self.added is None else self.added[index],
            None if self.skipped is None else self.skipped[index],
        )


class PretrainedDecoder(Decoder):
    """A causal language model of transformers that reads z through a trained bridge.

    The input is [soft prefix] [start token] x_1 ... x_{T-1}. The network has no padding to the
    left, and causal attention does not see padding to the right, so a sentence needs no mask.

    The tokenizer may have ids beyond the rows of the network: roles (padding, start) that the
    network does not know. The network never predicts padding and start. Its own start token
    begins a sentence, else its end token.

    Word dropout replaces the embedding of a token by the mean embedding.

    Args:
        config: the architecture; `decoder_training` says how the network is trained.
        vocabulary: the vocabulary of the network's own tokenizer.
        max_tokens: the longest sentence in tokens, end token included.
        latent_size: Z; 0 without a latent.
        reference: where the network comes from; None if it is in no folder.
        network: a causal language model of transformers, which is changed in place.

    Raises:
        ModelFormatError: the network is not a causal language model with a cache of keys and values
            and a linear output layer.
        ConfigError: the tokenizer or the length do not fit the network.
    """

    impossible: Tensor  # (V',): -inf for tokens that are never predicted, else 0
    blank: Tensor  # (E,): the embedding of a dropped word

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: Vocabulary,
        max_tokens: int,
        latent_size: int,
        reference: Reference | None,
        network: nn.Module,
    ) -> None:
        super().__init__(vocabulary, max_tokens, latent_size)
        check_network(network)
        self.config = config
        self.reference = reference
        self.backbone: Any = network  # transformers has few types
        self._cache_name = cache_argument(network)
        self._known = min(vocabulary.size, self._embedding.num_embeddings)  # V', rows in use
        self._check_vocabulary()
        self.start_id = self._start_token()
        self.injection = Injection()
        self.skip: nn.Linear | None = None  # Dieng 2019, section 3
        if latent_size:
            self.injection = self._new_injection()
        if config.skip_z:
            self.skip = nn.Linear(latent_size, self._embedding.embedding_dim, bias=False)
        self._check_length()
        prepare_training(self.backbone, config.decoder_training, config.lora_rank)
        self._checkpointing = False
        self.register_buffer("impossible", self._impossible_tokens(), persistent=False)
        self.register_buffer("blank", self._embedding.weight.detach().mean(0), persistent=False)
        self.train(self.training)

    # what fits the network

    def _check_vocabulary(self) -> None:
        ids, known = self.vocabulary, self._known
        unknown = sum(token >= known for token in (ids.pad_id, ids.bos_id))
        if ids.eos_id >= known:
            raise ConfigError(
                "the tokenizer of the decoder has no end token that the network knows; choose a "
                "model whose tokenizer.json has one, such as </s> or <|endoftext|>"
            )
        if ids.size - known > unknown:
            raise ConfigError(
                f"the tokenizer of the decoder has {ids.size:,} tokens, but the network has "
                f"{known:,}; the files belong to different models"
            )

    def _start_token(self) -> int:
        # The network's own first: a start token that our tokenizer adds may fall on a row of the
        # network that no token used in its training.
        for token in (self.backbone.config.bos_token_id, self.vocabulary.bos_id):
            if isinstance(token, int) and 0 <= token < self._known:
                return token
        return self.vocabulary.eos_id

    def _check_length(self) -> None:
        most = getattr(self.backbone.config, "max_position_embeddings", None)
        needed = self.injection.places + self.max_tokens
        if isinstance(most, int) and needed > most:
            raise ConfigError(
                f"max_tokens {self.max_tokens} and {self.injection.places} prefix tokens are more "
                f"than the {most} positions of the pretrained decoder; lower max_tokens"
            )

    def _new_injection(self) -> Injection:
        weight = self._embedding.weight
        some = torch.arange(min(16, self._known), device=weight.device)[None]
        with torch.no_grad():
            _, keys_values = self._run(self._embedding(some), (), keep=True)
        sizes = measured_sizes(weight.size(1), weight, keys_values)
        kind = INJECTIONS[self.config.latent_injection]
        return kind(sizes, self.latent_size, self.config.memory_tokens)

    def _impossible_tokens(self) -> Tensor:
        impossible = torch.zeros(self._known, device=self.device)
        for token in (self.vocabulary.pad_id, self.vocabulary.bos_id):
            if token < self._known:
                impossible[token] = float("-inf")
        return impossible

    # the part

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The bridges from z, and the parameters of the network that are trained."""
        return trained_parameters(self, "backbone", self.config.decoder_training)

    def pretrained(self) -> Iterator[nn.Parameter]:
        """The trained parameters of the network."""
        return pretrained_parameters(self, "backbone", self.config.decoder_training)

    def saved(self) -> dict[str, Tensor]:
        """The tensors to save: what is trained. All else comes from the pretrained folder."""
        return saved_tensors(self, "backbone", self.config.decoder_training)

    def finish_loading(self, device: torch.device | str) -> None:
        """Restore tied layers, buffers and the device of the network, and what is trained."""
        self.backbone.tie_weights()
        self.impossible = self._impossible_tokens()
        self.blank = self._embedding.weight.detach().mean(0)
        self.to(device)
        super().finish_loading(device)

    def train(self, mode: bool = True) -> Self:
        """Training mode; the network stays in evaluation mode unless its layers are recomputed."""
        super().train(mode)
        self.backbone.train(mode and self._checkpointing)
        return self

    def recompute_layers(self) -> None:
        """Keep no states inside the layers during training; the backward pass recomputes them.

        Gradient checkpointing, Chen 2016.
        """
        self._checkpointing = True
        recompute_layers(self.backbone)
        self.train(self.training)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self._embedding.weight.device

    @property
    def memory_width(self) -> int:
        """The usual width of a feed-forward layer; logits are computed in parts."""
        return 4 * self._embedding.embedding_dim

    @property
    def _embedding(self) -> nn.Embedding:
        return self.backbone.get_input_embeddings()

    # (tokens, z) -> log-likelihood

    def token_log_probs(
        self, target: Tokens, z: Tensor | None, noise: StepNoise | None = None
    ) -> Tensor:
        """log p(x_t | x_<t, z) in nats, shape (B, T), 0 on padding; z (B, Z), or None."""
        B, T = target.ids.size()
        states = self._teacher_forced(target, z, noise).flatten(0, 1)  # (B * T, E)
        ids = torch.where(target.mask, target.ids, self.vocabulary.eos_id)
        nll = linear_nll(states, *self._output_layer(), ids.reshape(B * T))
        return -nll.view(B, T).masked_fill(~target.mask, 0.0)

    def _teacher_forced(self, target: Tokens, z: Tensor | None, noise: StepNoise | None) -> Tensor:
        """States (B, T, E) that predict each token from the previous tokens and z."""
        start = torch.full_like(target.ids[:, :1], self.vocabulary.bos_id)
        inputs = torch.cat([start, target.ids[:, :-1]], dim=1)  # (B, T)
        state = self._state(z)
        x = self._embedded(inputs)
        blank = drop_words(torch.ones_like(inputs), self.config.word_dropout, 0, noise) == 0
        x = torch.where(blank[..., None], self.blank.to(x.dtype), x)
        x = dropout(x, self.config.embedding_dropout, noise)
        x = dropout(x, self.config.variational_dropout, noise, shared=True)
        if state.added is not None:
            x = x + state.added[:, None]
        prefix = None if z is None else self.injection.prefix(z)
        if prefix is not None:
            x = torch.cat([prefix.to(x.dtype), x], dim=1)  # (B, M + T, E)
        states, _ = self._run(x, state.keys_values)
        states = states[:, -inputs.size(1) :]
        if state.skipped is not None:
            states = states + state.skipped[:, None]
        return dropout(states, self.config.output_dropout, noise)

    def _embedded(self, ids: Tensor) -> Tensor:
        """Embeddings of the network for ids of the tokenizer."""
        foreign = (ids == self.vocabulary.bos_id) | (ids >= self._known)
        return self._embedding(torch.where(foreign, self.start_id, ids))

    def _state(self, z: Tensor | None) -> CausalState:
        """What z adds to the state before the first token, without the soft prefix."""
        if z is None:
            return CausalState((), None, None)
        skipped = None if self.skip is None else self.skip(z)
        return CausalState(self.injection.keys_values(z), self.injection.added(z), skipped)

    def _run(
        self, x: Tensor, past: tuple[Tensor, ...], *, keep: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Output states (B, T, E) of inputs (B, T, E) after `past`; keys and values if `keep`."""
        cache = None
        if past or keep:
            from transformers import DynamicCache

            cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)) or None)
        given = {self._cache_name: cache, "use_cache": cache is not None}
        states = self.backbone.base_model(inputs_embeds=x, **given).last_hidden_state
        if cache is None:
            return states, ()
        layers: list[Any] = cache.layers
        return states, tuple(tensor for layer in layers for tensor in (layer.keys, layer.values))

    def _output_layer(self) -> tuple[Tensor, Tensor]:
        """Weight (V', E) and bias (V',); the bias is -inf for tokens that are never predicted."""
        layer = self.backbone.get_output_embeddings()
        weight, known = layer.weight, self._known
        if len(weight) != known:
            weight = weight[:known]
        if layer.bias is None:
            return weight, self.impossible
        return weight, layer.bias[:known] + self.impossible

    # z -> tokens, step by step

    def start(self, z: Tensor | None, n: int) -> CausalState:
        """The state of `n` sentences before their first token; z (n, Z), or None."""
        state = self._state(z)
        prefix = None if z is None else self.injection.prefix(z)
        if prefix is None:
            return state
        _, keys_values = self._run(prefix, (), keep=True)
        return CausalState(keys_values, state.added, state.skipped)

    def step(self, tokens: Tensor, state: CausalState) -> tuple[Tensor, CausalState]:  # type: ignore[override]
        """Logits (N, V) of the token after `tokens` (N,), float32, and the next state."""
        x = self._embedded(tokens)
        if state.added is not None:
            x = x + state.added
        states, keys_values = self._run(x[:, None], state.keys_values, keep=True)
        states = states[:, 0]
        if state.skipped is not None:
            states = states + state.skipped
        logits = F.linear(states, *self._output_layer()).float()
        beyond = self.vocabulary.size - self._known
        if beyond:
            logits = F.pad(logits, (0, beyond), value=float("-inf"))
        return logits, CausalState(keys_values, state.added, state.skipped)
