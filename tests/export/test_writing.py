"""`textvae.export.write_vectors`: the files of the command, and what it says of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from vector_files import BLOCK, FORMATS, stopping_after

from textvae import TextVAE
from textvae.api import Watcher
from textvae.errors import DataError, NotFoundError, UsageError
from textvae.export import parts, stream_vectors, write_vectors
from textvae.export.job import Job, Settings


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_file_is_that_of_the_command(
    embeds, tiny_vae: Path, reviews: Path, suffix: str
) -> None:
    printed, written = (reviews.with_name(f"{name}{suffix}") for name in ("printed", "written"))
    options = ("--sample", "--seed", 3, "--device", "cpu")
    assert embeds(tiny_vae, reviews, *options, "--out", printed).code == 0
    warnings: list[str] = []
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    found = write_vectors(
        vae, reviews, written, sample_seed=3, watcher=Watcher(warn=warnings.append)
    )
    assert written.read_bytes() == printed.read_bytes()
    assert found is not None
    assert (found.path, found.rows, found.dimensions, found.cut) == (written, 24, 4, 1)
    assert found.left_out == {".npy": "texts and labels", ".safetensors": "texts"}.get(suffix, "")
    assert warnings == ["1 sentence exceeded 16 tokens and was truncated"]


def test_an_interrupted_call_continues(
    tiny_vae: Path, reviews: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART", BLOCK)
    vae, out = TextVAE.from_pretrained(tiny_vae), reviews.with_name("v.npy")
    notes: list[str] = []
    watcher = Watcher(note=notes.append, warn=lambda text: None)
    with monkeypatch.context() as patch:
        stopping_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            write_vectors(vae, reviews, out, watcher=watcher)
    with pytest.raises(UsageError, match="start_over=True"):
        write_vectors(vae, reviews, out, layer="encoder", watcher=watcher)
    with monkeypatch.context() as patch:
        computed = stopping_after(-1, patch)
        write_vectors(vae, reviews, out, watcher=watcher)
    assert computed == [2, 3]
    assert "14 sentences are done and kept" in notes[0]
    assert "continuing: 14 of 24" in notes[1]


def test_sentences_in_memory_are_written_and_streamed(tiny_vae: Path, tmp_path: Path) -> None:
    vae, out = TextVAE.from_pretrained(tiny_vae), tmp_path / "v.jsonl"
    texts = ["us !", "", "the dog likes rain ."]
    write_vectors(vae, iter(texts), out)
    lines = list(stream_vectors(vae, iter(texts)))
    assert out.read_text().splitlines() == lines
    vectors = [json.loads(line)["vector"] for line in lines]
    np.testing.assert_allclose(vectors, vae.encode(texts), atol=1e-6)


def test_contradictions_are_typed_errors(tiny_vae: Path, tiny_lm: Path, tmp_path: Path) -> None:
    vae, lm = TextVAE.from_pretrained(tiny_vae), TextVAE.from_pretrained(tiny_lm)
    for error, model, name, settings in (
        (UsageError, vae, "v.pickle", {}),
        (UsageError, vae, "v.npy", {"with_variance": True}),
        (UsageError, vae, "v.csv", {"quantize": "int8"}),
        (UsageError, vae, "v.npz", {"with_variance": True, "normalize": True}),
        (UsageError, vae, "v.npz", {"sample_seed": 0, "layer": "encoder"}),
        (UsageError, lm, "v.npy", {}),
        (NotFoundError, vae, "no/v.npy", {}),
        (DataError, vae, "v.npy", {"sentences": [None]}),
    ):
        with pytest.raises(error):
            write_vectors(model, settings.pop("sentences", ["us !"]), tmp_path / name, **settings)
    with pytest.raises(UsageError, match="scales"):
        stream_vectors(vae, ["us !"], quantize="int8")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_was_never_saved_writes_vectors_too(tiny_vae: Path, tmp_path: Path) -> None:
    vae = TextVAE.from_pretrained(tiny_vae)
    unsaved = TextVAE(vae.model, vae.tokenizer, vae.config)
    write_vectors(unsaved, ["us !", "rain ."], tmp_path / "v.npy")
    assert (np.load(tmp_path / "v.npy") == vae.encode(["us !", "rain ."])).all()


def test_another_model_in_the_same_folder_is_not_mixed_in(
    tiny_vae: Path, reviews: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook holds a model while another is saved in its place."""
    monkeypatch.setattr(parts, "PART", BLOCK)
    folder, out = reviews.parent / "model", reviews.with_name("v.npy")
    held = TextVAE.from_pretrained(tiny_vae)
    held.save_pretrained(folder)
    held = TextVAE.from_pretrained(folder)
    other = TextVAE.from_pretrained(folder)
    other.model.posterior.head.bias.data += 1
    other.save_pretrained(folder)
    with monkeypatch.context() as patch:
        stopping_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            write_vectors(held, reviews, out)
    with pytest.raises(UsageError, match="another model"):
        write_vectors(TextVAE.from_pretrained(folder), reviews, out)


def test_parts_belong_to_the_model_in_memory_and_not_to_its_folder(
    tiny_vae: Path, tmp_path: Path
) -> None:
    """The folder of a model that was loaded may hold another one when the work begins."""
    shutil.copytree(tiny_vae, tmp_path / "m")
    vae = TextVAE.from_pretrained(tmp_path / "m")
    job = Job(vae, "a.txt", None, None, Settings())
    before = job.identity(None)
    other = TextVAE.from_pretrained(tiny_vae)
    next(other.model.encoder.parameters()).data.mul_(1.5)
    other.save_pretrained(tmp_path / "m")
    assert job.identity(None) == before
    assert Job(other, "a.txt", None, None, Settings()).identity(None) != before
    unsaved = TextVAE(vae.model, vae.tokenizer, vae.config)
    assert Job(unsaved, "a.txt", None, None, Settings()).identity(None) == before
