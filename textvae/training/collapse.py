"""Whether the latent has collapsed, said while there is still time to act."""

from __future__ import annotations

from collections.abc import Mapping

COLLAPSED_GAIN = 0.5  # nats: below this the decoder takes next to nothing from z


def collapse_warning(figures: Mapping[str, float], kl_weight: float, beta: float) -> str | None:
    """What to say about a validation's figures, or None while there is nothing to say.

    Judged by `z_gain`, what the decoder really takes from z, at the final weight of the KL;
    before that a latent may still be filling or emptying.
    """
    gain = figures.get("z_gain")
    if gain is None or "kl" not in figures or gain >= COLLAPSED_GAIN or kl_weight < 0.99 * beta:
        return None
    return (
        f"the latent is collapsing: z_gain {gain:.2f} nats, kl {figures['kl']:.2f} nats; the "
        "decoder ignores z. Try --free-bits 0.5, --word-dropout 0.3 or a smaller --beta"
    )
