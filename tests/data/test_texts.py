"""What callers give as sentences: all that is a list of them, and nothing that only looks so."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from textvae.data.texts import file_names, one_text, refuse_file_names, texts_of
from textvae.errors import DataError, UsageError

TEXTS = ["a b", "", "c"]
FRAME = pd.DataFrame({"text": TEXTS, "label": [0, 1, 0]})
DATASET = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 0]})


class PolarsFrame:
    """The parts of a polars frame that matter; it iterates over its columns."""

    columns = property(lambda self: ["words", "label"])
    shape = (3, 2)

    def __iter__(self) -> Any:
        return iter([TEXTS, [0, 1, 0]])


@pytest.mark.parametrize(
    "given",
    [
        TEXTS,
        tuple(TEXTS),
        iter(TEXTS),
        (text for text in TEXTS),
        map(str, TEXTS),
        dict.fromkeys(TEXTS).keys(),
        FRAME["text"],
        FRAME["text"].astype("category"),
        FRAME["text"].astype("string"),
        FRAME.set_index("text").index,
        FRAME["text"].to_numpy(),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pa.array(TEXTS),
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        DATASET["text"],
        DATASET[:]["text"],
        io.StringIO("a b\n\nc"),
        io.StringIO("\ufeffa b\r\n\r\nc\r\n", newline=""),
    ],
    ids=lambda given: type(given).__name__,
)
def test_sentences_are_read_from_any_list_of_them(given: Any) -> None:
    found = texts_of(given)
    assert found == TEXTS
    assert all(isinstance(text, str) for text in found)


def test_an_open_file_gives_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a b\n\nc\n")
    with path.open(encoding="utf-8") as file:
        assert texts_of(file) == TEXTS
        with pytest.raises(UsageError, match="read to its end"):
            texts_of(file)
    with pytest.raises(UsageError, match="closed"):
        texts_of(file)
    with path.open("rb") as binary, pytest.raises(UsageError, match="binary"):
        texts_of(binary)
    with gzip.open(tmp_path / "b.gz", "wt") as new, pytest.raises(UsageError, match="be read"):
        texts_of(new)
    path.write_bytes(b"a\nit\x92s\n")
    with path.open(encoding="utf-8") as file, pytest.raises(DataError, match="not valid utf-8"):
        texts_of(file)


@pytest.mark.parametrize(
    ("given", "way"),
    [
        ("a b", r"\[text\]"),
        (FRAME, r'df\["text"\]'),
        (FRAME[["text"]], r'df\["text"\]'),
        (PolarsFrame(), r'\["words"\]'),
        (FRAME.to_records(), r'\["text"\]'),
        (pa.table({"text": TEXTS}), r'table\["text"\]'),
        (DATASET, r'dataset\["text"\]'),
        (DATASET[:], r'\["text"\]'),
        (datasets.DatasetDict(train=DATASET), r'\["train"\]'),
        ({"text": TEXTS}, r'\["text"\]'),
        (np.array(TEXTS)[:, None], r"\[:, 0\]"),
        (np.array("a b"), r"\(N,\)"),
        (b"a b", "decode"),
        ({"a", "b"}, "sorted"),
        (None, "is None"),
        (7, "an int"),
        (Path("a.txt"), "Path"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_is_no_list_of_sentences_is_refused_with_the_way_on(given: Any, way: str) -> None:
    with pytest.raises(UsageError, match=way):
        texts_of(given)


def test_a_generator_that_was_read_is_refused() -> None:
    generator = (text for text in TEXTS)
    assert texts_of(generator) == TEXTS
    with pytest.raises(UsageError, match="read to its end"):
        texts_of(generator)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a", None], r"texts\[1\] is missing"),
        (["a", float("nan")], r"texts\[1\] is missing"),
        (pd.Series(["a", None]), r"texts\.iloc\[1\] is missing"),
        (pd.Series(["a", None], dtype="string"), r"texts\.iloc\[1\] is missing"),
        (pd.Series(["a", "b", None], index=[5, 6, 7])[1:], r"texts\.iloc\[1\] is missing"),
        (pa.array(["a", None]), r"texts\[1\] is missing"),
        (["a", b"b"], "decode"),
        (["a", ["b"]], "a list"),
        (["a", 7], "7, an int"),
        (iter(DATASET), r'\["text"\]'),
        (np.array([b"a"]), "decode"),
    ],
)
def test_an_item_that_is_no_sentence_is_named_by_its_place(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        texts_of(given)


def test_one_sentence_is_a_string() -> None:
    assert one_text("a b", "near") == "a b"
    for wrong in (["a b"], None, b"a", Path("a")):
        with pytest.raises(UsageError, match="near is"):
            one_text(wrong, "near")


# names of files


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a.txt", "b.csv", "plain", "with blank.txt"):
        (tmp_path / name).write_text("a b\n")
    return tmp_path


@pytest.mark.parametrize(
    "names",
    [
        ["a.txt"],
        ("a.txt", "b.csv"),
        ["a.txt", "plain"],
        ["with blank.txt"],
        ["*.txt"],
        ["mistyped.txt"],  # to be refused as missing, not read as a sentence
        ["mistyped.jsonl.gz", "a.txt"],
        [Path("anything")],
        ["hf:imdb"],
    ],
)
@pytest.mark.usefixtures("here")
def test_a_list_of_names_is_taken_for_files(names: Any) -> None:
    assert file_names(names) == [str(name) for name in names]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "texts", [[], ["a b"], ["what ?"], ["a *"], ["~\0"], ["\0"], ["~"], ["a.txt, a b"]]
)
def test_sentences_are_not_taken_for_files(texts: Any) -> None:
    assert file_names(texts) is None


def test_names_may_begin_at_home(here: Path) -> None:
    assert file_names(["~/a.txt"]) == [str(here / "a.txt")]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("mixed", [["a.txt", "the soup was cold ."], ["a b", Path("a.txt")]])
def test_names_among_sentences_are_refused(mixed: Any) -> None:
    with pytest.raises(UsageError, match=r"a\.txt.* names a file"):
        file_names(mixed)


@pytest.mark.usefixtures("here")
def test_a_list_of_files_is_refused_where_sentences_are_expected() -> None:
    given = (["a.txt"], [Path("b.csv"), "a.txt"], ["mistyped.txt"], ["with blank.txt"])
    for names in (*given, pd.Series(["a.txt"]), np.array(["a.txt"])):
        with pytest.raises(UsageError, match="names of files"):
            refuse_file_names(names)
    refuse_file_names(["a.txt", "a b"])
    refuse_file_names(["plain"])  # may be a word


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys; from textvae.data.texts import texts_of; texts_of(['a']); "
        "assert {'pandas', 'pyarrow', 'polars', 'datasets', 'torch'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
