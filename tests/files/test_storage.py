"""A full disk and a read-only folder: a line that says so, what was there whole, nothing torn."""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import random_word_model, word_tokenizer
from running import ONE_LINE_ERROR
from small_runs import TEXTS, Heard, all_tensors, records, tiny_config

from textvae.api import TextVAE
from textvae.config import DataConfig
from textvae.errors import ModelFormatError, UsageError
from textvae.files.atomic import half_written, replacing
from textvae.files.lock import LOCK_FILE, sole_use
from textvae.saving.folder import (
    CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    load_model,
    read_metrics,
    save_model,
)
from textvae.training.checkpoints import checkpoint_folders, damage
from textvae.training.metrics_log import MetricsFile
from textvae.training.reporting import LoggingReporter
from textvae.training.train import train_model

NOWHERE = Path("/proc")  # a folder where nobody can make a file, root neither


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path_factory.mktemp("cache")))


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Files that grow beyond so many bytes cannot be written, by a limit of the system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".part" in path.name or ".tmp" in path.name]


# one file


def test_what_fails_leaves_the_old_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"old")
    with full_disk(1000), pytest.raises(OSError, match=r"report\.json'$"), replacing(path) as file:
        file.write(b"x" * 100_000)
    assert path.read_bytes() == b"old"
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_two_at_once_into_one_file_leave_one_of_the_two(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with replacing(path) as first, replacing(path) as second:
        first.write(b"the first")
        second.write(b"the second")
    assert path.read_bytes() == b"the first"  # which ended last
    assert [p.name for p in tmp_path.iterdir()] == ["tokenizer.json"]


def test_a_device_is_written_to_and_a_link_stays(tmp_path: Path) -> None:
    pipe, link, target = (tmp_path / name for name in ("pipe", "link", "target"))
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    with replacing(pipe) as file:
        file.write(b"through")
    reader.join()
    assert heard == [b"through"]
    assert pipe.is_fifo()
    link.symlink_to(target)
    with replacing(link) as file:
        file.write(b"there")
    assert link.is_symlink()
    assert target.read_bytes() == b"there"


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path, 0)
    metrics.write({"step": 1})
    size = metrics.bytes_written
    with full_disk(size + 5), pytest.raises(OSError, match=r"metrics\.jsonl"):
        metrics.write({"step": 2})
    assert metrics.bytes_written == path.stat().st_size == size
    metrics.write({"step": 3})
    metrics.close()
    assert [record["step"] for record in read_metrics(tmp_path)] == [1, 3]


def test_a_line_that_is_being_written_is_left_out_and_a_broken_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"event": "valid", "best": true}\n{"event": "va')
    assert list(read_metrics(tmp_path)) == [{"event": "valid", "best": True}]
    for broken in (b"{\n", b"[1]\n", b"\xff\n"):
        path.write_bytes(b"{}\n" + broken)
        with pytest.raises(ModelFormatError, match="line 2"):
            list(read_metrics(tmp_path))


# training


class FullFrom(LoggingReporter):
    """Fills the disk when training logs a step; keeps what it is told."""

    def __init__(self, step: int, most: int) -> None:
        self.step, self.most, self.said = step, most, []

    def message(self, text: str) -> None:
        self.said.append(text)

    def log(self, record: dict[str, Any]) -> None:
        if record["step"] == self.step:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.most, hard))


