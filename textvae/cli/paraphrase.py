"""`textvae paraphrase`: sentences that differ from a sentence and stay near it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from textvae.cli import options
from textvae.cli.output import Output, tabbed

EXAMPLES = (
    'textvae paraphrase runs/mine "the soup was cold ."',
    "textvae paraphrase runs/mine sentences.txt -n 3 --scale 0.7 --json",
)


def paraphrase(
    model: options.Model,
    sentence: Annotated[
        str,
        typer.Argument(
            metavar="TEXT|FILE",
            show_default=False,
            callback=options.valid_text,
            help="A sentence; or the name of a file of sentences. None or `-`: stdin.",
        ),
    ] = "-",
    n: Annotated[
        int, typer.Option("-n", min=1, metavar="N", help="Variations of each sentence at most.")
    ] = 5,
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale",
            min=0.0,
            metavar="S",
            help="Size of the noise, in standard deviations of the posterior (0.5), or of an "
            "autoencoder's codes (0.2).",
        ),
    ] = None,
    by: Annotated[
        Literal["similarity", "likelihood"], typer.Option("--by", help="What ranks the variations.")
    ] = "similarity",
    draws: Annotated[
        int,
        typer.Option(
            "--draws", min=1, max=10_000, metavar="N", help="Points decoded for each sentence."
        ),
    ] = 100,
    text_column: options.TextColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Write variations of a sentence, the nearest first.

    Decodes points around the vector of the sentence. Prints the sentences that differ from it and
    from each other in more than case, spacing and punctuation, each after its similarity: the
    cosine of its own vector and the vector of the sentence. This is the model's view: sentences
    that it hardly tells apart are similar. `--by likelihood` ranks by log p(x|z) in nats and prints
    these numbers instead. With FILE, each line begins with the index of the sentence, from 0.

    `generate --near` draws samples as they come: with repetitions, the sentence itself among them.

    A name that exists, matches a pattern or ends like a data file (.txt, .jsonl, ...) is a FILE;
    everything else is a TEXT. The model learned no paraphrases: a variation can change the meaning.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching
    from textvae.data.texts import file_names

    is_file = sentence == "-" or file_names([sentence]) is not None
    vae = load_encoder(model, device, "paraphrase")
    output.note_typing(sentence)
    decoding = vae.decoding().to_dict()
    with watching(output) as watcher:
        for found in vae.iter_paraphrase(
            sentence if is_file else [sentence],
            n,
            scale=scale,
            draws=draws,
            by=by,
            name=model,
            text_column=text_column,
            seed=seed,
            watcher=watcher,
        ):
            figure = found.similarity if by == "similarity" else found.log_likelihood
            cells = [f"{figure:.4f}" if by == "similarity" else f"{figure:.2f}", found.paraphrase]
            line = tabbed(str(found.index), *cells) if is_file else tabbed(*cells)
            output.row(found.to_dict() | {"decoding": decoding}, line)
