"""Batches of padded token ids, and the order in which training visits the sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from textvae.errors import UsageError

NO_LABEL = -1  # the class of a sentence without a label
UNKNOWN_CLASS = -2  # of a label that is not among the classes
_POOL_BATCHES = 64  # sentences are sorted by length within pools of this many batches


@dataclass(frozen=True)
class Tokens:
    """Sentences as padded token ids.

    `vectors` are the encodings of the same sentences by a frozen encoder, computed before; an
    encoder that finds them does not read the ids.
    """

    ids: Tensor  # (B, T) int64: tokens, end token, padding
    lengths: Tensor  # (B,) int64, end token included, at least 1; same device as `ids`
    vectors: Tensor | None = None  # (B, H) float32; same device as `ids`

    @property
    def mask(self) -> Tensor:
        """True at tokens, False at padding, shape (B, T)."""
        places = torch.arange(self.ids.shape[1], device=self.ids.device)
        return places < self.lengths[:, None]

    def to(self, device: torch.device | str) -> Tokens:
        """The same sentences on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def rows(self, index: Tensor | slice) -> Tokens:
        """The sentences at these indices, with the same padding."""
        return self._each(lambda tensor: tensor[index])

    def repeat(self, times: int) -> Tokens:
        """The whole batch repeated `times` times, shape (times * B, T)."""
        return self._each(lambda tensor: tensor.repeat(times, *[1] * (tensor.dim() - 1)))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Tokens:
        """The sentences with each of their tensors changed along the axis of sentences."""
        vectors = None if self.vectors is None else change(self.vectors)
        return Tokens(change(self.ids), change(self.lengths), vectors)

    def __len__(self) -> int:
        return self.ids.shape[0]


