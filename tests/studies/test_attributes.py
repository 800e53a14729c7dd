"""The study of attributes keeps its parts apart, and its accuracy is that of a classifier."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "studies"))
from attributes import judged, task_of

from textvae.api import Row

CLASSES = ("past", "present")
WORDS = {"past": ("sang", "ate", "saw"), "present": ("sings", "eats", "sees")}


def rows(names: str) -> list[Row]:
    return [
        Row(f"{name} {verb} .", label)
        for name in names
        for label in CLASSES
        for verb in WORDS[label]
    ]


def test_no_text_that_is_tested_or_gives_the_direction_trains_the_classifier() -> None:
    task = task_of("t", "c", CLASSES, rows("ab"), rows("cd"), rows("ABCDefgh"), limit=4)
    assert {text[0] for text in (*task.start, *task.end)} == {"a", "b"}
    assert {row.text[0] for row in task.test} == {"c", "d"}
    assert {row.text[0] for row in task.training} == {"e", "f", "g", "h"}
    assert [row.label for row in task.test] == ["past"] * 4 + ["present"] * 4


def test_copies_are_right_where_the_classifier_is_wrong() -> None:
    task = task_of("t", "c", CLASSES, rows("ab"), rows("cd"), rows("efgh"), limit=5)
    other = {
        old: new for pair in zip(*WORDS.values(), strict=True) for old, new in (pair, pair[::-1])
    }
    sources = [row.text for row in task.test]
    changed = [" ".join(other.get(word, word) for word in text.split()) for text in sources]
    right, accuracy = judged(task, {("copy", "", 0.0): sources, ("m", "mean", 1.0): changed})
    assert accuracy == 1
    assert not right["copy", "", 0.0].any()
    np.testing.assert_array_equal(right["m", "mean", 1.0], True)
