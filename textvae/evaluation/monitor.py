"""Metrics that are cheap enough for use during training, on a fixed slice of validation data."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from textvae.evaluation.information import (
    active_units,
    derangement,
    mi_sentences,
    mutual_information,
)
from textvae.evaluation.labels import monitored_labels
from textvae.evaluation.likelihood import (
    Chunk,
    codes,
    log_likelihoods,
    posterior_sample,
    posteriors,
)
from textvae.models.sentence import SentenceModel


def monitor(
    model: SentenceModel, chunks: Sequence[Chunk], seed: int, labels: Tensor | None = None
) -> dict[str, float]:
    """Means over the sentences of the chunks, in nats per sentence, with the keys of `evaluate`.

    Uses one encoder pass, two decoder passes and one sample of z per sentence.

    - vae: `rec`, `kl`, `nll_elbo`, `z_gain`, `mi` and `active_units`.
    - ae: `rec` and `z_gain` at the codes.
    - lm: `nll_iw`, exact.
    - with a head on labels: `label_accuracy`, where a sentence has a label.

    `z_gain` needs at least two sentences. The values equal those of `evaluate` with one sample and
    the same seed. Each chunk should be small enough for one decoder call.

    Args:
        labels: the class of each sentence for the head on labels, (N,) int64; NO_LABEL without a
            label, another negative number for a label that the head does not know.
    """
    if model.posterior is None or model.prior is None:
        return {"nll_iw": -log_likelihoods(model, chunks, None).mean().item()}
    if not model.has_density:
        z = codes(model, chunks)
        figures = _reconstruction(model, chunks, z, seed)
        return figures | monitored_labels(model.label_head, z, labels)
    q = posteriors(model, chunks)
    z = posterior_sample(q, seed)
    figures = _reconstruction(model, chunks, z, seed)
    kl = model.prior.kl(q, z).mean().item()
    rows = mi_sentences(len(z), seed)
    return {
        "rec": figures["rec"],
        "kl": kl,
        "nll_elbo": figures["rec"] + kl,
        **figures,
        "mi": mutual_information(q[rows], z[rows]).mean().item(),
        "active_units": active_units(q.mean),
        **monitored_labels(model.label_head, q.mean, labels),
    }


def _reconstruction(
    model: SentenceModel, chunks: Sequence[Chunk], z: Tensor, seed: int
) -> dict[str, float]:
    """`rec` and `z_gain` at latents (N, Z)."""
    own = log_likelihoods(model, chunks, z)
    figures = {"rec": -own.mean().item()}
    if len(z) > 1:
        others = log_likelihoods(model, chunks, z[derangement(len(z), seed)])
        figures["z_gain"] = (own - others).mean().item()
    return figures
