"""`textvae classify`: labels of sentences, by a saved classifier or by the model's own head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textvae.cli import options
from textvae.cli.output import Output, tabbed
from textvae.errors import UsageError
from textvae.files.home import home_path

EXAMPLES = (
    "textvae classify runs/mine sentiment.safetensors sentences.txt",
    "echo 'the soup was cold .' | textvae classify runs/mine sentiment.safetensors --json",
    "textvae classify runs/stars sentences.txt --head",
)


def classify(
    model: options.Model,
    classifier: Annotated[
        str | None,
        typer.Argument(
            metavar="CLASSIFIER",
            show_default=False,
            help="File from textvae probe --save; leave it out with --head.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", show_default=False, help="File of sentences; none or `-`: stdin."
        ),
    ] = None,
    head: Annotated[
        bool,
        typer.Option("--head", help="Use the head on labels that was trained with the model."),
    ] = False,
    text_column: options.TextColumn = None,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict the label of each sentence.

    Prints the label, its probability and the sentence, separated by tabs, for each line of input;
    `--json` prints the probability of each label too. A blank line counts as the empty sentence.
    Sentences that are too long are truncated, and you are told how many. A model that was trained
    with labels needs no CLASSIFIER: write MODEL FILE --head.
    """
    path, file = chosen_files(classifier, file, head=head)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.progress import Watcher

    vae = load_encoder(model, device, "classify")
    output.note_typing(file)
    watcher = Watcher(output.note, output.warn)
    found = vae.iter_classify(file, path, name=model, text_column=text_column, watcher=watcher)
    for prediction in found:
        line = tabbed(prediction.label, f"{prediction.probability:.4f}", prediction.text)
        output.row(prediction.to_dict(), line)


def chosen_files(first: str | None, second: str | None, *, head: bool) -> tuple[Path | None, str]:
    """The classifier, or None for the head on labels; and the file of sentences.

    Args:
        first, second: what stands after MODEL: a classifier and a file, or with `head` a file.

    Raises:
        UsageError: no classifier and no `head`, or both.
    """
    if head and second is not None:
        raise UsageError(f"--head takes no classifier; leave out {first}, or leave out --head")
    if head:
        return None, first or "-"
    if first is None:
        raise UsageError(
            "CLASSIFIER is missing: name a file from textvae probe --save, or add --head for a "
            "model that was trained with labels"
        )
    return home_path(first), second or "-"
