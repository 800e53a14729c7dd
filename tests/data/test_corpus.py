"""Encoded corpora hold what was read, are made once, and never twice differently."""

from __future__ import annotations

import io
import os
import shutil
import sys
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from textvae.config import DataConfig, TokenizerConfig
from textvae.data import corpus as corpus_module
from textvae.data import prepare
from textvae.data.cache import cache_folder, clear_cache
from textvae.data.corpus import EncodedCorpus, write_corpus
from textvae.data.prepare import Corpora, load_corpora
from textvae.data.rows import Row
from textvae.data.tokenizers import Tokenizer
from textvae.errors import DataError, NotFoundError, UsageError

SENTENCES = [f"the {noun} {verb} {n} times ." for n in range(60) for noun, verb in
             (("cat", "sat"), ("old dog", "ran"), ("fish", "swam away from"))]  # fmt: skip
WORDS = TokenizerConfig(tokenizer="word", vocab_size=50)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(SENTENCES, kind="bpe", vocab_size=400)


def load(
    cache: Path, *train: Path | str, valid: tuple[str, ...] = (), **options: object
) -> Corpora:
    data = DataConfig(
        train=tuple(map(str, train)),
        valid=valid,
        cache_dir=str(cache),
        **options,  # type: ignore[arg-type]
    )
    return load_corpora(data, WORDS)


def all_texts(corpus: EncodedCorpus) -> list[str]:
    return corpus.texts(np.arange(len(corpus)))


def test_tokens_texts_labels_and_log_probs_come_back(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_module, "_SLAB_ROWS", 50)  # several slabs
    rows = [Row(text, str(n % 3), -float(n)) for n, text in enumerate(SENTENCES)]
    path = tmp_path / "c.arrow"
    write_corpus(path, rows, tokenizer, max_tokens=99, overlong="cut")
    corpus = EncodedCorpus(path, tokenizer)
    indices = np.array([179, 0, 50, 49, 0, 120])
    tokens = corpus.tokens(indices)
    rebuilt = tokenizer.decode(tokens.ids.tolist())
    assert rebuilt == corpus.texts(indices) == [SENTENCES[i] for i in indices]
    ends = tokens.ids.gather(1, tokens.lengths[:, None] - 1)
    assert (ends == tokenizer.eos_id).all()
    assert (tokens.ids[~tokens.mask] == tokenizer.pad_id).all()
    assert tokens.ids.shape[1] == tokens.lengths.max() == corpus.lengths[indices].max()
    assert corpus.labels == [row.label for row in rows]
    assert corpus.log_probs is not None
    assert corpus.log_probs.tolist() == [row.log_prob for row in rows]
    assert corpus.n_words == sum(len(text.split()) for text in SENTENCES)
    assert corpus.n_bytes == sum(len(text.encode()) for text in SENTENCES)
    assert corpus.nbytes == 4 * corpus.lengths.sum()


@pytest.mark.parametrize("overlong", ["cut", "drop"])
def test_overlong_and_blank_sentences_are_counted(
    tmp_path: Path, tokenizer: Tokenizer, overlong: str
) -> None:
    fits = tokenizer.encode(["the cat sat"])[0]
    longer = "the cat sat and sat and sat"
    rows = [Row(""), Row("the cat sat", "a"), Row(" \t"), Row(longer)]
    path = tmp_path / "c.arrow"
    write_corpus(path, rows, tokenizer, max_tokens=len(fits) + 1, overlong=overlong)
    corpus = EncodedCorpus(path, tokenizer)
    assert corpus.n_blank == 2
    expected = [[*fits, tokenizer.eos_id]]
    if overlong == "drop":
        assert (corpus.n_cut, corpus.n_dropped) == (0, 1)
    else:
        assert (corpus.n_cut, corpus.n_dropped) == (1, 0)
        expected.append([*tokenizer.encode([longer])[0][: len(fits)], tokenizer.eos_id])
        assert corpus.texts(np.array([1])) == [longer]
        assert corpus.labels == ["a", None]
    assert corpus.tokens(np.arange(len(corpus))).ids.tolist() == expected
    assert corpus.log_probs is None


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a GPU"))],
)  # fmt: skip
def test_the_copy_on_a_device_gives_the_same_tokens(
    tmp_path: Path, tokenizer: Tokenizer, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_module, "_SLAB_ROWS", 50)
    path = tmp_path / "c.arrow"
    write_corpus(path, map(Row, SENTENCES), tokenizer, max_tokens=9, overlong="cut")
    corpus = EncodedCorpus(path, tokenizer)
    corpus = corpus.with_vectors(np.random.default_rng(0).random((len(corpus), 3), np.float32))
    resident = corpus.on_device(device)
    for seed in range(20):
        indices = np.random.default_rng(seed).integers(0, len(corpus), 7)
        indices[0] = len(corpus) - 1  # whose padding would reach past the end
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("error")  # any wait for the GPU raises
        there = resident.tokens(indices)
        torch.cuda.set_sync_debug_mode("default") if device == "cuda" else None
        here = corpus.tokens(indices)
        assert torch.equal(there.ids.cpu(), here.ids)
        assert here.vectors is not None
        assert torch.equal(there.vectors.cpu(), here.vectors)
        assert there.ids.dtype == here.ids.dtype
        assert torch.equal(there.lengths.cpu(), here.lengths)


