"""Padded token ids, and the order in which a training visits the sentences of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from textvae.errors import UsageError

_POOL_BATCHES = 64  # batches whose sentences are sorted by length together


@dataclass(frozen=True)
class Tokens:
    """Sentences as padded token ids."""

    ids: Tensor  # (B, T) int64: the tokens of a sentence, its end token, padding
    lengths: Tensor  # (B,) int64, end token included, at least 1; where ids is

    @property
    def mask(self) -> Tensor:
        """True where a token stands, False on padding, shape (B, T)."""
        places = torch.arange(self.ids.shape[1], device=self.ids.device)
        return places < self.lengths[:, None]

    def to(self, device: torch.device | str) -> Tokens:
        """The same sentences on another device."""
        return Tokens(
            self.ids.to(device, non_blocking=True), self.lengths.to(device, non_blocking=True)
        )

    def rows(self, index: Tensor | slice) -> Tokens:
        """Some of the sentences; their padding stays as it is."""
        return Tokens(self.ids[index], self.lengths[index])

    def repeat(self, times: int) -> Tokens:
        """The sentences `times` over, shape (times * B, T): all of them, then all again."""
        return Tokens(self.ids.repeat(times, 1), self.lengths.repeat(times))

    def __len__(self) -> int:
        return self.ids.shape[0]


@dataclass(frozen=True)
class Batch:
    """What one process sees of one step."""

    source: Tokens  # what the encoder reads
    target: Tokens  # what the decoder predicts; the same object unless two tokenizers are at work
    places: Tensor  # (B,) int64 on the CPU: place of each sentence in the global batch
    total: int  # sentences of the global batch, over all processes
    longest: int  # T of the longest source or target of the global batch
    indices: np.ndarray  # (B,) int64: row of each sentence in the corpus

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tokens on another device."""
        source = self.source.to(device)
        target = source if self.target is self.source else self.target.to(device)
        return replace(self, source=source, target=target)


class Corpus(Protocol):
    """What batches are taken from: an encoded corpus, in memory-mapped files or on a device."""

    lengths: np.ndarray

    def tokens(self, indices: np.ndarray) -> Tokens: ...


def collate(ids: Sequence[Sequence[int]], eos_id: int, pad_id: int) -> Tokens:
    """Sentences of token ids, each with its end token added, padded to the longest."""
    lengths = torch.tensor([len(sentence) + 1 for sentence in ids], dtype=torch.int64)
    longest = int(lengths.max()) if len(ids) else 0
    padded = np.full((len(ids), longest), pad_id, dtype=np.int64)
    for row, sentence in zip(padded, ids, strict=True):
        row[: len(sentence)] = sentence
        row[len(sentence)] = eos_id
    return Tokens(torch.from_numpy(padded), lengths)


def by_length(lengths: Sequence[int] | np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Places of sentences in `lengths`, in batches of similar length, the short ones first.

    >>> [places.tolist() for places in by_length([5, 2, 9, 2], 3)]
    [[1, 3, 0], [2]]
    """
    order = np.argsort(np.asarray(lengths), kind="stable")
    return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]


class BatchPlan:
    """Batches of sentences of similar length, each sentence once an epoch, in random order.

    The order is a pure function of (seed, epoch). Shuffled sentences are sorted by length within
    pools of 64 batches, cut into batches of sizes that differ by at most one, and the batches
    are shuffled. A process takes every `world_size`-th sentence of each batch, from its rank on,
    so the batches are the same however many processes share them.

    Raises:
        UsageError: a process would have no sentence in some batch.

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
                f"batch_size {batch_size} over {len(lengths)} sentences leaves batches of "
                f"{smallest}, too few for {world_size} processes; use a larger batch_size or "
                "fewer processes"
            )

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """The global batches of an epoch: row indices into the corpus."""
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.lengths))
        bounds = self._cuts[[*range(0, self.steps_per_epoch, _POOL_BATCHES), -1]]
        for start, end in pairwise(bounds):
            pool = order[start:end]
            order[start:end] = pool[np.argsort(self.lengths[pool], kind="stable")]
        shuffled = random.permutation(self.steps_per_epoch)
        return [order[self._cuts[batch] : self._cuts[batch + 1]] for batch in shuffled]

    def batches(
        self, corpus: Corpus, epoch: int, start: int = 0, *, target: Corpus | None = None
    ) -> Iterator[Batch]:
        """This process's share of the batches of an epoch, from batch `start` on.

        `target` is the same sentences under the decoder's tokenizer, where that is another.
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
            )

    @cached_property
    def padding(self) -> float:
        """The share of positions that are padding, in the first epoch."""
        padded = sum(len(batch) * int(self.lengths[batch].max()) for batch in self.epoch(0))
        return 1.0 - int(self.lengths.sum(dtype=np.int64)) / padded
