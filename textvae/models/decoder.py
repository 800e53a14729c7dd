"""Decoders: log p(x|z) of sentences, and generation from z token by token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.data.vocabulary import Vocabulary
from textvae.models.dropout import drop_words, dropout, regularised_embedding
from textvae.models.folded_linear import FoldedLinear, gains
from textvae.models.networks import DECODER_NETWORKS
from textvae.models.part import Part
from textvae.models.pretrained.reference import Reference
from textvae.models.softmax import linear_nll
from textvae.models.state import State
from textvae.randomness.noise import StepNoise

FOLDED_ROWS = 64  # sentences from which a copy of the output layer pays on a CPU


class Decoder(Part):
    """Base class of decoders; each has its own tokenizer. Without a latent: a language model.

    Args:
        vocabulary: the vocabulary of the decoder's tokenizer.
        max_tokens: the longest sentence in tokens, end token included.
        latent_size: Z; 0 without a latent.
    """

    reference: Reference | None = None  # to the pretrained model that the part is built on

    def __init__(self, vocabulary: Vocabulary, max_tokens: int, latent_size: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.max_tokens = max_tokens
        self.latent_size = latent_size

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    @property
    def memory_width(self) -> int:
        """The width of the widest layer, in numbers per token; it limits the size of a batch."""
        return self.vocabulary.size

    @property
    def states_width(self) -> int:
        """The width of the widest layer below the logits, in numbers per token."""
        return self.memory_width

    def token_log_probs(
        self, target: Tokens, z: Tensor | None, noise: StepNoise | None = None
    ) -> Tensor:
        """log p(x_t | x_<t, z) in nats, shape (B, T), 0 on padding; z (B, Z), or None."""
        raise NotImplementedError

    def start(self, z: Tensor | None, n: int) -> State:
        """The state of `n` sentences before their first token; z (n, Z), or None."""
        raise NotImplementedError

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (N, V) of the token after `tokens` (N,), float32, and the next state."""
        raise NotImplementedError

    def log_likelihood(
        self, target: Tokens, z: Tensor | None, noise: StepNoise | None = None
    ) -> Tensor:
        """log p(x|z) of each sentence in nats: z (..., B, Z) -> (..., B); None -> (B,)."""
        if z is None or z.dim() == 2:
            return self.token_log_probs(target, z, noise).sum(1)
        leading = z.shape[:-2]
        if noise is not None:
            raise ValueError("training noise needs one latent per sentence, z of shape (B, Z)")
        repeated = target.repeat(leading.numel())  # (K * B, T)
        flat = self.token_log_probs(repeated, z.reshape(-1, z.size(-1))).sum(1)
        return flat.view(*leading, len(target))


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class NetworkState:
    """The state of a network, and what the steps of its sentences share.

    Args:
        network: of the network alone.
        skipped: the term of z that is added to the network's output.
        folded: the output layer with its bias folded in, where this form is faster.
    """

    network: State
    skipped: Tensor | None
    folded: FoldedLinear | None

    def rows(self, index: Tensor) -> NetworkState:
        """The state of the sentences at the indices `index` (M,)."""
        skipped = None if self.skipped is None else self.skipped[index]
        return NetworkState(self.network.rows(index), skipped, self.folded)


