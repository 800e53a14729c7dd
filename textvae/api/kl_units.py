"""The KL of each unit of the latent, and which units are active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.api.aggregate import coded
from textvae.api.encoding import require_latent, warn_of_cut
from textvae.api.protocol import TextModel
from textvae.data.input_rows import Sentences, in_chunks, name_of, prepared_rows, with_text
from textvae.errors import DataError, UsageError
from textvae.evaluation.information import ACTIVE_VARIANCE
from textvae.progress import Watcher, counted_off
from textvae.progress.bars import shows_progress


@dataclass(frozen=True)
class Unit:
    """A dimension of the latent.

    Args:
        unit: its number, from 0.
        kl: KL(q(z|x) || p(z)) of this dimension, mean over sentences, in nats.
        variance: of the posterior means over sentences.
        active: True if the variance exceeds 0.01. Burda 2016, section 5.2.
    """

    unit: int
    kl: float
    variance: float
    active: bool


@dataclass(frozen=True, eq=False)
class UnitKL:
    """The KL and the use of each of Z units, over N sentences with text."""

    model: str
    source: str
    n_sentences: int
    kl: NDArray[np.float64]  # (Z,)
    variance: NDArray[np.float64]  # (Z,)

    def units(self) -> list[Unit]:
        """All units, the largest KL first."""
        order = np.argsort(-self.kl, kind="stable")
        active = self.variance > ACTIVE_VARIANCE
        return [
            Unit(int(i), float(self.kl[i]), float(self.variance[i]), bool(active[i])) for i in order
        ]

    @property
    def active_units(self) -> int:
        """The number of active units, as `evaluate` counts them."""
        return int((self.variance > ACTIVE_VARIANCE).sum())

    def to_dict(self) -> dict[str, Any]:
        """The report that `textvae plot kl --json` prints."""
        return {
            "model": self.model,
            "n_sentences": self.n_sentences,
            "kl": float(self.kl.sum()),
            "active_units": self.active_units,
            "units": [dict(vars(unit)) for unit in self.units()],
        }


@shows_progress
def unit_kl(
    vae: TextModel,
    sentences: Sentences,
    *,
    name: str | None = None,
    text_column: str | None = None,
    watcher: Watcher | None = None,
) -> UnitKL:
    """The KL to the prior of each unit, and the variance of its posterior means.

    Blank lines are skipped, as in `evaluate`, so the sum over the units is its `kl`; you are told
    how many. The sentences are read in bounded memory.

    >>> vae.unit_kl("sentences.txt").units()[0]  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences.

    Raises:
        UsageError: a language model, an autoencoder, which has no density, or a prior whose KL is
            no sum over units.
        DataError: no sentence with text.
    """
    require_latent(vae, "measure units", name)
    model = name or str(vae.folder or "this")
    if not vae.model.has_density:
        raise UsageError(f"{model} is an autoencoder: a code has no KL; train a vae to measure it")
    watcher, source = watcher or Watcher(), name_of(sentences)
    rows = prepared_rows(
        sentences, vae.config.data, text_column=text_column, remarks=watcher.remarks
    )
    spoken = with_text(rows, source, watcher.warn)
    sums = np.zeros((3, vae.vector_size()))  # of the KL, of the means and of their squares
    count = n_cut = 0
    for _, chunk in in_chunks(counted_off(spoken, watcher.progress, "encoding")):
        texts = [row.text for row in chunk]
        found = coded(vae, texts)
        if found.kl is None:
            raise UsageError(
                f"{model} has a prior whose KL is no sum over units; there are no bars"
            )
        n_cut += found.cut
        count += len(texts)
        means = found.means.astype(np.float64)
        sums += [found.kl.sum(0), means.sum(0), np.square(means).sum(0)]
    if not count:
        raise DataError(f"{source}: no sentence with text in it")
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)
    kl_of, mean_of, square = sums / count
    return UnitKL(
        model="" if name is None and vae.folder is None else model,
        source=source,
        n_sentences=count,
        kl=kl_of,
        variance=(square - mean_of**2).clip(0),
    )
