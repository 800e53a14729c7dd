"""Paths that begin with `~`: the home folder, also where no shell has put it in."""

from __future__ import annotations

import os
from pathlib import Path

from textvae.errors import UsageError, shown


def expand_home(path: str) -> str:
    """The path with the home folder in place of `~` or `~user` at its start.

    A file whose own name starts with `~` is reached as `./~name`.

    Raises:
        UsageError: there is no such user, or no home folder.
    """
    if not path.startswith("~"):
        return path
    try:
        found = os.path.expanduser(path)
    except ValueError:  # a NUL, or half of a surrogate pair
        found = path
    if found.startswith("~"):
        shown_path = path if path.isprintable() else shown(path)
        user = shown_path.split(os.sep)[0]
        raise UsageError(
            f"{shown_path}: no home folder {user}; for a file whose own name starts with ~, write "
            f"./{shown_path}"
        )
    return found


def home_path(path: str | os.PathLike[str]) -> Path:
    """The path as a `Path`, with `~` or `~user` at its start expanded.

    `Path("./~name")` equals `Path("~name")`, so an existing file of this name comes before a user.
    """
    if isinstance(path, str):
        return Path(expand_home(path))
    name = os.fspath(path)
    if name.split(os.sep)[0] != "~" and os.path.lexists(name):
        return Path(name)
    return Path(expand_home(name))
