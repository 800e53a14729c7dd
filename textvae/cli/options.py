"""Options that several commands share."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from textvae.cli.output import say
from textvae.errors import UsageError, shown
from textvae.files.home import home_path

WIDEST_HELP, NARROWEST_HELP = 100, 32  # columns
NARROWEST_LINES = 50  # columns; examples of a wider help stand in one line each
WORDS = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")  # of a command line
# What the libraries of `hf:` read when they are imported.
HUB_SILENCE = {
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DATASETS_VERBOSITY": "error",
}


def help_width() -> int:
    """Columns of the help; typer's own is 50 at least, too wide for a narrow terminal."""
    return max(min(shutil.get_terminal_size().columns, WIDEST_HELP) - 2, NARROWEST_HELP)


def examples(lines: Sequence[str]) -> str:
    """The end of a command's help; the backspace keeps typer from re-wrapping the lines."""
    heading = "Examples:" if len(lines) > 1 else "Example:"
    return "\b\n" + "\n".join([heading, *(fitted(line, help_width() - 2) for line in lines)])


def fitted(command: str, width: int) -> str:
    r"""A command in lines of a narrow terminal, with backslashes so that it can be pasted.

    >>> print(fitted("textvae embed MODEL --out x.npy", 24))
    textvae embed MODEL \
      --out x.npy
    """
    if width > NARROWEST_LINES:
        return command
    lines: list[str] = []
    for word in WORDS.findall(command):
        if lines and len(lines[-1]) + 1 + len(word) + 2 <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"  {word}" if lines else word)
    return " \\\n".join(lines)


def help_without_command(context: typer.Context) -> None:
    """Show the help on stderr and exit 2 where no command was given."""
    if context.invoked_subcommand is None:
        say(context.get_help())
        raise typer.Exit(2)


def _or_global_quiet(context: typer.Context, value: bool) -> bool:
    quiet = value or bool(context.find_root().params.get("quiet"))
    if quiet:
        os.environ.update(HUB_SILENCE)
    return quiet


def valid_text(value: str | None) -> str | None:
    """The sentence `value` from the command line.

    Raises:
        UsageError: it is not valid UTF-8.
    """
    if value is None or value.isascii():
        return value
    try:
        # Bytes of the command line that the locale does not know arrive as lone surrogates.
        return value.encode(errors="surrogateescape").decode()
    except UnicodeError:
        raise UsageError(f"{shown(value)}: not valid UTF-8; write the sentence as UTF-8") from None


GlobalQuiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors on stderr.")]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=_or_global_quiet, help="Print only errors on stderr."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Folder or Hugging Face id of a model.")
]
TextFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE", show_default=False, help="File of sentences; none or `-`: stdin."
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Seed = Annotated[
    int,
    typer.Option("--seed", min=0, max=2**63 - 1, metavar="N", help="Seed of all randomness."),
]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", help="Draw each token; below 1, likely tokens become likelier."),
]
TopK = Annotated[
    int | None, typer.Option("--top-k", help="Draw each token from the K most likely ones.")
]
TopP = Annotated[
    float | None,
    typer.Option("--top-p", help="Draw each token from the most likely ones that sum to P."),
]
Beams = Annotated[int | None, typer.Option("--beams", help="Beam search of this width.")]
Greedy = Annotated[
    bool,
    typer.Option(
        "--greedy",
        help="Take the most likely token, without the rule of the default on repetition.",
    ),
]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", help="Column of the text; none: as in training.")
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Column of the label; none: `label`.")
]
LabelsOfHead = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        help="Column of the label, for a model trained with labels; none: as in training.",
    ),
]
Layer = Annotated[
    Literal["latent", "encoder"],
    typer.Option("--layer", help="The latent, or the encoder's state before it."),
]
Dimensions = Annotated[
    int | None,
    typer.Option(
        "--dimensions", min=1, metavar="K", help="Keep the first K dimensions of each vector."
    ),
]
Normalize = Annotated[bool, typer.Option("--normalize", help="Give each vector the length 1.")]
Sentence = Annotated[str, typer.Argument(callback=valid_text, help="A sentence.")]
Towards = Annotated[
    Path | None,
    typer.Option(
        "--towards",
        parser=home_path,
        metavar="FILE",
        help="Direction of an attribute, from textvae attribute --save.",
    ),
]
FittedPrior = Annotated[
    bool, typer.Option("--prior", help="Use the fitted prior, from textvae prior --fit.")
]
ImportanceSamples = Annotated[
    int, typer.Option("--samples", min=1, metavar="K", help="Importance samples per sentence.")
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, metavar="N", help="Evaluate a fixed subset of N, by a hash of the text."
    ),
]
Truncate = Annotated[
    bool,
    typer.Option(
        "--truncate", help="Truncate sentences that are too long; otherwise they are an error."
    ),
]
QualitySamples = Annotated[
    int | None,
    typer.Option("--quality", min=1, metavar="N", help="Judge N samples from the prior too."),
]
ScorerModel = Annotated[
    str | None,
    typer.Option(
        "--scorer",
        metavar="LM_DIR",
        help="Language model of the training set, to judge samples and paths.",
    ),
]
DivergenceEncoder = Annotated[
    str | None,
    typer.Option(
        "--divergence-encoder",
        metavar="MODEL",
        help="Model whose vectors compare samples with real sentences.",
    ),
]
Fit = Annotated[
    str | None,
    typer.Option(
        "--fit",
        metavar="FILE",
        help="Text to fit the codes of the latent to; none: the training text of MODEL.",
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--out", parser=home_path, metavar="FILE", help="Write the report to this file, as JSON."
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", parser=home_path, metavar="FILE.toml", help="Configuration file."),
]

# Listed for the help of commands; a test compares them with the files, which pydantic reads.
RECIPES = (
    "default",
    "small",
    "few",
    "large",
    "gpu",
    "vectors",
    "pretrained",
    "pretrained-decoder",
    "bowman2016",
    "fu2019-cyclical",
    "he2019-yahoo",
    "li2019-ae-fb",
    "zhu2020-bn",
    "shen2020-daae",
)
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME",
        autocompletion=lambda: list(RECIPES),
        help=f"Settings that come with textvae: {', '.join(RECIPES)}.",
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="Set any configuration key; may repeat."
    ),
]
