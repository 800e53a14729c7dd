"""`textvae prior`: a prior fitted to the posteriors of sentences, stored with the model."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.errors import NotFoundError, UsageError
from textvae.files.home import home_path

if TYPE_CHECKING:
    from textvae.api import FittedPrior, TextVAE

EXAMPLES = (
    "textvae prior runs/mine --fit mixture",
    "textvae prior runs/mine --fit flow --steps 4000 sentences.txt",
    "textvae prior runs/mine --fit spline",
    "textvae prior runs/mine --remove",
)


def prior(
    model: options.Model,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="Sentences for the fit; none: the training text; `-`: stdin.",
        ),
    ] = None,
    fit: Annotated[
        Literal["gaussian", "mixture", "flow", "spline"] | None,
        typer.Option("--fit", help="Kind of the prior."),
    ] = None,
    components: Annotated[
        int | None,
        typer.Option(
            "--components",
            min=1,
            max=1024,
            metavar="K",
            help="Gaussians of a mixture; default: by the density of held-out sentences.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            metavar="N",
            help="Training steps of a flow, at most so many of a spline; default: 2,000.",
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", min=100, metavar="N", help="Fit to at most N sentences."),
    ] = 50_000,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the fitted prior.")] = False,
    text_column: options.TextColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a better prior to a trained model, for `generate --prior` and `evaluate --prior`.

    The prior is fitted to samples of the posteriors of the training text and stored in the model's
    folder; the model itself does not change. A gaussian, a mixture and a spline (a neural spline
    flow, `pip install 'textvae[flows]'`) have a density, so that the likelihood can be measured
    with them. A flow (flow matching) has none, only samples.

    `log_density_gain` is how much the KL of held-out posteriors falls, in nats. `told_apart` is the
    share of samples that a classifier tells from held-out posteriors: 0.5 is the best. The same for
    the model's own prior is `told_apart_own`. Without --fit, the stored prior is described.
    """
    check_arguments(file, fit, remove)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching

    vae = load_encoder(model, device, "fit a prior")
    if fit is None:
        show_or_remove(vae, model, remove, output)
        return
    if not home_path(model).is_dir():
        raise UsageError(
            f"{model} is a model of the hub; copy the model into a folder to store a prior with it"
        )
    if file is not None:
        output.note_typing(file)
    with watching(output) as watcher:
        found = vae.fit_prior(
            fit,
            file,
            components=components,
            steps=steps,
            limit=limit,
            name=model,
            text_column=text_column,
            seed=seed,
            watcher=watcher,
        )
    stored_in = vae.store_prior(found)
    print_prior(found, model, output)
    output.note(f"prior in {stored_in}")
    output.note(f"try: {shlex.join(['textvae', 'generate', model, '--prior'])}")


def show_or_remove(vae: TextVAE, model: str, remove: bool, output: Output) -> None:
    """Describe the stored prior, or remove it.

    Raises:
        NotFoundError: there is none.
    """
    found = None if remove else vae.stored_prior(model)
    if not (vae.remove_prior() if remove else found):
        command = shlex.join(["textvae", "prior", model, "--fit", "mixture"])
        raise NotFoundError(f"{model} has no fitted prior; fit one with {command}")
    if found is None:
        output.note(f"removed the fitted prior of {model}")
    else:
        print_prior(found, model, output)


def print_prior(found: FittedPrior, model: str, output: Output) -> None:
    """Print the report on a fitted prior."""
    output.report({"model": model, **found.to_dict()})


def check_arguments(file: str | None, fit: str | None, remove: bool) -> None:
    """Raise UsageError where options contradict."""
    if remove and (fit is not None or file is not None):
        raise UsageError("--remove takes neither --fit nor FILE; leave out one")
    if file is not None and fit is None:
        raise UsageError(
            "FILE has the sentences for a fit; add --fit gaussian, mixture, flow or spline"
        )
