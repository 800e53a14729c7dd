"""Draws near labelled sentences: what they decode to, and if a classifier agrees with the label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.api.encoding import Surroundings, fingerprint_of, surroundings, warn_of_cut
from textvae.api.protocol import TextModel
from textvae.data.input_rows import CHUNK
from textvae.data.rows import Row
from textvae.progress import Watcher
from textvae.randomness.purposes import VARIATION
from textvae.randomness.seeds import derived_seed
from textvae.randomness.streams import SampleStreams

if TYPE_CHECKING:
    from textvae.classification.classifier import SentenceClassifier

How = Literal["sample", "interpolate"]
HOW: tuple[How, ...] = get_args(How)


class LabelVariations:
    """Draws near labelled sentences.

    Args:
        rows: N sentences, each with a label.
        scale: size of the noise in standard deviations; to interpolate, the largest share of the
            way to another sentence of the class.
        filtered: train the classifier.
    """

    def __init__(
        self,
        vae: TextModel,
        rows: Sequence[Row],
        *,
        how: How,
        scale: float,
        filtered: bool,
        seed: int,
        watcher: Watcher,
    ) -> None:
        from textvae.classification.probes import codes_of

        self._vae, self._how, self._scale, self._seed = vae, how, scale, seed
        self._near = _all_surroundings(vae, [row.text for row in rows], watcher)
        self._classes, self._codes = codes_of([str(row.label) for row in rows])
        self._members = [np.flatnonzero(self._codes == code) for code in range(len(self._classes))]
        self._order = np.empty(len(rows), dtype=np.intp)  # of each row among its class
        for members in self._members:
            self._order[members] = np.arange(len(members))
        self._classifier = self._trained() if filtered else None
        alone = sum(len(members) == 1 for members in self._members)
        if how == "interpolate" and alone:
            n = "1 class has" if alone == 1 else f"{alone:,} classes have"
            watcher.warn(f"{n} one sentence and no other to interpolate to: no variations")

    def usable(self) -> list[int]:
        """The places of the sentences that variations can be drawn of."""
        if self._how == "sample":
            return list(range(len(self._codes)))
        return [place for place, code in enumerate(self._codes) if len(self._members[code]) > 1]

    def draw(self, places: Sequence[int], number: int) -> list[tuple[str, bool]]:
        """(text, True if the classifier agrees) of draw `number` of these sentences."""
        streams = SampleStreams(derived_seed(self._seed, VARIATION, number), places)
        own = np.asarray(places, dtype=np.intp)
        mean = self._near.mean[own]
        if self._how == "sample":
            noise = streams.normal(mean.shape[1]).numpy()
            z = mean + np.float32(self._scale) * self._near.stddev[own] * noise
        else:
            t = (self._scale * streams.uniforms(1)).astype(np.float32)[:, None]
            z = mean + t * (self._near.mean[self._partners(own, streams.uniforms(0))] - mean)
        texts = self._vae.decode(z)
        return list(zip(texts, self._agree(texts, own), strict=True))

    def _partners(self, own: NDArray[np.intp], uniforms: NDArray[np.float64]) -> NDArray[np.intp]:
        """Another sentence of the class of each, uniform among them, (B,)."""
        found = np.empty_like(own)
        for i, (place, uniform) in enumerate(zip(own, uniforms, strict=True)):
            members = self._members[self._codes[place]]
            step = 1 + int(uniform * (len(members) - 1))
            found[i] = members[(self._order[place] + step) % len(members)]
        return found

    def _agree(self, texts: Sequence[str], own: NDArray[np.intp]) -> list[bool]:
        if self._classifier is None:
            return [True] * len(texts)
        best = self._classifier.probabilities(self._vae.encode(texts)).argmax(axis=1)
        known = np.array(self._classifier.classes, dtype=object)[best]
        truth = np.array(self._classes, dtype=object)[self._codes[own]]
        agrees: list[bool] = (known == truth).tolist()
        return agrees

    def _trained(self) -> SentenceClassifier:
        from textvae.classification.classifier import train_classifier

        return train_classifier(
            self._near.mean,
            self._codes,
            self._classes,
            layer="latent",
            normalize=False,
            fingerprint=fingerprint_of(self._vae),
            seed=self._seed % 2**32,
        )


def _all_surroundings(vae: TextModel, texts: Sequence[str], watcher: Watcher) -> Surroundings:
    """The surroundings of all texts, computed some at a time."""
    parts = []
    for start in range(0, len(texts), CHUNK):
        parts.append(surroundings(vae, texts[start : start + CHUNK]))
        watcher.progress("encoding", min(start + CHUNK, len(texts)), len(texts))
    n_cut = sum(part.cut for part in parts)
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)
    return Surroundings(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.stddev for part in parts]),
        n_cut,
    )
