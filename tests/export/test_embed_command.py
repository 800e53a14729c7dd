"""`textvae embed`: the same vectors in each format, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from running import ONE_LINE_ERROR
from safetensors import safe_open
from vector_files import FORMATS, of_records, read_file, stopping_after

from textvae import TextVAE
from textvae.data.opening import Row
from textvae.export import formats
from textvae.export import table as rows_of_files
from textvae.export.table import Extent


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
    assert f"no place for {' and '.join(lost)}; " in ran.err or not lost


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
    monkeypatch.setattr(rows_of_files, "LARGEST_CLASSES", 30)
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
        np.testing.assert_allclose(found.vectors, q.mean.cpu(), atol=1e-5)
        np.testing.assert_allclose(found.variances, q.log_variance.exp().cpu(), rtol=1e-4)
    printed = embeds(tiny_vae, reviews, "--with-variance", "--json").out.splitlines()
    rows = of_records([json.loads(line) for line in printed])
    np.testing.assert_allclose(rows.variances, q.log_variance.exp().cpu(), rtol=1e-4)


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
        assert "would overwrite the input" in ran.err
        assert reviews.read_bytes() == before


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
    monkeypatch.setattr(formats, "LARGEST_TEXTS", 24 * 4 * 100)
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


def test_a_name_that_is_not_utf_8_is_refused_before_the_work(
    tiny_vae: Path, corpus: Path, tmp_path: Path, textvae
) -> None:
    """The parts would have it too, and pyarrow does not open them."""
    ran = textvae("embed", tiny_vae, corpus, "--out", tmp_path / "v\udcff.safetensors")
    assert (ran.code, ran.out) == (2, "")
    assert "v\\udcff.safetensors': not valid UTF-8; choose another name" in ran.err
    assert ONE_LINE_ERROR.fullmatch(ran.err)
    assert list(tmp_path.iterdir()) == []
