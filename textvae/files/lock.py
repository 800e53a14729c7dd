"""One writer a folder: a lock that ends with the process that holds it, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from textvae.errors import UsageError
from textvae.files.atomic import naming
from textvae.files.untrusted import inside

LOCK_FILE = ".lock"


@contextmanager
def sole_use(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a folder, which is made where there is none.

    The system takes the lock back when the process ends, also by a crash, so the file that stays
    behind means nothing.

    Raises:
        UsageError: another process holds it, as it is `doing` what this one wants to do; or no
            lock of this folder can be had, see `_place`.
        OSError: the folder cannot be written into, or its file system has no locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(_place(folder), "a+b") as file:
        with naming(folder):
            locked = _lock(file.fileno())
        # One who has just finished may have removed the file that was opened here.
        if not locked or not _same_file(file):
            raise UsageError(
                f"another process is {doing} {folder}; wait for it, or choose another --out"
            )
        yield


def sole_training(out: Path) -> AbstractContextManager[None]:
    """Hold the lock of a run's folder."""
    return sole_use(out, "training into")


def check_not_training(out: Path) -> None:
    """Raise UsageError where another process trains into the folder, or its lock is none."""
    if _place(out).is_file():
        with sole_training(out):
            pass


def _place(folder: Path) -> Path:
    """Where the lock of a folder is, or will be.

    Raises:
        UsageError: a link that leads out of the folder stands there, or what is no file.
    """
    try:
        place = inside(folder, LOCK_FILE)
    except ValueError as error:
        raise UsageError(f"{folder}: {error}; remove it") from None
    if place.exists() and not place.is_file():
        raise UsageError(f"{place} is no file; remove it")
    return place


def _lock(descriptor: int) -> bool:
    """Lock an open file, at once; False where another process holds the lock."""
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
    """Whether an open file is still the one of its name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(file.name))
    except FileNotFoundError:
        return False
