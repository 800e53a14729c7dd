"""The rows of a vector file as streams: blocks of sentences, and the arrays they make up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.data.rows import Row

LARGEST_CLASSES = 1 << 18  # characters of a list of all labels, each as long as the longest


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive sentences of the input, with their vectors."""

    start: int  # index of the first
    texts: Sequence[str]
    labels: Sequence[str | None]
    vectors: NDArray[Any]  # (N, D) float32 or int8; (N, ceil(D / 8)) uint8 for bits
    variances: NDArray[np.float32] | None = None  # (N, Z)

    @property
    def indices(self) -> range:
        """The index of each sentence in the input."""
        return range(self.start, self.start + len(self.texts))


@dataclass
class Extent:
    """The number of rows, the length of the longest text and label, and the distinct labels."""

    n: int = 0
    longest_text: int = 0
    longest_label: int = 0  # 0: no row has a label
    labels: set[str] = field(default_factory=set)  # distinct labels, as long as they are few
    ends_in_nul: bool = False  # a text or a label

    def watch(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows, counted as they pass."""
        for row in rows:
            self.n += 1
            self.longest_text = max(self.longest_text, len(row.text))
            if row.label is not None:
                self.longest_label = max(self.longest_label, len(row.label))
                if self._are_few():
                    self.labels.add(row.label)
            self.ends_in_nul |= row.text.endswith("\0") or (row.label or "").endswith("\0")
            yield row

    @property
    def classes(self) -> list[str]:
        """The distinct labels in order, if a header can hold them; otherwise none."""
        return sorted(self.labels) if self._are_few() else []

    def _are_few(self) -> bool:
        return len(self.labels) * self.longest_label <= LARGEST_CLASSES


@dataclass(frozen=True, eq=False)
class VectorTable:
    """The content of a file: small values in memory, the rows as a stream that can be repeated."""

    extent: Extent
    blocks: Callable[[], Iterator[Block]]  # from the first row on, at each call
    pattern: Block  # a block without rows: widths and types of the arrays
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # e.g. scales, offsets
    facts: Mapping[str, Any] = field(
        default_factory=dict
    )  # a description of the vectors, for readers

    def arrays(self) -> list[ArrayStream]:
        """The arrays: vectors, variances if there are any, and the constants."""
        found = [self._stream("vectors", self.pattern.vectors)]
        if self.pattern.variances is not None:
            found.append(self._stream("variances", self.pattern.variances))
        return found + [_at_once(name, array) for name, array in self.constants.items()]

    def _stream(self, name: str, like: NDArray[Any]) -> ArrayStream:
        shape = (self.extent.n, like.shape[1])
        return ArrayStream(
            name, like.dtype, shape, lambda: (getattr(block, name) for block in self.blocks())
        )


@dataclass(frozen=True)
class ArrayStream:
    """An array that comes in pieces along its first axis."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    pieces: Callable[[], Iterator[NDArray[Any]]]

    def write_npy(self, file: IO[bytes]) -> None:
        """Write a .npy file, little-endian."""
        from numpy.lib import format as npy

        header = {"descr": self._little().str, "fortran_order": False, "shape": self.shape}
        npy.write_array_header_1_0(file, header)
        self.write_values(file)

    def write_values(self, file: IO[bytes]) -> None:
        """Write the values only, little-endian."""
        for piece in self.pieces():
            file.write(piece.astype(self._little(), order="C", copy=False).tobytes())

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def _little(self) -> np.dtype[Any]:
        return self.dtype.newbyteorder("<")


def _at_once(name: str, array: NDArray[Any]) -> ArrayStream:
    return ArrayStream(name, array.dtype, array.shape, lambda: iter([array]))
