"""`textvae compress`: a text file, compressed by a language model without a loss."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.files.home import home_path

EXAMPLES = ("textvae compress runs/lm sentences.txt --out sentences.tvc",)


def compress(
    model: options.Model,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A text, one sentence a line.")],
    out: Annotated[
        Path,
        typer.Option("--out", parser=home_path, metavar="X", help="The compressed file."),
    ],
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compress a text file by a language model, without a loss.

    `textvae decompress` gives the file back bit for bit. That needs the same model, the same kind
    of processor and the same version of torch, so do not keep your only copy this way. Each block
    is decompressed again as a check. MODEL itself is not in the file.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.cli.progress import watching

    lm = TextVAE.from_pretrained(model, device="cpu")
    with watching(output) as watcher:
        found = lm.compress(file, out, watcher=watcher)
    output.report(found.to_dict())
