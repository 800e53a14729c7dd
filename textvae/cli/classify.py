"""`textvae classify`: labels of sentences, by a classifier that `textvae probe` saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textvae.cli import options
from textvae.cli.output import Output, tabbed
from textvae.files.home import home_path

EXAMPLES = (
    "textvae classify runs/mine sentiment.safetensors sentences.txt",
    "echo 'the soup was cold .' | textvae classify runs/mine sentiment.safetensors --json",
)


def classify(
    model: options.Model,
    classifier: Annotated[
        Path,
        typer.Argument(
            parser=home_path, metavar="CLASSIFIER", help="File from textvae probe --save."
        ),
    ],
    file: options.TextFile = "-",
    text_column: options.TextColumn = None,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict the label of each sentence.

    Prints the label, its probability and the sentence, separated by tabs, for each line of input;
    `--json` prints the probability of each label too. A blank line counts as the empty sentence.
    Sentences that are too long are truncated, and you are told how many.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.progress import Watcher

    vae = load_encoder(model, device, "classify")
    output.note_typing(file)
    watcher = Watcher(output.note, output.warn)
    found = vae.iter_classify(
        file, classifier, name=model, text_column=text_column, watcher=watcher
    )
    for prediction in found:
        line = tabbed(prediction.label, f"{prediction.probability:.4f}", prediction.text)
        output.row(prediction.to_dict(), line)