@pytest.mark.parametrize("most", [100, 2000], ids=["metrics", "weights"])
def test_a_full_disk_stops_a_run_that_then_goes_on_as_if_nothing_had_been(
    tmp_path: Path, most: int
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn dir"
    train_model(tiny_config(), whole, texts=TEXTS)
    reporter = FullFrom(8, most)
    with full_disk(1 << 40), pytest.raises(OSError, match="File too large") as failed:
        train_model(tiny_config(), torn, texts=TEXTS, reporter=reporter)
    assert str(torn) in str(failed.value.filename)
    assert unfinished(torn) == []
    folders = checkpoint_folders(torn)
    assert [folder.name for folder in folders] == ["step-000000000", "step-000000005"]
    assert all(damage(folder) is None for folder in folders)
    assert len(list(read_metrics(torn))) == (torn / "metrics.jsonl").read_bytes().count(b"\n")
    load_model(torn)  # the best one so far
    (advice,) = failed.value.__notes__
    assert advice.startswith("step 5 is saved")
    assert advice.endswith(f"TextVAE.train(THE_SAME_TEXT, out='{torn}', resume=True)")
    train_model(tiny_config(), torn, texts=TEXTS, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)


def test_a_disk_that_is_full_from_the_start_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=1), tmp_path / "other", texts=TEXTS)  # fills the cache
    with full_disk(6000), pytest.raises(OSError, match="File too large") as failed:
        train_model(tiny_config(max_steps=2), out, texts=TEXTS)
    assert failed.value.filename == str(out / "checkpoints" / "step-000000000")
    assert not hasattr(failed.value, "__notes__")  # nothing is saved: the same command again
    with pytest.raises(UsageError, match="leave resume out"):
        train_model(tiny_config(max_steps=2), out, texts=TEXTS, resume=True)
    train_model(tiny_config(max_steps=2), out, texts=TEXTS)
    assert records(out)[-1]["step"] == 2
    with pytest.raises(UsageError, match="is not empty"):
        train_model(tiny_config(max_steps=2), out, texts=TEXTS)


def test_metrics_that_were_lost_are_told(tmp_path: Path) -> None:
    out, heard = tmp_path / "run", Heard()
    train_model(tiny_config(max_steps=4), out, texts=TEXTS)
    (out / "metrics.jsonl").write_bytes(b"")
    train_model(tiny_config(max_steps=6), out, texts=TEXTS, reporter=heard, resume=True)
    assert any("metrics.jsonl is shorter than at the checkpoint" in text for text in heard.warnings)
    assert records(out)[0]["step"] == 5  # nothing is made up


def test_a_torn_checkpoint_of_a_later_step_does_not_take_the_place_of_a_whole_one(
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(keep=1, max_steps=10), out, texts=TEXTS)
    (out / "checkpoints" / "step-000000099").mkdir()
    (out / "checkpoints" / "step-000000099" / "state.json").write_text("{", encoding="utf-8")
    (out / "checkpoints" / "step-000000099" / "sha256.json").write_text("{", encoding="utf-8")
    train_model(tiny_config(keep=1, max_steps=12), out, texts=TEXTS, resume=True)
    assert [folder.name for folder in checkpoint_folders(out)] == ["step-000000012"]
    train_model(tiny_config(keep=1, max_steps=14), out, texts=TEXTS, resume=True)


def test_a_folder_that_cannot_be_written_is_told_before_the_text_is_read(textvae) -> None:
    for out in (NOWHERE / "run", NOWHERE / "a" / "b"):
        ran = textvae("train", "/no/such/text.txt", "--out", out)
        assert (ran.code, ran.out) == (1, "")
        assert ONE_LINE_ERROR.match(ran.err)
        assert str(out) in ran.err


def test_a_name_that_the_configuration_cannot_hold_is_refused(textvae, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path / "text") + b"\xff.txt")
    Path(name).write_text("\n".join(TEXTS), encoding="utf-8")
    ran = textvae("train", name, "--out", tmp_path / "run", "--max-steps", 1)
    assert (ran.code, ran.out) == (4, "")
    assert ONE_LINE_ERROR.match(ran.err)
    assert "\\udcff" in ran.err
    assert not (tmp_path / "run").exists()


# commands that write a file

