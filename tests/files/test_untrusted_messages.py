"""What an untrusted folder makes commands print: bounded, on one line, no control characters."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from running import ONE_LINE_ERROR
from safetensors.torch import load_file, save_file
from tampering import edit_json

from textvae.api import TextVAE
from textvae.config import Config, DataConfig
from textvae.errors import ModelFormatError, NotFoundError, TextVAEError
from textvae.saving.folder import load_model, read_metrics

HOSTILE = "\x1b[2J\x9b31m\x07\r\n\u202eevil\u2066\u2028\x7f"


@pytest.mark.parametrize("as_json", [False, True])
def test_info_prints_no_control_characters(folder: Path, textvae: Any, as_json: bool) -> None:
    data = {"text_column": HOSTILE, "train": (HOSTILE, "hf:someone/else"), "cache_dir": HOSTILE}
    config = Config().model_copy(update={"data": DataConfig().model_copy(update=data)})
    (folder / "experiment.toml").write_text(config.to_toml(), encoding="utf-8")
    record = {"event": "valid", "best": True, "rec": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}}
    (folder / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    ran = textvae("info", folder, *(["--json"] if as_json else []))
    assert ran.code == 0
    assert "evil" in ran.out
    unseen = {c for c in ran.out + ran.err if not c.isprintable()}
    assert unseen == {"\n"}
    if as_json:
        assert json.loads(ran.out)["metrics"] == record


def test_errors_about_a_folder_print_no_control_characters(folder: Path, textvae: Any) -> None:
    weights = load_file(folder / "model.safetensors")
    for file, change in (
        ("config.json", lambda path: edit_json(path, format_version=HOSTILE)),
        ("config.json", lambda path: edit_json(path, format_version=1, architecture={HOSTILE: 1})),
        (
            "model.safetensors",
            lambda path: save_file(weights | {HOSTILE: torch.zeros(1)}, path),
        ),
    ):
        copy = shutil.copytree(folder, folder.parent / "copy", dirs_exist_ok=True)
        change(copy / file)
        ran = textvae("info", copy)
        assert ran.code == 4
        assert ONE_LINE_ERROR.fullmatch(ran.err), ran.err
        assert {c for c in ran.err if not c.isprintable()} == {"\n"}


def test_of_all_metrics_one_record_is_kept_at_a_time(folder: Path) -> None:
    """Ten thousand records of nothing but lists would take a gigabyte, the file 70 MB."""
    record = json.dumps({"event": "train", "all": [[]] * 20_000}) + "\n"
    best = '{"event": "valid", "best": true, "step": %d}\n'
    (folder / "metrics.jsonl").write_text(best % 1 + record * 20 + best % 2 + record * 20)
    model = TextVAE.from_pretrained(folder)
    tracemalloc.start()
    try:
        assert model.metrics["step"] == 2
        assert tracemalloc.get_traced_memory()[1] < 10 << 20  # all at once, 45 MiB
    finally:
        tracemalloc.stop()


def test_a_folder_whose_name_is_not_utf_8_is_called_so(saved: Path, tmp_path: Path) -> None:
    try:
        odd = shutil.copytree(saved, tmp_path / os.fsdecode(b"mod\xff"))
    except OSError:  # a file system that has no such names
        pytest.skip("no such names here")
    with pytest.raises(ModelFormatError, match=r"mod.udcff': not valid UTF-8; rename the folder"):
        load_model(odd)


@pytest.mark.parametrize(
    "line", ["{", "[]", "3", "[" * 2000, '{"event": 1, "event": 2}', '{"a": "' + "x" * (1 << 20)]
)
def test_a_damaged_line_of_the_metrics_is_named(folder: Path, textvae: Any, line: str) -> None:
    (folder / "metrics.jsonl").write_text(f'{{"event": "train"}}\n{line}\n')
    ran = textvae("info", folder)
    assert ran.code == 4
    assert "metrics.jsonl, line 2: " in ran.err
    assert ONE_LINE_ERROR.fullmatch(ran.err)
    assert len(ran.err) < 1000


def test_a_line_that_is_being_written_is_no_record_yet(folder: Path) -> None:
    (folder / "metrics.jsonl").write_text('{"event": "valid", "best": true}\n{"event": "val')
    assert list(read_metrics(folder)) == [{"event": "valid", "best": True}]
    with pytest.raises(NotFoundError):
        load_model(folder / "nothing")


def test_a_device_in_the_place_of_a_file_is_none(folder: Path) -> None:
    (folder / "metrics.jsonl").unlink(missing_ok=True)
    os.mkfifo(folder / "metrics.jsonl")  # opening it would wait for a writer
    assert list(read_metrics(folder)) == []
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/dev/zero")
    with pytest.raises(TextVAEError):
        load_model(folder)