class NetworkDecoder(Decoder):
    """A GRU, an LSTM or a Transformer between token embeddings and a softmax over the vocabulary.

    Word dropout replaces a token by the padding token. The decoder never predicts padding or the
    start token.
    """

    impossible: Tensor  # (V,): -inf for tokens that are never predicted, else 0

    def __init__(
        self, config: ModelConfig, vocabulary: Vocabulary, max_tokens: int, latent_size: int
    ) -> None:
        super().__init__(vocabulary, max_tokens, latent_size)
        self.config = config
        self.embedding = nn.Embedding(vocabulary.size, config.embedding_size)
        self.network = DECODER_NETWORKS[config.decoder](config, latent_size, max_tokens)
        width = self.network.output_size
        self.skip: nn.Linear | None = None  # Dieng 2019, section 3
        if config.skip_z:
            self.skip = nn.Linear(latent_size, width, bias=False)
        self.narrow: nn.Module = nn.Identity()
        if config.tie_weights and width != config.embedding_size:
            self.narrow = nn.Linear(width, config.embedding_size)
        self.output = nn.Linear(
            config.embedding_size if config.tie_weights else width, vocabulary.size
        )
        self.register_buffer("impossible", self._impossible_tokens(), persistent=False)
        nn.init.normal_(self.embedding.weight, std=config.embedding_size**-0.5)
        nn.init.zeros_(self.output.bias)
        if config.tie_weights:
            self.output.weight = self.embedding.weight

    def _impossible_tokens(self) -> Tensor:
        impossible = torch.zeros(self.vocabulary.size)
        impossible[[self.vocabulary.pad_id, self.vocabulary.bos_id]] = float("-inf")
        return impossible

    def saved(self) -> dict[str, Tensor]:
        """The tensors to save, each once: the file does not hold a tied output layer."""
        tensors = super().saved()
        if self.config.tie_weights:
            del tensors["output.weight"]
        return tensors

    def finish_loading(self, device: torch.device | str) -> None:
        """Restore the tied output layer and the fixed buffer."""
        if self.config.tie_weights:
            self.output.weight = self.embedding.weight
        self.impossible = self._impossible_tokens().to(device)
        super().finish_loading(device)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embedding.weight.device

    @property
    def memory_width(self) -> int:
        """The size of the vocabulary or of the widest layer below, whichever is larger."""
        return max(self.vocabulary.size, self.states_width)

    @property
    def states_width(self) -> int:
        """The width of the gates of an LSTM or of a feed-forward layer, in numbers per token."""
        return 4 * self.config.hidden_size

    # (tokens, z) -> log-likelihood

    def token_log_probs(
        self, target: Tokens, z: Tensor | None, noise: StepNoise | None = None
    ) -> Tensor:
        """log p(x_t | x_<t, z) in nats, shape (B, T), 0 on padding; z (B, Z), or None."""
        B, T = target.ids.size()
        states = self.narrow(self._teacher_forced(target, z, noise)).flatten(0, 1)  # (B * T, E)
        nll = linear_nll(states, *self._output_layer(), target.ids.reshape(B * T))
        return -nll.view(B, T).masked_fill(~target.mask, 0.0)

    def _teacher_forced(self, target: Tokens, z: Tensor | None, noise: StepNoise | None) -> Tensor:
        """States (B, T, H) that predict each token from the previous tokens and z."""
        start = torch.full_like(target.ids[:, :1], self.vocabulary.bos_id)
        inputs = torch.cat([start, target.ids[:, :-1]], dim=1)  # (B, T)
        inputs = drop_words(inputs, self.config.word_dropout, self.vocabulary.pad_id, noise)
        embedded = regularised_embedding(self.embedding, inputs, self.config, noise)
        states = self.network(embedded, z)
        if self.skip is not None and z is not None:
            states = states + self.skip(z)[:, None]
        return dropout(states, self.config.output_dropout, noise)

    def _output_layer(self) -> tuple[Tensor, Tensor]:
        """Weight (V, E) and bias (V,); the bias is -inf for tokens that are never predicted."""
        return self.output.weight, self.output.bias + self.impossible

    # z -> tokens, step by step

    def start(self, z: Tensor | None, n: int) -> NetworkState:
        """The state of `n` sentences before their first token; z (n, Z), or None.

        In inference on a CPU, the state of many sentences has its own copy of the output layer,
        which lives as long as the state.
        """
        skipped = None if self.skip is None or z is None else self.skip(z)
        folded = None
        if n >= FOLDED_ROWS and gains(self.output.weight):
            folded = FoldedLinear.of(*self._output_layer())
        return NetworkState(self.network.start(z, n), skipped, folded)

    def step(self, tokens: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:  # type: ignore[override]
        """Logits (N, V) of the token after `tokens` (N,), float32, and the next state."""
        states, network = self.network.step(self.embedding(tokens), state.network)  # type: ignore[arg-type]
        if state.skipped is not None:
            states = states + state.skipped
        states = self.narrow(states)
        if state.folded is not None:
            logits = state.folded(states)
        else:
            logits = F.linear(states, *self._output_layer()).float()
        return logits, NetworkState(network, state.skipped, state.folded)
