"""Rows come out as they stand in the file, and what cannot be read says so in one line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from compressors import COMPRESS
from hypothesis import given
from hypothesis import strategies as st

from textvae.config import DataConfig
from textvae.data import compression as files
from textvae.data import lines, parquet
from textvae.data.compression import read_chunks
from textvae.data.opening import Row, open_rows, read_sentences
from textvae.data.rows import hash_fraction
from textvae.data.sources import Source, find_sources
from textvae.errors import DataError, NotFoundError, TextVAEError, UsageError
from textvae.progress import Remarks

ROWS = [Row('say "hi" , ok', "pos", -1.5), Row("天气 很好 😀", "neg", -2.0)]
FILES = {
    ".csv": '\ufefflabel,text,log_prob\r\npos,"say ""hi"" , ok",-1.5\r\nneg,天气 很好 😀,-2\r\n',
    ".tsv": '\ufefflabel\ttext\tlog_prob\npos\tsay "hi" , ok\t-1.5\nneg\t天气 很好 😀\t-2',
    ".jsonl": '{"text": "say \\"hi\\" , ok", "label": "pos", "log_prob": -1.5}\n'
    '{"label": "neg", "log_prob": -2, "text": "天气 很好 😀"}\n',
}


def parquet_bytes(**columns: list[object]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def rows_from(path: Path, content: bytes, **options: object) -> list[Row]:
    path.write_bytes(content)
    return list(open_rows([str(path)], **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_table_format_gives_the_same_rows(
    tmp_path: Path, suffix: str, compression: str
) -> None:
    if suffix == ".parquet":
        content = parquet_bytes(
            label=[row.label for row in ROWS],
            text=[row.text for row in ROWS],
            log_prob=[row.log_prob for row in ROWS],
        )
    else:
        content = FILES[suffix].encode()
    path = tmp_path / f"rows{suffix}{compression}"
    assert rows_from(path, COMPRESS[compression](content)) == ROWS


@pytest.mark.parametrize("compression", COMPRESS)
def test_text_lines_lose_outer_blanks_byte_order_mark_and_carriage_returns(
    tmp_path: Path, compression: str
) -> None:
    content = "\ufeff one  two \r\n\r\n\tthree\u2028four".encode()
    rows = rows_from(tmp_path / f"a.txt{compression}", COMPRESS[compression](content))
    assert [row.text for row in rows] == ["one  two", "", "three\u2028four"]


def test_compressed_data_in_several_frames_is_read_to_the_end(tmp_path: Path) -> None:
    for compression, compress in COMPRESS.items():
        rows = rows_from(tmp_path / f"a.txt{compression}", compress(b"a\nb") + compress(b"c\nd\n"))
        assert [row.text for row in rows] == ["a", "bc", "d"], compression


def test_lines_longer_than_a_block_stay_whole(tmp_path: Path) -> None:
    texts = ["a" * 3_000_000, "b", "c" * 1_100_000]
    rows = rows_from(tmp_path / "a.txt", "\n".join(texts).encode())
    assert [row.text for row in rows] == texts


def test_globs_are_sorted_and_a_file_named_like_a_pattern_is_itself(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "[ab].txt"):
        (tmp_path / name).write_text(name)
    assert [row.text for row in open_rows([f"{tmp_path}/?.txt"])] == ["a.txt", "b.txt"]
    assert [row.text for row in open_rows([f"{tmp_path}/[ab].txt"])] == ["[ab].txt"]


def test_standard_input_is_read_as_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    assert [row.text for row in open_rows(["-"])] == ["one", "two"]


def test_csv_fields_may_hold_newlines_and_blank_lines_are_empty_sentences(tmp_path: Path) -> None:
    rows = rows_from(tmp_path / "a.csv", b'id,text\n1,"two\r\nlines"\n\n2,"a, ""b"""\n')
    assert [row.text for row in rows] == ["two\r\nlines", "", 'a, "b"']


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=4))
def test_any_text_survives_jsonl_and_parquet(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    assert [row.text for row in rows_from(folder / "a.jsonl", lines.encode())] == texts
    content = parquet_bytes(text=pa.array(texts, pa.string()))
    assert [row.text for row in rows_from(folder / "a.parquet", content)] == texts


def test_the_only_text_column_is_the_text_and_options_override_it(tmp_path: Path) -> None:
    content = parquet_bytes(id=[1, 2], sentence=["a", "b"], label=[3, None])
    path = tmp_path / "a.parquet"
    assert rows_from(path, content) == [Row("a", "3"), Row("b")]
    content = b'{"a": "x", "b": "y", "c": 1}'
    rows = rows_from(tmp_path / "a.jsonl", content, text_column="b", label_column="a")
    assert rows == [Row("y", "x")]


def test_lower_case_and_unicode_normalisation(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    content = "ﬁne CAFE\u0301".encode()
    assert rows_from(path, content)[0].text == "ﬁne CAFE\u0301"
    assert rows_from(path, content, normalization="nfc")[0].text == "ﬁne CAFÉ"
    assert rows_from(path, content, normalization="nfkc", lowercase=True)[0].text == "fine café"


BAD: list[tuple[str, bytes, str]] = [
    ("a.txt", b"ok\nna\xefve\n", r"a\.txt:2: not valid UTF-8 \(byte 0xef at byte 3"),
    ("a.txt", "text".encode("utf-16"), r"a\.txt:1: not valid UTF-8"),
    ("a.txt", b"ok\nok\na\0b\n", r"a\.txt:3: contains a NUL byte"),
    ("a.csv", b'text,b\n"never closed\n', r"a\.csv:2: not valid CSV"),
    ("a.csv", b'text,b\n"x\ny",1\nz\n', r"a\.csv:4: expected 2 fields as in the header, found 1"),
    ("a.csv", b"", r"a\.csv:1: expected a header line"),
    ("a.tsv", b"text\tlabel\nx\ty\tz\n", r"a\.tsv:2: expected 2 fields as in the header, found 3"),
    ("a.tsv", b"a\tb\n", r"a\.tsv:1: no column 'text'; its columns are a, b; .*text_column="),
    ("a.tsv", b"text\ttext\n", r"a\.tsv:1: duplicate column 'text'"),
    ("a.tsv", b"text\tlog_prob\nx\tlow\n", r"a\.tsv:2: log_prob 'low' is not a finite number"),
    ("a.jsonl", b'{"text": "x"}\n{"text": \n', r"a\.jsonl:2: not valid JSON"),
    ("a.jsonl", b'["x"]\n', r"a\.jsonl:1: expected a JSON object, found list"),
    ("a.jsonl", b'{"text": 5}\n', r"a\.jsonl:1: the text is of type int, not a string"),
    ("a.jsonl", b'{"text": "x"}\n{"txt": "y"}\n', r"a\.jsonl:2: this object has no 'text'"),
    ("a.jsonl", b'{"text": "x", "text": "y"}\n', r"a\.jsonl:1: .* duplicate name 'text'"),
    ("a.jsonl", b'{"text": "\\ud800"}\n', r"a\.jsonl:1: the text contains a lone surrogate"),
    ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: not valid JSON"),
    (
        "a.jsonl",
        b'{"text": "x", "label": "\\udfff"}\n',
        r":1: the label contains a lone surrogate",
    ),
    ("a.jsonl", b'{"text": "x", "log_prob": ' + b"9" * 400 + b"}", r":1: log_prob 9{90,}\.\.\. is"),
    ("a.jsonl", b'{"text": "x"}\n{"text": ?}\n', r":2: not valid JSON: .* at character 10 of the"),
    ("a.csv", b'text\nx\n"' + b"y" * 140_000, r"a\.csv:3: not valid CSV .* is never closed"),
    ("a.csv", b",".join(b"%d" % n for n in range(5000)), r"0, 1, .* 8 and 4,991 more; choose"),
    ("a.csv", b"a" * 9999 + b",b\n", r"its columns are 'a+\.\.\., b; choose"),
    ("a.parquet", b"PAR1 nonsense", r"a\.parquet: damaged or not a Parquet file"),
    ("a.parquet", parquet_bytes(text=["x", None]), r"a\.parquet: row 2: the text is missing"),
    (
        "a.parquet",
        parquet_bytes(text=pa.array([b"ok", b"\xff"]).view(pa.string())),
        r"a\.parquet: row 2: the text is not valid UTF-8",
    ),
    ("a.parquet", parquet_bytes(a=["x"], b=["y"]), r"no column 'text'; its columns are a, b"),
    (
        "a.parquet",
        parquet_bytes(text=["x"], label=pa.array([2**31 - 1], pa.date32())),
        r"a\.parquet: row 1: cannot be read: days=2147483647",
    ),
    ("a.parquet", parquet_bytes(text=["x" * 999])[:-30], r"damaged or not a Parquet file"),
    ("a.docx", b"x", r"a\.docx: unknown format '\.docx': a word .*; save it as plain"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_bad_input_is_one_line_with_file_and_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(TextVAEError, match=message) as caught:
        rows_from(tmp_path / name, content)
    assert caught.value.exit_code in (3, 4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compression", [".gz", ".xz", ".bz2", ".zst"])
@pytest.mark.parametrize("damage", ["truncated", "not compressed", "followed by text"])
def test_damaged_compression_is_an_error(tmp_path: Path, compression: str, damage: str) -> None:
    content = "\n".join(map(str, range(50_000))).encode()
    whole = COMPRESS[compression](content)
    bad = whole[: len(whole) // 2] if damage == "truncated" else content
    bad = whole + content if damage == "followed by text" else bad
    with pytest.raises(DataError, match=rf"a\.txt\{compression}: .*damaged"):
        rows_from(tmp_path / f"a.txt{compression}", bad)


@pytest.mark.parametrize("compression", [".gz", ".xz", ".bz2"])
def test_zeros_after_compressed_data_are_padding(tmp_path: Path, compression: str) -> None:
    rows = rows_from(tmp_path / f"a.txt{compression}", COMPRESS[compression](b"a\n") + bytes(512))
    assert rows == [Row("a")]


@pytest.mark.parametrize("compression", [".gz", ".xz", ".bz2", ".zst"])
def test_a_bomb_goes_off_in_small_pieces_and_not_to_the_end(
    tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BOMB_BYTES", 1 << 20)
    monkeypatch.setattr(files, "_PACKED_BYTES", 16)
    path = tmp_path / f"a.txt{compression}"
    path.write_bytes(COMPRESS[compression](bytes(8 << 20)))
    chunks = read_chunks(Source("a.txt", ".txt", compression, path))
    sizes: list[int] = []
    with pytest.raises(DataError, match=r"a\.txt.* more than (300|1,000) times its size"):
        sizes.extend(map(len, chunks))
    assert max(sizes, default=0) <= 1 << 20
    assert sum(sizes) <= 4 << 20  # of 8


def test_what_packs_well_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BOMB_BYTES", 1 << 10)
    text = b"".join(b"the soup was cold on day %d .\n" % day for day in range(9999))
    for compression in (".gz", ".xz", ".bz2", ".zst"):
        path = tmp_path / f"a.txt{compression}"
        assert len(rows_from(path, COMPRESS[compression](text))) == 9999


def test_equal_texts_in_parquet_may_be_a_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BOMB_BYTES", 1 << 20)
    monkeypatch.setattr(parquet, "_SMALL", 1)
    content = parquet_bytes(text=["the soup " * 99] * 20_000)
    with pytest.raises(DataError, match=r"a\.parquet: unpacks to more than 1,000 times"):
        rows_from(tmp_path / "a.parquet", content)
    monkeypatch.setattr(files, "_BOMB_BYTES", 32 << 20)
    assert len(rows_from(tmp_path / "a.parquet", content)) == 20_000


@pytest.mark.parametrize("encoding", ["dictionary", "prefixes"])
def test_few_rows_of_parquet_are_decoded_at_once(tmp_path: Path, encoding: str) -> None:
    """A kilobyte can hold one text of 16 MB two thousand times, or with ever another end."""
    texts = ["x" * (1 << 20) + ("" if encoding == "dictionary" else str(n)) for n in range(200)]
    how: dict[str, object] = {"use_dictionary": True}
    if encoding == "prefixes":
        how = {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": texts}), path, **how)
    before = pa.total_allocated_bytes()
    rows = open_rows([str(path)])
    assert next(rows).text == texts[0]
    assert pa.total_allocated_bytes() - before < 40 << 20  # of 200 MiB


def test_rows_that_repeat_a_few_texts_are_no_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BOMB_BYTES", 1 << 20)
    texts = [f"the soup was cold on day {row // 3000} ." for row in range(60_000)]
    content = parquet_bytes(text=texts)
    assert 300 * len(content) < sum(map(len, texts))
    assert [row.text for row in rows_from(tmp_path / "a.parquet", content)] == texts


@pytest.mark.parametrize("suffix", [".txt", ".tsv", ".jsonl"])
def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST_TEXT", 1 << 20)
    monkeypatch.setattr(files, "_CHUNK_BYTES", 1 << 10)
    read, write = os.pipe()

    def long() -> None:
        with contextlib.suppress(BrokenPipeError), open(write, "wb") as stream:
            stream.write(b"text\n")
            for _ in range(4096):  # 16 MiB, so that a reader without a limit fails and ends
                stream.write(b"a" * 4096)

    writer = threading.Thread(target=long)
    writer.start()
    path = tmp_path / f"pipe{suffix}"
    path.symlink_to(f"/dev/fd/{read}")
    with pytest.raises(DataError, match=rf"pipe\{suffix}:[12]: "):
        list(open_rows([str(path)]))
    os.close(read)
    writer.join(timeout=10)
    assert not writer.is_alive()


def test_a_text_beyond_all_length_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textvae.data.rows.LONGEST_TEXT", 9)
    content = parquet_bytes(text=["123456789", "1234567890"])
    with pytest.raises(DataError, match=r"row 2: the text has 10 characters; .* 9 at most"):
        rows_from(tmp_path / "a.parquet", content)


def test_a_label_that_is_not_a_number_is_missing(tmp_path: Path) -> None:
    """As pandas writes a label that a row does not have."""
    content = parquet_bytes(text=["a", "b"], label=[1.0, float("nan")])
    assert rows_from(tmp_path / "a.parquet", content) == [Row("a", "1"), Row("b")]
    assert rows_from(tmp_path / "a.jsonl", b'{"text": "a", "label": NaN}') == [Row("a")]


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl", ".parquet"])
def test_a_column_that_is_the_text_or_the_label_is_no_log_prob(tmp_path: Path, suffix: str) -> None:
    content = {
        ".tsv": b"log_prob\tnote\ngood\tfine\n",
        ".jsonl": b'{"log_prob": "good", "note": "fine"}\n',
        ".parquet": parquet_bytes(log_prob=["good"], note=["fine"]),
    }[suffix]
    path = tmp_path / f"a{suffix}"
    assert rows_from(path, content, text_column="log_prob") == [Row("good")]
    rows = rows_from(path, content, text_column="note", label_column="log_prob")
    assert rows == [Row("fine", "good")]
    with pytest.raises(DataError, match="log_prob 'good' is not a finite number"):
        rows_from(path, content, text_column="note")


def test_a_column_without_a_name_is_no_label(tmp_path: Path) -> None:
    """As pandas writes an index; None, where no label is asked for, is not its name."""
    content = parquet_bytes(**{"": ["a", "b"], "n": [1, 2]})
    assert rows_from(tmp_path / "a.parquet", content) == [Row("a"), Row("b")]
    assert rows_from(tmp_path / "a.jsonl", b'{"": "a", "n": 1}') == [Row("a")]


@pytest.mark.parametrize("suffix", [".txt", ".parquet"])
def test_the_name_of_a_file_need_not_be_utf_8(tmp_path: Path, suffix: str) -> None:
    content = parquet_bytes(text=["a"]) if suffix == ".parquet" else b"a"
    name = os.fsdecode(b"a\xff" + suffix.encode())
    try:
        rows = rows_from(tmp_path / name, content)
    except OSError:  # a file system that has no such names
        pytest.skip("no such names here")
    assert rows == [Row("a")]


def test_a_file_of_a_byte_order_mark_alone_is_empty(tmp_path: Path) -> None:
    assert rows_from(tmp_path / "a.txt", lines.BOM) == []


def test_utf_16_is_called_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="iconv -f UTF-16"):
        rows_from(tmp_path / "a.txt", "the soup".encode("utf-16"))


def test_a_closed_stdin_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="stdin: is closed"):
        list(open_rows(["-"]))


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (PermissionError(13, "Permission denied"), 4, "a.txt: cannot be read: Permission denied"),
        (NotADirectoryError(20, "Not a directory"), 3, "a.txt: no such file"),
        (OSError(36, "File name too long"), 4, "a.txt: cannot be read: File name too long"),
    ],
)
def test_a_file_that_the_system_refuses_is_named(
    error: OSError, code: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stat(name: str) -> None:
        raise error

    monkeypatch.setattr("textvae.data.sources.os.stat", stat)
    with pytest.raises(TextVAEError, match=message) as caught:
        find_sources(["a.txt"])
    assert caught.value.exit_code == code


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.txt: no such file"):
        open_rows([f"{tmp_path}/none.txt"])
    with pytest.raises(NotFoundError, match="no file matches"):
        open_rows([f"{tmp_path}/*.txt"])
    with pytest.raises(DataError, match="is a folder"):
        open_rows([str(tmp_path)])
    with pytest.raises(NotFoundError, match=r"no column 'topic'; its columns are text"):
        rows_from(tmp_path / "a.csv", b"text\nx\n", label_column="topic")


def test_zst_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.version_info >= (3, 14):
        pytest.skip("reads .zst by itself")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(DataError, match="pip install zstandard"):
        rows_from(tmp_path / "a.txt.zst", zstandard.compress(b"x"))


def test_inference_keeps_one_row_for_each_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("One\n\n  \nTwo\n")
    rows = read_sentences([str(path)], DataConfig(lowercase=True))
    assert [row.text for row in rows] == ["one", "", "", "two"]
    path.write_text("")
    with pytest.raises(DataError, match="no sentences"):
        read_sentences([str(path)], DataConfig())


def test_a_data_set_folder_by_hf_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b"}\n')
    (folder / "test.jsonl").write_text('{"text": "c", "label": "y"}\n')
    assert list(open_rows([f"hf:{folder}"])) == [Row("a", "x"), Row("b")]
    assert list(open_rows([f"hf:{folder}::test"])) == [Row("c", "y")]
    said: list[str] = []
    (folder / "other.jsonl").write_text('{"Text": "a", "n": 1}\n')
    (folder / "train.jsonl").unlink()
    (folder / "test.jsonl").unlink()
    assert list(open_rows([f"hf:{folder}"], remarks=Remarks(said.append))) == [Row("a")]
    assert said == [f"hf:{folder}: the text is in column 'Text'"]
    with pytest.raises(NotFoundError, match=r"hf:.*cannot be loaded: .*[Uu]nknown split"):
        list(open_rows([f"hf:{folder}::dev"]))
    with pytest.raises(NotFoundError, match="cannot be loaded"):
        list(open_rows([f"hf:{tmp_path}/nothing"]))
    with pytest.raises(UsageError, match="expected hf:NAME"):
        list(open_rows(["hf:a:b:c:d"]))


def test_a_class_label_of_minus_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    rows = {"text": ["a", "b", "c"], "label": [1, -1, 0]}
    monkeypatch.setattr(
        "textvae.data.hub._load", lambda spec: datasets.Dataset.from_dict(rows, features)
    )
    assert list(open_rows(["hf:any"])) == [Row("a", "pos"), Row("b"), Row("c", "neg")]


def test_hash_fraction_is_stable_even_and_independent_between_purposes() -> None:
    assert hash_fraction("the soup was cold .") == 0.005799263148412059
    values = [hash_fraction(str(number)) for number in range(4000)]
    assert min(values) >= 0
    assert max(values) < 1
    assert sum(value < 0.25 for value in values) == pytest.approx(1000, abs=100)
    low = [number for number in range(4000) if values[number] < 0.25]
    both = sum(hash_fraction(str(number), purpose="other") < 0.25 for number in low)
    assert both == pytest.approx(len(low) / 4, abs=60)


def test_reading_text_imports_nothing_heavy() -> None:
    code = (
        "import sys, textvae.data.opening;"
        "print(*{'torch', 'pyarrow', 'datasets', 'numpy', 'tokenizers'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("\n", "")
