"""Why a model lacks figures that others have."""

from __future__ import annotations

from textvae.config import ObjectiveConfig


def why_no_likelihood(kind: str, objective: ObjectiveConfig) -> str | None:
    """The reason, for people, why `nll_iw` and its like are absent; None where they are not.

    A deterministic encoder gives a sentence a point: q(z|x) has no density, so neither its KL
    nor an importance weight exists. That its codes together are distributed as p(z), as after
    Makhzani 2016 or Tolstikhin 2018, gives no density of one given x either.
    """
    if kind != "ae":
        return None
    weights = {"adversarial": objective.adversarial_weight, "Wasserstein": objective.mmd_weight}
    matched = [name for name, weight in weights.items() if weight > 0]
    name = " and ".join(matched)
    reason = f"this {name + ' ' if name else ''}autoencoder gives a sentence a point, not a density"
    if matched:
        reason += " (its codes follow p(z) only all together)"
    return (
        f"{reason}: kl, nll_elbo, nll_iw, perplexities, mi, active_units and gap are not defined; "
        "a vae has them"
    )
