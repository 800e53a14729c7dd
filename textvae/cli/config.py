"""`textvae config`: show or check a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.config_options import ConfigurableCommand, accepts_configuration
from textvae.cli.output import Output
from textvae.files.home import home_path

SHOW_EXAMPLES = (
    "textvae config show --model lm --set training.patience=5 > experiment.toml",
    "textvae config show --recipe he2019-yahoo",
)
CHECK_EXAMPLES = ("textvae config check experiment.toml",)

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def config(context: typer.Context) -> None:
    """Show the resolved configuration, or check one."""
    options.help_without_command(context)


@app.command("show", cls=ConfigurableCommand, epilog=options.examples(SHOW_EXAMPLES))
@accepts_configuration
def show(
    recipe: options.Recipe = None,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    quiet: options.Quiet = False,
    **settings: Any,
) -> None:
    """Print the resolved configuration as TOML.

    These are the settings that `textvae train` uses with the same options; every key is listed.
    Order of precedence, lowest first: defaults, --recipe, --config, options and --set.
    """
    from textvae.config import Config

    output = Output(quiet=quiet)
    resolved = Config.resolve(
        recipe=recipe,
        file=config,
        options=settings,
        assignments=assignments or (),
        note=output.note,
    )
    output.text(resolved.to_toml(with_unset=True))


@app.command("check", epilog=options.examples(CHECK_EXAMPLES))
def check(
    file: Annotated[
        Path, typer.Argument(parser=home_path, metavar="FILE", help="A configuration in TOML.")
    ],
    recipe: options.Recipe = None,
    quiet: options.Quiet = False,
) -> None:
    """Check a configuration file, alone or on top of a recipe."""
    from textvae.config import Config

    Config.resolve(recipe=recipe, file=file)
    Output(quiet=quiet).note(f"{file} is valid")
