"""The random stream of each sample, a function of (seed, index) alone and not of its batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textvae.errors import UsageError
from textvae.randomness.purposes import Purpose

UInt64 = NDArray[np.uint64]

_WINDOW = 16  # time steps whose uniforms are drawn at once

# Multipliers and key increments of Philox4x64-10; Salmon 2011.
_MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_WEYL = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
_ROUNDS = 10


class SampleStreams:
    """One random stream for each sample: Philox4x64 with key (seed, index).

    Counter-based (Salmon 2011): step t of sample i is a function of (seed, i, t). So a sample does
    not depend on other samples, and the first 5 of 10 samples equal the 5 of 5.

    >>> few, many = SampleStreams(7, range(5)), SampleStreams(7, range(10))
    >>> bool((few.uniforms(3) == many.uniforms(3)[:5]).all())
    True
    """

    def __init__(self, seed: int, indices: Sequence[int] | NDArray[np.integer]) -> None:
        if not 0 <= seed < 2**64:
            raise UsageError(f"seed {seed} must be 0 or more and below 2**64; try 0")
        self.seed = seed
        self.indices: UInt64 = np.asarray(indices, dtype=np.uint64)
        self._window: tuple[int, NDArray[np.float64]] | None = None  # (number, (N, _WINDOW))

    def __len__(self) -> int:
        return len(self.indices)

    def normal(self, size: int) -> Tensor:
        """Standard normal noise of each sample, shape (N, size), float32. Box & Muller 1958."""
        pairs = -(-size // 2)
        uniforms = self._draw(Purpose.PRIOR_SAMPLE, 0, 2 * pairs)  # (N, 2 pairs)
        radius = np.sqrt(-2.0 * np.log1p(-uniforms[:, :pairs]))
        angle = 2.0 * np.pi * uniforms[:, pairs:]
        noise = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return torch.from_numpy(noise[:, :size].astype(np.float32))

    def uniforms(self, step: int) -> NDArray[np.float64]:
        """A uniform number in [0, 1) for each sample at time step `step`, shape (N,)."""
        number, place = divmod(step, _WINDOW)
        if self._window is None or self._window[0] != number:
            self._window = number, self._draw(Purpose.TOKEN_CHOICE, number * _WINDOW, _WINDOW)
        return self._window[1][:, place]

    def rows(self, rows: NDArray[np.integer] | slice) -> SampleStreams:
        """The streams of the selected samples."""
        chosen = SampleStreams(self.seed, self.indices[rows])
        if self._window is not None:
            chosen._window = self._window[0], self._window[1][rows]
        return chosen

    def _draw(self, purpose: int, first: int, count: int) -> NDArray[np.float64]:
        """Uniforms first .. first + count - 1 of each sample, (N, count); needs 4 | `first`."""
        blocks = np.arange(first // 4, -(-(first + count) // 4), dtype=np.uint64)
        # numpy's Philox increments its counter before it draws, so its first block has counter 1.
        raw = philox(self.seed, self.indices[:, None], blocks + np.uint64(1), purpose)
        lanes = raw.reshape(len(self), 4 * len(blocks))[:, :count]  # (N, blocks, 4) -> (N, count)
        return (lanes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def philox(seed: int, index: UInt64, block: UInt64, purpose: int) -> UInt64:
    """Philox4x64-10 of key (seed, index) at counter (block, 0, purpose, 0), shape (..., 4).

    Block b + 1 equals the raw outputs 4 b to 4 b + 3 of `numpy.random.Philox(key=[seed, index],
    counter=[0, 0, purpose, 0])`. `index` and `block` broadcast. Salmon 2011.
    """
    shape = np.broadcast_shapes(index.shape, block.shape)
    c0 = np.broadcast_to(block, shape)
    c1 = c3 = np.zeros(shape, np.uint64)
    c2 = np.full(shape, purpose, np.uint64)
    # Arrays, because their arithmetic wraps around without a warning; that of scalars warns.
    k0, k1 = np.full((1,), seed, np.uint64), index
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(_MULTIPLIERS[0], c0)
        high1, low1 = _multiply(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + _WEYL[0], k1 + _WEYL[1]
    return np.stack([c0, c1, c2, c3], axis=-1)


def _multiply(a: np.uint64, b: UInt64) -> tuple[UInt64, UInt64]:
    """The high and low 64 bits of constant times array, computed from halves of 32 bits."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    a_high, a_low = a >> half, a & mask
    b_high, b_low = b >> half, b & mask
    middle = a_high * b_low + (a_low * b_low >> half)
    other = a_low * b_high + (middle & mask)
    return a_high * b_high + (middle >> half) + (other >> half), a * b


class SentenceNoise:
    """Standard normal noise of some sentences, each from its own stream (seed, place).

    Successive draws go on where the last one ended, so how they are cut makes no difference.
    Noise for one `purpose` is independent of that for another.
    """

    def __init__(
        self, seed: int, places: Tensor, purpose: Purpose = Purpose.POSTERIOR_SAMPLE
    ) -> None:
        self._streams = [generator(seed, place, purpose) for place in places.tolist()]

    def draw(self, samples: int, size: int) -> Tensor:
        """Noise (K, B, Z) in float64."""
        rows = [stream.standard_normal((samples, size)) for stream in self._streams]
        return torch.from_numpy(np.stack(rows, axis=1))


def generator(seed: int, index: int, purpose: Purpose) -> np.random.Generator:
    """NumPy's own Philox with the key (seed, index), its counter at the start of a purpose."""
    key = np.array([seed, index], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, int(purpose), 0]))
