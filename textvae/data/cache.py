"""The cache folder: encoded corpora, vectors and tokenizers, each named by its fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textvae.errors import DataError, UsageError
from textvae.files.atomic import half_written
from textvae.files.home import home_path

_FOLDERS = ("corpora", "tokenizers", "vectors")
_OTHER_PLACE = "the environment variable TEXTVAE_CACHE or the setting data.cache_dir"
_TREES = ("tables",)  # of folders, each named by its fingerprint
_TREE_NAMES = r"[0-9a-f]{32}"
_NAMES = r"[0-9a-f]{32}\.(arrow|json|npy)"


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """The cache folder: `cache_dir`, $TEXTVAE_CACHE or ~/.cache/textvae; created if missing.

    Raises:
        DataError: the folder cannot be created.
    """
    chosen = cache_dir or os.environ.get("TEXTVAE_CACHE") or Path("~", ".cache", "textvae")
    try:
        folder = home_path(chosen)
    except UsageError:  # a user without a home folder, as in a container
        raise DataError(
            f"{chosen}: no such home folder; name a cache folder with {_OTHER_PLACE}"
        ) from None
    try:
        for name in (*_FOLDERS, *_TREES):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot create the cache folder: {error.strerror}; name another one with "
            f"{_OTHER_PLACE}"
        ) from None
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{folder}: cannot create the cache folder: {error}") from None
    return folder


@contextmanager
def advising(folder: Path) -> Iterator[None]:
    """A block in which an OSError about a file in the cache folder says how to name another one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and folder in Path(os.fsdecode(error.filename)).parents:
            error.add_note(f"name another cache folder with {_OTHER_PLACE}")
        raise


def holds_cache(path: Path, cache_dir: str | Path | None = None) -> bool:
    """True if `path` is a folder of the cache, or contains the cache."""
    cache, place = cache_folder(cache_dir).resolve(), path.resolve()
    return cache.is_relative_to(place) or place in [cache / name for name in (*_FOLDERS, *_TREES)]


def clear_cache(cache_dir: str | Path | None = None) -> int:
    """The number of bytes freed by deleting the files that textvae wrote to the cache folder."""
    freed = 0
    for folder in (cache_folder(cache_dir) / name for name in _FOLDERS):
        whole = [path for path in folder.iterdir() if re.fullmatch(_NAMES, path.name)]
        for path in (*whole, *half_written(folder, _NAMES)):
            with suppress(FileNotFoundError):  # another process has just removed it
                freed += path.stat().st_size
                path.unlink()
    for folder in (cache_folder(cache_dir) / name for name in _TREES):
        for tree in [path for path in folder.iterdir() if re.fullmatch(_TREE_NAMES, path.name)]:
            freed += sum(path.stat().st_size for path in tree.iterdir())
            shutil.rmtree(tree)
    return freed


def fingerprint(*parts: object) -> str:
    """A hex digest of JSON values."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