def test_gathering_a_batch_is_fast(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = tmp_path / "c.arrow"
    write_corpus(path, map(Row, SENTENCES * 20), tokenizer, max_tokens=99, overlong="cut")
    corpus = EncodedCorpus(path, tokenizer)
    indices = np.random.default_rng(0).integers(0, len(corpus), 64)

    def milliseconds() -> float:
        start = time.perf_counter()
        for _ in range(20):
            corpus.tokens(indices)
        return 50 * (time.perf_counter() - start)

    assert min(milliseconds() for _ in range(10)) < 0.3


def test_the_second_run_encodes_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(SENTENCES))
    first = load(cache, path)
    with monkeypatch.context() as patch:
        patch.setattr(Tokenizer, "train", None)
        patch.setattr(prepare, "corpus_writer", None)
        second = load(cache, path)
    assert second.train.fingerprint == first.train.fingerprint
    assert all_texts(second.train) == all_texts(first.train)


@pytest.mark.parametrize(
    "change",
    [{"lowercase": True}, {"max_tokens": 5}, {"overlong": "drop"}, {"valid_fraction": 0.3}, {}],
)
def test_changed_text_or_options_are_encoded_anew(
    tmp_path: Path, cache: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(SENTENCES))
    before = load(cache, path)
    if not change:
        stamp = path.stat()
        path.write_text("\n".join(SENTENCES).replace("cat", "cow"))
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # same size, same time
    after = load(cache, path, **change)
    assert after.train.fingerprint != before.train.fingerprint
    if not change:
        assert any("cow" in text for text in all_texts(after.train))


def test_equal_texts_never_straddle_the_split(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(SENTENCES + [text.upper() for text in SENTENCES] + SENTENCES))
    _, train, valid, _ = load(cache, path, valid_fraction=0.2, lowercase=True)
    assert sorted(all_texts(train) + all_texts(valid)) == sorted(SENTENCES * 3)
    assert not set(all_texts(train)) & set(all_texts(valid))
    assert len(valid) == pytest.approx(0.2 * 540, abs=60)


def test_the_tokenizer_knows_only_training_words(cache: Path) -> None:
    data = DataConfig(cache_dir=str(cache))
    tokenizer, train, valid, _ = load_corpora(
        data, WORDS, texts=(text for text in ["a b", "b c"]), valid_texts=["a held out b"]
    )
    assert tokenizer.vocab_size == 4 + 3
    assert valid.tokens(np.array([0])).ids[0, 1:3].tolist() == [3, 3]
    assert (len(train), len(valid)) == (2, 1)


def test_standard_input_is_read_once_and_split(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = "\n".join(SENTENCES).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    _, train, valid, _ = load(cache, "-")
    assert sorted(all_texts(train) + all_texts(valid)) == sorted(SENTENCES)


def test_a_pipe_is_read_once(cache: Path) -> None:
    read, write = os.pipe()
    os.write(write, "\n".join(SENTENCES).encode())
    os.close(write)
    _, train, valid, _ = load(cache, f"/dev/fd/{read}")
    os.close(read)
    assert len(train) + len(valid) == len(SENTENCES)


def test_those_who_prepare_at_once_do_not_disturb_each_other(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(SENTENCES * 30))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: load(cache, path), range(4)))
    for _, train, valid, _ in results:
        assert sorted(all_texts(train) + all_texts(valid)) == sorted(SENTENCES * 30)
    assert len({corpora.train.fingerprint for corpora in results}) == 1
    assert len([file for file in cache.rglob("*") if file.is_file()]) == 3


