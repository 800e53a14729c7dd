"""An interrupted run continues, and loses nothing that is not its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import ONE_LINE_ERROR
from vector_files import BLOCK, FORMATS, stopping_after

from textvae import TextVAE
from textvae.data.opening import Row
from textvae.export import parts
from textvae.export.job import Job
from textvae.export.table import Block
from textvae.files.lock import sole_use


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("option", [["--sample"], ["--quantize", "binary"]])
def test_the_same_command_goes_on_and_leaves_the_same_bytes(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch, suffix: str, option: list[str]
) -> None:
    out = reviews.with_name(f"v{suffix}")
    arguments = (tiny_vae, reviews, *option, "--out", out)
    assert embeds(*arguments).code == 0
    whole = out.read_bytes()
    out.unlink()
    with monkeypatch.context() as patch:
        stopping_after(2, patch)
        ran = embeds(*arguments)
    assert ran.code == 130
    assert "14 sentences are done and kept" in ran.err
    assert not out.exists()
    with monkeypatch.context() as patch:
        computed = stopping_after(-1, patch)
        ran = embeds(*arguments)
    assert ran.code == 0
    assert "continuing: 14 of 24" in ran.err
    assert computed == [2, 3]
    assert out.read_bytes() == whole
    assert not list(reviews.parent.glob(".*"))


def test_a_termination_keeps_the_parts_too(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    stopping_after(1, monkeypatch, SystemExit(143))
    ran = embeds(tiny_vae, reviews, "--out", reviews.with_name("v.npy"))
    assert ran.code == 143
    assert "7 sentences are done and kept" in ran.err
    assert len(list(reviews.parent.glob(".v.npy.parts/part-*.parquet"))) == 1


def test_a_failure_before_the_first_part_leaves_no_folder(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    stopping_after(0, monkeypatch)
    assert embeds(tiny_vae, reviews, "--out", reviews.with_name("v.npy")).code == 130
    assert list(reviews.parent.iterdir()) == [reviews]


def another_seed(arguments: list[Any], reviews: Path) -> None:
    arguments.append("--sample")


def another_layer(arguments: list[Any], reviews: Path) -> None:
    arguments += ["--layer", "encoder"]


def another_text(arguments: list[Any], reviews: Path) -> None:
    reviews.write_text(reviews.read_text().replace("the cook", "my sister"))


def a_retrained_model(arguments: list[Any], reviews: Path) -> None:
    vae = TextVAE.from_pretrained(arguments[0])
    vae.model.posterior.head.bias.data += 1
    vae.save_pretrained(reviews.parent / "retrained")
    arguments[0] = reviews.parent / "retrained"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (another_seed, "another --sample or --seed;"),
        (another_layer, "another --layer;"),
        (another_text, "another input;"),
        (a_retrained_model, "another model;"),
    ],
)
def test_what_changes_the_vectors_drops_no_part_unasked(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch, change: Callable[..., None], named: str
) -> None:
    out = reviews.with_name("v.npy")
    with monkeypatch.context() as patch:
        stopping_after(2, patch)
        assert embeds(tiny_vae, reviews, "--out", out).code == 130
    left = {path: path.read_bytes() for path in parts.Parts(out).folder.glob("part-*")}
    assert len(left) == 2
    arguments: list[Any] = [tiny_vae, reviews]
    change(arguments, reviews)
    ran = embeds(*arguments, "--quiet", "--out", out)
    assert ran.code == 2
    assert ONE_LINE_ERROR.match(ran.err)
    assert "holds 14 sentences" in ran.err
    assert named in ran.err
    assert "--start-over" in ran.err
    assert {path: path.read_bytes() for path in left} == left
    ran = embeds(*arguments, "--start-over", "--out", out)
    assert ran.code == 0
    assert "continuing" not in ran.err
    started_over = out.read_bytes()
    out.unlink()
    assert embeds(*arguments, "--out", out).code == 0
    assert out.read_bytes() == started_over


def test_parts_of_nobody_knows_what_are_not_dropped_unasked(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    out, _ = stopped(embeds, tiny_vae, reviews, monkeypatch)
    (parts.Parts(out).folder / parts.RUN_FILE).write_bytes(b"[1]")
    assert embeds(tiny_vae, reviews, "--out", out).code == 2
    assert embeds(tiny_vae, reviews, "--out", out, stdin="us !\n").code == 2
    assert embeds(tiny_vae, "-", "--out", out, stdin="us !\n").code == 2
    assert parts.Parts(out).rows_done() == 14


def test_starting_over_computes_all_parts_again(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    out, whole = stopped(embeds, tiny_vae, reviews, monkeypatch)
    with monkeypatch.context() as patch:
        computed = stopping_after(-1, patch)
        assert embeds(tiny_vae, reviews, "--start-over", "--out", out).code == 0
    assert computed == [0, 1, 2, 3]
    assert out.read_bytes() == whole


def test_parts_of_a_stream_that_is_gone_bar_nobody(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    """As a kill leaves them: they cannot be gone on with."""
    out = reviews.with_name("v.npy")
    with monkeypatch.context() as patch:
        stopping_after(2, patch)
        patch.setattr(parts.Parts, "remove", lambda _: None)
        embeds(tiny_vae, "-", "--out", out, stdin="us !\n" * 20)
    assert parts.Parts(out).rows_done() == 14
    ran = embeds(tiny_vae, "-", "--out", out, stdin="us !\n" * 20)
    assert ran.code == 0
    assert "continuing" not in ran.err
    assert np.load(out).shape == (20, 4)


def stopped(embeds, model: Path, file: Path, monkeypatch) -> tuple[Path, bytes]:
    """A file whose second making was stopped after two parts, and what was in the first."""
    out = file.with_name("v.npy")
    assert embeds(model, file, "--out", out).code == 0
    with monkeypatch.context() as patch:
        stopping_after(2, patch)
        embeds(model, file, "--out", out)
    return out, out.read_bytes()


def test_a_damaged_part_is_computed_again_and_other_files_are_left(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    out, whole = stopped(embeds, tiny_vae, reviews, monkeypatch)
    folder = parts.Parts(out).folder
    (folder / "part-000001.parquet").write_bytes(b"torn")
    (folder / "notes.txt").write_text("mine")
    assert embeds(tiny_vae, reviews, "--out", out).code == 0
    assert out.read_bytes() == whole
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_part_with_other_bytes_inside_is_found_and_the_next_run_mends_it(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    out, whole = stopped(embeds, tiny_vae, reviews, monkeypatch)
    part = parts.Parts(out).folder / "part-000001.parquet"
    content = bytearray(part.read_bytes())
    place = content.index(b"rain")  # a word of a text, its footer is left alone
    content[place] ^= 1
    part.write_bytes(content)
    ran = embeds(tiny_vae, reviews, "--out", out)
    assert ran.code == 4
    assert "run the same command again" in ran.err
    assert embeds(tiny_vae, reviews, "--out", out).code == 0
    assert out.read_bytes() == whole


def test_two_at_once_into_one_file_are_refused(embeds, tiny_vae: Path, reviews: Path) -> None:
    out = reviews.with_name("v.npy")
    with sole_use(parts.Parts(out).folder, "writing vectors by way of"):
        ran = embeds(tiny_vae, reviews, "--out", out)
    assert ran.code == 2
    assert "another process is writing vectors" in ran.err
    assert embeds(tiny_vae, reviews, "--out", out).code == 0


def test_an_input_that_changes_meanwhile_is_an_error(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    inner = Job.block

    def block(job: Job, start: int, rows: list[Row]) -> tuple[Block, int]:
        if start == BLOCK:
            os.utime(reviews, (1, 1))
        return inner(job, start, rows)

    monkeypatch.setattr(Job, "block", block)
    ran = embeds(tiny_vae, reviews, "--out", reviews.with_name("v.npy"))
    assert ran.code == 4
    assert "changed while it was read" in ran.err
    assert list(reviews.parent.iterdir()) == [reviews]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit(143)])
def test_an_interruption_before_anything_is_done_leaves_nothing(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch: pytest.MonkeyPatch, interruption: Any
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise interruption

    monkeypatch.setattr("textvae.export.writing.VectorWriter.fill", interrupted)
    before = set(reviews.parent.iterdir())
    with contextlib.suppress(SystemExit):
        embeds(tiny_vae, reviews, "--out", reviews.with_name("v.npy"))
    assert set(reviews.parent.iterdir()) == before
