"""`textvae neighbors`: the lines of a file that are nearest to some sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.errors import UsageError
from textvae.files.home import home_path
from textvae.number_format import human

if TYPE_CHECKING:
    from textvae.api.neighbors import Neighbor, Neighbors

EXAMPLES = (
    'textvae neighbors runs/mine sentences.txt --query "the soup was cold ."',
    "textvae neighbors runs/mine vectors.parquet --queries questions.txt -k 5 --json",
    "textvae neighbors runs/mine vectors.npy --texts sentences.txt --query rain --metric euclidean",
)


def neighbors(
    model: options.Model,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="Sentences, or their vectors (.npy, .parquet); `-`: stdin."
        ),
    ],
    query: Annotated[
        list[str] | None,
        typer.Option("--query", metavar="TEXT", help="A sentence; may repeat."),
    ] = None,
    queries: Annotated[
        str | None,
        typer.Option("--queries", metavar="FILE", help="File of sentences; `-`: stdin."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="K", help="Lines for each query.")] = 10,
    metric: Annotated[
        Literal["cosine", "euclidean", "dot"],
        typer.Option("--metric", help="Similarity or distance of two vectors."),
    ] = "cosine",
    texts: Annotated[
        str | None,
        typer.Option(
            "--texts", metavar="FILE", help="The sentences of the vectors in a .npy file."
        ),
    ] = None,
    without_query: Annotated[
        bool, typer.Option("--without-query", help="Leave out lines equal to the query.")
    ] = False,
    layer: Annotated[
        Literal["latent", "encoder"] | None,
        typer.Option(
            "--layer",
            show_default=False,
            help="The latent, or the encoder's state.  [default: that of the file, or latent]",
        ),
    ] = None,
    approximate: Annotated[
        Path | None,
        typer.Option(
            "--approximate",
            parser=home_path,
            metavar="INDEX",
            help="Search by an index in this file, built if missing.",
        ),
    ] = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the lines nearest to a sentence.

    Prints the similarity (or the distance), the index of the line and the sentence. The search is
    exact, and its memory does not grow with FILE. Equal lines are listed once, by the first of
    them; of lines at the same distance, the earlier one comes first. If FILE holds vectors from
    `textvae embed`, they are reused.

    --approximate needs a file of vectors and the package usearch. To build an index takes far
    longer than one exact search, so an index pays only when it is used again for many queries. Its
    recall is printed.
    """
    asked = asked_for(query, queries)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching

    vae = load_encoder(model, device, "find neighbors")
    for source in (file, asked):
        if isinstance(source, str):
            output.note_typing(source)
    with watching(output) as watcher:
        found = vae.neighbors(
            file,
            asked,
            k,
            name=model,
            metric=metric,
            texts=texts,
            without_query=without_query,
            layer=layer,
            approximate=approximate,
            text_column=text_column,
            label_column=label_column,
            watcher=watcher,
        )
    print_neighbors(found, output)


def asked_for(query: list[str] | None, queries: str | None) -> str | list[str]:
    """The sentences of `--query`, or the file of `--queries`.

    Raises:
        UsageError: neither or both are given.
    """
    if query and queries is not None:
        raise UsageError("--query and --queries: give one of them")
    if queries is not None:
        return queries
    if not query:
        raise UsageError("a query is missing: give --query TEXT or --queries FILE")
    return [options.valid_text(text) or "" for text in query]


def print_neighbors(found: Neighbors, output: Output) -> None:
    """Print each line as JSON; or for each query a block with its lines."""
    width = len(human(max((near.index for near in found), default=0)))
    for place, row in enumerate(found.found):
        if place and not output.as_json:
            output.text("")
        for near in row:
            if near.rank == 1 and not output.as_json:
                output.row({}, near.query)
            output.row(near.to_dict(), line_of(near, width))


def line_of(near: Neighbor, width: int) -> str:
    """The score, the index, the label if there is one, and the sentence."""
    label = "" if near.label is None else f"  [{near.label}]"
    text = "" if near.text is None else f"  {near.text}"
    return f"  {human(near.score):>8}  {human(near.index):>{width}}{label}{text}"
