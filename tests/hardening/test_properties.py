"""Whatever comes in, it is read as it is or refused in one line; nothing is lost or doubled."""

from __future__ import annotations

import csv
import io
import json
import re
import string
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compressors import COMPRESS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textvae.cli.output import CONTROLS_FOR_EYES, Output, to_json
from textvae.config import SECTIONS, Config, parse_assignment
from textvae.data.batches import collate
from textvae.data.columns import Choice
from textvae.data.corpus import EncodedCorpus, write_corpus
from textvae.data.lines import BOM
from textvae.data.opening import open_rows
from textvae.data.prepare import load_corpora
from textvae.data.rows import Row, hash_fraction
from textvae.data.sources import Source, find_sources
from textvae.data.text_formats import read_rows
from textvae.data.tokenizers import KINDS, Tokenizer
from textvae.errors import ConfigError, DataError, TextVAEError

quickly = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
lines = texts.map(lambda text: re.sub("[\r\n\ufeff]", " ", text).strip())
names = st.text(string.ascii_lowercase, min_size=1, max_size=3)
# Bytes that are nearly something: what readers look for, between anything.
pieces = st.sampled_from(
    [
        *(
            b"text",
            b"label",
            b",",
            b"\t",
            b"\n",
            b"\r\n",
            b'"',
            b"{",
            b"}",
            b'{"text": "a"}\n',
            b":",
        ),
        *(b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\\ud800"),
        *(b"[" * 2000, b"9" * 5000, b"NaN", b"1e999", b"PAR1", b"\x1b[2J", b"null", b" "),
    ]
) | st.binary(max_size=6)
content = st.lists(pieces, max_size=12).map(b"".join)
SENTENCES = ["the soup was cold .", "天气很好", "so 😀 good", "كان الحساء باردا ."] * 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train(SENTENCES, kind=request.param, vocab_size=300)


def assert_refused_kindly(error: TextVAEError, named: str) -> None:
    """A short message with what is at fault, a pattern, and an exit code that says so."""
    assert error.exit_code in (3, 4)
    assert re.search(named, str(error))
    assert len(str(error)) < 1000
    if isinstance(error, ConfigError):
        assert str(error).isprintable()


# readers


@quickly
@given(content, st.sampled_from([".txt", ".csv", ".tsv", ".jsonl", ".parquet"]),
       st.sampled_from(["", ".gz", ".xz", ".bz2", ".zst"]), st.booleans())  # fmt: skip
def test_any_bytes_are_rows_of_text_or_refused_by_the_name_of_the_file(
    folder: Path, content: bytes, suffix: str, compression: str, packed: bool
) -> None:
    path = folder / f"any{suffix}{compression}"
    path.write_bytes(COMPRESS[compression](content) if packed else content)
    try:
        rows = list(open_rows([str(path)]))
    except TextVAEError as error:
        assert_refused_kindly(error, path.name)
        return
    for row in rows:
        row.text.encode()
        (row.label or "").encode()
        assert row.log_prob is None or np.isfinite(row.log_prob)


@quickly
@given(st.lists(lines, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans(),
       st.sampled_from(list(COMPRESS)))  # fmt: skip
def test_no_line_is_lost_doubled_or_moved(
    folder: Path, texts: list[str], end: str, last: bool, mark: bool, compression: str
) -> None:
    written = end.join(texts) + (end if last and texts else "")
    path = folder / f"lines.txt{compression}"
    path.write_bytes(COMPRESS[compression](("\ufeff" * mark + written).encode()))
    if not last and texts and not texts[-1]:
        texts = texts[:-1]  # nothing after the last line break is no line
    assert [row.text for row in open_rows([str(path)])] == [text.strip() for text in texts]


@quickly
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6))
def test_what_a_csv_writer_writes_comes_back(folder: Path, rows: list[tuple[str, str]]) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerows([("label", "text"), *rows])
    path = folder / "written.csv"
    path.write_bytes(stream.getvalue().encode())
    assert list(open_rows([str(path)])) == [
        Row(text, label.strip() or None) for label, text in rows
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)


@quickly
@given(st.lists(st.dictionaries(st.sampled_from(["text", "label", "log_prob", "x"]), json_values),
                max_size=4))  # fmt: skip
def test_json_values_of_any_type_are_taken_or_refused_with_their_line(
    folder: Path, records: list[dict[str, Any]]
) -> None:
    path = folder / "values.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    try:
        rows = list(open_rows([str(path)]))
    except TextVAEError as error:
        assert_refused_kindly(error, r"values\.jsonl:[1-4]: ")
        return
    column = "text" if records and "text" in records[0] else "x"
    assert [row.text for row in rows] == [record[column] for record in records]


