"""Why some metrics are undefined for a model."""

from __future__ import annotations

from textvae.config import ObjectiveConfig
from textvae.models.sentence import SentenceModel


def why_no_likelihood(model: SentenceModel, objective: ObjectiveConfig) -> str | None:
    """A message that explains why `nll_iw` and related metrics are absent; None if they exist.

    A deterministic encoder maps a sentence to a point: q(z|x) has no density, so the KL and the
    importance weights do not exist. Matching the codes of all sentences to p(z), as in Makhzani
    2016 or Tolstikhin 2018, does not change this: q(z|x) still has no density.
    """
    if model.posterior is None or model.has_density:
        return None
    weights = {"adversarial": objective.adversarial_weight, "Wasserstein": objective.mmd_weight}
    matched = [name for name, weight in weights.items() if weight > 0]
    name = " and ".join(matched)
    reason = f"this {name + ' ' if name else ''}autoencoder maps text to a point, not a density"
    if matched:
        reason += " (only the codes of all sentences together follow p(z))"
    return (
        f"{reason}: kl, nll_elbo, nll_iw, perplexities, mi, active_units and gap are undefined; "
        "train a vae to get them"
    )
