"""Tables are read by the separator and header that they have, or refused; never by another."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textvae.data import records
from textvae.data.columns import Choice
from textvae.data.lines import lines_of
from textvae.data.records import csv_records
from textvae.data.rows import Row
from textvae.data.sources import Source
from textvae.data.text_formats import read_rows
from textvae.errors import DataError, TextVAEError
from textvae.progress import Remarks

ROWS = [Row('the soup, cold; "hot" | spicy', "a"), Row("we ran", "b"), Row("it, was; so", "a")]
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "TABs", "|": "vertical bars"}


def read(path: Path, content: str | bytes, **columns: str) -> tuple[list[Row], str]:
    """The rows of a file, and what was said about it, a line each."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    said: list[str] = []
    choice = Choice(columns.get("text_column"), columns.get("label_column"))
    format_ = "".join(path.suffixes)
    remarks = Remarks(said.append, said.append)
    return list(read_rows(Source(path.name, format_, "", path), choice, remarks)), "\n".join(said)


def written(separator: str, header: tuple[str, ...] = ("text", "label"), **how: object) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=separator, **how)  # type: ignore[arg-type]
    writer.writerows([header, *((row.text, row.label) for row in ROWS)])
    return stream.getvalue()


# the separator


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_the_separator_is_the_one_in_the_header(
    tmp_path: Path, suffix: str, separator: str, quoting: int
) -> None:
    if suffix == ".tsv" and separator == "\t":
        pytest.skip("has no quoting")
    rows, said = read(tmp_path / f"a{suffix}", written(separator, quoting=quoting))
    assert rows == ROWS
    name = SEPARATORS[separator]
    own = separator == "," and suffix == ".csv"
    assert said == ("" if own else f"a{suffix}: its columns are separated by {name}")


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("first", ["sep={}\n", '"sep={}"\r\n', "SEP={}\r"])
def test_a_first_line_declares_the_separator(
    tmp_path: Path, suffix: str, separator: str, first: str
) -> None:
    if suffix == ".tsv" and separator == "\t":
        pytest.skip("has no quoting")
    content = first.format(separator) + written(separator, ("sentence", "label"))
    rows, said = read(tmp_path / f"a{suffix}", content)
    assert rows == ROWS
    assert "the text is in column 'sentence'" in said
    content = first.format(separator) + f"text{separator}label\na{separator}b{separator}c\n"
    with pytest.raises(DataError, match=r"a\.[ct]sv:3: expected 2 fields"):
        read(tmp_path / f"a{suffix}", content)


def test_a_declaration_settles_what_is_ambiguous(tmp_path: Path) -> None:
    content = "text;a|text|b\nx;y|z|w\n"
    with pytest.raises(DataError, match=r"semicolons or vertical bars; declare .* `sep=;`"):
        read(tmp_path / "a.csv", content)
    rows, _ = read(tmp_path / "a.csv", f"sep=|\n{content}")
    assert rows == [Row("z")]
    rows, _ = read(tmp_path / "a.csv", f"sep=;\n{content}")
    assert rows == [Row("x")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text;label\nthe soup, cold;a\nwe ran\n", r":3: the header has 2 .* semicolons, .* has 1"),
        ("text;label\nthe soup was cold\n", r":2: .*if the file has one column, choose it"),
        ("sentence;kind\na;b\n", "its columns are sentence, kind; choose one"),
        ("the soup was cold,a\nwe ran,b\n", "no column 'text'; .*put a header line"),
        ("we left; it rained\nhe sat; she ran\n", "no column 'text'; its columns are we left,"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(TextVAEError, match=message):
        read(tmp_path / "a.csv", content)


def test_a_name_with_separators_is_one_column_if_asked_for(tmp_path: Path) -> None:
    for name, content in (
        ("a.csv", '"text;label"\nthe soup\n'),
        ("a.csv", "text;label\nthe soup\n"),
        ("a.jsonl", '{"text;label": "the soup"}\n'),
    ):
        rows, said = read(tmp_path / name, content, text_column="text;label")
        assert (rows, said) == ([Row("the soup")], "")


def test_a_table_that_another_program_read_wrongly_is_refused(tmp_path: Path) -> None:
    """As pandas and datasets read semicolons as one column, and write it to another format."""
    stream = io.BytesIO()
    pq.write_table(pa.table({"text;label": ["the soup;a"]}), stream)
    for name, content in (
        ("a.parquet", stream.getvalue()),
        ("a.jsonl", '{"text;label": "the soup;a"}'),
        ("a.json", '[{"text;label": "the soup;a"}]'),
    ):
        with pytest.raises(DataError, match="'text;label' looks like several, separated by semi"):
            read(tmp_path / name, content)


def test_an_unused_duplicate_in_parquet_does_no_harm(tmp_path: Path) -> None:
    stream = io.BytesIO()
    columns = [pa.array(values) for values in (["x"], ["the soup"], ["y"], ["a"])]
    pq.write_table(pa.Table.from_arrays(columns, ["id", "text", "id", "label"]), stream)
    rows, said = read(tmp_path / "a.parquet", stream.getvalue())
    assert (rows, said) == ([Row("the soup", "a")], "")


def test_the_separator_of_the_name_comes_first(tmp_path: Path) -> None:
    """Where it gives the text column, nothing else is looked for."""
    rows, said = read(tmp_path / "a.csv", "text,a;b|c\nthe soup;cold|hot,x\n")
    assert (rows, said) == ([Row("the soup;cold|hot")], "")
    rows, said = read(tmp_path / "a.csv", "text\na;b\nc;d\n")
    assert (rows, said) == ([Row("a;b"), Row("c;d")], "")
    rows, said = read(tmp_path / "a.tsv", "text\na,b\nc,d\n")
    assert (rows, said) == ([Row("a,b"), Row("c,d")], "")


cells = st.text(st.sampled_from('ab ,;|\t"') | st.characters(codec="utf-8"), max_size=12).map(
    lambda cell: re.sub("[\r\n\0\ufeff]", " ", cell)
)


@given(
    st.lists(st.tuples(cells, cells), max_size=6),
    st.sampled_from([("text", "label"), ("id", "text"), ("text", "note;text|x")]),
)
def test_any_sentence_comes_back_from_a_correct_file(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    header: tuple[str, str],
) -> None:
    folder = tmp_path_factory.mktemp("correct")
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([header, *rows])
    place = header.index("text")
    found, said = read(folder / "a.csv", stream.getvalue())
    assert ([row.text for row in found], said) == ([row[place] for row in rows], "")
    bare = [tuple(cell.replace("\t", " ") for cell in row) for row in rows]
    lines = ["\t".join(row) for row in [header, *bare]]
    found, said = read(folder / "a.tsv", "\n".join(lines) + "\n")
    assert ([row.text for row in found], said) == ([row[place] for row in bare], "")


@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=6),
    st.sampled_from(list(SEPARATORS)),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_any_sentence_comes_back_from_another_separator(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    separator: str,
    quoting: int,
) -> None:
    folder = tmp_path_factory.mktemp("other")
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=separator, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("label", "text"), *rows])
    found, _ = read(folder / "a.csv", stream.getvalue())
    assert found == [Row(text, label.strip() or None) for label, text in rows]


