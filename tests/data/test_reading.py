"""Sentences from a file or from memory, as rows, some at a time."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest

from textvae.config import DataConfig
from textvae.data.input_rows import (
    in_chunks,
    name_of,
    prepared_rows,
    require_text,
    rows_from,
    warn_if_empty,
)
from textvae.data.rows import Row
from textvae.errors import DataError, UsageError

ROWS = [Row("The soup", "a", -1.5), Row(""), Row("naïve", "b")]


def test_rows_in_memory_are_those_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,label,log_prob\nThe soup,a,-1.5\n,,\nnaïve,b,\n", encoding="utf-8")
    assert list(rows_from(file)) == list(rows_from(str(file))) == list(rows_from(ROWS)) == ROWS
    assert list(rows_from(iter(["us", ROWS[0]]))) == [Row("us"), ROWS[0]]
    lower = list(prepared_rows(ROWS, DataConfig(lowercase=True)))
    assert lower == [Row("the soup", "a", -1.5), *ROWS[1:]]


def test_a_column_that_is_not_named_is_that_of_the_training(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,review\na,b\n")
    data = DataConfig(text_column="review")
    assert list(prepared_rows(file, data)) == [Row("b")]
    assert list(prepared_rows(file, data, text_column="text")) == [Row("a")]


@pytest.mark.parametrize("table", [{"text": ["a"]}, pandas.DataFrame({"text": ["a"]})])
def test_a_table_is_no_list_of_sentences(table: object) -> None:
    """Both iterate over the names of their columns."""
    with pytest.raises(UsageError, match=r"give .*\[\"text\"\]"):
        rows_from(table)


def test_what_is_no_text_is_named_by_its_place() -> None:
    with pytest.raises(DataError, match=r"texts\[1\]"):
        list(rows_from(["a", 3]))


def test_chunks_hold_all_rows_in_order() -> None:
    chunks = list(in_chunks(iter(ROWS), 2))
    assert chunks == [(0, ROWS[:2]), (2, ROWS[2:])]
    assert list(in_chunks(iter([]), 2)) == []


def test_no_row_is_a_warning_and_no_text_an_error() -> None:
    said: list[str] = []
    assert list(warn_if_empty(iter([]), name_of("-"), said.append)) == []
    assert list(warn_if_empty(iter(ROWS), "file", said.append)) == ROWS
    assert said == ["stdin: no sentence in it"]
    assert list(require_text(iter(ROWS), "file")) == ROWS
    with pytest.raises(DataError, match="texts: no sentence to evaluate: 1 line,"):
        list(require_text(iter([Row(" ")]), name_of([])))