WRITING = [
    *(["embed", "MODEL", "TEXT", "--out", f"x{suffix}"]
      for suffix in (".npy", ".npz", ".csv", ".jsonl", ".parquet", ".safetensors")),
    ["evaluate", "MODEL", "TEXT", "--samples", "2", "--limit", "5", "--out", "x.json"],
    ["compare", "MODEL", "--on", "TEXT", "--samples", "2", "--limit", "5", "--out", "x.json"],
    ["cluster", "MODEL", "TEXT", "-k", "2", "--out", "x.csv"],
    ["probe", "MODEL", "TABLE", "--folds", "2", "--save", "x.safetensors"],
    ["probe", "MODEL", "TABLE", "--folds", "2", "--out", "x.json"],
]  # fmt: skip


@pytest.fixture
def complete(tiny_vae: Path, corpus: Path, tmp_path: Path):
    """Arguments with their words in capitals replaced, and the written file into a folder."""
    (tmp_path / "table.tsv").write_text(
        "text\tlabel\n" + "".join(f"{t}\t{i % 2}\n" for i, t in enumerate(TEXTS[:12])), "utf-8"
    )
    names = {"MODEL": str(tiny_vae), "TEXT": str(corpus), "TABLE": str(tmp_path / "table.tsv")}

    def fill(words: list[str], folder: Path) -> list[str]:
        *rest, file = (names.get(word, word) for word in words)
        return [*rest, str(folder / file)]

    return fill


