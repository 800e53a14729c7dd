"""Files that a command writes: what would go wrong with them is told before the work."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from textvae.errors import NotFoundError, UsageError
from textvae.files.atomic import check_writable


def check_folder(path: Path, *inputs: str, option: str = "--out") -> None:
    """Raise now what would else be noticed after all the work.

    Args:
        path: what will be written.
        inputs: names of files, or globs, that it must not take the place of.

    Raises:
        NotFoundError: the folder of `path` does not exist.
        UsageError: it is one of the inputs, or a folder.
        OSError: nothing can be written there.
    """
    if not path.parent.is_dir():
        raise NotFoundError(f"{option} {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise UsageError(f"{option} {path}: this is a folder; name a file in it")
    if not path.exists() or path.is_file():  # and no device or pipe
        check_writable(Path(os.path.realpath(path)).parent, path)
    if path.exists() and any(path.samefile(name) for spec in inputs for name in existing(spec)):
        raise UsageError(
            f"{option} {path}: this is the input, which it would replace; name another file"
        )


def existing(spec: str) -> list[str]:
    """The files that a name or a glob stands for, as far as they exist."""
    if os.path.exists(spec):
        return [spec]
    return glob.glob(spec, recursive=True) if glob.has_magic(spec) else []
