"""`textvae classify`: labels of sentences, by a classifier that `textvae probe` saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.errors import DataError

EXAMPLES = (
    "textvae classify runs/mine sentiment.safetensors sentences.txt",
    "echo 'the soup was cold .' | textvae classify runs/mine sentiment.safetensors --json",
)


def classify(
    model: options.Model,
    classifier: Annotated[
        Path, typer.Argument(metavar="CLASSIFIER", help="File of textvae probe --save.")
    ],
    file: options.TextFile = "-",
    text_column: options.TextColumn = None,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict the label of each sentence.

    Prints the label, its probability and the sentence, separated by tabs, one row for each line
    of input; `--json` prints the probability of each label too. A blank line is the empty
    sentence; one that is too long is cut and counted.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import LAYERS
    from textvae.classification.classifier import read_classifier
    from textvae.cli.sentences import (
        in_chunks,
        load_encoder,
        read_rows,
        tell_cut,
        told_if_none,
    )
    from textvae.saving.identity import fingerprint

    vae = load_encoder(model, device, "classify")
    sizes = {layer: vae.vector_size(layer) for layer in LAYERS}
    linear = read_classifier(classifier, vector_size=sizes)
    own = fingerprint(vae.model, vae.encoder_tokenizer, vae.config.data)
    if linear.fingerprint != own:
        raise DataError(
            f"{classifier} belongs to another model than {model}; train one for it with "
            f"textvae probe {model} TRAIN --folds 10 --save FILE"
        )
    n_cut = 0
    rows = read_rows(vae, file, output, text_column=text_column)
    for start, chunk in in_chunks(told_if_none(rows, file, output)):
        texts = [row.text for row in chunk]
        found = vae.embed(texts, layer=linear.layer, normalize=linear.normalize)
        n_cut += found.cut
        probabilities = linear.probabilities(found.vectors)
        for index, (text, row) in enumerate(zip(texts, probabilities.tolist(), strict=True), start):
            best = max(range(len(row)), key=row.__getitem__)
            label, probability = linear.classes[best], row[best]
            record = {
                "index": index,
                "text": text,
                "label": label,
                "probability": probability,
                "probabilities": dict(zip(linear.classes, row, strict=True)),
            }
            cells = (label, f"{probability:.4f}", text)
            output.row(record, "\t".join(cell.replace("\t", "\\t") for cell in cells))
    tell_cut(n_cut, vae, output)
