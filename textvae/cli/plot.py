"""`textvae plot`: pictures of a training and of a latent, a command for each kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from textvae.cli import options
from textvae.cli.output import Output
from textvae.cli.reports import whatever_happens
from textvae.errors import UsageError, shown
from textvae.files.home import home_path

if TYPE_CHECKING:
    from textvae.plots import Picture

CURVES_EXAMPLES = (
    "textvae plot curves runs/mine --out curves.svg",
    "textvae plot curves runs/a runs/b --by minutes --out curves.png",
)
KL_EXAMPLES = ("textvae plot kl runs/mine test.txt --out kl.svg",)
MAP_EXAMPLES = (
    "textvae plot map runs/mine reviews.tsv --out map.html",
    "textvae plot map runs/mine sentences.txt -k 8 --method tsne --out map.png",
)
PATH_EXAMPLES = (
    'textvae plot path runs/mine test.txt "the soup was cold ." "she went home ." --out path.svg',
)
RATE_EXAMPLES = (
    "textvae plot rate-distortion runs/mine --on test.txt --out rate.svg",
    "textvae plot rate-distortion runs/vae runs/ae --on test.txt --limit 1000 --out rate.png",
)


class KindFirst(TyperGroup):
    """A group that explains the order of its words to whoever names the model first."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        kinds = self.list_commands(ctx)
        if args and args[0] not in kinds and args[1:2] and args[1] in kinds:
            raise UsageError(
                f"plot {shown(args[0])} {args[1]}: the kind of picture comes first: "
                f"textvae plot {args[1]} MODEL"
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=KindFirst, rich_markup_mode=None)

Out = Annotated[
    Path,
    typer.Option(
        "--out", parser=home_path, metavar="X", help="The picture: .svg, .png, .pdf or .html."
    ),
]
File = Annotated[str, typer.Argument(metavar="FILE", help="Sentences; `-`: stdin.")]
Method = Annotated[
    Literal["pca", "tsne", "umap"],
    typer.Option(
        "--method", help="Principal components, or with the extra of that name t-SNE or UMAP."
    ),
]
MapLimit = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, metavar="N", help="Draw a fixed subset of N, by a hash of the text."
    ),
]


@app.callback(invoke_without_command=True)
def plot(context: typer.Context) -> None:
    """Draw a picture of a training or of a latent.

    The format follows from the ending of the file. A page (.html) stands alone and shows the
    sentence of a point under the mouse.
    """
    options.help_without_command(context)


@app.command("curves", epilog=options.examples(CURVES_EXAMPLES))
def curves(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Folders of training runs.")],
    out: Out,
    by: Annotated[
        Literal["step", "epoch", "minutes"], typer.Option("--by", help="The horizontal axis.")
    ] = "step",
    quiet: options.Quiet = False,
) -> None:
    """Draw the curves of one or more trainings.

    Reconstruction, KL, bound, z_gain, KL weight and learning rate, as far as a model has them. Thin
    lines are means over training steps, markers are evaluations of the validation text, and a ring
    is the saved model. A training that still runs can be drawn, too.
    """
    from textvae.plots import training_curves
    from textvae.plots.files import check_picture

    check_picture(out)
    save(training_curves([home_path(model) for model in models], by=by), out, Output(quiet=quiet))


