"""Reading untrusted files: only inside their folder, with limits on length and nesting.

Invalid content raises ValueError; the caller adds the file name to the message.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from textvae.errors import shown

MOST_BYTES = 8 << 20  # of a configuration; enough for the names of 100,000 training files
MOST_DEPTH = 16  # nested lists and objects
MOST_REASON = 300  # characters of another library's message
MOST_READ = 4 * MOST_REASON  # characters of which a message is put together
LONGEST_NAME = 80  # characters of a name that a message shows without quotes

# tomllib takes time quadratic in the parts of a key: 20,000 parts, in 40 kB, take a minute.
_LONG_KEY = re.compile(r"""(?:\.[ \t]*+(?:[\w-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')[ \t]*+){32}""")


def inside(folder: Path, name: str) -> Path:
    """The path of the file `name` in a folder, whether or not the file exists.

    Raises:
        ValueError: `name` is not a plain file name, or is a link that leads out of the folder. In
            the cache of the Hugging Face hub, links from a snapshot to the blobs of the same
            repository are allowed.
    """
    if name in ("", ".", "..") or os.path.basename(name) != name:
        raise ValueError(f"{name!r} is not a plain file name")
    root, real = Path(os.path.realpath(folder)), Path(os.path.realpath(folder / name))
    cached = [parent.parent / "blobs" for parent in root.parents if parent.name == "snapshots"]
    if not any(real.is_relative_to(place) for place in (root, *cached)):
        raise ValueError(f"{name} is a link that leads out of the folder")
    return folder / name


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a file of at most `most` bytes.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is longer, or is not UTF-8.
    """
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"longer than {most:,} bytes")
    return content.decode("utf-8")


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or has duplicate names in an object.
    """
    try:
        value = json.loads(text, object_pairs_hook=without_doubles)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(f"nested more than {MOST_DEPTH} levels deep")
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
        ]
    return value


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without duplicate names; an `object_pairs_hook` for `json.loads`.

    Raises:
        ValueError: a name occurs twice.
    """
    record = dict(pairs)
    if len(record) != len(pairs):
        seen: set[str] = set()
        double = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"duplicate name {shown(double)} in an object")
    return record


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: the text is not TOML, is nested too deeply, or has a key of more than 32 parts.
    """
    if _LONG_KEY.search(text):
        raise ValueError("a key has more than 32 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def shown_name(name: str) -> str:
    """An untrusted name for a message, quoted and truncated unless it is short and printable."""
    return name if name.isprintable() and len(name) <= LONGEST_NAME else shown(name)


def reason(error: BaseException) -> str:
    """The first line of another library's error message, truncated: it may quote a whole file.

    A line that ends with a colon continues in the next line.

    >>> reason(ValueError("Error in field 'size':\\n    TypeError: expected int\\nmore"))
    "Error in field 'size': TypeError: expected int"
    """
    said: list[str] = []
    for line in filter(None, map(str.strip, str(error)[:MOST_READ].splitlines())):
        said.append(line)
        if not line.endswith(":"):
            break
    return " ".join(said)[:MOST_REASON] or type(error).__name__
