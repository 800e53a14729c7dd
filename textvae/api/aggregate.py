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


def aggregate(
    vae: TextModel, texts: Sequence[str], watcher: Watcher, *, seed: int = 0
) -> Aggregate:
    """The aggregate posterior of the texts; warns of the texts that exceed the model's limit."""
    prior, has_density = vae.model.prior, vae.model.has_density
    means, samples, n_cut = [], [], 0
    kl: NDArray[np.float64] | None = np.zeros(vae.latent_size)
    for start in range(0, len(texts), input_rows.CHUNK):
        chunk = texts[start : start + input_rows.CHUNK]
        found = vae.embed(chunk, with_variance=has_density)
        n_cut += found.cut
        means.append(found.vectors)
        split = None
        if found.variances is None:
            samples.append(found.vectors)
        else:
            mean, variance = torch.from_numpy(found.vectors), torch.from_numpy(found.variances)
            q = DiagonalGaussian(mean, variance.log())
            streams = SampleStreams(seed, range(start, start + len(chunk)))
            samples.append(q.sample(streams.normal(vae.latent_size)).numpy())
            with torch.no_grad():  # a prior may have parameters
                split = None if prior is None else prior.kl_per_dimension(q)
        kl = None if kl is None or split is None else kl + split.double().sum(0).numpy()
        watcher.progress("encoding", min(start + len(chunk), len(texts)), len(texts))
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)
    kl = None if kl is None else kl / len(texts)
    return Aggregate(np.concatenate(means), np.concatenate(samples), kl)


def checked_selection(
    units: int | None, unit: Sequence[int] | None, size: int, *, default: int
) -> int | list[int]:
    """How many units, those with the highest KL; or which, each once.

    Args:
        units: how many; None: `default`.
        unit: which, as columns of the vectors, from 0.
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
    numbers = [integer(one) for one in unit]
    for one, number in zip(unit, numbers, strict=True):
        if number is None or not 0 <= number < size:
            raise UsageError(f"{flag('unit')} {shown(one)}: the units are 0 to {size - 1}")
    if not numbers:
        raise UsageError(f"{flag('unit')} names no unit; the units are 0 to {size - 1}")
    return [number for number in dict.fromkeys(numbers) if number is not None]


def selected(order: Sequence[int], selection: int | list[int]) -> list[int]:
    """The units of a selection, the first ones of `order` where the selection is a number."""
    return list(order[:selection]) if isinstance(selection, int) else selection
