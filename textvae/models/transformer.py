"""Pre-norm Transformer encoder and decoder with scaled dot-product attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.models.state import TensorState

EXPANSION = 4  # width of the feed-forward layer, in hidden sizes


def rotate(x: Tensor, first: int) -> Tensor:
    """Queries or keys (B, heads, T, D), rotated by their positions first, first + 1, ...

    Rotary positions, Su 2021, eq. 34.
    """
    half = x.size(-1) // 2
    frequency = 10_000.0 ** (-torch.arange(half, device=x.device) / half)
    position = torch.arange(first, first + x.size(2), device=x.device)
    angle = position[:, None] * frequency  # (T, D / 2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


class Block(nn.Module):
    """Attention, then a feed-forward layer, each with layer norm before and a residual."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.heads
        self.rotary = config.positions == "rotary"
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, EXPANSION * width)
        self.contract = nn.Linear(EXPANSION * width, width)

    def forward(
        self, x: Tensor, *, mask: Tensor | None = None, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Output (B, T, H) and the keys and values (B, heads, past + T, D).

        With a `mask` (True: visible) attention is bidirectional. Without a mask it is causal and
        also sees `past`.
        """
        B, T, H = x.size()
        qkv = self.qkv(self.attention_norm(x)).view(B, T, 3, self.heads, H // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D)
        seen = past[0].size(2) if past is not None else 0
        if self.rotary:
            q, k = rotate(q, seen), rotate(k, seen)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        # A single query sees all of its past; with several queries the past is empty.
        attended = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None and T > 1
        )
        x = x + self.attention_out(attended.transpose(1, 2).reshape(B, T, H))
        x = x + self.contract(F.gelu(self.expand(self.feed_forward_norm(x))))
        return x, (k, v)


class TransformerEncoder(nn.Module):
    """States of a sentence, (B, T, H), with bidirectional attention."""

    def __init__(self, config: ModelConfig, max_positions: int) -> None:
        super().__init__()
        self.widen = nn.Linear(config.embedding_size, config.hidden_size)
        self.positions = learned_positions(config, max_positions)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden_size)
        self.output_size = config.hidden_size
        self.backward_size = 0

    def forward(self, embedded: Tensor, tokens: Tokens) -> Tensor:
        """States (B, T, H) of embedded tokens (B, T, E)."""
        x = self.widen(embedded)
        if self.positions is not None:
            x = x + self.positions[: x.size(1)]
        mask = tokens.mask[:, None, None, :]  # (B, 1, 1, T)
        for block in self.blocks:
            x, _ = block(x, mask=mask)
        return self.norm(x)


class TransformerDecoder(nn.Module):
    """Next-token states from the previous tokens and z.

    z becomes a prefix of memory tokens and is added to the embeddings, as in Optimus (Li 2020,
    section 3.2).
    """

    def __init__(self, config: ModelConfig, latent_size: int, max_positions: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.heads
        self.memory_tokens = config.memory_tokens if latent_size else 0
        self.widen = nn.Linear(config.embedding_size, width)
        self.positions = learned_positions(config, max_positions + self.memory_tokens)
        self.memory = nn.Linear(latent_size, self.memory_tokens * width) if latent_size else None
        self.added = nn.Linear(latent_size, width) if latent_size else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.output_size = width

    def forward(self, embedded: Tensor, z: Tensor | None) -> Tensor:
        """States (B, T, H) that predict tokens, teacher-forced on embedded inputs (B, T, E)."""
        x = self.widen(embedded)
        if self.memory is not None and self.added is not None and z is not None:
            x = x + self.added(z)[:, None]
            x = torch.cat([self._memory(z), x], dim=1)  # (B, M + T, H)
        states, _ = self._run(x, None)
        return states[:, self.memory_tokens :]

    def start(self, z: Tensor | None, n: int) -> TensorState:
        """The state of `n` sentences before their first token: keys and values per layer, and z."""
        if self.memory is None or self.added is None or z is None:
            weight = self.widen.weight
            empty = weight.new_zeros(n, self.heads, 0, weight.size(0) // self.heads)
            return TensorState((empty,) * (2 * len(self.blocks)))
        _, cache = self._run(self._memory(z), None)
        return TensorState((*cache, self.added(z)))

    def step(self, embedded: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """Output (N, H) that predicts the token after `embedded` (N, E), and the next state."""
        keys_values = 2 * len(self.blocks)
        cache, added = state.tensors[:keys_values], state.tensors[keys_values:]
        x = self.widen(embedded)
        if added:
            x = x + added[0]
        states, cache = self._run(x[:, None], cache)
        return states[:, 0], TensorState((*cache, *added))

    def _memory(self, z: Tensor) -> Tensor:
        assert self.memory is not None
        return self.memory(z).view(z.size(0), self.memory_tokens, -1)

    def _run(
        self, x: Tensor, cache: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        seen = cache[0].size(2) if cache is not None else 0
        if self.positions is not None:
            x = x + self.positions[seen : seen + x.size(1)]
        after: list[Tensor] = []
        for layer, block in enumerate(self.blocks):
            past = (cache[2 * layer], cache[2 * layer + 1]) if cache is not None else None
            x, keys_values = block(x, past=past)
            after += keys_values
        return self.norm(x), tuple(after)


def learned_positions(config: ModelConfig, count: int) -> nn.Parameter | None:
    """One vector per position, shape (count, H); None if positions are rotary."""
    if config.positions == "rotary":
        return None
    return nn.Parameter(nn.init.normal_(torch.empty(count, config.hidden_size), std=0.02))
