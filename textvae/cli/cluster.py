"""`textvae cluster`: groups of sentences, and what each is about."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.evaluate import whatever_happens
from textvae.cli.output import Output, to_json
from textvae.errors import DataError, UsageError
from textvae.files.atomic import replacing
from textvae.files.destination import check_folder
from textvae.wording import counted, human

if TYPE_CHECKING:
    from textvae.data.readers import Row
    from textvae.latent.clusters import Agreement, Clusters

EXAMPLES = (
    "textvae cluster runs/mine sentences.txt -k 8",
    "textvae cluster runs/mine reviews.tsv -k 2 --out assignments.csv --json",
)

ASSIGNMENT = ("index", "text", "label", "cluster", "distance")
FORMATS = (".csv", ".jsonl")


def cluster(
    model: options.Model,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Sentences, with labels or not; `-`: stdin.")
    ],
    k: Annotated[int, typer.Option("-k", min=1, metavar="K", help="Clusters.")],
    nearest: Annotated[
        int, typer.Option("--nearest", min=0, metavar="N", help="Sentences shown of each.")
    ] = 5,
    layer: options.Layer = "latent",
    normalize: options.Normalize = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="X", help="Cluster of each line; X ends in .csv or .jsonl."),
    ] = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Group sentences by k-means on their vectors.

    Shows, the largest cluster first: its size, the share of its most frequent label where there
    are labels (its purity), the sentence that its centre decodes to, and those nearest to the
    centre. The vectors are taken as they are, not standardised. A blank line is the empty
    sentence.
    """
    if out is not None and out.suffix.lower() not in FORMATS:
        raise UsageError(f"--out {out}: the name must end in {' or '.join(FORMATS)}")
    if out is not None:
        check_folder(out, file)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.cli.labelled import encode_all, warn_of_alike, warn_of_missing
    from textvae.cli.progress import progress_bars
    from textvae.cli.sentences import load_encoder, read_rows
    from textvae.latent import clusters as groups

    vae = load_encoder(model, device, "cluster")
    rows = list(read_rows(vae, file, output, text_column=text_column, label_column=label_column))
    if not rows:
        raise DataError(f"{file}: no sentences in it")
    if k > len(rows):
        sentences = counted(len(rows), "sentence")
        raise DataError(f"{file}: {k:,} clusters need as many sentences, not {sentences}; lower -k")
    warn_of_missing(file, rows, output)
    warn_of_alike({row.label for row in rows if row.label is not None}, output)
    texts = [row.text for row in rows]
    with progress_bars(output) as progress:
        vectors = encode_all(vae, texts, output, progress, layer=layer)
    found = groups.cluster(groups.unit(vectors) if normalize else vectors, k, seed=seed)
    agreement = groups.agreement(found, [row.label for row in rows])
    decoded: Sequence[str | None] = [None] * k
    if layer == "latent":
        decoded = vae.decode(groups.means(vectors, found.of, k))
    report: dict[str, Any] = {
        "model": model,
        "n_sentences": len(rows),
        "k": k,
        "layer": layer,
        "normalize": normalize,
        "seed": seed,
        "inertia": found.inertia,
    }
    if agreement is not None:
        report |= {
            "n_labelled": agreement.n_labelled,
            "purity": agreement.purity,
            "nmi": agreement.nmi,
        }
    report["clusters"] = [
        described(found, agreement, number, decoded[number], texts, nearest) for number in range(k)
    ]
    with whatever_happens() as afterwards:
        if out is not None:
            afterwards(write_assignments, out, rows, found)
        print_clusters(report, output)


def described(
    found: Clusters,
    agreement: Agreement | None,
    number: int,
    decoded: str | None,
    texts: Sequence[str],
    nearest: int,
) -> dict[str, Any]:
    """The report of one cluster; what it has none of is left out."""
    majority = None if agreement is None else agreement.majorities[number]
    record: dict[str, Any] = {"cluster": number, "size": found.sizes[number]}
    if majority is not None:
        record |= {"label": majority[0], "purity": majority[1]}
    if decoded is not None:
        record["centre"] = decoded
    places = found.nearest(number, nearest, texts)
    record["nearest"] = [
        {"index": place, "text": texts[place], "distance": found.distances[place]}
        for place in places
    ]
    return record


def print_clusters(report: dict[str, Any], output: Output) -> None:
    """Print the report as JSON; or the figures as a table, and then a block for each cluster."""
    if output.as_json:
        output.report(report)
        return
    output.report({key: value for key, value in report.items() if key != "clusters"})
    for group in report["clusters"]:
        purity = f", {group['purity']:.1%} {group['label']}" if "purity" in group else ""
        output.row(group, "")
        output.row(group, f"cluster {group['cluster']}: {human(group['size'])}{purity}")
        if "centre" in group:
            output.row(group, f"  centre   {group['centre']}")
        for place, sentence in enumerate(group["nearest"]):
            output.row(group, f"  {'' if place else 'nearest':<7}  {sentence['text']}")


def write_assignments(path: Path, rows: Sequence[Row], found: Clusters) -> None:
    """Write a row for each line of the input: its cluster and its distance to the centre."""

    def records() -> Iterator[tuple[Any, ...]]:
        assigned = zip(rows, found.of.tolist(), found.distances.tolist(), strict=True)
        for index, (row, number, distance) in enumerate(assigned):
            yield index, row.text, row.label, number, distance

    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        if path.suffix.lower() == ".csv":
            writer = csv.writer(text)
            writer.writerow(ASSIGNMENT)
            writer.writerows(records())
        else:
            text.writelines(
                to_json(dict(zip(ASSIGNMENT, record, strict=True))) + "\n" for record in records()
            )
        text.detach()
