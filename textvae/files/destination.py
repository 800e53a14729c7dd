"""Early checks on the files that a command will write, before it starts its work."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from textvae.errors import NotFoundError, UsageError, option
from textvae.files.atomic import check_writable
from textvae.files.home import expand_home


def check_folder(path: Path, *inputs: str, name: str = "out") -> None:
    """Raise now the errors that writing `path` would raise later.

    Args:
        path: the file to write.
        inputs: names of files, or globs, that `path` must not overwrite.
        name: of the option that names `path`.

    Raises:
        NotFoundError: the folder of `path` does not exist.
        UsageError: `path` is one of the inputs, or a folder.
        OSError: the folder is not writable.
    """
    given = option(name, path)
    if not path.parent.is_dir():
        raise NotFoundError(f"{given}: the folder {path.parent} does not exist; create it first")
    if path.is_dir():
        raise UsageError(f"{given}: this is a folder; name a file in it")
    if not path.exists() or path.is_file():  # not a device or a pipe
        check_writable(Path(os.path.realpath(path)).parent, path)
    if path.exists() and any(path.samefile(name) for spec in inputs for name in existing(spec)):
        raise UsageError(f"{given}: this would overwrite the input; choose another file")


def existing(spec: str) -> list[str]:
    """The existing files that a name or a glob matches."""
    spec = expand_home(spec)
    if os.path.exists(spec):
        return [spec]
    return glob.glob(spec, recursive=True) if glob.has_magic(spec) else []
