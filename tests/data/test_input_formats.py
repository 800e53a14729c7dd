"""Files that people have: arrays in .json, other endings, and what is no text at all."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from compressors import COMPRESS
from hypothesis import given
from hypothesis import strategies as st

from textvae.data import arrays, compression
from textvae.data.opening import open_rows
from textvae.data.rows import Row
from textvae.data.sources import find_sources
from textvae.errors import DataError, TextVAEError
from textvae.progress import Remarks


def rows_from(path: Path, content: str | bytes, said: list[str] | None = None) -> list[Row]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    said = [] if said is None else said
    return list(open_rows([str(path)], remarks=Remarks(said.append, said.append)))


# .json

OBJECTS = [{"text": "the soup , {cold}", "label": "a"}, {"label": 2, "text": 'we "ran" []'}]
ROWS = [Row("the soup , {cold}", "a"), Row('we "ran" []', "2")]


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_read_like_lines(tmp_path: Path, indent: int | None, compression: str) -> None:
    path = tmp_path / f"a.json{compression}"
    pack = COMPRESS[compression]
    content = json.dumps(OBJECTS, indent=indent).encode()
    assert rows_from(path, pack(content)) == ROWS
    assert rows_from(path, pack(b"\xef\xbb\xbf \n" + content + b"\n ")) == ROWS
    texts = [row.text for row in ROWS]
    strings = json.dumps(texts, indent=indent).encode()
    assert rows_from(path, pack(strings)) == [Row(text) for text in texts]
    lines = "".join(json.dumps(record) + "\n" for record in OBJECTS).encode()
    assert rows_from(path, pack(lines)) == ROWS
    assert rows_from(path, pack(b"[]")) == []


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=5), st.integers(1, 9))
def test_any_strings_survive_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], size: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compression, "_CHUNK_BYTES", size)
        for ascii_only in (True, False):
            content = json.dumps(texts, ensure_ascii=ascii_only)
            assert [row.text for row in rows_from(folder / "a.json", content)] == texts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a"}, 5]', "item 2: expected JSON objects only, or strings only, found '5'"),
        ('["a", {"text": "b"}]', "item 2: expected JSON objects only"),
        ('[["a"]]', "item 1: expected JSON objects only"),
        ('[{"text": "a"}', "item 1: .*expected , or ] after it, found the end"),
        ('[{"text": "a"},', "item 2: .*found the end of the file"),
        ('[{"text": "a"},]', "item 2: .*found ']'"),
        ('[{"text": "a" "b"}]', "item 1: not valid JSON: .* at character 15 of the item"),
        ('[{"text": "a", "text": "b"}]', "item 1: .*duplicate name 'text'"),
        ('[{"text": "a"}] more', "text after the end of the array"),
        ('[{"text": "\\ud800"}]', "item 1: the text contains a lone surrogate"),
        ('[{"text": 5}]', "item 1: the text is of type int"),
        ('[{"txt": "a", "b": "c"}]', "no column 'text'; its columns are txt, b"),
        ('["a\0"]', "contains a NUL byte"),
        (b'["a",\n"caf\xe9 au lait"]', r"a\.json:2: not valid UTF-8; .*LATIN1"),
        (b'["caf\xc3', "the last character is incomplete"),
        ('[{"text": ' + "[" * 100_000, "nested too deeply|not valid JSON"),
        ('{"text": {"0": "a"}}', "the text is of type dict, .*; expected an array of objects"),
        ('{\n"text": "a"\n}', "a.json:1: not valid JSON: .*; expected an array of objects"),
    ],
)
def test_bad_json_is_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(TextVAEError, match=message) as caught:
        rows_from(tmp_path / "a.json", content)
    assert "\n" not in str(caught.value)


def test_an_item_is_as_long_as_a_line_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "LONGEST_TEXT", 1000)
    monkeypatch.setattr(compression, "_CHUNK_BYTES", 100)
    path = tmp_path / "a.json"
    assert len(rows_from(path, json.dumps(["a" * 900] * 5))) == 5
    with pytest.raises(DataError, match="item 1: more than"):
        rows_from(path, '["' + "a" * 100_000)


def test_an_array_in_jsonl_says_where_it_goes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found list; an array goes into a file named \.json"):
        rows_from(tmp_path / "a.jsonl", '["a"]\n')


# other endings


@pytest.mark.parametrize("ending", ["en", "pt", "tok", "text", "2024", "EN", "md"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_text_with_any_ending_is_read_and_told(tmp_path: Path, ending: str, packed: str) -> None:
    said: list[str] = []
    content = COMPRESS[packed](b"the soup\nwe ran\n")
    rows = rows_from(tmp_path / f"train.{ending}{packed}", content, said)
    assert rows == [Row("the soup"), Row("we ran")]
    assert len(said) == 1
    assert f"the ending '.{ending.lower()}' says no format; read as plain text" in said[0]


def test_a_name_without_an_ending_is_plain_text(tmp_path: Path) -> None:
    said: list[str] = []
    assert rows_from(tmp_path / "train", "the soup\n", said) == [Row("the soup")]
    assert said == []


@pytest.mark.parametrize(
    ("ending", "same"), [(".ndjson", ".jsonl"), (".tab", ".tsv"), (".pq", ".parquet")]
)
def test_other_endings_of_the_known_formats(tmp_path: Path, ending: str, same: str) -> None:
    (tmp_path / f"a{ending}").touch()
    assert find_sources([str(tmp_path / f"a{ending}")])[0].format == same


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_binary_data_with_an_unknown_ending_is_refused(tmp_path: Path, packed: str) -> None:
    content = COMPRESS[packed](b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(DataError, match=r"unknown format '\.png': binary data; expected text"):
        rows_from(tmp_path / f"a.png{packed}", content)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.xlsx", "a spreadsheet; save it as CSV UTF-8"),
        ("a.XLS", "a spreadsheet; save it as CSV UTF-8"),
        ("a.ods", "a spreadsheet; save it as CSV UTF-8"),
        ("a.docx", "a word processor's document; save it as plain text"),
        ("a.pdf", "a PDF document; extract its text"),
        ("a.zip", "an archive; unpack it"),
        ("a.tar", "an archive; unpack it"),
        ("a.tar.gz", "an archive; unpack it"),
        ("a.tgz", "an archive; unpack it"),
        ("a.pkl", "a pickle, which can hold code and is never read; export it"),
        ("a.feather", "a binary data file; export it"),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(DataError, match="unknown format") as caught:
        find_sources([str(tmp_path / name)])
    assert advice in str(caught.value)


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "the soup")
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (zipped("xl/workbook.xml"), "a spreadsheet; save it as CSV UTF-8"),
        (zipped("word/document.xml"), "a word processor's document"),
        (zipped("a.txt"), "a ZIP archive or an Office file; unpack it"),
        (tarred(), "an archive; unpack it"),
        (gzip.compress(b"the soup"), r"compressed by gzip; give it a name that ends in .gz"),
        (bz2.compress(b"the soup"), r"compressed by bzip2; give it a name that ends in .bz2"),
        (lzma.compress(b"the soup"), r"compressed by xz; give it a name that ends in .xz"),
        (b"%PDF-1.7\n", "a PDF document; extract its text"),
        (b"{\\rtf1\\ansi the soup}", "a word processor's document; save it as plain text"),
        (b"PAR1\0\0", "a Parquet file; give it a name that ends in .parquet"),
    ],
    # Some contents hold the time: their names would differ between the workers of pytest-xdist.
    ids=["xlsx", "docx", "zip", "tar", "gzip", "bzip2", "xz", "pdf", "rtf", "parquet"],
)
@pytest.mark.parametrize(
    "suffix", ["", ".txt", ".csv", ".tsv", ".jsonl", ".json", ".en", ".txt.gz"]
)
def test_the_content_tells_what_the_name_does_not(
    tmp_path: Path, suffix: str, content: bytes, advice: str
) -> None:
    if suffix.endswith(".gz"):
        content = gzip.compress(content)
    with pytest.raises(DataError, match="the content is") as caught:
        rows_from(tmp_path / f"a{suffix}", content)
    assert advice in str(caught.value)


def test_stdin_tells_what_to_do_with_other_content(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(b"the soup")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(packed)))
    with pytest.raises(DataError, match=r"stdin: .* gzip; write it to a file named \.gz, or unp"):
        list(open_rows(["-"]))


# plain text that is a table or JSON


@pytest.mark.parametrize(
    ("first", "what"),
    [
        ("text;label", r"the header of a table; .* \.csv or \.tsv"),
        ('"label"\t"Text"', r"the header of a table; .* \.csv or \.tsv"),
        ('{"text": "a"}', r"JSON; if it is, name the file \.jsonl or \.json"),
        ('[{"text": "a"},', r"JSON; if it is, name the file \.jsonl or \.json"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.en", "a"])
def test_plain_text_that_looks_like_a_table_is_told(
    tmp_path: Path, name: str, first: str, what: str
) -> None:
    said: list[str] = []
    rows = rows_from(tmp_path / name, f"{first}\nthe soup\n", said)
    assert rows == [Row(first), Row("the soup")]
    assert re.search(what, said[-1])


def test_plain_text_that_is_plain_is_not_warned_of(tmp_path: Path) -> None:
    said: list[str] = []
    for first in ("a text, of course", "text", "{ text } , [ ]", "[laughs] text", "the text; ok"):
        rows_from(tmp_path / "a.txt", f"{first}\n", said)
    assert said == []
