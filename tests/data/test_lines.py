"""Line ends of every system, and the right advice for bytes that are not UTF-8."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textvae.data import compression, encodings
from textvae.data.lines import read_lines
from textvae.data.opening import open_rows
from textvae.data.rows import Row
from textvae.data.sources import Source
from textvae.errors import DataError
from textvae.progress import Remarks

ENDS = ["\n", "\r\n", "\r"]


def texts_of(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    return [row.text for row in open_rows([str(path)])]


# line ends


@pytest.mark.parametrize("end", ENDS)
def test_a_line_end_of_any_system_ends_a_line_in_any_format(tmp_path: Path, end: str) -> None:
    for name, lines in {
        "a.txt": ["a b", "c d"],
        "a.csv": ["text,label", '"a b",x', "c d,y"],
        "a.tsv": ["text\tlabel", "a b\tx", "c d\ty"],
        "a.jsonl": ['{"text": "a b"}', '{"text": "c d"}'],
        "a.json": ["[", '{"text": "a b"},', '{"text": "c d"}', "]"],
        "a.en": ["a b", "c d"],
    }.items():
        for last in ("", end):
            content = (end.join(lines) + last).encode()
            assert texts_of(tmp_path / name, content) == ["a b", "c d"], name
            packed = texts_of(tmp_path / f"{name}.gz", gzip.compress(content))
            assert packed == ["a b", "c d"], name


def test_mixed_line_ends(tmp_path: Path) -> None:
    expected = ["a b", "c", "", "d", "", "e"]
    assert texts_of(tmp_path / "a.txt", b"a b\rc\r\n\nd\r\re") == expected
    assert texts_of(tmp_path / "a.csv", b"text,x\ra,1\r\nb,2\nc,3\r") == ["a", "b", "c"]


def test_a_quoted_csv_field_keeps_its_line_ends(tmp_path: Path) -> None:
    content = b'text,x\r"a\rb",1\r"c\r\nd\ne",2\r'
    assert texts_of(tmp_path / "a.csv", content) == ["a\rb", "c\r\nd\ne"]


@given(
    st.lists(st.tuples(st.text("ab é", max_size=4), st.sampled_from(ENDS)), max_size=12),
    st.integers(1, 7),
)
def test_lines_do_not_depend_on_the_blocks_in_which_they_are_read(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]], size: int
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "a.txt"
    content = "".join(text + end for text, end in lines).encode()
    path.write_bytes(content)
    expected = [line.decode() for line in content.splitlines()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compression, "_CHUNK_BYTES", size)
        found = list(read_lines(Source("a.txt", ".txt", "", path)))
        whole = list(read_lines(Source("a.txt", ".txt", "", path), ends=True))
    assert [line for _, line in found] == expected
    assert "".join(line for _, line in whole).encode() == content


# encodings


def advice_for(path: Path, content: bytes) -> str:
    with pytest.raises(DataError, match="not valid UTF-8") as caught:
        texts_of(path, content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


WESTERN = "“It’s the naïve cook’s café – 3 € …”\nno accents here\nŽižek’s œuvre\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (WESTERN, "CP1252"),
        ("it’s cold\nok\n", "CP1252"),
        ("naïve café, déjà vu\nok\n", "LATIN1"),
        ("caf\u00e9 au lait\rd\u00e9j\u00e0 vu\rplain\r", "MACINTOSH"),
    ],
)
def test_the_advice_mends_the_file(tmp_path: Path, text: str, encoding: str) -> None:
    """The command is run as it stands in the message."""
    path = tmp_path / "a.txt"
    codec = {"MACINTOSH": "mac-roman"}.get(encoding, encoding)
    message = advice_for(path, text.encode(codec))
    command = re.search(r"`(iconv [^`]*)`", message)
    assert command is not None
    assert command[1] == f"iconv -f {encoding} -t UTF-8"
    ran = subprocess.run([*command[1].split(), str(path)], capture_output=True, check=True)
    mended = texts_of(tmp_path / "b.txt", ran.stdout)
    assert mended == [line.strip() for line in re.split("[\r\n]+", text.strip())]


@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
def test_a_few_lines_are_mended_alone(tmp_path: Path, codec: str) -> None:
    good = [f"déjà vu {number}\n".encode() for number in range(40)]
    bad = "the naïve cook\n".encode(codec)
    message = advice_for(tmp_path / "a.txt", b"".join([*good[:16], bad, *good[16:], bad]))
    assert message.startswith(f"{tmp_path}/a.txt:17: not valid UTF-8 (byte 0xef at byte 7 of")
    assert "40 lines" in message
    assert "do not convert the whole file" in message
    assert "write lines 17, 42 anew in UTF-8 (in LATIN1 it is 'the naïve cook')" in message
    assert "iconv" not in message


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("привет , мир\nкак дела\n", "cp1251"),
        ("天气很好\n汤是冷的\n", "gb18030"),
        ("天気がいい\n", "shift_jis"),
        ("żółć i źdźbło\x81\n", "cp1250"),
    ],
)
def test_another_script_is_not_called_latin(tmp_path: Path, text: str, codec: str) -> None:
    message = advice_for(tmp_path / "a.txt", text.encode(codec, errors="ignore"))
    assert "LATIN1" not in message.partition("it may be")[0]
    assert "iconv -f ENCODING" in message or codec == "cp1250"


def test_utf_16_and_binary_data_are_called_so(tmp_path: Path) -> None:
    assert "`iconv -f UTF-16 -t UTF-8`" in advice_for(tmp_path / "a.txt", "a".encode("utf-16"))
    assert "is it text at all" in advice_for(tmp_path / "a.txt", b"a\n\xff\x00\x01\n")


def test_the_rest_of_a_pipe_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"a\n" * 100 + b"na\xefve\n"

    class Stdin:
        buffer = Endless()

    monkeypatch.setattr("sys.stdin", Stdin())
    with pytest.raises(DataError, match=r"stdin:101: not valid UTF-8 .*LATIN1"):
        list(open_rows(["-"]))


def test_the_search_for_an_encoding_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "_SEARCHED", 1000)
    taken: list[int] = []

    def endless() -> object:
        while True:
            taken.append(1)
            yield b"a" * 100

    encodings.advice(1, b"na\xefve", 0, endless())  # type: ignore[arg-type]
    assert len(taken) < 20


# control characters of a wrong conversion


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl"])
def test_control_characters_of_a_wrong_conversion_are_told_once(
    tmp_path: Path, suffix: str
) -> None:
    content = b"it\x92s cold\nok\nwe\x92re \x93here\x94\n".decode("latin-1")
    if suffix == ".csv":
        content = f"text\n{content}"
    if suffix == ".jsonl":
        content = "".join(f'{{"text": "{line}"}}\n' for line in content.splitlines())
    path = tmp_path / f"a{suffix}"
    path.write_text(content, encoding="utf-8")
    warnings: list[str] = []
    remarks = Remarks(warn=warnings.append)
    for _ in range(2):
        assert len(list(open_rows([str(path)], remarks=remarks))) == 3
    assert len(warnings) == 1
    assert f"{path}: 2 texts hold control characters" in warnings[0]
    commands = re.search(r"mend this file with `([^`]*)`", warnings[0])
    assert commands is not None
    first, second = (command.split() for command in commands[1].split("|"))
    original = subprocess.run([*first, str(path)], capture_output=True, check=True).stdout
    mended = subprocess.run(second, input=original, capture_output=True, check=True).stdout
    path.write_bytes(mended)
    rows = list(open_rows([str(path)], remarks=Remarks(warn=warnings.append)))
    assert rows == [Row("it’s cold"), Row("ok"), Row("we’re “here”")]
    assert len(warnings) == 1
