"""Files that a command writes: beside their place first, then renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from textvae.errors import NotFoundError


def check_folder(path: Path, option: str = "--out") -> None:
    """Raise now what would else be noticed after all the work.

    Raises:
        NotFoundError: the folder of `path` does not exist.
    """
    if not path.parent.is_dir():
        raise NotFoundError(f"{option} {path}: there is no folder {path.parent}")


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
