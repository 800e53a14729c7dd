"""What callers give as sentences: lists, iterators, columns and open files, but no tables."""

from __future__ import annotations

import glob
import itertools
import os
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from textvae.data.rows import Row, check_characters
from textvae.data.sources import COMPRESSIONS, FORMATS
from textvae.errors import DataError, UsageError, shown
from textvae.files.home import expand_home

_LISTED = 5  # columns named in a message
_ENDINGS = tuple(end + packed for end in FORMATS for packed in ("", *COMPRESSIONS))
_VARIABLE = {"DataFrame": "df", "LazyFrame": "df", "Dataset": "dataset", "Table": "table"}


def texts_of(given: object, name: str = "texts") -> list[str]:
    """The sentences that a caller gave; iterators and open files are read, once.

    Raises:
        UsageError: not a list, column or iterator of sentences: one string, a table, a mapping.
        DataError: an item is missing or not a string; the message says which.
    """
    items = list(items_of(given, name))
    _check_texts(items, given, name)
    return items


def texts_or_names(given: object, name: str) -> tuple[list[str | Row] | None, list[str] | None]:
    """(sentences, None) or (None, names of files) that a caller gave; see `file_names`.

    A sentence is a string, or a row with a label.

    Raises:
        UsageError, DataError: as `texts_of` and `file_names`.
    """
    items = list(items_of(given, name))
    names = file_names(items, name)
    if names is not None:
        return None, names
    _check_texts([_text_of(item) for item in items], given, name)
    return items, None


def _text_of(item: object) -> object:
    return item.text if isinstance(item, Row) else item


def _check_texts(items: list[Any], given: object, name: str) -> None:
    for place, item in enumerate(items):
        check_text(item, place_of(given, place, name))


def one_text(given: object, name: str) -> str:
    """The one sentence that a caller gave.

    Raises:
        UsageError: it is not a string.
    """
    if not isinstance(given, str):
        raise UsageError(f"{name} is {kind_of(given)}; expected one sentence, a string")
    check_text(given, name)
    return given


def items_of(given: object, name: str = "texts") -> Iterable[Any]:
    """The items of what a caller gave as sentences, not checked yet.

    Raises:
        UsageError: as `texts_of`.
    """
    if isinstance(given, str):
        raise UsageError(f"expected a list of sentences, got the string {shown(given)}; try [text]")
    _refuse_tables(given, name)
    if isinstance(given, bytes | bytearray | memoryview):
        raise UsageError(f"{name} is {kind_of(given)}, not text; decode it: [data.decode()]")
    if isinstance(given, set | frozenset):
        raise UsageError(f"{name} is a set, which has no order; give sorted({name})")
    if isinstance(given, types.GeneratorType) and given.gi_frame is None:
        raise UsageError(f"{name}: this generator was read to its end before; make a new one")
    if hasattr(given, "readline"):
        return _lines(given, name)
    if hasattr(given, "to_pylist"):  # an array of pyarrow, whose items are no strings
        return given.to_pylist()  # type: ignore[no-any-return]
    if len(getattr(given, "shape", (0,))) != 1:
        raise UsageError(_wrong_shape(given, name))
    try:
        return iter(given)  # type: ignore[call-overload, no-any-return]
    except TypeError:
        raise UsageError(f"{name} is {kind_of(given)}; expected a list of sentences") from None


def check_text(item: object, where: str) -> None:
    """Raise DataError unless the item is a string of Unicode characters."""
    if isinstance(item, str):
        check_characters(where, "text", item)
    elif is_missing(item):
        raise DataError(f"{where} is missing ({shown(item)}); drop it, or give '' in its place")
    elif isinstance(item, bytes):
        raise DataError(f"{where} is {shown(item)}, not a string; decode it: item.decode()")
    elif isinstance(item, Mapping):
        raise DataError(
            f"{where} is {kind_of(item)}, not a string; give one field of each: "
            f"[row[{_first_choice(list(item))}] for row in rows]"
        )
    else:
        raise DataError(f"{where} is {shown(item)}, {kind_of(item)}, not a string")


def is_missing(item: object) -> bool:
    """True for None, NaN, and the values that stand for nothing in pandas: NA and NaT."""
    if item is None or type(item).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(item, float) and item != item  # NaN alone differs from itself


def place_of(given: object, place: int, name: str = "texts") -> str:
    """The item at a place, as an expression: `texts[3]`, `texts.iloc[3]` of a Series."""
    return f"{name}.iloc[{place}]" if hasattr(given, "iloc") else f"{name}[{place}]"


