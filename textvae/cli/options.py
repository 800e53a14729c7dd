"""Options that several commands share, and the options that set the configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_origin

import typer

from textvae.cli.output import say
from textvae.errors import UsageError, shown

Command = TypeVar("Command", bound=Callable[..., None])


def examples(lines: Sequence[str]) -> str:
    """The end of a command's help; the backspace keeps typer from re-wrapping the lines."""
    return "\b\n" + "\n".join(["Examples:" if len(lines) > 1 else "Example:", *lines])


def help_without_command(context: typer.Context) -> None:
    """Show the help on stderr and exit 2 where no command was given."""
    if context.invoked_subcommand is None:
        say(context.get_help())
        raise typer.Exit(2)


def _or_global_quiet(context: typer.Context, value: bool) -> bool:
    return value or bool(context.find_root().params.get("quiet"))


def valid_text(value: str | None) -> str | None:
    """`value`, a sentence from the command line, if it is one that can be encoded."""
    if value is None or value.isascii():
        return value
    try:
        # Bytes of the command line that the locale does not know arrive as lone surrogates.
        return value.encode(errors="surrogateescape").decode()
    except UnicodeError:
        raise UsageError(f"{shown(value)}: not valid UTF-8; write the sentence as UTF-8") from None


GlobalQuiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", callback=_or_global_quiet, help="Say nothing on stderr but errors."
    ),
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
    typer.Option("--seed", min=0, max=2**63 - 1, metavar="N", help="Seed of all that is random."),
]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", help="Column of the text; none: as in training.")
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Column of the label; none: `label`.")
]
Layer = Annotated[
    Literal["latent", "encoder"],
    typer.Option("--layer", help="The latent, or the encoder's state before it."),
]
Normalize = Annotated[bool, typer.Option("--normalize", help="Give each vector the length 1.")]
Sentence = Annotated[str, typer.Argument(callback=valid_text, help="A sentence.")]
ImportanceSamples = Annotated[
    int, typer.Option("--samples", min=1, metavar="K", help="Importance samples a sentence.")
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", help="A fixed subset, by a hash of the text."),
]
Truncate = Annotated[
    bool, typer.Option("--truncate", help="Cut sentences that are too long, instead of refusing.")
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
        help="An lm of the training set: a judge of what is written.",
    ),
]
ReportFile = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the report as JSON here.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE.toml", help="Configuration file.")
]

# Written out for the help, and a test compares them: `Config`, which knows them, imports pydantic.
RECIPES = (
    "default",
    "small",
    "large",
    "gpu",
    "vectors",
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


@dataclass(frozen=True)
class ConfigOption:
    """A command-line option that sets the configuration field of the same name.

    `values` is the type of its values. `default` is what the help shows; that of `Config` counts,
    and a test compares them (to read it here would import pydantic for each `--help`).
    """

    name: str
    values: Any
    default: Any
    help: str

    def parameter(self) -> inspect.Parameter:
        """The parameter that typer makes the option of; None, its default, means not given."""
        shown = "" if self.default in (None, ()) else f"  [default: {self.default}]"
        metavar = "TEXT" if get_origin(self.values) is list else None
        flag = f"--{self.name.replace('_', '-')}"
        option = typer.Option(flag, metavar=metavar, help=self.help + shown)
        annotation = Annotated[self.values | None, option]  # type: ignore[name-defined]
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
        )


Network = Literal["gru", "lstm", "transformer"]
Schedule = Literal["constant", "linear", "sigmoid", "cyclical"]
FreeBits = Literal["dimension", "total", "batch"]

CONFIG_OPTIONS = (
    ConfigOption("valid", list[str], (), "Validation text; may repeat. None: a split of TRAIN."),
    ConfigOption("text_column", str, None, "Column of the text; none: `text`."),
    ConfigOption("label_column", str, None, "Column of the label; none: `label`."),
    ConfigOption("max_tokens", int, 128, "Longest sentence in tokens, its end included."),
    ConfigOption("tokenizer", str, "bpe", "bpe, word, unigram, or a path to tokenizer.json."),
    ConfigOption("vocab_size", int, None, "Largest vocabulary; none: 4000, of words 20000."),
    ConfigOption("model", Literal["vae", "ae", "lm"], "vae", "VAE, autoencoder, or LM."),
    ConfigOption("encoder", Network, "gru", "What reads the sentence."),
    ConfigOption("decoder", Network, "gru", "What writes it."),
    ConfigOption("latent_size", int, 32, "Dimensions of the latent."),
    ConfigOption("hidden_size", int, 256, "Width of encoder and decoder."),
    ConfigOption("embedding_size", int, 128, "Width of the token embeddings."),
    ConfigOption("layers", int, 1, "Layers of the encoder and of the decoder."),
    ConfigOption("word_dropout", float, 0.0, "Share of the decoder's input tokens blanked."),
    ConfigOption("kl_schedule", Schedule, "linear", "How the weight of the KL rises."),
    ConfigOption("beta", float, 1.0, "Final weight of the KL."),
    ConfigOption("target_kl", float, None, "Nats of KL to hold, in place of the two above."),
    ConfigOption("free_bits", float, 0.2, "Nats of KL that cost nothing."),
    ConfigOption("free_bits_mode", FreeBits, "batch", "What the free bits are counted for."),
    ConfigOption("batch_size", int, 64, "Sentences a step."),
    ConfigOption("learning_rate", float, None, "Peak; none: by kind and width of the network."),
    ConfigOption("max_steps", int, None, "Stop after so many steps."),
    ConfigOption("max_minutes", float, None, "Stop after so many minutes."),
    ConfigOption("epochs", float, None, "Stop after so many passes over TRAIN."),
    ConfigOption("seed", int, 0, "Seed of all that is random."),
    ConfigOption("device", str, "auto", "auto, cpu, cuda, cuda:1, mps."),
    ConfigOption("precision", Literal["auto", "float32", "bf16"], "auto", "Of the arithmetic."),
    ConfigOption("threads", int, None, "CPU threads; none: torch decides."),
    ConfigOption("track", list[str], (), "Tracker, such as tensorboard; may repeat."),
    ConfigOption("keep", int, 2, "Checkpoints kept for --resume."),
)


def accepts_configuration(command: Command) -> Command:
    """`command(..., **options)` as a command with one parameter for each configuration option."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    shared = [option.parameter() for option in CONFIG_OPTIONS]
    command.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    return command
