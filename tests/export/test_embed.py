"""`textvae embed`: the same vectors in each format, whatever interrupts or shares the work."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from running import ONE_LINE_ERROR
from safetensors import safe_open

from textvae import TextVAE
from textvae.cli import embed
from textvae.data.readers import Row
from textvae.export import formats as vectors
from textvae.export import parts
from textvae.export.formats import Block, Extent, VectorTable, write_table
from textvae.files.lock import sole_use
from textvae.latent.quantization import Int8Map, sign_bits, unpacked_signs

FORMATS = tuple(vectors.WRITERS)
BLOCK = 7  # rows of a part in these tests


@pytest.fixture
def embeds(textvae, monkeypatch: pytest.MonkeyPatch):
    """Run `textvae embed ARGUMENTS` in this process, a few rows a part."""
    monkeypatch.setattr(parts, "PART", BLOCK)
    return partial(textvae, "embed")


@pytest.fixture
def reviews(tmp_path: Path, sentences: list[str]) -> Path:
    """A file of 24 sentences, two of them odd, with labels for some."""
    path = tmp_path / "reviews.jsonl"
    texts = [*sentences[:21], "", 'naïve "日本", quoted', "the cook " * 20]
    rows = [{"text": text, "label": "ab"[i % 2] if i % 3 else ""} for i, text in enumerate(texts)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Found:
    """What a file holds; None where its format has no place for it."""

    vectors: np.ndarray
    variances: np.ndarray | None = None
    texts: list[str] | None = None
    labels: list[str] | None = None  # "" where there is none


def read_file(path: Path) -> Found:
    """What a reader of each format finds."""
    match path.suffix:
        case ".npy":
            return Found(np.load(path, allow_pickle=False))
        case ".npz":
            with np.load(path, allow_pickle=False) as found:
                labels = found["labels"].tolist() if "labels" in found else None
                return Found(
                    found["vectors"], found.get("variances"), found["texts"].tolist(), labels
                )
        case ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            columns = {letter: columns_of(rows, letter) for letter in "zvb"}
            values = columns["z"] if columns["z"] is not None else columns["b"]
            texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
            return Found(values, columns["v"], texts, labels)
        case ".jsonl":
            return of_records([json.loads(line) for line in path.open(encoding="utf-8")])
        case ".parquet":
            return of_records(parquet.read_table(path).to_pylist())
        case _:
            with safe_open(path, "numpy") as file:
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                classes = [*json.loads(file.metadata()["textvae"]).get("classes", []), ""]
            labels = [classes[place] for place in found["labels"]] if "labels" in found else None
            return Found(found["vectors"], found.get("variances"), labels=labels)


def columns_of(rows: list[dict[str, str]], letter: str) -> np.ndarray | None:
    names = [name for name in rows[0] if name[1:].isdigit() and name[0] == letter]
    found = [[np.float32(row[name]) for name in names] for row in rows]
    return np.array(found, dtype=np.float32) if names else None


def of_records(records: list[dict[str, Any]]) -> Found:
    assert [record["index"] for record in records] == list(range(len(records)))
    values = np.array([record["vector"] for record in records], dtype=np.float32)
    variances = None
    if "variance" in records[0]:
        variances = np.array([record["variance"] for record in records], dtype=np.float32)
    texts = [record["text"] for record in records]
    return Found(values, variances, texts, [record["label"] or "" for record in records])


# the formats


ROWS = [Row('a "quoted", one', "x"), Row(""), Row("naïve 日本")]
VECTORS = np.array([[0.1, -2.5e-8], [1 / 3, 3.0], [7.0, 1e10]], dtype=np.float32)


def table(n: int) -> VectorTable:
    """The first rows, one a block."""
    extent = Extent()
    rows = list(extent.watch(iter(ROWS[:n])))

    def block(i: int, j: int) -> Block:
        texts, labels = [row.text for row in rows[i:j]], [row.label for row in rows[i:j]]
        return Block(i, texts, labels, VECTORS[i:j])

    return VectorTable(extent, lambda: (block(i, i + 1) for i in range(n)), block(0, 0))


@pytest.mark.parametrize("suffix", FORMATS)
def test_vectors_come_back_exactly_from_each_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vectors{suffix}"
    write_table(path, table(3))
    found = read_file(path)
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert found.texts in (None, [row.text for row in ROWS])
    assert found.labels in (None, [row.label or "" for row in ROWS])
    assert list(tmp_path.iterdir()) == [path]


def test_no_row_makes_a_file_of_the_right_width(tmp_path: Path) -> None:
    for suffix in FORMATS:
        write_table(tmp_path / f"v{suffix}", table(0))
    assert np.load(tmp_path / "v.npy").shape == (0, 2)
    assert read_file(tmp_path / "v.npz").texts == []
    assert read_file(tmp_path / "v.safetensors").vectors.shape == (0, 2)
    assert parquet.read_schema(tmp_path / "v.parquet").field("vector").type.list_size == 2
    assert (tmp_path / "v.csv").read_text() == "index,text,label,z0,z1\n"
    assert (tmp_path / "v.jsonl").read_text() == ""


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.filterwarnings("error")
def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vectors{suffix}"
    path.write_bytes(b"old")

    def failing() -> Iterator[Block]:
        yield next(table(3).blocks())
        raise ZeroDivisionError

    whole = table(3)
    with pytest.raises(ZeroDivisionError):
        write_table(path, VectorTable(whole.extent, failing, whole.pattern))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_null_for_what_is_not_finite_and_the_shortest_decimals() -> None:
    values = np.array([[np.nan, -np.inf, -0.0, 0.1, 1e-7, 2.0]], dtype=np.float32)
    (line,) = vectors.json_lines(Block(3, ['a "b"\n'], [None], values))
    assert json.loads(line) == {
        **{"index": 3, "text": 'a "b"\n', "label": None},
        "vector": [None, None, 0, 0.1, 1e-7, 2],
    }


@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_holds_a_few_parts_whatever_the_number_of_rows(tmp_path: Path, suffix: str) -> None:
    n, rows, width = 9_000, 200, 64
    random = np.random.default_rng(0)

    def blocks() -> Iterator[Block]:
        for start in range(0, n, rows):
            values = random.normal(size=(rows, width)).astype(np.float32)
            yield Block(start, ["some text"] * rows, [None] * rows, values)

    extent = Extent(n, len("some text"))
    pattern = Block(0, [], [], np.empty((0, width), dtype=np.float32))
    path = tmp_path / f"warm{suffix}"
    write_table(path, VectorTable(Extent(rows, 9), lambda: iter([next(blocks())]), pattern))
    held, most_held = pyarrow.total_allocated_bytes(), 0

    def watched() -> Iterator[Block]:
        nonlocal most_held
        for block in blocks():
            yield block
            most_held = max(most_held, pyarrow.total_allocated_bytes() - held)

    tracemalloc.start()
    try:
        write_table(path, VectorTable(extent, watched, pattern))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    whole = 4 * n * width
    assert pyarrow.total_allocated_bytes() - held < whole / 3
    assert most_held < whole / 3
    assert peak < whole / 3


# the command


@pytest.mark.parametrize("suffix", FORMATS)
def test_formats_agree(embeds, tiny_vae: Path, reviews: Path, suffix: str) -> None:
    records = [json.loads(line) for line in reviews.open(encoding="utf-8")]
    vae = TextVAE.from_pretrained(tiny_vae)
    texts = [record["text"] for record in records]
    ran = embeds(tiny_vae, reviews, "--out", reviews.with_suffix(suffix).with_stem("v"))
    assert ran.code == 0
    assert "1 sentence exceeded 16 tokens" in ran.err
    found = read_file(reviews.with_suffix(suffix).with_stem("v"))
    np.testing.assert_allclose(found.vectors, vae.encode(texts), atol=1e-5)
    assert found.texts in (None, texts)
    assert found.labels in (None, [record["label"] for record in records])
    assert not list(reviews.parent.glob(".*"))
    lost = [name for name in ("texts", "labels") if getattr(found, name) is None]
    assert ("has no place for" in ran.err) == bool(lost)
    assert f"no place for {' and '.join(lost)}, " in ran.err or not lost


def test_labels_are_places_in_the_classes_of_a_header(
    embeds, tiny_vae: Path, reviews: Path
) -> None:
    out = reviews.with_name("v.safetensors")
    assert embeds(tiny_vae, reviews, "--out", out).code == 0
    with safe_open(out, "numpy") as file:
        labels = file.get_tensor("labels")
        assert json.loads(file.metadata()["textvae"])["classes"] == ["a", "b"]
    assert labels.dtype == np.int64
    assert labels[:4].tolist() == [-1, 1, 0, -1]
    reviews.write_text('{"text": "us !"}\n')
    assert embeds(tiny_vae, reviews, "--out", out).code == 0
    with safe_open(out, "numpy") as file:
        assert list(file.keys()) == ["vectors"]


def test_what_are_no_classes_stays_out_of_a_header_and_out_of_memory(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    monkeypatch.setattr(vectors, "LARGEST_CLASSES", 30)
    rows = [{"text": "us !", "label": f"label {i}"} for i in range(40)]
    reviews.write_text("\n".join(map(json.dumps, rows)))
    out = reviews.with_name("v.safetensors")
    ran = embeds(tiny_vae, reviews, "--out", out)
    assert "no place for texts and labels" in ran.err
    with safe_open(out, "numpy") as file:
        assert list(file.keys()) == ["vectors"]
    extent = Extent()
    for row in extent.watch(Row("", row["label"]) for row in rows):
        assert len(extent.labels) < 6, row


@pytest.mark.parametrize("option", [[], ["--quantize", "int8"], ["--with-variance"]])
def test_parquet_opens_where_tables_are_read(
    embeds, tiny_vae: Path, reviews: Path, tmp_path: Path, option: list[str]
) -> None:
    import datasets
    import pandas

    out, arrays = reviews.with_name("v.parquet"), reviews.with_name("v.npz")
    for path in (out, arrays):
        assert embeds(tiny_vae, reviews, *option, "--out", path).code == 0
    expected = np.load(arrays)
    tables = (
        pandas.read_parquet(out),
        datasets.load_dataset(
            "parquet", data_files=str(out), split="train", cache_dir=str(tmp_path / "cache")
        ),
    )
    for table in tables:
        np.testing.assert_array_equal(np.stack(list(table["vector"])), expected["vectors"])
        assert list(table["text"]) == expected["texts"].tolist()
        labels = [label if isinstance(label, str) else "" for label in table["label"]]
        assert labels == expected["labels"].tolist()
        assert list(table["index"]) == list(range(24))
        if "variances" in expected:
            np.testing.assert_array_equal(np.stack(list(table["variance"])), expected["variances"])


def test_variances_stand_beside_the_means(embeds, tiny_vae: Path, reviews: Path) -> None:
    texts = [json.loads(line)["text"] for line in reviews.open(encoding="utf-8")]
    q = TextVAE.from_pretrained(tiny_vae).posterior(texts)
    for suffix in FORMATS[1:]:
        out = reviews.with_name(f"v{suffix}")
        assert embeds(tiny_vae, reviews, "--with-variance", "--out", out).code == 0
        found = read_file(out)
        np.testing.assert_allclose(found.vectors, q.mean, atol=1e-5)
        np.testing.assert_allclose(found.variances, q.log_variance.exp(), rtol=1e-4)
    printed = embeds(tiny_vae, reviews, "--with-variance", "--json").out.splitlines()
    rows = of_records([json.loads(line) for line in printed])
    np.testing.assert_allclose(rows.variances, q.log_variance.exp(), rtol=1e-4)


@pytest.mark.parametrize("layer", ["latent", "encoder"])
def test_a_layer_and_its_directions(embeds, tiny_ae: Path, reviews: Path, layer: str) -> None:
    texts = [json.loads(line)["text"] for line in reviews.open(encoding="utf-8")]
    out = reviews.with_name("v.npy")
    assert embeds(tiny_ae, reviews, "--layer", layer, "--normalize", "--out", out).code == 0
    expected = TextVAE.from_pretrained(tiny_ae).encode(texts, layer=layer)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(np.load(out), expected, atol=1e-5)


def test_samples_are_those_of_seed_and_index(embeds, tiny_vae: Path, reviews: Path) -> None:
    texts = [json.loads(line)["text"] for line in reviews.open(encoding="utf-8")]
    out = reviews.with_name("v.npy")
    assert embeds(tiny_vae, reviews, "--sample", "--seed", 3, "--out", out).code == 0
    expected = TextVAE.from_pretrained(tiny_vae).embed(texts, sample_seed=3).vectors
    np.testing.assert_allclose(np.load(out), expected, atol=1e-5)


# fewer bits


def floats_of(path: Path) -> np.ndarray:
    """The vectors that the codes of a file stand for, by what is documented of the format."""
    match path.suffix:
        case ".npz":
            with np.load(path, allow_pickle=False) as found:
                codes, scales, offsets = (found[k] for k in ("vectors", "scales", "offsets"))
        case ".safetensors":
            with safe_open(path, "numpy") as file:
                names = ("vectors", "scales", "offsets")
                codes, scales, offsets = (file.get_tensor(name) for name in names)
        case _:
            table = parquet.read_table(path)
            codes = np.stack(table["vector"].to_pandas())
            facts = json.loads(table.schema.metadata[b"textvae"])
            scales, offsets = np.float32(facts["scales"]), np.float32(facts["offsets"])
    assert codes.dtype == np.int8
    return scales * codes + offsets


@pytest.mark.parametrize("suffix", vectors.WITH_CONSTANTS)
def test_a_byte_a_dimension_errs_by_half_a_scale(
    embeds, tiny_vae: Path, reviews: Path, suffix: str
) -> None:
    exact, out = reviews.with_name("exact.npy"), reviews.with_name(f"v{suffix}")
    assert embeds(tiny_vae, reviews, "--out", exact).code == 0
    assert embeds(tiny_vae, reviews, "--quantize", "int8", "--out", out).code == 0
    whole = np.load(exact)
    half_a_scale = (whole.max(0) - whole.min(0)) / 255 / 2
    assert (abs(floats_of(out) - whole) <= half_a_scale * 1.001).all()


def test_the_codes_of_a_range_use_all_of_it_and_one_value_is_kept_exactly() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(500, 3)).astype(np.float32) * [1e-6, 1, 1e6] + [0, 5, -1e6]
    x = np.column_stack([x, np.full(500, 0.3)]).astype(np.float32)
    codes = Int8Map.spanning(x.min(0), x.max(0))
    q = codes.encode(x)
    assert (q[:, :3].min(0) == -128).all()
    assert (q[:, :3].max(0) == 127).all()
    rounding = np.abs(x) * 2.0**-22  # of float32, in the sum
    assert (abs(codes.decode(q) - x) <= codes.scales * 0.5001 + rounding).all()
    np.testing.assert_array_equal(codes.decode(q)[:, 3], x[:, 3])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_bit_a_dimension_is_the_sign(embeds, tiny_vae: Path, reviews: Path, suffix: str) -> None:
    exact, out = reviews.with_name("exact.npy"), reviews.with_name(f"v{suffix}")
    arguments = (tiny_vae, reviews, "--layer", "encoder")
    assert embeds(*arguments, "--out", exact).code == 0
    assert embeds(*arguments, "--quantize", "binary", "--out", out).code == 0
    bits = read_file(out).vectors.astype(np.uint8)
    assert bits.shape == (24, 2)  # of 16 dimensions
    np.testing.assert_array_equal(unpacked_signs(bits, 16) > 0, np.load(exact) > 0)


def test_bits_beyond_the_last_dimension_are_zero() -> None:
    x = np.random.default_rng(2).normal(size=(20, 11)).astype(np.float32)
    bits = sign_bits(x)
    assert not (bits[:, 1] & 0b11111).any()
    np.testing.assert_array_equal(unpacked_signs(bits, 11), np.sign(x))


# interruptions


def stopping_after(
    count: int,
    monkeypatch: pytest.MonkeyPatch,
    stop: type[BaseException] | BaseException = KeyboardInterrupt,
) -> list[int]:
    """Let the work be interrupted when it begins part `count`; the parts that were computed."""
    computed: list[int] = []
    inner = embed.Job.block

    def block(job: embed.Job, start: int, rows: list[Row]) -> tuple[Block, int]:
        if rows and len(computed) == count:
            raise stop
        if rows:
            computed.append(start // BLOCK)
        return inner(job, start, rows)

    monkeypatch.setattr(embed.Job, "block", block)
    return computed


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
    assert "going on: 14 of 24" in ran.err
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
        (another_seed, "another --sample or --seed has"),
        (another_layer, "another --layer has"),
        (another_text, "another input has"),
        (a_retrained_model, "another model has"),
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
    assert "going on" not in ran.err
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
    assert "going on" not in ran.err
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


def test_the_input_is_not_replaced(embeds, tiny_vae: Path, reviews: Path, textvae) -> None:
    before = reviews.read_bytes()
    for ran in (
        embeds(tiny_vae, reviews, "--out", reviews),
        embeds(tiny_vae, reviews.parent / "*.jsonl", "--out", reviews),
        textvae("cluster", tiny_vae, reviews, "-k", 2, "--out", reviews),
        textvae("probe", tiny_vae, reviews, "--folds", 2, "--out", reviews),
        textvae("evaluate", tiny_vae, reviews, "--out", reviews),
        textvae("compare", tiny_vae, "--on", reviews, "--out", reviews),
    ):
        assert ran.code == 2
        assert "overwrite the input" in ran.err
        assert reviews.read_bytes() == before


def test_an_input_that_changes_meanwhile_is_an_error(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    inner = embed.Job.block

    def block(job: embed.Job, start: int, rows: list[Row]) -> tuple[Block, int]:
        if start == BLOCK:
            os.utime(reviews, (1, 1))
        return inner(job, start, rows)

    monkeypatch.setattr(embed.Job, "block", block)
    ran = embeds(tiny_vae, reviews, "--out", reviews.with_name("v.npy"))
    assert ran.code == 4
    assert "changed while it was read" in ran.err
    assert list(reviews.parent.iterdir()) == [reviews]


# several processes


def test_two_processes_write_the_bytes_of_one(embeds, tiny_vae: Path, reviews: Path) -> None:
    script = reviews.with_name("small_parts.py")
    script.write_text(
        "from textvae.cli import main\nfrom textvae.export import parts\n"
        f"parts.PART = {BLOCK}\nmain.main()\n"
    )
    one, two = reviews.with_name("one.npz"), reviews.with_name("two.npz")
    arguments = [str(tiny_vae), str(reviews), "--sample", "--device", "cpu", "--out"]
    assert embeds(*arguments, one).code == 0
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *launcher, str(script), "embed", *arguments, str(two)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("24 vectors of 4 dimensions") == 1
    assert two.read_bytes() == one.read_bytes()
    assert not list(reviews.parent.glob(".*"))


def test_what_cannot_be_shared_is_refused(embeds, tiny_vae: Path, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused = embeds(tiny_vae, "--out", tmp_path / "v.npy")
    assert refused.code == 2
    assert "stdin cannot be shared" in refused.err


# errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--quantize", "int8", "--out", "v.csv"], "no place for the scales"),
        (["--quantize", "int8", "--out", "v.npy"], ".npz, .parquet, .safetensors"),
        (["--quantize", "int8", "--json"], "scales need a file"),
        (["--with-variance", "--out", "v.npy"], "holds one array"),
        (["--with-variance", "--normalize", "--out", "v.npz"], "--normalize"),
        (["--with-variance", "--sample", "--out", "v.npz"], "--sample"),
        (["--with-variance", "--layer", "encoder", "--out", "v.npz"], "--layer encoder"),
        (["--sample", "--layer", "encoder", "--out", "v.npz"], "--layer encoder"),
    ],
)
def test_contradictions_are_told_before_any_model_is_loaded(
    embeds, arguments: list[str], said: str
) -> None:
    ran = embeds("no-such-model", "no-such-file.txt", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_an_autoencoder_has_no_variances(embeds, tiny_ae: Path, reviews: Path) -> None:
    ran = embeds(tiny_ae, reviews, "--with-variance", "--out", reviews.with_name("v.npz"))
    assert ran.code == 2
    assert "no posterior" in ran.err
    assert list(reviews.parent.iterdir()) == [reviews]


def test_an_absurd_array_of_texts_is_refused_before_the_work(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    monkeypatch.setattr(vectors, "LARGEST_TEXTS", 24 * 4 * 100)
    refused = embeds(tiny_vae, reviews, "--out", reviews.with_name("v.npz"))
    assert refused.code == 2
    assert ".parquet" in refused.err
    assert list(reviews.parent.iterdir()) == [reviews]
    assert embeds(tiny_vae, reviews, "--out", reviews.with_name("v.parquet")).code == 0


def test_a_text_that_an_array_would_shorten_is_refused(
    embeds, tiny_vae: Path, reviews: Path
) -> None:
    """NumPy takes NUL characters at the end of a string for filling."""
    with reviews.open("a") as file:
        file.write('{"text": "us \\u0000"}\n')
    ran = embeds(tiny_vae, reviews, "--out", reviews.with_name("v.npz"))
    assert ran.code == 2
    assert "NUL" in ran.err
    out = reviews.with_name("v.jsonl")
    assert embeds(tiny_vae, reviews, "--out", out).code == 0
    assert json.loads(out.read_text().splitlines()[-1])["text"] == "us \0"


def test_what_is_wrong_at_the_end_of_a_file_is_found_before_the_work(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch
) -> None:
    with reviews.open("a") as file:
        file.write("{broken\n")
    computed = stopping_after(-1, monkeypatch)
    ran = embeds(tiny_vae, reviews, "--out", reviews.with_name("v.npy"))
    assert ran.code == 4
    assert computed == []
    assert list(reviews.parent.iterdir()) == [reviews]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit(143)])
def test_an_interruption_before_anything_is_done_leaves_nothing(
    embeds, tiny_vae: Path, reviews: Path, monkeypatch: pytest.MonkeyPatch, interruption: Any
) -> None:
    def interrupted(*arguments: Any) -> None:
        raise interruption

    monkeypatch.setattr("textvae.cli.embed.fill", interrupted)
    before = set(reviews.parent.iterdir())
    with contextlib.suppress(SystemExit):
        embeds(tiny_vae, reviews, "--out", reviews.with_name("v.npy"))
    assert set(reviews.parent.iterdir()) == before


def test_a_name_that_is_not_utf_8_is_refused_before_the_work(
    tiny_vae: Path, corpus: Path, tmp_path: Path, textvae
) -> None:
    """The parts would have it too, and pyarrow does not open them."""
    ran = textvae("embed", tiny_vae, corpus, "--out", tmp_path / "v\udcff.safetensors")
    assert (ran.code, ran.out) == (2, "")
    assert "v\\udcff.safetensors': not valid UTF-8; choose another name" in ran.err
    assert ONE_LINE_ERROR.fullmatch(ran.err)
    assert list(tmp_path.iterdir()) == []
