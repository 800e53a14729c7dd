"""`textvae interpolate`: a walk between two sentences."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from textvae.cli import options
from textvae.cli.output import Output

EXAMPLES = ('textvae interpolate runs/mine "the soup was cold ." "she went home ." --steps 9',)


def interpolate(
    model: options.Model,
    a: options.Sentence,
    b: options.Sentence,
    steps: Annotated[
        int, typer.Option("--steps", min=2, metavar="N", help="Rows, both ends included.")
    ] = 7,
    method: Annotated[
        Literal["linear", "slerp"], typer.Option("--method", help="The path between the codes.")
    ] = "slerp",
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Walk from sentence A to sentence B.

    Prints the sentences that points on the path between the two codes decode to, one per line.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.api.encoding import warn_of_cut

    vae = TextVAE.from_pretrained(model, device=device)
    if vae.latent_size:  # else the refusal comes next
        warn_of_cut(vae.overlong([a, b]), vae.max_tokens_read, output.warn)
    for step, text in enumerate(vae.interpolate(a, b, steps, method=method)):
        output.row({"step": step, "t": step / (steps - 1), "text": text}, text)
