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
    spacing: Annotated[
        Literal["text", "latent"],
        typer.Option(
            "--spacing", help="Take points whose sentences change evenly, or equidistant points."
        ),
    ] = "text",
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Walk from sentence A to sentence B.

    Prints sentences that points on the path between the two codes decode to, one per line. Many
    points are decoded; those are printed whose sentences change in even steps.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.api.encoding import warn_of_cut

    vae = TextVAE.from_pretrained(model, device=device)
    if vae.latent_size:  # else the refusal comes next
        warn_of_cut(vae.overlong([a, b]), vae.max_tokens_read, output.warn)
    decoding = vae.decoding().to_dict()
    for step, point in enumerate(vae.path(a, b, steps, method=method, spacing=spacing)):
        record = {"step": step, "t": point.t, "text": point.text, "decoding": decoding}
        output.row(record, point.text)
