"""`textvae info`: what a model is, was trained on, and scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textvae.cli import options
from textvae.cli.output import Output
from textvae.errors import InvalidError

if TYPE_CHECKING:
    from textvae.api import TextVAE

EXAMPLES = ("textvae info runs/mine",)


def info(model: options.Model, as_json: options.Json = False, quiet: options.Quiet = False) -> None:
    """Show what a model is, what it was trained on, and its scores."""
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.evaluation.why_no_likelihood import why_no_likelihood
    from textvae.saving.backbones import backbone_facts
    from textvae.training.card import method_of

    vae = TextVAE.from_pretrained(model, device="cpu")
    record = {
        "model": model,
        "kind": vae.kind,
        "parameters": sum(parameter.numel() for parameter in vae.model.parameters()),
        "pretrained": backbone_facts(vae.model) or None,
        "method": method_of(vae.config) or None,
        "latent_size": vae.latent_size or None,
        "vocab_size": vae.tokenizer.vocab_size,
        "max_tokens": vae.max_tokens,
        "fitted_prior": described_prior(vae, model, output),
        "metrics": vae.metrics,
        "config": vae.config.model_dump(mode="json", exclude_none=True),
    }
    reason = why_no_likelihood(vae.model, vae.config.objective)
    if reason is not None:
        output.note(reason)
    output.report({key: value for key, value in record.items() if value is not None})


def described_prior(vae: TextVAE, model: str, output: Output) -> dict[str, Any] | None:
    """The fitted prior of a model; None, with a warning, if it cannot be used."""
    if not vae.latent_size:
        return None
    try:
        found = vae.stored_prior(model)
    except InvalidError as error:
        output.warn(str(error))
        return None
    return None if found is None else found.to_dict()
