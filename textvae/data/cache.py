"""The folder of encoded corpora and trained tokenizers, each under its fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path

from textvae.errors import DataError
from textvae.files.atomic import half_written

_FOLDERS = ("corpora", "tokenizers")
_NAMES = r"[0-9a-f]{32}\.(arrow|json)"


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """`cache_dir`, else the environment's TEXTVAE_CACHE, else ~/.cache/textvae; made if missing.

    Raises:
        DataError: it cannot be made.
    """
    chosen = cache_dir or os.environ.get("TEXTVAE_CACHE") or Path("~", ".cache", "textvae")
    try:
        folder = Path(chosen).expanduser()
    except RuntimeError:  # a user without a home, as in a container
        raise DataError(
            f"{chosen}: there is no such home folder; name a cache folder by TEXTVAE_CACHE or "
            "data.cache_dir"
        ) from None
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be the cache folder: {error.strerror}") from None
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{folder}: cannot be the cache folder: {error}") from None
    return folder


def holds_cache(path: Path, cache_dir: str | Path | None = None) -> bool:
    """Whether a folder is one of the cache's, or has the cache in it."""
    cache, place = cache_folder(cache_dir).resolve(), path.resolve()
    return cache.is_relative_to(place) or place in [cache / name for name in _FOLDERS]


def clear_cache(cache_dir: str | Path | None = None) -> int:
    """Removes what textvae put into the cache folder, and nothing else; the bytes freed."""
    freed = 0
    for folder in (cache_folder(cache_dir) / name for name in _FOLDERS):
        whole = [path for path in folder.iterdir() if re.fullmatch(_NAMES, path.name)]
        for path in (*whole, *half_written(folder, _NAMES)):
            with suppress(FileNotFoundError):  # another process has just finished with it
                freed += path.stat().st_size
                path.unlink()
    return freed


def fingerprint(*parts: object) -> str:
    """A digest of values that JSON can write."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
