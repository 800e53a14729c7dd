"""Whether the latent has collapsed, said while there is still time to act."""

from __future__ import annotations

from collections.abc import Mapping

from textvae.config import Config

COLLAPSED_GAIN = 0.5  # nats: below this the decoder takes next to nothing from z


def remedy(config: Config) -> str:
    """What to try against collapse, beyond what is done already."""
    model, objective = config.model, config.objective
    tries = []
    # A bound of many samples has no KL to spare, and that of a committed posterior stays anyway.
    if objective.importance_samples == 1 and not model.committed_rate:
        tries.append(f"--free-bits {max(0.5, 2 * objective.free_bits):g}")
    tries += [f"--word-dropout {share}" for share in (0.3, 0.6) if share > model.word_dropout][:1]
    tries.append("a smaller --beta" if objective.target_kl is None else "a larger --target-kl")
    *first, last = tries
    return f"{', '.join(first)} or {last}" if first else last


def collapse_warning(
    figures: Mapping[str, float],
    kl_weight: float,
    full_weight: float,
    config: Config,
) -> str | None:
    """What to say about a validation's figures, or None while there is nothing to say.

    Judged by `z_gain`, what the decoder really takes from z, at the final weight of the KL;
    before that a latent may still be filling or emptying.
    """
    gain = figures.get("z_gain")
    if (
        gain is None
        or "kl" not in figures
        or gain >= COLLAPSED_GAIN
        or kl_weight < 0.99 * full_weight
    ):
        return None
    return (
        f"the latent is collapsing: z_gain {gain:.2f} nats, kl {figures['kl']:.2f} nats; the "
        f"decoder ignores z. Try {remedy(config)}"
    )
