"""Files that are whole or not there: written beside their place, and then renamed."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing(path: Path, *, follow: bool = True) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` at the end; an error leaves `path` as it was.

    It is on the disk before it takes the place, in case the power fails. A link stays, what it
    leads to is replaced; a device or a pipe is written to as it is. Without `follow` the link
    itself is replaced, as in a folder of a model, which nothing leads out of.

    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    with naming(path):
        if follow and path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        place = Path(os.path.realpath(path)) if follow else path
        # A name that no other process, thread or machine takes at the same time.
        beside = place.with_name(f".{place.name}.{secrets.randbelow(10**12)}.part")
        try:
            beside.unlink(missing_ok=True)  # left by a crash, or a link that leads elsewhere
            with beside.open("xb") as file:
                yield file
                flush(file)
            os.replace(beside, place)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)


def half_written(folder: Path, names: str) -> Iterator[Path]:
    """What `replacing` has not finished, or a crash has left, of files that a pattern names."""
    pattern = re.compile(rf"\.(?:{names})\.\d+\.part")
    return (path for path in folder.glob(".*.part") if pattern.fullmatch(path.name))


def check_writable(folder: Path, path: Path) -> None:
    """Raise OSError, with the name of `path`, where no file can be made in `folder`."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def flush(file: IO[bytes]) -> None:
    """Have the system write to the disk what an open file holds."""
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of a full disk, a read-only folder and the like name `path`, which a user knows."""
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None or ".part" in str(error.filename)
        if unnamed and error.strerror is not None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