def columns_of(count: int) -> st.SearchStrategy[pa.Array]:
    """A Parquet column of any of the usual types."""
    kinds: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
        (pa.string(), texts),
        (pa.large_string(), texts),
        (pa.dictionary(pa.int32(), pa.string()), texts),
        (pa.binary(), st.binary(max_size=4)),
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.float64(), st.floats()),
        (pa.bool_(), st.booleans()),
        (pa.date32(), st.integers(-(2**31), 2**31 - 1)),
        (pa.timestamp("us"), st.integers(-(2**62), 2**62)),
        (pa.duration("ns"), st.integers(-(2**63), 2**63 - 1)),
        (pa.list_(pa.int64()), st.lists(st.integers(0, 9), max_size=2)),
    ]
    return st.sampled_from(kinds).flatmap(
        lambda kind: st.lists(st.none() | kind[1], min_size=count, max_size=count).map(
            lambda values: pa.array(values, kind[0])
        )
    )


@quickly
@given(st.dictionaries(st.sampled_from(["text", "label", "log_prob", "x"]), columns_of(3)))
def test_parquet_columns_of_any_type_are_taken_or_refused(
    folder: Path, columns: dict[str, pa.Array]
) -> None:
    path = folder / "columns.parquet"
    pq.write_table(pa.table(columns), path)
    try:
        rows = list(open_rows([str(path)]))
    except TextVAEError as error:
        assert_refused_kindly(error, "columns.parquet")
        return
    column = "text" if "text" in columns else "x"
    assert [row.text for row in rows] == columns[column].to_pylist()


@quickly
@given(st.text(max_size=12) | st.sampled_from(["~/x", "[", "**", "a\0b.txt", "x" * 500, "/"]))
def test_any_name_is_a_source_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        found = find_sources([name])
    except TextVAEError as error:
        assert_refused_kindly(error, "no such file|no file matches|is a folder|cannot be read")
        return
    assert all(isinstance(source, Source) for source in found)


@quickly
@given(content)
def test_any_bytes_on_stdin_are_rows_or_refused(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    try:
        rows = list(read_rows(Source("stdin", ".txt"), Choice()))
    except DataError as error:
        assert_refused_kindly(error, "stdin:")
        return
    content = content.removeprefix(BOM)
    assert len(rows) == len(content.splitlines())


# from texts to tokens


@settings(quickly, max_examples=30)
@given(st.lists(lines, min_size=1, max_size=12), st.floats(0.05, 0.95), st.sampled_from(
    ["cut", "drop"]))  # fmt: skip
def test_each_sentence_is_in_one_corpus_once_or_counted(
    folder: Path, texts: list[str], fraction: float, overlong: str
) -> None:
    """Training and validation together hold what came in, each side in its order."""
    texts = [*texts, "the soup was cold ."]
    config = Config.resolve(
        options={
            "valid_fraction": fraction,
            "max_tokens": 4,
            "overlong": overlong,
            "tokenizer": "word",
            "cache_dir": str(folder / "cache"),
        }
    )
    try:
        corpora = load_corpora(config.data, config.tokenizer, texts=texts)
    except DataError as error:
        assert_refused_kindly(error, r"texts: no (training|validation) sentences are left \(\d")
        return
    for corpus, held_out in ((corpora.train, False), (corpora.valid, True)):
        mine = [text for text in texts if (hash_fraction(text) < fraction) == held_out]
        spoken = [text for text in mine if text and not text.isspace()]
        long = [text for text in spoken if len(corpora.tokenizer.encode([text])[0]) > 3]
        dropped = long if overlong == "drop" else []
        assert corpus.texts(np.arange(len(corpus))) == [t for t in spoken if t not in dropped]
        assert (corpus.n_blank, corpus.n_dropped) == (len(mine) - len(spoken), len(dropped))
        assert corpus.n_cut == (0 if overlong == "drop" else len(long))


@pytest.fixture(scope="module")
def encoded(folder: Path) -> tuple[Tokenizer, bytes]:
    """A tokenizer and the content of a corpus file."""
    tokenizer = Tokenizer.train(SENTENCES, kind="word", vocab_size=300)
    write_corpus(
        folder / "whole.arrow", map(Row, SENTENCES), tokenizer, max_tokens=9, overlong="cut"
    )
    return tokenizer, (folder / "whole.arrow").read_bytes()


@quickly
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_corpus_file_that_is_cut_short_is_refused(
    folder: Path, encoded: tuple[Tokenizer, bytes], share: float
) -> None:
    tokenizer, whole = encoded
    kept = int(share * len(whole))
    path = folder / f"cut-{kept}.arrow"
    path.write_bytes(whole[:kept])
    with pytest.raises(DataError, match="damaged encoded corpus"):
        EncodedCorpus(path, tokenizer)


@quickly
@given(st.lists(texts, max_size=6))
def test_a_text_has_its_tokens_whatever_stands_beside_it(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> None:
    alone = [tokenizer.encode([text])[0] for text in texts]
    monkeypatch.setattr("textvae.data.tokenizers._PIECE_CHARACTERS", 9)
    assert tokenizer.encode(texts) == alone


@settings(quickly, max_examples=30)
@given(st.lists(texts.map(lambda text: re.sub(r"[\x00-\x1f<]", " ", text)), max_size=4),
       st.sampled_from(KINDS))  # fmt: skip
def test_any_texts_train_a_tokenizer_that_knows_them(texts: list[str], kind: str) -> None:
    trained = Tokenizer.train(texts, kind=kind, vocab_size=270)
    assert trained.decode(trained.encode(texts)) == [
        " ".join(text.split()) if kind == "word" else text for text in texts
    ]


@quickly
@given(st.lists(st.lists(st.integers(3, 99), max_size=9), max_size=6), st.integers(1, 3))
def test_a_batch_gives_its_sentences_back(sentences: list[list[int]], times: int) -> None:
    tokens = collate(sentences, eos_id=2, pad_id=0)
    again = tokens.repeat(times).rows(slice(None, None, 1))
    found = [row[mask].tolist() for row, mask in zip(again.ids, again.mask, strict=True)]
    assert found == [[*sentence, 2] for sentence in sentences] * times
    assert not again.ids[~again.mask].any()


# from tokens to a terminal


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@quickly
@given(st.lists(st.integers(-2, 320) | st.integers(), max_size=30))
def test_any_ids_are_decoded_to_a_line_that_a_terminal_can_show(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, ids: list[int]
) -> None:
    [text] = tokenizer.decode([ids])
    text.encode()
    assert json.loads(to_json({"text": text})) == {"text": text}
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    Output().row({}, text)
    assert not CONTROLS_FOR_EYES.search(terminal.getvalue().removesuffix("\n"))


# configuration


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["vae", "lm", "transformer", "bpe", "total", 1e300, 2**63, -0.0])
)
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(names, scalars, max_size=1)
fields = sorted((section, key) for section, model in SECTIONS.items() for key in model.model_fields)


