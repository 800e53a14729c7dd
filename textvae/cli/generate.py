"""`textvae generate`: new sentences from the prior, or near a given one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.errors import UsageError

_TELLING = 10  # sentences by whose variety a model can be judged
EXAMPLES = (
    "textvae generate runs/mine -n 10",
    "textvae generate runs/mine -n 10 --temperature 1 --top-p 0.9",
    'textvae generate runs/mine -n 5 --near "the soup was cold ." --scale 0.5',
    "textvae generate runs/mine -n 5 --prior",
    "textvae generate runs/mine -n 5 --towards good.safetensors --strength 1.5",
)


def generate(
    model: options.Model,
    n: Annotated[int, typer.Option("-n", min=0, metavar="N", help="How many sentences.")] = 5,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    beams: options.Beams = None,
    greedy: options.Greedy = False,
    repetition_penalty: Annotated[
        float | None, typer.Option("--repetition-penalty", help="Above 1: fewer repeated tokens.")
    ] = None,
    no_repeat_ngram: Annotated[
        int | None,
        typer.Option(
            "--no-repeat-ngram",
            metavar="N",
            help="No N tokens twice in the same order; 0: off. Default: 3 with a latent, where no "
            "other option chooses how to decode.",
        ),
    ] = None,
    min_tokens: Annotated[
        int | None, typer.Option("--min-tokens", help="Shortest sentence, in tokens.")
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", help="Longest sentence in tokens, the end token included."),
    ] = None,
    near: Annotated[
        str | None,
        typer.Option(
            "--near", metavar="TEXT", callback=options.valid_text, help="Vary this sentence."
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("--scale", min=0.0, metavar="S", help="Distance from TEXT; default: 1."),
    ] = None,
    towards: options.Towards = None,
    strength: Annotated[
        float | None,
        typer.Option("--strength", metavar="S", help="Distance along the direction; default: 1."),
    ] = None,
    prior: options.FittedPrior = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Sample sentences from the prior, one a line.

    A VAE or an autoencoder takes the most likely tokens for a random z, and no three of them twice
    in the same order. `--temperature 1` draws each token, with no rule on repetition. A language
    model always draws each token. Each sentence depends only on the seed and its index: `-n 5`
    prints the first five of `-n 10`. With --prior, z comes from a prior that `textvae prior`
    fitted.
    """
    if scale is not None and near is None:
        raise UsageError("--scale needs --near TEXT, the sentence to vary")
    if prior and near is not None:
        raise UsageError("--prior and --near TEXT are two sources of z; leave out one")
    if strength is not None and towards is None:
        raise UsageError("--strength needs --towards FILE, the direction of an attribute")
    output = Output(as_json=as_json, quiet=quiet)
    decoding: dict[str, Any] = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "beams": beams,
        "repetition_penalty": repetition_penalty,
        "no_repeat_ngram": no_repeat_ngram,
        "min_tokens": min_tokens,
        "max_tokens": max_tokens,
        "greedy": greedy or None,
    }
    from textvae.api import TextVAE
    from textvae.api.encoding import warn_of_cut

    vae = TextVAE.from_pretrained(model, device=device)
    if vae.latent_size and not vae.model.has_density and near is None and not prior:
        output.note(
            "an autoencoder has no prior: z comes from a Gaussian fitted to its codes; for a "
            "closer fit, see textvae prior --help; for samples of a prior, train with --model vae"
            if vae.prior_is_fitted
            else "z comes from N(0, I), which training matched the codes of this autoencoder to"
        )
    if near is not None and vae.latent_size:
        warn_of_cut(vae.overlong([near]), vae.max_tokens_read, output.warn)
    given = {name: value for name, value in decoding.items() if value is not None}
    samples = vae.iter_generate(
        n,
        seed=seed,
        near=near,
        scale=1.0 if scale is None else scale,
        towards=towards,
        strength=1.0 if strength is None else strength,
        prior=prior,
        **given,
    )
    settings = vae.decoding(**given)
    seen: set[str] = set()
    for index, text in enumerate(samples):
        output.row({"index": index, "text": text, "decoding": settings.to_dict()}, text)
        seen.add(text)
    if vae.latent_size and near is None and n >= _TELLING and len(seen) <= n / 2:
        advice = "; to draw each word, add --temperature 1" if settings.strategy != "sample" else ""
        output.warn(
            f"only {len(seen):,} of {n:,} sentences are different: the model may ignore its latent "
            f"(`textvae info` shows z_gain){advice}"
        )