@pytest.mark.parametrize("words", WRITING, ids=lambda words: f"{words[0]} {words[-2]} {words[-1]}")
def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(
    words: list[str], complete, textvae, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = complete(words, folder)
    Path(arguments[-1]).write_bytes(b"old")
    with full_disk(60):
        ran = textvae(*arguments)
    assert ran.code == 1
    error = ran.err.splitlines()[-1]
    assert error.startswith("textvae: error: ")
    assert str(folder) in error
    assert error.endswith("; make room there, then run the command again")
    assert [path.name for path in folder.iterdir()] == [Path(arguments[-1]).name]
    assert Path(arguments[-1]).read_bytes() == b"old"
    assert (ran.out == "") == (words[0] == "embed")  # the work of hours is not lost


@pytest.mark.parametrize("words", WRITING, ids=lambda words: f"{words[0]} {words[-2]} {words[-1]}")
def test_a_place_that_takes_no_file_is_told_before_the_work(
    words: list[str], complete, textvae, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(TextVAE, "from_pretrained", None)
    arguments = complete(words, NOWHERE)
    ran = textvae(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ONE_LINE_ERROR.match(ran.err)
    assert arguments[-1] in ran.err
    (tmp_path / words[-1]).mkdir()
    ran = textvae(*complete(words, tmp_path))
    assert (ran.code, ran.out) == (2, "")
    assert "a folder" in ran.err


# two at once


def saved(folder: Path, letter: str, **sizes: int) -> None:
    """One of two models whose configuration, tokenizer and weights all say which it is."""
    tokenizer = word_tokenizer() if letter == "a" else _reversed_tokenizer()
    model = random_word_model(seed="ab".index(letter), **sizes)
    with torch.no_grad():
        model.decoder.embedding.weight.fill_("ab".index(letter))
    save_model(folder, model, tokenizer, DataConfig(lowercase=letter == "b", max_tokens=8))


def _reversed_tokenizer() -> Any:
    from random_models import WORDS

    from textvae.data.tokenizers import Tokenizer

    return Tokenizer.train([*WORDS[::-1], *WORDS[::-1][:3]], kind="word", vocab_size=10)


def test_a_reader_never_sees_the_files_of_two_models(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    saved(folder, "a")
    done, seen = threading.Event(), set()

    def write() -> None:
        for number in range(1, 10_000):
            if done.is_set():
                return
            saved(folder, "ab"[number % 2], embedding_size=4 + 8 * (number % 2))
            time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    tokenizers = {word_tokenizer().fingerprint: False, _reversed_tokenizer().fingerprint: True}
    assert len(tokenizers) == 2
    try:
        for _ in range(80):
            found = load_model(folder)
            signs = {
                bool(found.model.decoder.embedding.weight[0, 0]),
                found.data.lowercase,
                tokenizers[found.tokenizer.fingerprint],
            }
            assert len(signs) == 1
            seen |= signs
    finally:
        done.set()
        writer.join()
    assert seen == {False, True}
    assert unfinished(folder) == []


def test_a_reader_sees_that_a_slow_disk_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the weights took: what tells is begun just before the files are replaced."""
    import textvae.saving.folder as module

    flush, replace, seen = module.flush, os.replace, []

    def slowly(file: Any) -> None:
        flush(file)
        if WEIGHTS_FILE in file.name:
            for path in tmp_path.glob(".*.part"):
                os.utime(path, (0, 0))  # as if all that is on the disk so far were old by now

    def watched(source: Path, target: Path) -> None:
        replace(source, target)
        seen.append(module.is_being_written(tmp_path))

    monkeypatch.setattr(module, "flush", slowly)
    monkeypatch.setattr(os, "replace", watched)
    saved(tmp_path, "a")
    assert seen == [True, True, False]  # weights, tokenizer, and last the description itself


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_files_of_two_models_that_fit_are_refused(tmp_path: Path, name: str) -> None:
    for letter in "ab":
        saved(tmp_path / letter, letter)
    os.replace(tmp_path / "b" / name, tmp_path / "a" / name)
    os.replace(tmp_path / "b" / TOKENIZER_FILE, tmp_path / "a" / TOKENIZER_FILE)
    with pytest.raises(ModelFormatError, match="different models"):
        load_model(tmp_path / "a")
    saved(tmp_path / "a", "a")
    load_model(tmp_path / "a")


def test_what_is_half_written_is_found_by_its_name_alone(tmp_path: Path) -> None:
    for name in (".b.json.12.part", ".a.json.x.part", "a.json.12.part", ".a.json.12.part.old"):
        (tmp_path / name).touch()
    with replacing(tmp_path / "a.json"):
        found = list(half_written(tmp_path, r"a\.json"))
        assert [path.name.split(".")[1:3] for path in found] == [["a", "json"]]
        assert len(list(half_written(tmp_path, r"[ab]\.json"))) == 2
    assert list(half_written(tmp_path, r"a\.json")) == []
    assert list(half_written(tmp_path / "nowhere", "a")) == []


def test_a_model_that_cannot_be_saved_leaves_the_one_before(tmp_path: Path) -> None:
    saved(tmp_path, "a")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(len(before[CONFIG_FILE]) + 100), pytest.raises(OSError, match="File too large"):
        saved(tmp_path, "b")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_killed_run_was_writing_is_cleared_away(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=2), out, texts=TEXTS)
    (out / ".model.safetensors.1234.part").write_bytes(b"half")
    (out / ".mine.part").write_bytes(b"whole")
    train_model(tiny_config(max_steps=3), out, texts=TEXTS, resume=True)
    assert [path.name for path in unfinished(out)] == [".mine.part"]


def test_a_lock_whose_file_was_removed_is_none(tmp_path: Path, monkeypatch) -> None:
    """Who had it before may remove the file after it was opened here."""
    import textvae.files.lock as lock

    take = lock._lock

    def removed_meanwhile(descriptor: int) -> bool:
        (tmp_path / LOCK_FILE).unlink()
        return take(descriptor)

    monkeypatch.setattr(lock, "_lock", removed_meanwhile)
    with pytest.raises(UsageError, match="another process"), sole_use(tmp_path, "training into"):
        pass
    monkeypatch.setattr(lock, "_lock", take)
    again = sole_use(tmp_path, "training into")
    with sole_use(tmp_path, "training into"), pytest.raises(UsageError, match="another"), again:
        pass


def test_the_card_and_info_have_the_figures_of_the_best_model(tiny_vae: Path) -> None:
    best = [r for r in read_metrics(tiny_vae) if r["event"] == "valid" and r["best"]][-1]
    assert TextVAE.from_pretrained(tiny_vae).metrics == best
    assert f"{best['nll_elbo']:.3f}" in (tiny_vae / "README.md").read_text(encoding="utf-8")
    json.dumps(best)
