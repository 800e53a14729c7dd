"""The model: tokens -> posterior, (tokens, z) -> log-likelihood, z -> next-token logits.

One class serves the VAE, the autoencoder and the language model; losses and everything
else are compositions of these primitives and live elsewhere.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.errors import UsageError
from textvae.gaussian import DiagonalGaussian
from textvae.models.dropout import drop_words, dropout
from textvae.models.pooling import Pooling
from textvae.models.posterior import BatchNormalisedMeans, largest_log_variance
from textvae.models.recurrent import CELLS, RecurrentDecoder, RecurrentEncoder, State
from textvae.models.softmax import linear_nll
from textvae.models.transformer import TransformerDecoder, TransformerEncoder
from textvae.randomness.noise import StepNoise

Layer = Literal["latent", "encoder"]  # where the vector of a sentence is taken


class SentenceModel(nn.Module):
    """A sentence VAE, autoencoder (`ae`) or language model (`lm`).

    A model holds no state of training: noise comes as an argument, weights of losses stay
    in the objective. In float32 results do not depend on the rest of the batch, but for
    batch-normalised posteriors in training, that is with noise.

    Args:
        config: the architecture.
        vocab_size: size of the vocabulary.
        pad_id, bos_id, eos_id: special tokens. The embedding of padding doubles as the
            blank of word dropout; padding and start are never predicted.
        max_tokens: longest sentence, end token included.
    """

    impossible: Tensor  # (V,): -inf for tokens that are never predicted, else 0
    code_mean: Tensor  # (Z,), of an ae
    code_factor: Tensor  # (Z, Z), of an ae: Cholesky factor of the covariance of its codes

    def __init__(
        self,
        config: ModelConfig,
        *,
        vocab_size: int,
        pad_id: int,
        bos_id: int,
        eos_id: int,
        max_tokens: int,
    ) -> None:
        super().__init__()
        self.config = config
        self.kind = config.model
        self.latent_size = 0 if self.kind == "lm" else config.latent_size
        self.vocab_size = vocab_size
        self.pad_id, self.bos_id, self.eos_id = pad_id, bos_id, eos_id
        self.max_tokens = max_tokens
        self.encoder: SentenceEncoder | None = None
        if self.kind != "lm":
            self.encoder = SentenceEncoder(config, vocab_size, max_tokens)
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.decoder: RecurrentDecoder | TransformerDecoder
        if config.decoder in CELLS:
            self.decoder = RecurrentDecoder(config, self.latent_size)
        else:
            self.decoder = TransformerDecoder(config, self.latent_size, max_tokens)
        self.skip: nn.Linear | None = None  # Dieng 2019, section 3
        if config.skip_z:
            self.skip = nn.Linear(self.latent_size, self.decoder.output_size, bias=False)
        self.narrow: nn.Module = nn.Identity()
        if config.tie_weights and self.decoder.output_size != config.embedding_size:
            self.narrow = nn.Linear(self.decoder.output_size, config.embedding_size)
        self.output = nn.Linear(
            config.embedding_size if config.tie_weights else self.decoder.output_size, vocab_size
        )
        self.register_buffer("impossible", self._impossible_tokens(), persistent=False)
        if self.kind == "ae":
            self.register_buffer("code_mean", torch.zeros(self.latent_size))
            factor = torch.empty(self.latent_size, self.latent_size)
            self.register_buffer("code_factor", nn.init.eye_(factor))
        self._initialise()

    def _initialise(self) -> None:
        nn.init.normal_(self.embedding.weight, std=self.config.embedding_size**-0.5)
        nn.init.zeros_(self.output.bias)
        if self.config.tie_weights:
            self.output.weight = self.embedding.weight

    def _impossible_tokens(self) -> Tensor:
        impossible = torch.zeros(self.vocab_size)
        impossible[[self.pad_id, self.bos_id]] = float("-inf")
        return impossible

    def after_loading(self, device: torch.device | str) -> None:
        """Restore what weights on disk leave out: the tied layer and the fixed buffers."""
        if self.config.tie_weights:
            self.output.weight = self.embedding.weight
        self.impossible = self._impossible_tokens().to(device)
        for parameter in self.parameters():
            parameter.requires_grad_(True)
        for module in self.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # one block of memory, as cuDNN wants it

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.embedding.weight.device

    # tokens -> posterior

    def posterior(self, source: Tokens, noise: StepNoise | None = None) -> DiagonalGaussian:
        """q(z|x), shape (B, Z).

        Raises:
            UsageError: the model is no VAE.
        """
        if self.kind != "vae" or self.encoder is None:
            raise UsageError(f"a model of kind {self.kind!r} has no posterior; train a vae")
        mean, log_variance = self.encoder(source, noise).chunk(2, dim=-1)
        return DiagonalGaussian(mean.float(), log_variance.float())

    def code(self, source: Tokens, noise: StepNoise | None = None) -> Tensor:
        """The vector of each sentence, (B, Z): the posterior mean, or the autoencoder's point.

        Raises:
            UsageError: the model is a language model.
        """
        return self._need_encoder()(source, noise)[:, : self.latent_size].float()

    def pooled(self, source: Tokens) -> Tensor:
        """The encoder's state of each sentence before the bottleneck, (B, H) or (B, 2H).

        Raises:
            UsageError: the model is a language model.
        """
        return self._need_encoder().pooled(source).float()

    def word_average(self, source: Tokens) -> Tensor:
        """The mean of the encoder's token embeddings of each sentence, end token apart, (B, E).

        That of an empty sentence is zero.

        Raises:
            UsageError: the model is a language model.
        """
        words = source.mask & (source.ids != self.eos_id)  # (B, T)
        embedded = self._need_encoder().embedding(source.ids) * words[..., None]  # (B, T, E)
        return (embedded.sum(1) / words.sum(1, keepdim=True).clamp(min=1)).float()

    def _need_encoder(self) -> SentenceEncoder:
        if self.encoder is None:
            raise UsageError("a language model has no latent; train a vae or an ae")
        return self.encoder

    # the prior

    def prior_sample(self, noise: Tensor) -> Tensor:
        """Latents (N, Z) from standard normal noise; an ae's by the Gaussian of its codes."""
        if self.kind == "ae":
            return self.code_mean + noise @ self.code_factor.T
        return noise

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, shape (...,), of z (..., Z)."""
        return DiagonalGaussian.standard(self.latent_size, device=z.device).log_prob(z)

    @property
    def prior_is_fitted(self) -> bool:
        """Whether the prior is the Gaussian of an autoencoder's codes rather than N(0, I)."""
        if self.kind != "ae":
            return False
        standard = torch.eye(self.latent_size, device=self.code_factor.device)
        return bool(self.code_mean.any()) or not torch.equal(self.code_factor, standard)

    @torch.no_grad()
    def fit_prior(self, codes: Tensor) -> None:
        """Give an autoencoder the Gaussian (full covariance) of codes (N, Z)."""
        codes = codes.double().cpu()
        centred = codes - codes.mean(0)
        covariance = centred.T @ centred / max(len(codes) - 1, 1)
        jitter = 1e-6 * (1 + covariance.trace() / self.latent_size)  # for codes that span less
        covariance += jitter * torch.eye(self.latent_size, dtype=torch.double)
        self.code_mean.copy_(codes.mean(0))
        self.code_factor.copy_(torch.linalg.cholesky(covariance))

    # (tokens, z) -> log-likelihood

    def token_log_probs(
        self, target: Tokens, z: Tensor | None, noise: StepNoise | None = None
    ) -> Tensor:
        """log p(x_t | x_<t, z) in nats, shape (B, T), 0 on padding; z (B, Z), or None (lm)."""
        B, T = target.ids.size()
        states = self.narrow(self._teacher_forced(target, z, noise)).flatten(0, 1)  # (B * T, E)
        nll = linear_nll(states, *self._output_layer(), target.ids.reshape(B * T))
        return -nll.view(B, T).masked_fill(~target.mask, 0.0)

    def log_likelihood(
        self, target: Tokens, z: Tensor | None, noise: StepNoise | None = None
    ) -> Tensor:
        """log p(x|z) of each sentence in nats: z (..., B, Z) -> (..., B); None (lm) -> (B,)."""
        if z is None or z.dim() == 2:
            return self.token_log_probs(target, z, noise).sum(1)
        leading = z.shape[:-2]
        if noise is not None:
            raise ValueError("training noise is drawn for one latent a sentence, z (B, Z)")
        repeated = target.repeat(leading.numel())  # (K * B, T)
        flat = self.token_log_probs(repeated, z.reshape(-1, z.size(-1))).sum(1)
        return flat.view(*leading, len(target))

    def _teacher_forced(self, target: Tokens, z: Tensor | None, noise: StepNoise | None) -> Tensor:
        """States (B, T, H) that predict each token from those before it and z."""
        start = torch.full_like(target.ids[:, :1], self.bos_id)
        inputs = torch.cat([start, target.ids[:, :-1]], dim=1)  # (B, T)
        inputs = drop_words(inputs, self.config.word_dropout, self.pad_id, noise)
        embedded = regularised_embedding(self.embedding, inputs, self.config, noise)
        states = self.decoder(embedded, z)
        if self.skip is not None and z is not None:
            states = states + self.skip(z)[:, None]
        return dropout(states, self.config.output_dropout, noise)

    def _output_layer(self) -> tuple[Tensor, Tensor]:
        """Weight (V, E) and bias (V,); what is never predicted has a bias of -inf."""
        return self.output.weight, self.output.bias + self.impossible

    # z -> tokens, step by step

    def start(self, z: Tensor | None, n: int) -> State:
        """State of `n` sentences before their first token; z (n, Z), or None (lm)."""
        state = self.decoder.start(z, n)
        return state if self.skip is None or z is None else (*state, self.skip(z))

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (N, V) of the token after `tokens` (N,), and the next State."""
        skipped: State = ()
        if self.skip is not None:
            state, skipped = state[:-1], state[-1:]
        states, state = self.decoder.step(self.embedding(tokens), state)
        for added in skipped:
            states = states + added
        logits = F.linear(self.narrow(states), *self._output_layer()).float()
        return logits, (*state, *skipped)


class SentenceEncoder(nn.Module):
    """Parameters of the posterior, (B, 2Z): means then log-variances; for an ae the code (B, Z)."""

    def __init__(self, config: ModelConfig, vocab_size: int, max_tokens: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.states: RecurrentEncoder | TransformerEncoder
        if config.encoder in CELLS:
            self.states = RecurrentEncoder(config)
        else:
            self.states = TransformerEncoder(config, max_tokens)
        reads_both_ways = config.bidirectional and config.encoder in CELLS
        width = self.states.output_size
        self.pooling = Pooling(config.pooling, width, bidirectional=reads_both_ways)
        self.head = nn.Linear(width, config.latent_size * (2 if config.model == "vae" else 1))
        self.normalised: BatchNormalisedMeans | None = None
        if config.posterior_batch_norm:
            self.normalised = BatchNormalisedMeans(config.latent_size, config.posterior_batch_norm)
        self.largest_log_variance: float | None = None
        if config.committed_rate:
            rate = config.committed_rate / config.latent_size  # of each dimension
            self.largest_log_variance = largest_log_variance(rate)

    def pooled(self, source: Tokens, noise: StepNoise | None = None) -> Tensor:
        """The vector before the bottleneck, shape (B, H) or (B, 2H)."""
        embedded = regularised_embedding(self.embedding, source.ids, self.config, noise)
        return self.pooling(self.states(embedded, source), source)

    def forward(self, source: Tokens, noise: StepNoise | None = None) -> Tensor:
        """Parameters of the posterior, or the code."""
        bias: Tensor = self.head.bias
        if self.normalised is not None:
            # A bias of the means cancels; Adam would still walk it along its rounding errors.
            Z = self.config.latent_size
            bias = F.pad(bias[Z:], (Z, 0))
        parameters = F.linear(self.pooled(source, noise), self.head.weight, bias)
        if self.normalised is None and self.largest_log_variance is None:
            return parameters
        full = parameters.to(self.head.weight.dtype)  # bounds that bf16 would not keep
        mean, log_variance = full.chunk(2, dim=-1)
        if self.normalised is not None:
            mean = self.normalised(mean, noise)
        if self.largest_log_variance is not None:
            log_variance = self.largest_log_variance - F.softplus(-log_variance)
        return torch.cat([mean, log_variance], dim=-1)


def regularised_embedding(
    embedding: nn.Embedding, ids: Tensor, config: ModelConfig, noise: StepNoise | None
) -> Tensor:
    """Embedded tokens (B, T, E) after the embedding and the variational dropout."""
    embedded = dropout(embedding(ids), config.embedding_dropout, noise)
    return dropout(embedded, config.variational_dropout, noise, shared=True)