def assert_settled(config: Config, file: Path) -> None:
    """What was accepted can be written, and comes back from the file."""
    file.write_bytes(config.to_toml().encode())
    assert Config.resolve(file=file) == config


@settings(quickly, max_examples=200)
@given(st.dictionaries(st.sampled_from(fields), values, max_size=3))
def test_values_of_any_type_are_a_configuration_or_refused(
    folder: Path, given_: dict[tuple[str, str], Any]
) -> None:
    tables: dict[str, dict[str, Any]] = {}
    for (section, key), value in given_.items():
        tables.setdefault(section, {})[key] = value
    try:
        config = Config.validate_values(tables, where="here")
    except ConfigError as error:
        assert_refused_kindly(error, "here: ")
        return
    assert_settled(config, folder / "settled.toml")


@settings(quickly, max_examples=100)
@given(st.sampled_from(fields), st.text(max_size=12) | values.map(repr))
def test_any_assignment_is_taken_or_refused(
    folder: Path, field: tuple[str, str], value: str
) -> None:
    assignment = f"{'.'.join(field)}={value}"
    assert parse_assignment(assignment)[:2] == field
    try:
        config = Config.resolve(assignments=[assignment])
    except ConfigError as error:
        assert_refused_kindly(error, "options: ")
        return
    assert_settled(config, folder / "settled.toml")


@quickly
@given(st.lists(st.sampled_from(
    ["[model]\n", "[[data]]\n", "layers = ", "2\n", "beta", "=", "'''", '"', "\\ud800", "[" * 999,
     "{a = ", "\x1b[2J", "\0", "nan\n", "1979-05-27\n", "#", "é", "\n", "9" * 5000]) | st.text(
    max_size=4), max_size=8).map("".join))  # fmt: skip
def test_any_file_is_a_configuration_or_refused_by_its_name(folder: Path, content: str) -> None:
    file = folder / "any.toml"
    file.write_bytes(content.encode(errors="surrogatepass"))
    try:
        config = Config.resolve(file=file)
    except ConfigError as error:
        assert_refused_kindly(error, "any.toml")
        return
    assert_settled(config, folder / "settled.toml")
