"""Data on stdout: rows, reports and tables, for people and as JSON."""

from __future__ import annotations

import json
import re

import numpy as np
from running import Terminal

from textvae.cli.output import Output, grid_lines, table_lines, to_json


def test_control_characters_reach_a_file_but_never_a_terminal(capsys, monkeypatch) -> None:
    text = "bell\x07 clear\x1b[2J c1\x9b and\ttab turned \u202e \u2067"
    Output().row({}, text)
    assert capsys.readouterr().out == text + "\n"
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    Output().row({}, text)
    Output(as_json=True).row({"text": text}, "")
    Output().table([["name"], [text]])
    Output().report({"name": text})
    assert not re.search(r"[\x07\x1b\x9b\u202e\u2067]", terminal.getvalue())
    assert json.loads(terminal.getvalue().splitlines()[1]) == {"text": text}


def test_a_row_is_a_line_whatever_the_sentence_holds(capsys) -> None:
    Output().row({}, "two\nlines\r")
    assert capsys.readouterr().out == "two\\nlines\\r\n"


def test_json_has_no_nan_and_takes_numpy() -> None:
    record = {"a": np.float32(0.5), "b": float("nan"), "c": np.arange(2), "d": {"e": (None, True)}}
    expected = {"a": 0.5, "b": None, "c": [0, 1], "d": {"e": [None, True]}}
    assert json.loads(to_json(record)) == expected


def test_a_standard_error_stands_beside_its_figure() -> None:
    lines = list(table_lines({"nll_iw": 12.34567, "nll_iw_se": 0.5, "n_sentences": 1000}))
    assert lines == ["nll_iw       12.3457 ± 0.5000", "n_sentences  1,000"]


def test_one_long_name_does_not_make_every_row_long() -> None:
    """A stranger's megabyte of names would else become ten gigabytes of blanks."""
    long = "n" * 1000
    assert list(table_lines({"a": 1, long: 2, "bb": 3})) == ["a   1", f"{long}  2", "bb  3"]


def test_a_wide_table_goes_on_below_under_the_same_first_column() -> None:
    rows = [
        ["model", "nll_iw", "Δ nll_iw", "kl"],
        ["a", "9.5 ± 0.1", "-", "4"],
        ["bb", "-", "-", "-"],
    ]
    assert list(grid_lines(rows)) == [
        "model     nll_iw  Δ nll_iw  kl",
        "a      9.5 ± 0.1         -   4",
        "bb             -         -   -",
    ]
    assert list(grid_lines(rows, 26)) == [
        *["model     nll_iw  Δ nll_iw", "a      9.5 ± 0.1         -", "bb             -         -"],
        *["", "model  kl", "a       4", "bb      -"],
    ]
    narrow = list(grid_lines(rows, 1))  # a column at a time, rather than none
    assert sum(line.startswith("model") for line in narrow) == 3
