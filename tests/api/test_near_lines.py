"""`TextVAE.neighbors` and `textvae neighbors`: from text, and from files of vectors."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow.parquet import write_table
from running import ONE_LINE_ERROR

from textvae.api import Row, TextVAE
from textvae.api.line_vectors import line_vectors
from textvae.api.neighbors import search
from textvae.errors import DataError, TextVAEError, TextVAEWarning, UsageError
from textvae.export import write_vectors
from textvae.progress import Watcher

QUERIES = ["the dog likes rain .", "my sister sees us !"]


@pytest.fixture(scope="module")
def vae(tiny_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(tiny_vae, device="cpu")


def texts_of(found) -> list[list[str | None]]:
    return [[near.text for near in row] for row in found.found]


def test_the_nearest_lines_are_those_of_the_vectors(
    vae: TextVAE, corpus: Path, sentences: list[str]
) -> None:
    found = vae.neighbors(corpus, QUERIES, 6, metric="euclidean")
    assert found.n_lines == len(sentences)
    vectors, queries = vae.encode(sentences), vae.encode(QUERIES)
    for row, query, own in zip(found.found, QUERIES, queries, strict=True):
        distances = np.linalg.norm(vectors.astype(float) - own, axis=1)
        np.testing.assert_allclose([near.score for near in row], np.sort(distances)[:6], atol=1e-5)
        assert row[0].text == query  # which stands in the file
        assert [near.rank for near in row] == [1, 2, 3, 4, 5, 6]
        assert all(sentences[near.index] == near.text for near in row)
    assert [near.query for near in found] == [QUERIES[0]] * 6 + [QUERIES[1]] * 6
    others = vae.neighbors(corpus, QUERIES, 5, metric="euclidean", without_query=True)
    assert texts_of(others) == [row[1:] for row in texts_of(found)]


def test_a_repeated_line_is_listed_once_by_the_first(vae: TextVAE, sentences: list[str]) -> None:
    lines = [Row("a"), *(Row(text, "x") for text in [*sentences, *sentences[:40], *sentences])]
    found = vae.neighbors(lines, QUERIES, 10)
    assert [near.index - 1 for near in found] == [sentences.index(near.text) for near in found]
    assert {near.label for near in found} == {"x"}
    with pytest.warns(TextVAEWarning, match="all lines are equal to the query: 1 of 2"):
        (none, other) = vae.neighbors(QUERIES[:1], QUERIES, without_query=True).found
    assert (len(none), len(other)) == (0, 1)


def test_vectors_of_a_file_are_reused(
    vae: TextVAE, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textvae.data import vector_files

    monkeypatch.setattr(vector_files, "_MOST_ROWS", 40)
    monkeypatch.setattr(vector_files, "_FEWEST_ROWS", 40)
    expected = texts_of(vae.neighbors(corpus, QUERIES, 4))
    alone, whole = tmp_path / "v.npy", tmp_path / "v.parquet"
    write_vectors(vae, corpus, alone)
    write_vectors(vae, corpus, whole)
    assert texts_of(vae.neighbors(whole, QUERIES, 4)) == expected
    assert texts_of(vae.neighbors(alone, QUERIES, 4, texts=corpus)) == expected
    bare = vae.neighbors(alone, QUERIES, 4)
    with_texts = vae.neighbors(alone, QUERIES, 4, texts=corpus)
    assert [near.index for near in bare] == [near.index for near in with_texts]
    assert {near.text for near in bare} == {None}
    for options in ({"quantize": "int8"}, {"quantize": "binary"}, {"normalize": True}):
        write_vectors(vae, corpus, whole, **options)  # type: ignore[arg-type]
        found = vae.neighbors(whole, QUERIES, 4)
        assert len({near.text for near in found}) >= 4
        if "quantize" not in options:
            assert texts_of(found) == expected


def test_the_layer_is_the_one_of_the_file(vae: TextVAE, corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    write_vectors(vae, corpus, path, layer="encoder")
    found = vae.neighbors(path, QUERIES, 4)
    assert found.layer == "encoder"
    assert texts_of(found) == texts_of(vae.neighbors(corpus, QUERIES, 4, layer="encoder"))
    with pytest.raises(UsageError, match="of the layer encoder; leave layer out"):
        vae.neighbors(path, QUERIES, layer="latent")


def test_vectors_that_do_not_belong_are_refused(
    vae: TextVAE, tiny_ae: Path, corpus: Path, sentences: list[str], tmp_path: Path
) -> None:
    npy, parquet = tmp_path / "v.npy", tmp_path / "v.parquet"
    other = TextVAE.from_pretrained(tiny_ae, device="cpu")
    write_vectors(other, corpus, parquet)
    rows = [(parquet, {}, "not those of its texts under this model")]
    for name, array, options, reason in (
        ("wide", np.ones((150, 9)), {}, "rows of 9 values"),
        ("flat", np.ones(9), {}, "shape"),
        ("bits", np.ones((150, 1), np.uint8), {}, "u1"),
        ("text", np.array([["a"]]), {}, "expected numbers"),
        ("nan", np.full((150, 4), np.nan), {}, "row 0 is not finite"),
        ("huge", np.full((150, 4), 1e30), {}, "far too long"),
        ("short", np.ones((151, 4)), {"texts": corpus}, "150 lines, but"),
        ("long", np.zeros((3, 4)), {"texts": sentences}, "not those|more than 3 lines"),
        ("none", np.ones((0, 4)), {}, "no sentences"),
    ):
        np.save(tmp_path / f"{name}.npy", array)
        rows.append((tmp_path / f"{name}.npy", options, reason))
    npy.write_bytes((tmp_path / "wide.npy").read_bytes()[:300])
    rows.append((npy, {}, "damaged"))
    for path, options, reason in rows:
        with pytest.raises(DataError, match=reason):
            vae.neighbors(path, QUERIES, **options)
    for description, values, reason in (
        ({"layer": 3}, np.ones((2, 4), np.float32), "layer 3"),
        ({"quantize": ["int8"]}, np.ones((2, 4), np.int8), "how to decode"),
        ({"quantize": "int8"}, np.ones((2, 4), np.int8), "scales or offsets"),
        ([1], np.ones((2, 4), np.float32), "not an object"),
        ({}, np.ones((2, 4), np.int8), "how to decode"),
    ):
        lists = pyarrow.FixedSizeListArray.from_arrays(values.ravel(), 4)
        table = pyarrow.table({"vector": lists, "text": ["us !", "rain ."]})
        write_table(table.replace_schema_metadata({"textvae": json.dumps(description)}), parquet)
        with pytest.raises(DataError, match=reason):
            vae.neighbors(parquet, QUERIES)
    for error, sources, options in (
        (UsageError, (corpus, QUERIES), {"texts": sentences}),
        (UsageError, ("-", "-"), {}),
        (UsageError, (corpus, QUERIES), {"metric": "near"}),
        (DataError, (corpus, []), {}),
        (DataError, ([], QUERIES), {}),
    ):
        with pytest.raises(error):
            vae.neighbors(*sources, **options)


def test_the_command_prints_what_python_finds(
    textvae, vae: TextVAE, tiny_vae: Path, tiny_lm: Path, corpus: Path, tmp_path: Path
) -> None:
    common = ("neighbors", tiny_vae, corpus, "-k", 3)
    asked = [part for query in QUERIES for part in ("--query", query)]
    found = vae.neighbors(corpus, QUERIES, 3)
    ran = textvae(*common, *asked, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.rows == [near.to_dict() for near in found]
    assert textvae(*common, "--queries", "-", "--json", stdin="\n".join(QUERIES)).out == ran.out
    blocks = textvae(*common, *asked).out.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == QUERIES
    lines = [line.split(maxsplit=2) for line in blocks[0].splitlines()[1:]]
    assert [line[2] for line in lines] == texts_of(found)[0]
    for code, arguments in (
        (2, (tiny_lm, corpus, "--query", "us !")),
        (2, (tiny_vae, corpus)),
        (2, (tiny_vae, corpus, "--query", "us !", "--queries", corpus)),
        (2, (tiny_vae, corpus, "--query", "us !", "--approximate", tmp_path / "index")),
        (3, (tiny_vae, tmp_path / "nowhere.npy", "--query", "us !")),
    ):
        ran = textvae("neighbors", *arguments)
        assert (ran.code, ran.out) == (code, ""), arguments
        assert ONE_LINE_ERROR.match(ran.err), ran.err


def test_the_memory_does_not_grow_with_the_file(vae: TextVAE, tmp_path: Path) -> None:
    peaks = []
    for n in (20_000, 200_000):
        path = tmp_path / f"{n}.npy"
        np.save(path, np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32))
        lines = line_vectors(vae, path, watcher=Watcher())
        tracemalloc.start()
        found, n_lines = search(lines, np.ones((1, 4)), 5, "cosine", watcher=Watcher())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (len(found[0]), n_lines) == (5, n)
    assert peaks[1] < peaks[0] + 200_000


def test_an_index_finds_most_of_the_exact_neighbors(
    vae: TextVAE, corpus: Path, sentences: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("usearch")
    path, index = tmp_path / "v.parquet", tmp_path / "v.usearch"
    write_vectors(vae, corpus, path)
    exact = vae.neighbors(path, QUERIES, 4)
    for _ in range(2):  # built, then read
        found = vae.neighbors(path, QUERIES, 4, approximate=index)
        assert found.recall is not None
        assert found.recall > 0.9
        assert texts_of(found)[0][0] == QUERIES[0]
        scores = {near.index: near.score for near in exact}
        assert all(near.score == scores.get(near.index, near.score) for near in found)
    every = vae.neighbors(path, QUERIES, 10**12, approximate=index)
    assert texts_of(every) == texts_of(vae.neighbors(path, QUERIES, 10**12))
    with pytest.raises(DataError, match="expected 150 of 4 for dot"):
        vae.neighbors(path, QUERIES, metric="dot", approximate=index)
    write_vectors(vae, sentences[::-1], path)
    with pytest.raises(DataError, match="of other vectors"):
        vae.neighbors(path, QUERIES, approximate=index)
    content = bytearray(index.read_bytes())
    content[-300] ^= 255  # in the graph, where usearch would read outside its memory
    for damaged in (bytes(content), content[:-1], b"nonsense", b""):
        index.write_bytes(damaged)
        with pytest.raises(DataError, match="not an index that textvae wrote"):
            vae.neighbors(path, QUERIES, approximate=index)


def test_an_index_warns_where_repeated_lines_hide_others(vae: TextVAE, tmp_path: Path) -> None:
    pytest.importorskip("usearch")
    path = tmp_path / "v.parquet"
    write_vectors(vae, [QUERIES[0]] * 200 + QUERIES, path)
    with pytest.warns(TextVAEWarning, match="fewer than 2 neighbors in the index: 1 of 1"):
        found = vae.neighbors(path, QUERIES[:1], 2, approximate=tmp_path / "v.usearch")
    assert found.recall is not None
    assert found.recall < 0.1  # that a line finds itself says nothing


def test_without_usearch_the_exact_search_is_named(
    vae: TextVAE, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "usearch", None)
    path = tmp_path / "v.npy"
    write_vectors(vae, corpus, path)
    with pytest.raises(TextVAEError, match=r"pip install 'textvae\[neighbors\]'.*exact search"):
        vae.neighbors(path, QUERIES, approximate=tmp_path / "index")
