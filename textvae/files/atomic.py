"""Atomic writes: a file is written to a temporary name in the same folder, then renamed."""

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
    """A new file that replaces `path` when the block ends; an error leaves `path` unchanged.

    The data is flushed to disk before the rename, in case of a power failure. With `follow`, a
    symbolic link stays and its target is replaced. Without, the link itself is replaced, as in a
    model folder, where no link may lead outside. Devices and pipes are written to directly.

    Raises:
        OSError: the file cannot be written; the error names `path`.
    """
    with naming(path):
        if follow and path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        place = Path(os.path.realpath(path)) if follow else path
        # Random, so that no other process, thread or machine picks the same name.
        beside = place.with_name(f".{place.name}.{secrets.randbelow(10**12)}.part")
        try:
            beside.unlink(missing_ok=True)  # left by a crash, or a link to somewhere else
            with beside.open("xb") as file:
                yield file
                flush(file)
            os.replace(beside, place)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)


def half_written(folder: Path, names: str) -> Iterator[Path]:
    """The temporary files of `replacing`, unfinished or left by a crash, for matching names."""
    pattern = re.compile(rf"\.(?:{names})\.\d+\.part")
    return (path for path in folder.glob(".*.part") if pattern.fullmatch(path.name))


def check_writable(folder: Path, path: Path) -> None:
    """Raise OSError, with the name of `path`, if no file can be created in `folder`."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def flush(file: IO[bytes]) -> None:
    """Flush an open file to disk."""
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """A block in which an OSError without a file name, or with a temporary one, names `path`."""
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None or ".part" in str(error.filename)
        if unnamed and error.strerror is not None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
