"""How z enters a pretrained decoder: soft prefix tokens, keys and values, or added embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class BackboneSizes:
    """The sizes of a causal language model, and the scales of its activations (root mean square).

    Soft tokens start at the scale of embeddings. Keys and values start at 0.3 of theirs, and added
    vectors at 0.1: at the full scale a random z cost stories15M 4 and 49 nats a sentence.
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


class PrefixInjection(Injection):
    """z as M soft tokens in front of the sentence, a linear map. Li & Liang 2021, section 4."""

    def __init__(self, sizes: BackboneSizes, latent_size: int, memory_tokens: int) -> None:
        super().__init__()
        self.places = memory_tokens
        self.map = nn.Linear(latent_size, memory_tokens * sizes.width)
        nn.init.normal_(self.map.weight, std=sizes.embedding_scale * latent_size**-0.5)
        nn.init.zeros_(self.map.bias)

    def prefix(self, z: Tensor) -> Tensor:
        """Soft tokens in front of the sentence, (B, M, E)."""
        return self.map(z).view(len(z), self.places, -1)


class CacheInjection(Injection):
    """z as M keys and values of every layer, linear maps. Li 2020, section 3.2 (memory)."""

    def __init__(self, sizes: BackboneSizes, latent_size: int, memory_tokens: int) -> None:
        super().__init__()
        self.places = memory_tokens
        self._heads, self._head_width = sizes.heads, sizes.head_width
        width = sizes.heads * memory_tokens * sizes.head_width
        self.maps = nn.ModuleList(nn.Linear(latent_size, width) for _ in sizes.key_value_scales)
        for map_, scale in zip(self.maps, sizes.key_value_scales, strict=True):
            assert isinstance(map_, nn.Linear)
            nn.init.normal_(map_.weight, std=0.3 * scale * latent_size**-0.5)
            nn.init.zeros_(map_.bias)

    def keys_values(self, z: Tensor) -> tuple[Tensor, ...]:
        """Keys, values, keys, ... of each layer, each (B, heads, M, D)."""
        shape = (len(z), self._heads, self.places, self._head_width)
        return tuple(map_(z).view(shape) for map_ in self.maps)


class EmbeddingInjection(Injection):
    """z added to every token embedding, a linear map. Li 2020, section 3.2 (embedding)."""

    def __init__(self, sizes: BackboneSizes, latent_size: int, memory_tokens: int) -> None:
        super().__init__()
        self.map = nn.Linear(latent_size, sizes.width)
        nn.init.normal_(self.map.weight, std=0.1 * sizes.embedding_scale * latent_size**-0.5)
        nn.init.zeros_(self.map.bias)

    def added(self, z: Tensor) -> Tensor:
        """A vector that is added to each token embedding of the sentence, (B, E)."""
        return self.map(z)


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
