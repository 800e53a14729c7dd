"""How z enters a pretrained decoder: soft prefix tokens, keys and values, or added embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class BackboneSizes:
    """The sizes of a causal language model, and the scales of its activations (root mean square).

    A bridge maps z to numbers of about 1 and multiplies them by such a scale, so that a frozen
    network meets inputs of a size that it knows, and so that the learning rate of other new layers
    fits. Keys and values have 0.3 of their scale, and added vectors 0.1 of that of embeddings: at
    the full scale, a random z cost stories15M 4 and 49 nats a sentence.
    """

    width: int  # E, of the token embeddings
    embedding_scale: float
    heads: int  # of keys and values
    head_width: int  # D
    key_value_scales: tuple[float, ...]  # of keys, values, keys, ... of each layer


class Injection(nn.Module):
    """Maps z (B, Z) to inputs of a causal language model; base class, of a z that has no effect."""

    places = 0  # positions before the start token that z takes

    def prefix(self, z: Tensor) -> Tensor | None:
        """Soft tokens in front of the sentence, (B, M, E)."""
        return None

    def keys_values(self, z: Tensor) -> tuple[Tensor, ...]:
        """Keys, values, keys, ... of each layer, each (B, heads, M, D)."""
        return ()

    def added(self, z: Tensor) -> Tensor | None:
        """A vector that is added to each token embedding of the sentence, (B, E)."""
        return None


class Bridge(nn.Module):
    """A linear map of z (B, Z), times a scale that is saved and not trained."""

    scale: Tensor

    def __init__(self, latent_size: int, width: int, scale: float) -> None:
        super().__init__()
        self.map = nn.Linear(latent_size, width)
        self.register_buffer("scale", torch.tensor(scale))
        nn.init.normal_(self.map.weight, std=latent_size**-0.5)
        nn.init.zeros_(self.map.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Numbers of about the scale, (B, width)."""
        return self.map(z) * self.scale


class PrefixInjection(Injection):
    """z as M soft tokens in front of the sentence. Li & Liang 2021, section 4."""

    def __init__(self, sizes: BackboneSizes, latent_size: int, memory_tokens: int) -> None:
        super().__init__()
        self.places = memory_tokens
        self.bridge = Bridge(latent_size, memory_tokens * sizes.width, sizes.embedding_scale)

    def prefix(self, z: Tensor) -> Tensor:
        """Soft tokens in front of the sentence, (B, M, E)."""
        return self.bridge(z).view(len(z), self.places, -1)


class CacheInjection(Injection):
    """z as M keys and values of every layer. Li 2020, section 3.2 (memory)."""

    def __init__(self, sizes: BackboneSizes, latent_size: int, memory_tokens: int) -> None:
        super().__init__()
        self.places = memory_tokens
        self._heads, self._head_width = sizes.heads, sizes.head_width
        width = sizes.heads * memory_tokens * sizes.head_width
        self.bridges = nn.ModuleList(
            Bridge(latent_size, width, 0.3 * scale) for scale in sizes.key_value_scales
        )

    def keys_values(self, z: Tensor) -> tuple[Tensor, ...]:
        """Keys, values, keys, ... of each layer, each (B, heads, M, D)."""
        shape = (len(z), self._heads, self.places, self._head_width)
        return tuple(bridge(z).view(shape) for bridge in self.bridges)


class EmbeddingInjection(Injection):
    """z added to every token embedding. Li 2020, section 3.2 (embedding)."""

    def __init__(self, sizes: BackboneSizes, latent_size: int, memory_tokens: int) -> None:
        super().__init__()
        self.bridge = Bridge(latent_size, sizes.width, 0.1 * sizes.embedding_scale)

    def added(self, z: Tensor) -> Tensor:
        """A vector that is added to each token embedding of the sentence, (B, E)."""
        return self.bridge(z)


INJECTIONS: dict[str, type[PrefixInjection | CacheInjection | EmbeddingInjection]] = {
    "prefix": PrefixInjection,
    "cache": CacheInjection,
    "embedding": EmbeddingInjection,
}


def measured_sizes(
    width: int, embeddings: Tensor, keys_values: tuple[Tensor, ...]
) -> BackboneSizes:
    """The sizes and scales of a network, from its embeddings and the keys and values of a text."""
    _, heads, _, head_width = keys_values[0].shape
    scales = tuple(root_mean_square(tensor) for tensor in keys_values)
    return BackboneSizes(width, root_mean_square(embeddings), heads, head_width, scales)


def root_mean_square(x: Tensor) -> float:
    """The root mean square of a tensor; 1 for one on the meta device, which has no values."""
    return 1.0 if x.is_meta else float(x.detach().float().square().mean().sqrt())