@dataclass(frozen=True)
class Batch:
    """The sentences of one step in one process."""

    source: Tokens  # for the encoder
    target: Tokens  # for the decoder; the same object if the tokenizer is shared
    places: Tensor  # (B,) int64 on the CPU: index of each sentence in the global batch
    total: int  # sentences in the global batch, over all processes
    longest: int  # the largest T of source and target in the global batch
    indices: np.ndarray  # (B,) int64: row of each sentence in the corpus
    labels: Tensor | None = None  # (B,) int64: class of each sentence or NO_LABEL; device of `ids`

    def part(self, rows: slice) -> Batch:
        """Some of the local sentences, as a part of the same global batch."""
        source = self.source.rows(rows)
        target = source if self.target is self.source else self.target.rows(rows)
        return replace(
            self,
            source=source,
            target=target,
            places=self.places[rows],
            indices=self.indices[rows],
            labels=None if self.labels is None else self.labels[rows],
        )

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tokens on another device."""
        source = self.source.to(device)
        target = source if self.target is self.source else self.target.to(device)
        labels = None if self.labels is None else self.labels.to(device, non_blocking=True)
        return replace(self, source=source, target=target, labels=labels)


class Corpus(Protocol):
    """An encoded corpus, in memory-mapped files or on a device."""

    lengths: np.ndarray

    def tokens(self, indices: np.ndarray) -> Tokens: ...


def collate(ids: Sequence[Sequence[int]], eos_id: int, pad_id: int) -> Tokens:
    """Sentences of token ids, with end tokens added, padded to the longest."""
    lengths = torch.tensor([len(sentence) + 1 for sentence in ids], dtype=torch.int64)
    longest = int(lengths.max()) if len(ids) else 0
    padded = np.full((len(ids), longest), pad_id, dtype=np.int64)
    for row, sentence in zip(padded, ids, strict=True):
        row[: len(sentence)] = sentence
        row[len(sentence)] = eos_id
    return Tokens(torch.from_numpy(padded), lengths)


def cut_to_limit(ids: Sequence[list[int]], max_tokens: int) -> tuple[list[list[int]], list[int]]:
    """(ids without end tokens, indices of truncated sentences), for a limit of `max_tokens`.

    The limit includes the end token.

    >>> cut_to_limit([[5, 6], [5, 6, 7]], 3)
    ([[5, 6], [5, 6]], [1])
    """
    longest = max_tokens - 1  # one place for the end token
    too_long = [place for place, sentence in enumerate(ids) if len(sentence) > longest]
    return [sentence[:longest] for sentence in ids], too_long


def by_length(
    lengths: Sequence[int] | np.ndarray,
    size: int | Callable[[int], int],
    *,
    longest_first: bool = False,
) -> list[np.ndarray]:
    """Batches of sentence indices; a batch has sentences of similar length, to save padding.

    Args:
        lengths: tokens of each sentence.
        size: sentences per batch; with `longest_first`, also a function of the longest length.

    >>> [batch.tolist() for batch in by_length([5, 2, 9, 2], 2)]
    [[1, 3], [0, 2]]
    """
    lengths = np.asarray(lengths)
    order = np.argsort(lengths, kind="stable")
    if longest_first:
        order = order[::-1]
    batches = []
    while len(order):
        count = size if isinstance(size, int) else size(int(lengths[order[0]]))
        batches.append(order[:count].copy())
        order = order[count:]
    return batches


class BatchPlan:
    """Batches of sentences of similar length, each sentence once per epoch, in random order.

    The order is a pure function of (seed, epoch). Sentences are shuffled, sorted by length within
    pools of 64 batches, and split into batches whose sizes differ by at most one; then the batches
    are shuffled. A process takes every `world_size`-th sentence of each batch, starting at its
    rank, so the batches do not depend on the number of processes.

    Raises:
        UsageError: a process would get no sentence in some batch.

    >>> plan = BatchPlan(np.array([3, 9, 4, 8]), batch_size=2, seed=0)
    >>> sorted(np.concatenate(plan.epoch(0)).tolist())
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = lengths
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.steps_per_epoch = max(1, -(-len(lengths) // batch_size))
        self._cuts = np.arange(self.steps_per_epoch + 1) * len(lengths) // self.steps_per_epoch
        smallest = len(lengths) // self.steps_per_epoch
        if smallest < world_size:
            raise UsageError(
                f"batch_size {batch_size} over {len(lengths)} sentences gives batches of "
                f"{smallest}, too few for {world_size} processes; use a larger batch_size or "
                "fewer processes"
            )

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """The global batches of an epoch, as row indices into the corpus."""
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.lengths))
        bounds = self._cuts[[*range(0, self.steps_per_epoch, _POOL_BATCHES), -1]]
        for start, end in pairwise(bounds):
            pool = order[start:end]
            order[start:end] = pool[np.argsort(self.lengths[pool], kind="stable")]
        shuffled = random.permutation(self.steps_per_epoch)
        return [order[self._cuts[batch] : self._cuts[batch + 1]] for batch in shuffled]

    def batches(
        self,
        corpus: Corpus,
        epoch: int,
        start: int = 0,
        *,
        target: Corpus | None = None,
        labels: Tensor | None = None,
    ) -> Iterator[Batch]:
        """This process's share of each batch of an epoch, starting at batch `start`.

        Args:
            target: the same sentences as tokens of the decoder, if its tokenizer differs.
            labels: the class of each sentence of the corpus, or NO_LABEL, (N,) int64.
        """
        decoded = corpus if target is None else target
        for indices in self.epoch(epoch)[start:]:
            share = indices[self.rank :: self.world_size]
            source = corpus.tokens(share)
            yield Batch(
                source=source,
                target=source if target is None else target.tokens(share),
                places=torch.arange(self.rank, len(indices), self.world_size),
                total=len(indices),
                longest=max(int(side.lengths[indices].max()) for side in (corpus, decoded)),
                indices=share,
                labels=None if labels is None else labels[share],
            )

    @cached_property
    def padding(self) -> float:
        """The share of padding among all positions, in the first epoch."""
        padded = sum(len(batch) * int(self.lengths[batch].max()) for batch in self.epoch(0))
        return 1.0 - int(self.lengths.sum(dtype=np.int64)) / padded
