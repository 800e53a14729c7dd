"""Whether the latent has collapsed, said while there is still time to act."""

from __future__ import annotations

from collections.abc import Mapping

COLLAPSED_GAIN = 0.5  # nats: below this the decoder takes next to nothing from z


def remedy(target_kl: float | None) -> str:
    """What to try against collapse, where the weight of the KL is given or a target of it."""
    loosen = "a smaller --beta" if target_kl is None else "a larger --target-kl"
    return f"--free-bits 0.5, --word-dropout 0.3 or {loosen}"


def collapse_warning(
    figures: Mapping[str, float], kl_weight: float, beta: float, target_kl: float | None = None
) -> str | None:
    """What to say about a validation's figures, or None while there is nothing to say.

    Judged by `z_gain`, what the decoder really takes from z, at the final weight of the KL;
    before that a latent may still be filling or emptying.
    """
    gain = figures.get("z_gain")
    if gain is None or "kl" not in figures or gain >= COLLAPSED_GAIN or kl_weight < 0.99 * beta:
        return None
    return (
        f"the latent is collapsing: z_gain {gain:.2f} nats, kl {figures['kl']:.2f} nats; the "
        f"decoder ignores z. Try {remedy(target_kl)}"
    )