def test_a_damaged_cache_is_made_again(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(SENTENCES))
    texts = all_texts(load(cache, path).train)
    for file in (cache / "corpora").iterdir():
        content = file.read_bytes()
        file.unlink()  # as its map may still be in use
        file.write_bytes(content[: len(content) // 2])
    assert all_texts(load(cache, path).train) == texts


def test_a_damaged_tokenizer_in_the_cache_is_trained_again(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(SENTENCES))
    before = load(cache, path).tokenizer.fingerprint
    for file in (cache / "tokenizers").iterdir():
        file.write_bytes(b"")
    assert load(cache, path).tokenizer.fingerprint == before
    assert Tokenizer.load(file).fingerprint == before


def test_no_place_for_a_cache_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="cannot create the cache folder"):
        cache_folder("nul\0")
    monkeypatch.delenv("TEXTVAE_CACHE", raising=False)
    monkeypatch.setenv("HOME", "~")  # what a user without a home resolves to
    with pytest.raises(DataError, match=r"no such home folder; .*TEXTVAE_CACHE"):
        cache_folder()


def test_long_texts_are_encoded_few_at_a_time(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_module, "_PIECE_CHARACTERS", 100)
    sizes = []

    class Watched:
        eos_id, pad_id = tokenizer.eos_id, tokenizer.pad_id

        def encode(self, texts: list[str]) -> list[list[int]]:
            sizes.append(sum(map(len, texts)))
            return tokenizer.encode(texts)

    path = tmp_path / "c.arrow"
    write_corpus(path, map(Row, SENTENCES), Watched(), max_tokens=99, overlong="cut")  # type: ignore[arg-type]
    assert all_texts(EncodedCorpus(path, tokenizer)) == SENTENCES
    assert max(sizes) < 100 + max(map(len, SENTENCES))


def test_a_full_disk_is_an_error_that_leaves_nothing_behind(
    tmp_path: Path, cache: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(100, 99, 1 << 20))
    path = tmp_path / "a.txt"
    path.write_text("\n".join(SENTENCES))
    with pytest.raises(DataError, match=r"1 MiB of disk are free.*TEXTVAE_CACHE"):
        load(cache, path)
    with pytest.raises(DataError, match="disk"):
        write_corpus(cache / "x", map(Row, SENTENCES), tokenizer, max_tokens=9, overlong="cut")
    assert not [file for file in cache.rglob("*") if file.suffix in (".arrow", ".part")]


def test_the_cache_folder_is_chosen_and_only_ours_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "env"))
    assert cache_folder() == tmp_path / "env"
    assert cache_folder(tmp_path / "arg") == tmp_path / "arg"
    load_corpora(DataConfig(), WORDS, texts=SENTENCES)
    mine = tmp_path / "env" / "corpora" / "notes.arrow"
    mine.write_text("keep")
    (mine.parent / f".{'0' * 32}.arrow.123.part").write_text("left by a crash")
    assert clear_cache() > 0
    assert [path for path in (tmp_path / "env").rglob("*") if path.is_file()] == [mine]


def test_nothing_left_says_what_to_try(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n \n\n")
    with pytest.raises(DataError, match=r"a\.txt: no training sentences are left \(3 blank"):
        load(cache, path)
    path.write_text("one\ntwo\n")
    with pytest.raises(DataError, match=r"no validation sentences.*valid=\.\.\."):
        load(cache, path, valid_fraction=0.001)
    with pytest.raises(DataError, match=r"no training .*, 2 held out\); name a validation file"):
        load(cache, path, valid_fraction=0.9999)
    path.write_text("one two three\n")
    with pytest.raises(DataError, match=r"1 too long.*increase max_tokens"):
        load(cache, path, valid=(str(path),), max_tokens=2, overlong="drop", lowercase=True)
    with pytest.raises(UsageError, match="no training data"):
        load(cache)
    with pytest.raises(UsageError, match="expected a list of texts"):
        load_corpora(DataConfig(cache_dir=str(cache)), WORDS, texts="one text")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="tokenizer bep: not found; name a file"):
        load_corpora(
            DataConfig(cache_dir=str(cache)), TokenizerConfig(tokenizer="bep"), texts=["a"]
        )
    with pytest.raises(DataError, match=r"texts\[1\]: the text is of type int"):
        load_corpora(DataConfig(cache_dir=str(cache)), WORDS, texts=["a", 5])  # type: ignore[list-item]
