"""The aggregate posterior of sentences: what each unit of the latent does over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from textvae.api.encoding import warn_of_cut
from textvae.api.protocol import TextModel
from textvae.arguments import integer, whole_number
from textvae.data import input_rows
from textvae.errors import UsageError, flag, option, shown
from textvae.gaussian import DiagonalGaussian
from textvae.progress import Watcher
from textvae.randomness.streams import SampleStreams


@dataclass(frozen=True, eq=False)
class Aggregate:
    """The posteriors of N sentences by unit.

    Args:
        means: posterior means, or the codes of an autoencoder, (N, Z).
        samples: a sample of each posterior, or the codes, (N, Z). As a whole they are a sample of
            the aggregate posterior, the mean of all q(z|x).
        kl: mean KL of the posteriors to the prior in nats, (Z,); None for an autoencoder, and for a
            prior whose KL is no sum over units.
    """

    means: NDArray[np.float32]
    samples: NDArray[np.float32]
    kl: NDArray[np.float64] | None

    @property
    def variances(self) -> NDArray[np.float64]:
        """The variance of the posterior means over the sentences, (Z,). Burda 2016."""
        return self.means.var(0, dtype=np.float64)

    @property
    def order(self) -> list[int]:
        """The units by KL, the highest first; by variance where the KL is not defined."""
        by = self.variances if self.kl is None else self.kl
        return np.argsort(-by, kind="stable").tolist()


@dataclass(frozen=True, eq=False)
class Coded:
    """The posteriors of B sentences by unit.

    Args:
        means: posterior means, or the codes of an autoencoder, (B, Z).
        q: the posteriors; None for an autoencoder.
        kl: KL of the posteriors to the prior in nats, (B, Z); None as in `Aggregate`.
        cut: texts that exceed the model's limit.
    """

    means: NDArray[np.float32]
    q: DiagonalGaussian | None
    kl: NDArray[np.float64] | None
    cut: int


def coded(vae: TextModel, texts: Sequence[str]) -> Coded:
    """The posteriors of the texts, which fit into memory, with their KL by unit."""
    prior = vae.model.prior
    found = vae.embed(texts, with_variance=vae.model.has_density)
    if found.variances is None:
        return Coded(found.vectors, None, None, found.cut)
    q = DiagonalGaussian(torch.from_numpy(found.vectors), torch.from_numpy(found.variances).log())
    with torch.no_grad():  # a prior may have parameters
        kl = None if prior is None else prior.kl_per_dimension(q)
    return Coded(found.vectors, q, None if kl is None else kl.double().numpy(), found.cut)


def aggregate(
    vae: TextModel, texts: Sequence[str], watcher: Watcher, *, seed: int = 0
) -> Aggregate:
    """The aggregate posterior of the texts; warns of the texts that exceed the model's limit."""
    means, samples, n_cut = [], [], 0
    kl: NDArray[np.float64] | None = np.zeros(vae.latent_size)
    for start in range(0, len(texts), input_rows.CHUNK):
        chunk = texts[start : start + input_rows.CHUNK]
        found = coded(vae, chunk)
        n_cut += found.cut
        means.append(found.means)
        if found.q is None:
            samples.append(found.means)
        else:
            streams = SampleStreams(seed, range(start, start + len(chunk)))
            samples.append(found.q.sample(streams.normal(vae.latent_size)).numpy())
        kl = None if kl is None or found.kl is None else kl + found.kl.sum(0)
        watcher.progress("encoding", min(start + len(chunk), len(texts)), len(texts))
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)
    kl = None if kl is None else kl / len(texts)
    return Aggregate(np.concatenate(means), np.concatenate(samples), kl)


def checked_selection(
    units: int | None, unit: Sequence[int] | int | None, size: int, *, default: int
) -> int | list[int]:
    """How many units, those with the highest KL; or which, each once.

    Args:
        units: how many; None: `default`.
        unit: which, one or several, as columns of the vectors, from 0.
        size: Z.

    Raises:
        UsageError: both are given, or a unit that the model does not have.
    """
    if unit is None:
        return whole_number("units", default if units is None else units, least=1, example=5)
    if units is not None:
        raise UsageError(
            f"{option('units', units)} has no effect with {flag('unit')}; leave out one"
        )
    named = [unit] if isinstance(unit, int) else list(unit)
    numbers = [integer(one) for one in named]
    for one, number in zip(named, numbers, strict=True):
        if number is None or not 0 <= number < size:
            raise UsageError(f"{flag('unit')} {shown(one)}: the units are 0 to {size - 1}")
    if not numbers:
        raise UsageError(f"{flag('unit')} names no unit; the units are 0 to {size - 1}")
    return [number for number in dict.fromkeys(numbers) if number is not None]


def selected(order: Sequence[int], selection: int | list[int]) -> list[int]:
    """The units of a selection, the first ones of `order` where the selection is a number."""
    return list(order[:selection]) if isinstance(selection, int) else selection
