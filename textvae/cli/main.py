"""The application `textvae`: its commands, and how errors become exit codes."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.main import get_command

from textvae import __version__
from textvae.cli import (
    analogy,
    attribute,
    augment,
    classify,
    cluster,
    compare,
    compress,
    config,
    decompress,
    embed,
    evaluate,
    generate,
    info,
    interpolate,
    neighbors,
    options,
    paraphrase,
    plot,
    prior,
    probe,
    reconstruct,
    score,
    summarize,
    train,
    traverse,
)
from textvae.cli.config_options import ConfigurableCommand
from textvae.cli.output import (
    ReaderGone,
    discard,
    lost_data,
    one_line,
    prepare_streams,
    say,
    settle_stdout,
)
from textvae.errors import InterruptedRun, TextVAEError, for_command_line
from textvae.progress.bars import no_bars_inside
from textvae.signals import exit_when_asked

USAGE = 2
UNEXPECTED = 1
INTERRUPTED = 130
ENDED_BY_SIGNAL = (129, INTERRUPTED, 143)  # SIGHUP, SIGINT, SIGTERM
ADVICE = (
    ((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room there, then run the command again"),
    ((errno.EROFS, errno.EACCES, errno.EPERM), "check the permissions, or choose another place"),
)
# In the RuntimeError of torch, for the CPU and for a GPU.
NO_MEMORY = re.compile(r"can't allocate memory|out of memory")

app = typer.Typer(
    name="textvae",
    # Rich help costs start-up time and does not fit narrow terminals.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "terminal_width": options.help_width(),
    },
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"textvae {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def textvae(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    quiet: options.GlobalQuiet = False,
) -> None:
    """Train sentence VAEs on your own text, sample from them and measure them.

    Data goes to stdout, everything else to stderr. TEXTVAE_DEBUG=1 shows the traceback of an error.
    """
    options.help_without_command(context)


COMMANDS = (
    train, generate, interpolate, reconstruct, analogy, attribute, traverse, summarize, neighbors,
    paraphrase, augment, score, embed, probe, classify, cluster, prior, evaluate, compare, compress,
    decompress, info,
)  # fmt: skip
for module in COMMANDS:
    name = module.__name__.rpartition(".")[2]
    kind = ConfigurableCommand if module is train else None
    app.command(name, cls=kind, epilog=options.examples(module.EXAMPLES))(getattr(module, name))
app.add_typer(plot.app, name="plot")
app.add_typer(config.app, name="config")


def main() -> NoReturn:
    """Run the command line on `sys.argv`."""
    exit_when_asked()
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code of `textvae ARGUMENTS`; None: the arguments in `sys.argv`."""
    prepare_streams()
    with for_command_line():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        with no_bars_inside():  # commands have their own
            result = get_command(app).main(
                arguments if arguments is None else list(arguments),
                prog_name="textvae",
                standalone_mode=False,
            )
        flush_data()
    except SystemExit as exit_:  # SIGTERM, SIGHUP and shell completion leave this way
        if isinstance(exit_.__context__, BrokenPipeError):  # typer's own: exit 1
            return report_error(exit_.__context__)
        result = exit_.code
    except (Exception, KeyboardInterrupt) as error:
        return report_error(error)
    # Without standalone mode, typer returns the code of its own exits: --help, and Ctrl-C as 130.
    if result in ENDED_BY_SIGNAL:
        settle_stdout()
        say("textvae: interrupted")
    return result if isinstance(result, int) else 0


def flush_data() -> None:
    """Write the buffered data while an error can still be reported."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise lost_data(error) from None


def report_error(error: BaseException) -> int:
    """The exit code for `error`; prints one line about it on stderr."""
    if isinstance(error, ReaderGone | BrokenPipeError):
        discard(sys.stdout)
        return 0
    settle_stdout()
    if isinstance(error, KeyboardInterrupt):
        say("textvae: interrupted")
        return INTERRUPTED
    if os.environ.get("TEXTVAE_DEBUG", "0") not in ("", "0"):
        import traceback

        say("".join(traceback.format_exception(error)).rstrip("\n"))
    if isinstance(error, TextVAEError):
        what = "" if isinstance(error, InterruptedRun) else "error: "  # a person asked for it
        say(f"textvae: {what}{one_line(str(error))}")
        return error.exit_code
    if isinstance(error, typer.TyperException):
        say(f"textvae: error: {_usage_message(error)}")
        return USAGE
    if isinstance(error, OSError) and error.strerror is not None:
        where = "" if error.filename is None else f"{error.filename}: "
        advice = [text for numbers, text in ADVICE if error.errno in numbers]
        advice = getattr(error, "__notes__", advice)  # who raised it knows better
        say(f"textvae: error: {one_line('; '.join([f'{where}{error.strerror}', *advice]))}")
        return UNEXPECTED
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        what = str(error).partition("\n")[0] or "none is left"
        say(
            f"textvae: error: not enough memory: {one_line(what)}; try a smaller model, smaller "
            "batches or less at a time"
        )
        return UNEXPECTED
    say(
        f"textvae: unexpected error: {type(error).__name__}: {' '.join(str(error).split())} "
        "(set TEXTVAE_DEBUG=1 for the traceback)"
    )
    return UNEXPECTED


def _usage_message(error: typer.TyperException) -> str:
    # Messages of pydantic are reworded to read like the others.
    message = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; try '{context.command_path} --help'" if context else message
