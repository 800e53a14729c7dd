"""Input sources: files, globs, standard input and data sets, each with its format."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textvae.data.kinds import ENDINGS, KINDS
from textvae.errors import DataError, NotFoundError, shown

FORMATS = (".txt", ".csv", ".tsv", ".jsonl", ".json", ".parquet")
SAME_AS = {".tab": ".tsv", ".ndjson": ".jsonl", ".jsonlines": ".jsonl", ".pq": ".parquet"}
COMPRESSIONS = (".gz", ".xz", ".bz2", ".zst")
STDIN = "stdin"  # its name in errors


@dataclass(frozen=True)
class Source:
    """One input of rows: a file, standard input or a data set."""

    name: str  # as shown in errors
    format: str  # one of FORMATS, or "hf"
    compression: str = ""  # one of COMPRESSIONS, or nothing
    path: Path | None = None  # None: standard input, or a data set
    unknown: str = ""  # an ending that says no format: plain text, if it is text


def find_sources(specs: Sequence[str]) -> list[Source]:
    """The sources of file names, globs, `-` and `hf:` names, in the given order.

    Raises:
        NotFoundError: a file does not exist, or a glob matches nothing.
        DataError: a name is a folder, or a file is of a kind that is not read.
    """
    sources: list[Source] = []
    for spec in specs:
        if spec == "-":
            sources.append(Source(STDIN, ".txt"))
        elif spec.startswith("hf:"):
            sources.append(Source(spec, "hf"))
        else:
            sources += [_file_source(name) for name in _matching_files(spec)]
    return sources


def _matching_files(spec: str) -> list[str]:
    if os.path.exists(spec) or not glob.has_magic(spec):
        return [spec]
    found = sorted(glob.glob(spec, recursive=True))
    if not found:
        raise NotFoundError(f"{spec}: no file matches this pattern")
    return found


def _file_source(name: str) -> Source:
    path = Path(name)
    try:
        mode = os.stat(name).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a NUL in a name
        raise NotFoundError(f"{name}: no such file") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{name}: is a folder; name its files, for example '{path / '*.txt'}'")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    ending = suffixes[-1] if suffixes else ""  # none, such as /dev/stdin: one sentence per line
    if ending in ENDINGS:
        what, how = KINDS[ENDINGS[ending]]
        raise DataError(f"{name}: unknown format {shown(ending)}: {what}; {how}")
    format_ = SAME_AS.get(ending, ending)
    if format_ in FORMATS:
        return Source(name, format_, compression, path)
    return Source(name, ".txt", compression, path, unknown=ending)