@app.command("kl", epilog=options.examples(KL_EXAMPLES))
def kl(
    model: options.Model,
    file: File,
    out: Out,
    text_column: options.TextColumn = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw the KL of each unit of the latent, the largest first.

    Units whose posterior mean hardly varies over the sentences are inactive and hatched (Burda
    2016). `--json` prints the figures, too. Blank lines are skipped.
    """
    from textvae.plots import unit_kl
    from textvae.plots.files import check_picture

    check_picture(out, file)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching

    vae = load_encoder(model, device, "measure units")
    output.note_typing(file)
    with watching(output) as watcher:
        found = vae.unit_kl(file, name=model, text_column=text_column, watcher=watcher)
    finish(unit_kl(found), found.to_dict(), out, output)


@app.command("map", epilog=options.examples(MAP_EXAMPLES))
def sentence_map(
    model: options.Model,
    file: File,
    out: Out,
    method: Method = "pca",
    k: Annotated[
        int | None,
        typer.Option(
            "-k", min=1, metavar="K", help="Colour by K clusters of k-means; none: by label."
        ),
    ] = None,
    limit: MapLimit = 5_000,
    layer: options.Layer = "latent",
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw a map of sentences, coloured by label or by cluster.

    Up to 12 groups have a colour and a marker each; of more, the smallest are grey. On maps by
    t-SNE and UMAP neighbours stand together, but distances between groups mean little. `--json`
    prints the points, too. A blank line counts as the empty sentence.
    """
    from textvae.plots import sentence_map
    from textvae.plots.files import check_picture

    check_picture(out, file)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching
    from textvae.latent.projection import check_method

    check_method(method)
    vae = load_encoder(model, device, "draw a map")
    output.note_typing(file)
    with watching(output) as watcher:
        found = vae.sentence_map(
            file,
            name=model,
            method=method,
            k=k,
            limit=limit,
            layer=layer,
            text_column=text_column,
            label_column=label_column,
            seed=seed,
            watcher=watcher,
        )
    finish(sentence_map(found), found.to_dict(), out, output)


@app.command("path", epilog=options.examples(PATH_EXAMPLES))
def path(
    model: options.Model,
    file: File,
    a: options.Sentence,
    b: options.Sentence,
    out: Out,
    steps: Annotated[
        int, typer.Option("--steps", min=2, max=12, metavar="N", help="Points, both ends included.")
    ] = 7,
    form: Annotated[
        Literal["linear", "slerp"], typer.Option("--path", help="The path between the codes.")
    ] = "slerp",
    spacing: Annotated[
        Literal["text", "latent"],
        typer.Option(
            "--spacing", help="Take points whose sentences change evenly, or equidistant points."
        ),
    ] = "text",
    method: Method = "pca",
    limit: MapLimit = 5_000,
    text_column: options.TextColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw the path from sentence A to sentence B on a map of FILE.

    The sentences that the numbered points decode to are written beside the map.
    """
    from textvae.plots import path_on_map
    from textvae.plots.files import check_picture

    check_picture(out, file)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching
    from textvae.latent.projection import check_method

    check_method(method)
    vae = load_encoder(model, device, "draw a path")
    output.note_typing(file)
    with watching(output) as watcher:
        found = vae.path_on_map(
            file,
            a,
            b,
            steps,
            name=model,
            path=form,
            spacing=spacing,
            method=method,
            limit=limit,
            text_column=text_column,
            seed=seed,
            watcher=watcher,
        )
    finish(path_on_map(found), found.to_dict(), out, output)


@app.command("rate-distortion", epilog=options.examples(RATE_EXAMPLES))
def rate_distortion(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Models with a latent.")],
    on: Annotated[str, typer.Option("--on", metavar="FILE", help="Test sentences; `-`: stdin.")],
    out: Out,
    fit: options.Fit = None,
    limit: options.Limit = None,
    truncate: options.Truncate = False,
    text_column: options.TextColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw the bits of a sentence's quantized latent against what is decoded from the bits.

    The figures are those of `evaluate --compression`.
    """
    from textvae.plots import compression
    from textvae.plots.files import check_picture

    check_picture(out, on)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.compressing import rate_distortions
    from textvae.api.loading import load_encoders
    from textvae.cli.progress import watching

    loaded = load_encoders(models, device, "measure bits of a latent")
    output.note_typing(on)
    with watching(output) as watcher:
        found = rate_distortions(
            loaded,
            on,
            fit=fit,
            limit=limit,
            truncate=truncate,
            text_column=text_column,
            seed=seed,
            watcher=watcher,
        )
    report = {"models": [one.to_dict() for one in found]}
    finish(compression(found), report, out, output)


def finish(picture: Picture, report: dict[str, Any], out: Path, output: Output) -> None:
    """Write the picture, and print the figures in it with --json."""
    with whatever_happens() as afterwards:
        if output.as_json:
            afterwards(output.report, report)
        save(picture, out, output)


def save(picture: Picture, out: Path, output: Output) -> None:
    """Write the picture, and say where it is."""
    picture.save(out, warn=output.warn)
    output.note(f"the picture is in {out}")
