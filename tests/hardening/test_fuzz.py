"""The fuzzer's changes are reproducible and reach what is inside, and its judge sees a fault."""

from __future__ import annotations

import io
import json
import random
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import Case, parses, run_here
from mutations import changed, changed_arguments

from textvae.api import TextVAE
from textvae.config import Config
from textvae.errors import ModelFormatError
from textvae.files.compressed_blocks import Block, BlockWriter
from textvae.latent.direction_file import Direction

DOCUMENT = {"a": {"b": [1, 2.5, "text"], "c": None}, "type": "gru", "size": 8, "on": True}
CONTENTS = {"json": json.dumps(DOCUMENT).encode(), "toml": Config().to_toml().encode()}


@pytest.mark.parametrize("form", CONTENTS)
def test_changes_are_a_function_of_the_seed_and_most_still_parse(form: str) -> None:
    content, parsed, seen = CONTENTS[form], 0, set()
    for seed in range(200):
        new, said = changed(random.Random(seed), content, form)
        assert (new, said) == changed(random.Random(seed), content, form)
        seen.add(new)
        try:
            (json.loads if form == "json" else tomllib.loads)(new.decode())
            parsed += new != content
        except (ValueError, RecursionError):
            pass
    assert len(seen) > 150
    assert parsed > 80


def test_changes_of_described_files_and_of_blocks_get_past_their_checksums(tmp_path: Path) -> None:
    """Where the outer checks hold, what lies inside has to refuse the file."""
    direction = Direction(np.ones(3), "mean", 3, 4, 1.0, "0123").to_bytes()
    packed = io.BytesIO()
    writer = BlockWriter(packed, {"model": "m"})
    writer.add(Block(2, b"tokens", b""))
    writer.finish(ends_with_newline=True, digest=bytes(32))
    for form, content in (("described", direction), ("packed", packed.getvalue())):
        path, seen, parsed = tmp_path / form, set(), 0
        for seed in range(100):
            new, _ = changed(random.Random(seed), content, form)
            seen.add(new)
            path.write_bytes(new)
            parsed += parses(path, form) and new != content
        assert len(seen) > 60
        assert parsed > 30


def test_changes_of_arguments_ask_for_no_long_work_and_write_nowhere_else() -> None:
    command = ["embed", "model", "file", "-n", "2", "--samples", "3", "--out", "x.npy"]
    for seed in range(500):
        arguments, _ = changed_arguments(random.Random(seed), command)
        for before, value in pairwise(arguments):
            assert before not in ("-n", "--samples") or len(value) <= 4
            assert before != "--out" or ("/" not in value and ".." not in value)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyError("x"), "finding"),
        (MemoryError(), "finding"),
        (OSError(2, "gone"), "finding"),
        (ModelFormatError("one line"), "refused"),
    ],
    ids=repr,
)
def test_the_judge_tells_faults_from_refusals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, outcome: str
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(TextVAE, "from_pretrained", fail)
    found, _ = run_here(Case("", "", [], ["info", "model"], True), tmp_path)
    assert found == outcome
    assert run_here(Case("", "", [], ["info"], True), tmp_path)[0] == "usage"
    assert run_here(Case("", "", [], ["config", "show"], True), tmp_path)[0] == "ok"
