"""Quantized vectors: one byte per dimension by a linear map, or one bit by the sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Quantization = Literal["int8", "binary"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)

_STEPS = 255  # between the 256 codes
_LOWEST = -128


@dataclass(frozen=True, eq=False)
class Int8Map:
    """A linear map x = scales * q + offsets for each of D dimensions, codes q from -128 to 127.

    The quantization error of a value within the range of the map is at most half a scale.

    >>> x = np.array([[0.0, 5.0], [1.0, 5.0]], dtype=np.float32)
    >>> bytes_a_dimension = Int8Map.spanning(x.min(0), x.max(0))
    >>> bytes_a_dimension.decode(bytes_a_dimension.encode(x)).round(2)
    array([[0., 5.],
           [1., 5.]], dtype=float32)
    """

    scales: NDArray[np.float32]  # (D,); 0 for a constant dimension
    offsets: NDArray[np.float32]  # (D,)

    @classmethod
    def spanning(cls, lowest: NDArray[np.float32], highest: NDArray[np.float32]) -> Int8Map:
        """The map whose codes span the range from `lowest` to `highest` of each dimension, (D,)."""
        low, high = lowest.astype(np.float64), highest.astype(np.float64)
        scales = ((high - low) / _STEPS).astype(np.float32)
        return cls(scales, (low - _LOWEST * scales.astype(np.float64)).astype(np.float32))

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int8]:
        """The nearest codes (N, D); values outside the range are clipped."""
        steps = np.where(self.scales > 0, self.scales, 1.0).astype(np.float64)
        codes = np.rint((vectors - self.offsets.astype(np.float64)) / steps)
        codes = np.where(self.scales > 0, codes, 0.0)
        return codes.clip(_LOWEST, _LOWEST + _STEPS).astype(np.int8)

    def decode(self, codes: NDArray[np.int8]) -> NDArray[np.float32]:
        """The vectors (N, D) of the codes."""
        return codes.astype(np.float32) * self.scales + self.offsets


def sign_bits(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The signs of vectors (N, D) as bits, 1 for values above 0, packed in bytes (N, ceil(D / 8)).

    The first dimension is the highest bit of the first byte; unused bits are 0.

    >>> sign_bits(np.array([[0.5, -0.5, 0.0, 2.0]], dtype=np.float32))
    array([[144]], dtype=uint8)
    """
    return np.packbits(vectors > 0, axis=1)


def unpacked_signs(bits: NDArray[np.uint8], dimensions: int) -> NDArray[np.float32]:
    """The signs, +1 or -1 (N, D), of bits packed by `sign_bits`."""
    return np.unpackbits(bits, axis=1, count=dimensions).astype(np.float32) * 2 - 1
