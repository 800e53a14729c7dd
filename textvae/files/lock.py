"""A lock for each folder, so that one process writes to it; the lock ends with the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from textvae.errors import UsageError, flag
from textvae.files.atomic import naming
from textvae.files.untrusted import inside

LOCK_FILE = ".lock"


@contextmanager
def sole_use(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a folder; the folder is created if missing.

    The system releases the lock when the process ends, even by a crash, so a lock file that stays
    behind has no meaning.

    Args:
        folder: the folder to lock.
        doing: what holders of the lock do, for the message, e.g. "training into".

    Raises:
        UsageError: another process holds the lock, or the lock file is not usable, see `_place`.
        OSError: the folder is not writable, or its file system does not support locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(_place(folder), "a+b") as file:
        with naming(folder):
            locked = _lock(file.fileno())
        # A process that has just finished may have removed the file that was opened here.
        if not locked or not _same_file(file):
            raise UsageError(
                f"another process is {doing} {folder}; wait for it, or choose another {flag('out')}"
            )
        yield


def sole_training(out: Path) -> AbstractContextManager[None]:
    """Hold the lock of a run's folder, see `sole_use`."""
    return sole_use(out, "training into")


def check_not_training(out: Path) -> None:
    """Raise UsageError if another process is training into `out`, or its lock is not usable."""
    if _place(out).is_file():
        with sole_training(out):
            pass


def _place(folder: Path) -> Path:
    """The path of a folder's lock file, whether or not the file exists.

    Raises:
        UsageError: the path is a link that leads out of the folder, or is not a regular file.
    """
    try:
        place = inside(folder, LOCK_FILE)
    except ValueError as error:
        raise UsageError(f"{folder}: {error}; remove it") from None
    if place.exists() and not place.is_file():
        raise UsageError(f"{place} is not a regular file; remove it")
    return place


def _lock(descriptor: int) -> bool:
    """Lock an open file without waiting; False if another process holds the lock."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on Windows
        return False
    return True


def _same_file(file: IO[bytes]) -> bool:
    """True if the name of an open file still refers to that file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(file.name))
    except FileNotFoundError:
        return False
