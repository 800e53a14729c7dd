"""Files that a command writes: beside their place first, then renamed."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from textvae.errors import NotFoundError, UsageError


def check_folder(path: Path, *inputs: str, option: str = "--out") -> None:
    """Raise now what would else be noticed after all the work.

    Args:
        path: what will be written.
        inputs: names of files, or globs, that it must not take the place of.

    Raises:
        NotFoundError: the folder of `path` does not exist.
        UsageError: it is one of the inputs.
    """
    if not path.parent.is_dir():
        raise NotFoundError(f"{option} {path}: there is no folder {path.parent}")
    if path.exists() and any(path.samefile(name) for spec in inputs for name in existing(spec)):
        raise UsageError(
            f"{option} {path}: this is the input, which it would replace; name another file"
        )


def existing(spec: str) -> list[str]:
    """The files that a name or a glob stands for, as far as they exist."""
    if os.path.exists(spec):
        return [spec]
    return glob.glob(spec, recursive=True) if glob.has_magic(spec) else []


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` at the end; an error leaves `path` as it was."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            yield file
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
