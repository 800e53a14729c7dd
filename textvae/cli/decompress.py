"""`textvae decompress`: the text of a file that `textvae compress` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.files.home import home_path

EXAMPLES = ("textvae decompress runs/lm sentences.tvc --out sentences.txt",)


def decompress(
    model: options.Model,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file of textvae compress.")],
    out: Annotated[
        Path, typer.Option("--out", parser=home_path, metavar="X", help="The text file.")
    ],
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the text that `textvae compress` read, bit for bit.

    MODEL must be the model that compressed the text. The text is written only if its digest is
    that of the original.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.cli.progress import watching

    lm = TextVAE.from_pretrained(model, device="cpu")
    with watching(output) as watcher:
        found = lm.decompress(file, out, watcher=watcher)
    output.report(found.to_dict())
