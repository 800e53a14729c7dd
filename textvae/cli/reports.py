"""Reports in files, written even where something else fails at the end of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from textvae.cli.output import to_json
from textvae.files.atomic import replacing


@contextmanager
def whatever_happens() -> Iterator[Callable[..., Any]]:
    """A function that takes calls to make at the end, even where another call or the body fails.

    So the work of hours is printed if the file cannot be written, and written if printing fails.
    """
    with ExitStack() as stack:
        yield stack.callback


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write a report into a file, completely or not at all."""
    with replacing(path) as stream:
        # A name that is not UTF-8 holds halves of surrogate pairs, which JSON writes as escapes.
        stream.write(to_json(report).encode(errors="backslashreplace") + b"\n")
