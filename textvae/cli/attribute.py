"""`textvae attribute`: the direction of an attribute, and sentences moved along the direction."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from textvae.cli import options
from textvae.cli.output import Output, tabbed
from textvae.errors import UsageError
from textvae.files.destination import check_folder
from textvae.files.home import home_path
from textvae.number_format import counted

if TYPE_CHECKING:
    from textvae.api import Direction, TextVAE

EXAMPLES = (
    "textvae attribute runs/mine --from past.txt --to present.txt sentences.txt",
    "textvae attribute runs/mine --from bad.txt --to good.txt --save good.safetensors",
    "textvae attribute runs/mine --towards good.safetensors sentences.txt --strength 0.5,1,2",
)

SUFFIX = ".safetensors"


def attribute(
    model: options.Model,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="Sentences to change; `-`: stdin, as without FILE and --save.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="Sentences without the attribute; `-`: stdin."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="FILE", help="Sentences with the attribute; `-`: stdin."),
    ] = None,
    towards: options.Towards = None,
    method: Annotated[
        Literal["mean", "linear"] | None,
        typer.Option(
            "--method",
            help="Difference of the means, or its part along the normal of a linear classifier.  "
            "[default: mean]",
        ),
    ] = None,
    strength: Annotated[
        str,
        typer.Option(
            "--strength", metavar="S,S", help="How far: 1 is the whole difference, -1 goes back."
        ),
    ] = "1",
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            parser=home_path,
            metavar="FILE.safetensors",
            help="Save the direction, for --towards and textvae generate.",
        ),
    ] = None,
    text_column: options.TextColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Change an attribute of sentences, such as the tense, by vector arithmetic.

    Adds a direction to the vector of each sentence and prints the sentence that the sum decodes to,
    one line for each line of input. The direction leads from the vectors of the sentences in --from
    to those in --to, or comes from a file that --save wrote. With several strengths, each line is a
    strength, a tab and a sentence. With --save and without FILE, nothing is changed or printed.
    """
    strengths = parsed_strengths(strength)
    check_arguments(file, start, end, towards, method, save)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.directions import checked_strengths
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching
    from textvae.data.input_rows import rows_from

    checked_strengths(strengths)
    for name in (start, end, file):
        if name is not None:
            rows_from(name)  # a file that is not there is told before the work; nothing is read
    vae = load_encoder(model, device, "change an attribute")
    direction: Direction | Path | None = towards
    with watching(output) as watcher:
        if start is not None and end is not None:
            direction = vae.direction(
                start,
                end,
                method=method or "mean",
                name=model,
                text_column=text_column,
                seed=seed,
                watcher=watcher,
            )
            output.note(
                f"direction from {counted(direction.n_start, 'sentence')} to {direction.n_end:,}, "
                f"separates {direction.separation:.1%} of them"
            )
            if save is not None:
                direction.save(save)
    if save is not None:
        output.note(f"direction in {save}")
        words = ("textvae", "generate", model, "--towards", str(save))
        output.note(f"try: {shlex.join(words)}")
    if direction is not None and (file is not None or save is None):
        print_shifted(vae, file or "-", direction, strengths, model, text_column, output)


def print_shifted(
    vae: TextVAE,
    file: str,
    direction: Direction | Path,
    strengths: tuple[float, ...],
    name: str,
    text_column: str | None,
    output: Output,
) -> None:
    """Print each sentence of the file at each strength."""
    from textvae.progress import Watcher

    output.note_typing(file)
    decoding = vae.decoding().to_dict()
    found = vae.iter_attribute(
        file,
        direction,
        strengths=strengths,
        name=name,
        text_column=text_column,
        watcher=Watcher(output.note, output.warn),
    )
    for row in found:
        line = row.shifted if len(strengths) == 1 else tabbed(f"{row.strength:g}", row.shifted)
        output.row(row.to_dict() | {"decoding": decoding}, line)


def parsed_strengths(text: str) -> tuple[float, ...]:
    """The numbers of `--strength`.

    Raises:
        UsageError: something that is no number.
    """
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"--strength {text!r}: expected numbers, as in 0.5,1,2") from None


def check_arguments(
    file: str | None,
    start: str | None,
    end: str | None,
    towards: Path | None,
    method: str | None,
    save: Path | None,
) -> None:
    """Raise before the work where options contradict, or the direction cannot be written."""
    if towards is not None and (start is not None or end is not None):
        raise UsageError("--towards holds the direction; leave out --from and --to, or --towards")
    if towards is not None and (save is not None or method is not None):
        given = "--save" if save is not None else "--method"
        raise UsageError(f"{given} needs a new direction; give --from and --to, not --towards")
    if towards is None and (start is None or end is None):
        raise UsageError("give --from FILE and --to FILE, or a saved direction by --towards FILE")
    read = file if file is not None or save is not None else "-"
    if [start, end, read].count("-") > 1:
        raise UsageError("standard input can be read once; name files instead of `-`")
    if save is not None:
        if save.suffix.lower() != SUFFIX:
            raise UsageError(f"--save {save}: the name must end in {SUFFIX}")
        check_folder(save, *(name for name in (start, end, read) if name is not None), name="save")
