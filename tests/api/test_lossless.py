"""Files that are compressed by a language model: they come back bit for bit, or with an error."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import ONE_LINE_ERROR

from textvae.api import TextVAE
from textvae.errors import DataError, UsageError
from textvae.files.compressed_blocks import BlockReader


@pytest.fixture(scope="module")
def lm(tiny_lm: Path) -> TextVAE:
    return TextVAE.from_pretrained(tiny_lm, device="cpu")


@pytest.fixture(scope="module")
def packed(lm: TextVAE, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "x.tvc"
    lm.compress(corpus, out)
    return out


def test_the_size_is_the_likelihood_of_the_text(
    lm: TextVAE, corpus: Path, packed: Path, sentences: list[str]
) -> None:
    bits = -lm.log_likelihood(sentences).sum() / math.log(2)
    overhead = 8 * (150 + 100)  # the header, and an end and lengths
    assert bits < 8 * packed.stat().st_size < bits + overhead


STRANGE = (
    b"", b"\n", b"\n\n", b"the cook likes rain .", b"the cook likes rain .\n\nus !\n",
    b"a\r\nb\r\n", b"\xff\xfe\x00\n", "žluťoučký kůň\n".encode(), b"the  cook\tlikes \n",
    b"the cook " * 50 + b"\n", b"<eos>\n<unk> rain .\n", bytes(range(256)),
)  # fmt: skip


@pytest.mark.parametrize("content", STRANGE)
def test_any_file_comes_back(lm: TextVAE, tmp_path: Path, content: bytes) -> None:
    check_round_trip(lm, tmp_path, content)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from([b"\n", b"us !", b"rain .", b" ", b"\xc3", b"the cook sees "])))
def test_any_sequence_comes_back(lm: TextVAE, tmp_path: Path, parts: list[bytes]) -> None:
    check_round_trip(lm, tmp_path, b"".join(parts))


def check_round_trip(lm: TextVAE, folder: Path, content: bytes) -> None:
    source, small, back = (folder / name for name in ("a", "a.tvc", "b"))
    source.write_bytes(content)
    found = lm.compress(source, small)
    assert lm.decompress(small, back) == found
    assert back.read_bytes() == content
    assert (found.n_bytes, found.n_compressed) == (len(content), small.stat().st_size)


def test_several_blocks_and_other_threads_give_the_same_file(
    lm: TextVAE, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textvae.api.lossless._LINES", 7)
    threads = torch.get_num_threads()
    lm.compress(corpus, tmp_path / "a")
    try:
        torch.set_num_threads(2)
        lm.compress(corpus, tmp_path / "b")
        assert torch.get_num_threads() == 2
        lm.decompress(tmp_path / "a", tmp_path / "back")
    finally:
        torch.set_num_threads(threads)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "back").read_bytes() == corpus.read_bytes()


def test_long_lines_are_not_tokenized_and_blocks_stay_small(
    lm: TextVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textvae.api.lossless._LONGEST_CODED", 6)
    monkeypatch.setattr("textvae.api.lossless._BYTES", 20)
    (tmp_path / "a").write_bytes(b"rain .\nus !\nthe cook likes rain .\n" * 3)
    found = lm.compress(tmp_path / "a", tmp_path / "b")
    assert (found.n_lines, found.n_other_lines) == (9, 3)
    with (tmp_path / "b").open("rb") as file:
        assert [block.n_lines for block in BlockReader(file, "b").blocks()] == [3, 3, 3]
    lm.decompress(tmp_path / "b", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "a").read_bytes()


def test_a_line_that_could_not_be_read_again_is_refused(lm: TextVAE, tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.write(b"rain .\n")
        file.truncate(7 + 2**26 + 1)  # NUL bytes
    with pytest.raises(DataError, match="line 2 has more than 67,108,864 bytes"):
        lm.compress(tmp_path / "a", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_refused_and_nothing_is_written(
    lm: TextVAE, packed: Path, tmp_path: Path
) -> None:
    whole, out = packed.read_bytes(), tmp_path / "out"
    bad = tmp_path / "bad"
    for content in (
        b"", whole[:5], whole[:60], whole[:-1], whole + b"x",
        *(flipped(whole, place) for place in (3, 11, 15, 200, -40, -1)),
        whole.replace(b'"version": 1', b'"version": 2'),
    ):  # fmt: skip
        bad.write_bytes(content)
        with pytest.raises(DataError):
            lm.decompress(bad, out)
        assert not out.exists()


def flipped(content: bytes, place: int) -> bytes:
    place %= len(content)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_another_model_is_refused(
    lm: TextVAE, packed: Path, tiny_vae: Path, tiny_lm: Path, tmp_path: Path
) -> None:
    other = TextVAE.from_pretrained(tiny_lm, device="cpu")
    with torch.no_grad():
        other.model.decoder.output.bias[5] += 1e-3
    with pytest.raises(UsageError, match="compressed by another model"):
        other.decompress(packed, tmp_path / "out")
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    with pytest.raises(UsageError, match="is of the kind vae"):
        vae.compress(packed, tmp_path / "out")


def test_the_commands_give_the_file_back(
    textvae, tiny_lm: Path, tiny_ae: Path, corpus: Path, tmp_path: Path
) -> None:
    small, back = tmp_path / "x.tvc", tmp_path / "back.txt"
    ran = textvae("compress", tiny_lm, corpus, "--out", small, "--json")
    assert ran.code == 0, ran.err
    (report,) = ran.rows
    assert report["n_bytes"] == corpus.stat().st_size
    assert report["bits_per_byte"] == 8 * small.stat().st_size / report["n_bytes"]
    ran = textvae("decompress", tiny_lm, small, "--out", back)
    assert ran.code == 0, ran.err
    assert back.read_bytes() == corpus.read_bytes()
    for code, words, arguments in (
        (2, "is of the kind ae", ("compress", tiny_ae, corpus, "--out", small)),
        (2, "would overwrite the input", ("compress", tiny_lm, corpus, "--out", corpus)),
        (3, "no such file", ("compress", tiny_lm, tmp_path / "no", "--out", small)),
        (3, "this is a folder", ("decompress", tiny_lm, tmp_path, "--out", back)),
        (4, "not a file of textvae compress", ("decompress", tiny_lm, corpus, "--out", back)),
    ):
        ran = textvae(*arguments)
        assert ran.code == code, ran.err
        assert ONE_LINE_ERROR.match(ran.err), ran.err
        assert words in ran.err
