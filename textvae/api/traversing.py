"""Walks along one unit of the latent at a time, which show what the unit does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from textvae.api.aggregate import Aggregate, aggregate, checked_selection, selected
from textvae.api.encoding import decode_all, require_latent, warn_of_cut
from textvae.api.protocol import TextModel
from textvae.arguments import seed_of, whole_number
from textvae.data.input_rows import Sentences, name_of, prepared_rows, with_text
from textvae.data.texts import one_text
from textvae.errors import DataError
from textvae.latent.interpolation import fractions
from textvae.models.prior import CodeGaussian, StandardNormal
from textvae.number_format import counted
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress
from textvae.randomness.streams import SampleStreams

UNITS = 5
OUTERMOST = 0.01  # the quantile of the first step; the last is 1 - OUTERMOST
FEWEST_SENTENCES = 100  # for these quantiles
PRIOR_SAMPLES, DECODED_SAMPLES = 10_000, 1_000


@dataclass(frozen=True)
class Step:
    """One value of a unit, and the sentence that it decodes to.

    Args:
        quantile: share of the aggregate posterior, or of the prior, below the value.
    """

    quantile: float
    value: float
    text: str


@dataclass(frozen=True)
class Traversal:
    """The sentences along one unit, all other units fixed.

    Args:
        unit: its column in the vectors, from 0.
        kl: mean KL of the posteriors to the prior in this unit, in nats; None where undefined.
        variance: of the posterior means over the sentences.
        steps: from the lowest value to the highest.
    """

    unit: int
    kl: float | None
    variance: float
    steps: tuple[Step, ...]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The steps as `textvae traverse --json` prints them, but for `decoding`."""
        kl = {} if self.kl is None else {"kl": self.kl}
        for step in self.steps:
            yield {"unit": self.unit, **kl, "variance": self.variance, **vars(step)}


@shows_progress
def traverse(
    vae: TextModel,
    text: str | None = None,
    *,
    units: int | None = None,
    unit: Sequence[int] | int | None = None,
    steps: int = 5,
    reference: Sentences | None = None,
    name: str | None = None,
    text_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> list[Traversal]:
    """The sentences along one unit at a time, the unit with the highest KL first.

    Without `reference`, the values are quantiles of the prior, and the KL is that of 1,000
    sentences decoded from it. The units of an autoencoder have no KL and are in the order of their
    variance.

    >>> vae.traverse("the soup was cold .", unit=[3], steps=7)[0].steps  # doctest: +SKIP

    Args:
        text: the other units stay at the posterior mean of this sentence; None: at the mean of the
            prior, which is 0 in a vae.
        units: how many units, those with the highest KL; None: 5.
        unit: walk along these units instead, columns of the vectors, from 0.
        steps: values of each unit, from its 1 % quantile to its 99 % quantile; see
            `spread_quantiles`.
        reference: sentences whose aggregate posterior gives the quantiles and the KL: a file, glob,
            `-` (stdin), `hf:` name, or sentences.
        seed: of the samples that give the quantiles; None takes a fresh one.

    Raises:
        UsageError: a language model, a unit that the model does not have, or `unit` with `units`.
        DataError: no sentence in `reference`.
    """
    steps, seed = whole_number("steps", steps, least=2, example=5), seed_of(seed)
    require_latent(vae, "walk along units", name)
    quantiles = spread_quantiles(steps)
    selection = checked_selection(units, unit, vae.latent_size, default=UNITS)
    watcher = watcher or Watcher()
    centre = _centre(vae, text, seed, watcher)
    if reference is None:
        found, samples = _of_prior(vae, seed, watcher)
    else:
        found = aggregate(vae, _texts(vae, reference, text_column, watcher), watcher, seed=seed)
        samples = found.samples
    chosen = selected(found.order, selection)
    values = np.quantile(samples[:, chosen].astype(np.float64), quantiles, axis=0)  # (steps, U)
    z = np.tile(centre, (len(chosen), steps, 1))  # (U, steps, Z)
    for place, column in enumerate(chosen):
        z[place, :, column] = values[:, place]
    texts = decode_all(vae, z.reshape(-1, vae.latent_size), watcher.progress)
    shown = zip(
        np.tile(quantiles, len(chosen)).tolist(), values.T.ravel().tolist(), texts, strict=True
    )
    every = [Step(*step) for step in shown]
    return [
        Traversal(
            column,
            None if found.kl is None else float(found.kl[column]),
            float(found.variances[column]),
            tuple(every[place * steps : (place + 1) * steps]),
        )
        for place, column in enumerate(chosen)
    ]


def spread_quantiles(steps: int) -> NDArray[np.float64]:
    """The quantiles to show, from 1 % to 99 %: equal steps in the values of a normal distribution.

    Equal steps in probability would crowd around the median, where sentences hardly differ.

    >>> spread_quantiles(5).round(3).tolist()
    [0.01, 0.122, 0.5, 0.878, 0.99]

    Raises:
        UsageError: too many steps, or fewer than 2.
    """
    normal = NormalDist()
    last = normal.inv_cdf(1 - OUTERMOST)
    return np.array([normal.cdf(last * (2 * share - 1)) for share in fractions(steps)])


def _centre(vae: TextModel, text: str | None, seed: int, watcher: Watcher) -> NDArray[np.float32]:
    """Where the units stay that are not walked along, (Z,)."""
    prior = vae.model.prior
    if text is not None:
        found = vae.embed([one_text(text, "text")])
        warn_of_cut(found.cut, vae.max_tokens_read, watcher.warn)
        return found.vectors[0]
    if isinstance(prior, CodeGaussian):
        return prior.mean.cpu().numpy()
    if type(prior) is StandardNormal:
        return np.zeros(vae.latent_size, dtype=np.float32)
    centre: NDArray[np.float32] = _samples(vae, seed).mean(0, dtype=np.float64).astype(np.float32)
    return centre


def _texts(
    vae: TextModel, reference: Sentences, text_column: str | None, watcher: Watcher
) -> list[str]:
    rows = prepared_rows(
        reference, vae.config.data, text_column=text_column, remarks=watcher.remarks
    )
    source = name_of(reference)
    texts = [row.text for row in with_text(rows, source, watcher.warn)]
    if not texts:
        raise DataError(f"{source}: no sentences in it")
    if len(texts) < FEWEST_SENTENCES:
        watcher.warn(
            f"{source}: {counted(len(texts), 'sentence')}; quantiles of {OUTERMOST:.0%} and "
            f"{1 - OUTERMOST:.0%} need about {FEWEST_SENTENCES} or more"
        )
    return texts


def _samples(vae: TextModel, seed: int) -> NDArray[np.float32]:
    """Samples of the prior, (N, Z)."""
    prior = vae.model.prior
    assert prior is not None  # a model with a latent has one
    noise = SampleStreams(seed, range(PRIOR_SAMPLES)).normal(prior.noise_size)
    with torch.no_grad():
        return prior.sample(noise.to(vae.model.device)).float().cpu().numpy()


def _of_prior(vae: TextModel, seed: int, watcher: Watcher) -> tuple[Aggregate, NDArray[np.float32]]:
    """The aggregate posterior of sentences from the prior, and samples of the prior, (N, Z)."""
    z = _samples(vae, seed)
    texts = decode_all(vae, z[:DECODED_SAMPLES], watcher.progress, phase="sampling")
    return aggregate(vae, texts, watcher, seed=seed), z
