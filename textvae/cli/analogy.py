"""`textvae analogy`: A is to B as C is to which sentence?"""

from __future__ import annotations

from typing import Annotated

import typer

from textvae.cli import options
from textvae.cli.output import Output, tabbed

EXAMPLES = (
    'textvae analogy runs/mine "he sings a song ." "he sang a song ." "she bakes a cake ."',
    'textvae analogy runs/mine "it is good ." "it is bad ." "we had fun ." -n 1 --scale 1.5',
)


def analogy(
    model: options.Model,
    a: options.Sentence,
    b: options.Sentence,
    c: options.Sentence,
    n: Annotated[
        int, typer.Option("-n", min=1, max=10_000, metavar="N", help="Candidates at most.")
    ] = 5,
    scale: Annotated[
        float, typer.Option("--scale", metavar="S", help="How much of the difference to add.")
    ] = 1.0,
    spread: Annotated[
        float | None,
        typer.Option(
            "--spread",
            min=0.0,
            metavar="S",
            help="Size of the noise, in standard deviations of the posterior of C (1), or of an "
            "autoencoder's codes (0.2).",
        ),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Complete an analogy: A is to B as C is to D.

    The point of the analogy is z = C + S (B - A), of the vectors of the three sentences. Prints the
    sentence that z decodes to, and different sentences that points near z decode to: log p(x|z) in
    nats, a tab and the sentence x, the likeliest first. `-n 1` prints the sentence of z alone.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching

    vae = load_encoder(model, device, "find analogies")
    with watching(output) as watcher:
        found = vae.analogy(
            a, b, c, n=n, scale=scale, spread=spread, name=model, seed=seed, watcher=watcher
        )
    decoding = vae.decoding().to_dict()
    for candidate in found:
        scored = tabbed(f"{candidate.log_likelihood:.2f}", candidate.text)
        record = candidate.to_dict() | {"decoding": decoding}
        output.row(record, candidate.text if n == 1 else scored)