def kind_of(value: object) -> str:
    """The type of a value with its article, for messages: `a DataFrame`, `an int`, `None`."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def file_names(items: list[Any], name: str = "texts") -> list[str] | None:
    """The names in a list of names of files, globs and data sets; None for a list of sentences.

    A list is one of names if each item is a `Path`, names an existing file, is a glob that matches
    one, or is a single word with the ending of a data file or the start `hf:`.

    Raises:
        UsageError: some items name existing data files, and others are sentences.
    """
    if not items:
        return None
    if all(map(_is_name, items)):
        return [expand_home(os.fspath(item)) for item in items]
    for item in items:
        if _is_data_file(item) and _is_file(item):
            raise UsageError(
                f"{name}: {shown(str(item))} names a file, but other items are sentences; give "
                "either names of files or sentences"
            )
    return None


def refuse_file_names(given: object, name: str = "texts") -> None:
    """Raise UsageError for a list of names of files, where sentences or one name are expected.

    Only single words with the ending of a data file count: any other word may be a sentence.
    """
    if not hasattr(given, "__getitem__") or isinstance(given, Mapping):
        return  # an iterator, whose items are read once
    items = list(itertools.islice(iter(given), 1000))  # type: ignore[call-overload]
    if items and all(map(_is_data_file, items)):
        raise UsageError(
            f"{name} is a list of names of files ({shown(str(items[0]))}); give the name of one "
            "file or a glob, as a string"
        )


def _is_data_file(item: object) -> bool:
    if isinstance(item, Path):
        return True
    if not isinstance(item, str) or not item.lower().endswith(_ENDINGS):
        return False
    return len(item.split()) == 1 or _is_file(item)


def _is_file(item: str | Path) -> bool:
    try:
        return os.path.isfile(os.path.expanduser(item))
    except ValueError:  # a NUL, or half of a surrogate pair
        return False


def _is_name(item: object) -> bool:
    if isinstance(item, Path):
        return True
    if not isinstance(item, str) or not item or "\n" in item:
        return False
    if len(item.split()) == 1 and (item.lower().endswith(_ENDINGS) or item.startswith("hf:")):
        return True
    if _is_file(item):
        return True
    try:
        return glob.has_magic(item) and bool(glob.glob(os.path.expanduser(item)))
    except ValueError:
        return False


def _refuse_tables(given: object, name: str) -> None:
    kind = type(given)
    if isinstance(given, Mapping):
        names = list(given)
        raise UsageError(
            f"{name} is {kind_of(given)} with the keys {_listing(names)}; give the sentences "
            f"under one key: {name}[{_first_choice(names)}]"
        )
    # Looked for in the class: reading them can be costly. pandas, polars, dask: columns;
    # datasets, pyarrow: column_names.
    attribute = next((a for a in ("column_names", "columns") if hasattr(kind, a)), None)
    if attribute is None and getattr(getattr(given, "dtype", None), "names", None):
        names = list(given.dtype.names)  # type: ignore[attr-defined]  # a structured array
    elif attribute is None:
        return
    else:
        found = getattr(given, attribute)
        names = [] if found is None or callable(found) else list(found)
    variable = _VARIABLE.get(kind.__name__, "table")
    raise UsageError(
        f"{name} is {kind_of(given)} with the columns {_listing(names)}; give one column: "
        f"{variable}[{_first_choice(names)}]"
    )


def _first_choice(names: list[Any]) -> str:
    """The column to recommend, as written in Python: `text` if there is one, else the first."""
    name = "text" if "text" in names or not names else names[0]
    return f'"{name}"' if isinstance(name, str) else repr(name)


def _listing(names: list[Any]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return (", ".join(map(str, names[:_LISTED])) or "none") + more


def _wrong_shape(given: Any, name: str) -> str:
    shape = tuple(given.shape)
    way = f"; give one column: {name}[:, 0]" if len(shape) == 2 else ""
    return f"{name} is {kind_of(given)} of shape {shape}; expected (N,), one row a sentence{way}"


def _lines(file: Any, name: str) -> Iterator[Any]:
    """The lines of an open text file, without their ends.

    Raises:
        UsageError: the file is closed, cannot be read, was read to its end before, or is binary.
        DataError: it is not text in its encoding.
    """
    where = f"{name} ({getattr(file, 'name', None) or 'a file'})"
    n = 0
    try:
        for n, line in enumerate(file, start=1):
            if not isinstance(line, str):
                raise UsageError(
                    f"{where} was opened in binary mode; open it as text: "
                    'open(path, encoding="utf-8")'
                )
            mark = "\ufeff" if n == 1 else ""  # as in files that are named
            yield line.removeprefix(mark).removesuffix("\n").removesuffix("\r")
        if n == 0 and file.seekable() and file.tell() > 0:
            raise UsageError(f"{where} was read to its end before; open it again")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: not valid {error.encoding} after line {n}; open it with its encoding"
        ) from None
    except (OSError, ValueError) as error:  # closed, or opened to write
        if isinstance(error, OSError) and error.strerror is not None:
            raise
        raise UsageError(f"{where} cannot be read: {error}; open it again") from None
