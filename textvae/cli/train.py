"""`textvae train`: sentences in, a model folder out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.config_options import accepts_configuration
from textvae.cli.output import Output
from textvae.errors import NotFoundError, UsageError
from textvae.files.home import home_path
from textvae.files.names import EXPERIMENT_FILE

if TYPE_CHECKING:
    from textvae.config import Config

EXAMPLES = (
    "textvae train sentences.txt --out runs/mine --max-minutes 5",
    "textvae train 'part-*.txt' --valid held-out.txt --out runs/mine --epochs 10",
    "textvae train sentences.txt --out runs/mine --recipe small",
    "textvae train --out runs/mine --resume",
)


@accepts_configuration
def train(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TRAIN",
            help="Files, globs, `-` for stdin (a sentence a line), or "
            "hf:NAME[@REVISION][:CONFIG[:SPLIT]].",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=home_path, metavar="DIR", help="Folder for the model. Required."
        ),
    ] = None,
    recipe: options.Recipe = None,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the run in DIR, with its own TRAIN and options."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the model in DIR, then train.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what training would cost, and stop.")
    ] = False,
    plot: Annotated[
        bool,
        typer.Option(
            "--plot", help="Draw curves.svg in DIR at each evaluation; --resume needs it again."
        ),
    ] = False,
    quiet: options.Quiet = False,
    **settings: Any,
) -> None:
    """Train a model on a file of sentences, one a line.

    The checkpoint with the best validation becomes the model. Use --set for configuration keys that
    have no option; `textvae config show` lists all keys. Order of precedence, lowest first: recipe,
    configuration file, options and --set.
    """
    if out is None and not dry_run:
        raise UsageError("--out DIR is missing; name the folder for the model")
    if resume and out is None:
        raise UsageError("--resume needs --out DIR, the folder of the run")
    if resume and overwrite:
        raise UsageError("--resume and --overwrite contradict each other; choose one")
    if resume and recipe is not None and config is None:
        raise UsageError(
            f"--recipe {recipe} with --resume: a resumed run keeps its own settings; leave it out"
        )
    base = config if config is not None or out is None or not resume else own_configuration(out)
    if texts:
        settings["train"] = texts
    check_alternatives(settings)
    from textvae.config import Config

    output = Output(quiet=quiet)
    resolved = Config.resolve(
        recipe=recipe,
        file=base,
        options=settings,
        assignments=assignments or (),
        note=output.note,
    )
    if not resolved.data.train:
        raise UsageError("TRAIN is missing; name a file of sentences, or `-` for stdin")
    warn_of_unused(resolved, settings, assignments or (), output)
    if dry_run:
        print_plan(resolved, output)
    elif out is not None:
        run_training(resolved, out, output, resume=resume, overwrite=overwrite, plot=plot)


def check_alternatives(settings: Mapping[str, Any]) -> None:
    """Raise UsageError if --target-kl is given with an option that it replaces."""
    from textvae.config import WITHOUT_TARGET

    given = [name for name in WITHOUT_TARGET if settings.get(name) is not None]
    if settings.get("target_kl") is not None and given:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"--target-kl sets the weight of the KL itself; leave out {flags}")


def warn_of_unused(
    config: Config, settings: Mapping[str, Any], assignments: Iterable[str], output: Output
) -> None:
    """Warn of a size of the latent that was asked for where the model has no latent."""
    assigned = [text.partition("=")[0].strip() for text in assignments]
    given = settings.get("latent_size") is not None or "model.latent_size" in assigned
    if given and config.model.model == "lm":
        output.warn("--latent-size does not apply to --model lm, which has no latent")


def own_configuration(folder: Path) -> Path:
    """The resolved configuration of the run that `folder` holds."""
    path = folder / EXPERIMENT_FILE
    if not path.is_file():
        raise NotFoundError(f"--resume: {folder} is not a run; it has no {path.name}")
    return path


def print_plan(config: Config, output: Output) -> None:
    """Print parameters, tokens per epoch, and expected memory and time."""
    from textvae.api import plan
    from textvae.cli.progress import watching

    with watching(output) as watcher:
        figures = plan(config, watcher=watcher)
    output.report(dict(in_seconds(*figure) for figure in figures.items()))


def in_seconds(key: str, value: Any) -> tuple[str, Any]:
    """A figure of the plan; minutes below one as seconds, under a key of that name.

    >>> in_seconds("minutes_per_epoch", 0.05), in_seconds("minutes", 1.5)
    (('seconds_per_epoch', 3.0), ('minutes', 1.5))
    """
    if key.startswith("minutes") and value < 1:
        return key.replace("minutes", "seconds"), round(60 * value, 2)
    return key, value


def run_training(
    config: Config, out: Path, output: Output, *, resume: bool, overwrite: bool, plot: bool
) -> None:
    """Train in `out` with progress on stderr, then suggest commands."""
    from textvae import api
    from textvae.cli.progress import training_reporter

    reporter = training_reporter(output)
    if plot:
        from textvae.plots import CurvesReporter

        reporter = CurvesReporter(out, reporter)
    try:
        api.train(config, out, reporter=reporter, resume=resume, overwrite=overwrite)
    finally:
        reporter.close()
    name = shlex.quote(str(out))
    output.note(f"the model is in {out}")
    if resume:  # whoever resumes a run knows the way on
        return
    output.note(f"try: textvae generate {name} -n 5")
    if config.model.model != "lm":
        output.note(f'     textvae interpolate {name} "one sentence" "another one"')
