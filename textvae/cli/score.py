"""`textvae score`: how usual each sentence is for a model, and which do not belong."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.files.home import expand_home
from textvae.number_format import counted, human

if TYPE_CHECKING:
    from textvae.api.scoring import Scoring
    from textvae.api.sentence_scores import SentenceScore

EXAMPLES = (
    "textvae score runs/mine sentences.txt",
    "textvae score runs/mine new.txt --threshold valid.txt --quantile 0.99 --json",
    "textvae score runs/mine new.txt --reference train.txt --threshold 0.9",
)


def score(
    model: options.Model,
    file: options.TextFile = "-",
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference", metavar="FILE", help="Training sentences, for the distance of a vae."
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold",
            metavar="FILE",
            help="Validation sentences, whose quantile is the threshold; or a number.",
        ),
    ] = None,
    quantile: Annotated[
        float,
        typer.Option("--quantile", min=0, max=1, metavar="P", help="Share below the threshold."),
    ] = 0.95,
    measure: Annotated[
        Literal["nll_per_byte", "nll_per_word", "nll_iw", "distance"] | None,
        typer.Option(
            "--measure",
            show_default=False,
            help="Compared with the threshold.  [default: nll_per_byte; of an ae: distance]",
        ),
    ] = None,
    samples: options.ImportanceSamples = 20,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Score how usual each sentence is.

    Prints for each line of input: -log p(x) in nats (nll_iw), the same per word and per byte, the
    distance of the latent to those of the reference, and the sentence. Larger is less usual. A
    language model has no distance, an autoencoder has only the distance.

    With --threshold, sentences above the threshold are marked with *. Of unknown questions in a
    data set, the likelihood marked 45 %, the distance 3 %: see docs/latent.md.
    A blank line counts as the empty sentence. Sentences that are too long are truncated, and you
    are told how many.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.cli.progress import watching

    vae = TextVAE.from_pretrained(model, device=device)
    output.note_typing(file)
    with watching(output) as watcher:
        scoring = vae.iter_score(
            file,
            name=model,
            reference=reference,
            threshold=file_or_number(threshold),
            quantile=quantile,
            measure=measure,
            samples=samples,
            text_column=text_column,
            label_column=label_column,
            seed=seed,
            watcher=watcher,
        )
        print_scores(scoring, output)


def file_or_number(given: str | None) -> str | float | None:
    """The threshold as a number, unless a file has this name."""
    if given is not None and not os.path.lexists(expand_home(given)):
        with contextlib.suppress(ValueError):
            return float(given)
    return given


def print_scores(scoring: Scoring, output: Output) -> None:
    """Print each sentence as JSON; or a heading, and a line for each sentence."""
    names = ("nll_iw", "nll_per_word", "nll_per_byte", "distance")
    columns: dict[str, int] = {n: max(len(n), 8) for n in names if n in scoring.figures}
    marked = scoring.threshold is not None
    if not output.as_json:
        heading = "  ".join(name.rjust(width) for name, width in columns.items())
        output.text(heading + ("     text" if marked else "  text"))
    n = unusual = 0
    for one in scoring:
        output.row(one.to_dict(), line_of(one, columns, marked))
        n, unusual = n + 1, unusual + bool(one.unusual)
    if marked:
        output.note(
            f"{human(unusual)} of {counted(n, 'sentence')} marked: {scoring.measure} above "
            f"{human(scoring.threshold)}"
        )


def line_of(one: SentenceScore, columns: dict[str, int], marked: bool) -> str:
    """The figures, a mark if the sentence is unusual, and the sentence."""
    figures = [human(getattr(one, name)).rjust(width) for name, width in columns.items()]
    mark = ["*" if one.unusual else " "] if marked else []
    return "  ".join([*figures, *mark, one.text])
