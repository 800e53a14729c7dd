"""Files of labelled sentences hold what readers of the format read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from textvae.data.opening import open_rows
from textvae.errors import DataError, NotFoundError, UsageError
from textvae.export.labelled import write_labelled

ROWS = [("the soup , cold", "food"), ('he said "yes"', "talk"), ("no label", None), ("é 汤 ☃", "1")]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv"])
def test_what_is_written_is_read_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    assert write_labelled(path, ROWS, columns=("sentence", "topic")) == len(ROWS)
    read = open_rows([str(path)], text_column="sentence", label_column="topic")
    assert [(row.text, row.label) for row in read] == ROWS


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_tabs_and_line_breaks_survive(tmp_path: Path, ending: str) -> None:
    rows = [("a\tb\nc", "x")]
    write_labelled(tmp_path / f"x{ending}", rows)
    read = open_rows([str(tmp_path / f"x{ending}")])
    assert [(row.text, row.label) for row in read] == rows


def test_a_row_that_tsv_cannot_hold_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2 .* \.csv"):
        write_labelled(path, [("a", "x"), ("b\tc", "y")])
    assert path.read_text(encoding="utf-8") == "old"


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must end in"):
        write_labelled(tmp_path / "x.txt", ROWS)
    with pytest.raises(NotFoundError, match="does not exist"):
        write_labelled(tmp_path / "no" / "x.csv", ROWS)
