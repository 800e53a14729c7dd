"""Reading what a stranger may have written: inside its folder, no longer and no deeper than it has
reason to be. Whatever is wrong is a ValueError; its message leaves the naming of the file to the
caller.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from textvae.errors import shown

MOST_BYTES = 8 << 20  # of a configuration; names of 100,000 training files fit
MOST_DEPTH = 16  # lists and objects inside each other
MOST_REASON = 300  # characters of another library's message
LONGEST_NAME = 80  # characters of a name that stands there without quotes

# tomllib's time grows with the square of a key's parts: 20,000 of them, in 40 kB, take a minute.
_LONG_KEY = re.compile(r"""(?:\.[ \t]*+(?:[\w-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')[ \t]*+){32}""")


def inside(folder: Path, name: str) -> Path:
    """Where the file `name` of a folder is, whether or not it exists.

    Raises:
        ValueError: it is no plain name, or a link leads out of the folder. In the cache of the
            Hugging Face hub, links from a snapshot to the blobs of the same repository are whole.
    """
    if name in ("", ".", "..") or os.path.basename(name) != name:
        raise ValueError(f"{name!r} is not the name of a file in it")
    root, real = Path(os.path.realpath(folder)), Path(os.path.realpath(folder / name))
    cached = [parent.parent / "blobs" for parent in root.parents if parent.name == "snapshots"]
    if not any(real.is_relative_to(place) for place in (root, *cached)):
        raise ValueError(f"{name} is a link that leads out of the folder")
    return folder / name


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a file of at most so many bytes.

    Raises:
        OSError, ValueError: it cannot be read, is longer, or not UTF-8.
    """
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"longer than {most:,} bytes")
    return content.decode("utf-8")


def parse_json(text: str) -> Any:
    """A JSON value of bounded depth in which no name stands twice.

    Raises:
        ValueError: it is not.
    """
    try:
        value = json.loads(text, object_pairs_hook=without_doubles)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(f"nested more than {MOST_DEPTH} deep")
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
        ]
    return value


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, as the `object_pairs_hook` of json.

    Raises:
        ValueError: a name stands twice.
    """
    record = dict(pairs)
    if len(record) != len(pairs):
        seen: set[str] = set()
        double = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{shown(double)} stands twice in an object")
    return record


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of TOML whose keys have at most 32 parts.

    Raises:
        ValueError: it is none.
    """
    if _LONG_KEY.search(text):
        raise ValueError("a key has more than 32 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def shown_name(name: str) -> str:
    """A stranger's name as it stands, or quoted and cut where that would spoil a message."""
    return name if name.isprintable() and len(name) <= LONGEST_NAME else shown(name)


def reason(error: BaseException) -> str:
    """What another library says of an error, in one line; it may quote all of a stranger's file."""
    return str(error).partition("\n")[0][:MOST_REASON] or type(error).__name__