# the header


@pytest.mark.parametrize(
    "content",
    [
        "the soup was cold\nwe took the train\n",
        "Hello.\nGoodbye.\n",
        "天气很好。\n汤是冷的。\n",
        "yes\nno\nyes\n",
        "Review Text\ngood\n",
        "we left; then\nno\n",
        '"the soup, cold"\nno\n',
        "the soup was cold,,\nno,,\n",
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_first_line_that_may_be_a_sentence_is_not_lost(
    tmp_path: Path, suffix: str, content: str
) -> None:
    content = content.replace(",,", "\t\t") if suffix == ".tsv" else content
    with pytest.raises(DataError, match=r":1: the first line, .*text_column=.*\.txt"):
        read(tmp_path / f"a{suffix}", content)
    rows, _ = read(tmp_path / "a.txt", content)
    assert len(rows) == content.count("\n")


def test_the_name_of_a_single_column_is_told_or_asked_for(tmp_path: Path) -> None:
    rows, said = read(tmp_path / "a.csv", "sentence\nthe soup\n")
    assert (rows, said) == ([Row("the soup")], "a.csv: the text is in column 'sentence'")
    rows, said = read(tmp_path / "a.csv", "Review Text\ngood\n", text_column="Review Text")
    assert (rows, said) == ([Row("good")], "")
    rows, said = read(tmp_path / "a.csv", "text\nthe soup\n")
    assert (rows, said) == ([Row("the soup")], "")


def test_empty_fields_after_a_row_are_no_part_of_a_text(tmp_path: Path) -> None:
    """Spreadsheets write them; the commas of a text without quotation marks look the same."""
    rows, _ = read(tmp_path / "a.csv", "text,label\nthe soup,a,,\nthe train,b,\n")
    assert rows == [Row("the soup", "a"), Row("the train", "b")]
    rows, _ = read(tmp_path / "a.csv", "text, label\nthe soup, a,\n")
    assert rows == [Row("the soup", "a")]
    for content in ("text,label\nWell, yes,\n", "id,text,label\n1,Well, yes,\n"):
        with pytest.raises(DataError, match="a text with separators needs quotation marks"):
            read(tmp_path / "a.csv", content)


@pytest.mark.parametrize("header", ["text, label", "Text,Label", " TEXT , LABEL ", "text,label"])
def test_case_and_outer_blanks_of_a_name_do_not_matter(tmp_path: Path, header: str) -> None:
    rows, _ = read(tmp_path / "a.csv", f"{header}\nthe soup,a\n")
    assert rows == [Row("the soup", "a")]
    rows, _ = read(tmp_path / "a.tsv", header.replace(",", "\t") + "\nthe soup\ta\n")
    assert rows == [Row("the soup", "a")]
    text, label = header.split(",")
    rows, said = read(tmp_path / "a.jsonl", f'{{"{text}": "the soup", "{label}": "a"}}\n')
    assert rows == [Row("the soup", "a")]
    assert (f"the text is in column {text!r}" in said) == (text != "text")
    assert (f"the labels are in column {label!r}" in said) == (label != "label")


def test_a_name_as_written_goes_before_one_in_another_case(tmp_path: Path) -> None:
    rows, said = read(tmp_path / "a.csv", "Text,text,LABEL,label\na b,c d,e,f\n")
    assert (rows, said) == ([Row("c d", "f")], "")
    rows, said = read(tmp_path / "a.csv", "TEXT,note\na b,c d\n", text_column="Text")
    assert (rows, said) == ([Row("a b")], "a.csv: the text is in column 'TEXT'")
    with pytest.raises(TextVAEError, match="no column 'text'; its columns are Text, TEXT"):
        read(tmp_path / "a.csv", "Text,TEXT\na,b\n")


def test_a_similar_name_of_another_type_is_passed_over(tmp_path: Path) -> None:
    """So that a file which was read before there were similar names is read as it was."""
    table = pa.table({"Text": [1], "review": ["the soup"], "Label": [["a", "b"]]})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    rows, said = read(tmp_path / "a.parquet", stream.getvalue())
    assert (rows, said) == ([Row("the soup")], "a.parquet: the text is in column 'review'")
    record = table.to_pylist()[0]
    assert read(tmp_path / "a.jsonl", json.dumps(record))[0] == [Row("the soup")]
    rows, _ = read(tmp_path / "a.csv", "text,LOG_PROB\nthe soup,high\n")
    assert rows == [Row("the soup")]
    rows, _ = read(tmp_path / "a.csv", "text, log_prob\nthe soup, -1.5\n")
    assert rows == [Row("the soup", None, -1.5)]


def test_blanks_after_all_separators_belong_to_them(tmp_path: Path) -> None:
    content = 'id, text, label\n1, "the soup, cold", a\n2, we ""ran, b\n'
    rows, _ = read(tmp_path / "a.csv", content)
    assert rows == [Row("the soup, cold", "a"), Row('we ""ran', "b")]
    rows, _ = read(tmp_path / "a.csv", "id,text\n1, the soup\n")
    assert rows == [Row(" the soup")]


def test_what_is_unused_does_no_harm(tmp_path: Path) -> None:
    """As spreadsheets write empty columns and rows."""
    rows, said = read(tmp_path / "a.csv", "text,label,,\nthe soup,a,,\nwe ran,b\n,,,\n")
    assert (rows, said) == ([Row("the soup", "a"), Row("we ran", "b"), Row("")], "")
    rows, said = read(tmp_path / "a.csv", "id,text,id,label\n1,the soup,2,a\n")
    assert (rows, said) == ([Row("the soup", "a")], "")
    rows, said = read(tmp_path / "a.csv", ",sentence\n0,the soup\n1,we ran\n")
    assert [row.text for row in rows] == ["the soup", "we ran"]
    rows, said = read(tmp_path / "a.csv", "text,label\nthe soup,a,,\n")
    assert (rows, said) == ([Row("the soup", "a")], "")
    for content in ("text,text\na,b\n", "text,label,label\na,b,c\n"):
        with pytest.raises(DataError, match="duplicate column"):
            read(tmp_path / "a.csv", content)
    with pytest.raises(DataError, match=r":2: expected 2 fields .* found 3; .* quotation marks"):
        read(tmp_path / "a.csv", "label,text\na,when it rains,\n")


# the records


@given(st.text(st.sampled_from('ab",; \n'), max_size=30), st.sampled_from(",;"))
def test_records_are_those_of_a_strict_csv_reader(text: str, separator: str) -> None:
    stream = io.StringIO(text, newline="")
    lines = list(stream)
    numbered = lines_of([text.encode()], Source("a.csv", ".csv"), ends=True)
    try:
        expected = list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error:
        with pytest.raises(DataError, match=r"a\.csv:\d+: not valid CSV"):
            list(csv_records(numbered, separator, "a.csv"))
        return
    if separator + " " in (lines or [""])[0]:
        return  # the rule about blanks is ours
    assert [record for _, record in csv_records(numbered, separator, "a.csv")] == expected


def test_a_long_cell_is_read_whatever_the_limit_of_the_csv_module(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "the soup, cold " * 10_000
    for name, content in (
        ("a.csv", f'text\n"{text}"\n'),
        ("a.csv", 'text\n"' + text.replace(" ", "\n") + '"\n'),
        ("a.tsv", f"text\n{text}\n"),
        ("a.jsonl", f'{{"text": "{text}"}}\n'),
        ("a.json", f'[{{"text": "{text}"}}]'),
    ):
        rows, _ = read(tmp_path / name, content)
        assert [len(row.text) for row in rows] == [len(text)]
    assert csv.field_size_limit() == before


def test_the_limit_of_a_record_is_that_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LONGEST_TEXT", 100)
    rows, _ = read(tmp_path / "a.csv", 'text\n"' + "a\n" * 45 + '"\n')
    assert len(rows) == 1
    with pytest.raises(DataError, match=r"a\.csv:2: a record of more than .* never closed"):
        read(tmp_path / "a.csv", 'text\n"' + "a\n" * 60 + '"\n')
