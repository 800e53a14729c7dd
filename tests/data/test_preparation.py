"""What preparing a corpus reads, says and samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from textvae.config import DataConfig, TokenizerConfig
from textvae.data import collection, prepare
from textvae.data.prepare import load_corpora
from textvae.data.rows import hash_fraction
from textvae.data.tokenizers import Tokenizer
from textvae.progress import Watcher

SENTENCES = [f"the {animal} {verb} in house {n}" for n in range(60)
             for animal, verb in (("cat", "sat"), ("dog", "ran"), ("cow", "lay"))]  # fmt: skip
EVERYDAY = Path(__file__).parents[2] / "data" / "everyday" / "train.jsonl"


class Seen:
    """Keeps what a watcher is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.phases: dict[str, tuple[int, int]] = {}
        self.watcher = Watcher(self.notes.append, self.notes.append, self.progress)

    def progress(self, phase: str, done: int, total: int) -> None:
        assert not total or done <= total
        self.phases[phase] = (done, total)


def config(tmp_path: Path, **options: Any) -> DataConfig:
    return DataConfig(cache_dir=str(tmp_path / "cache"), **options)


def test_each_phase_is_told_once_and_comes_to_its_end(tmp_path: Path) -> None:
    path, seen = tmp_path / "a.txt", Seen()
    path.write_text("\n".join(SENTENCES))
    data = config(tmp_path, train=(str(path),))
    load_corpora(data, TokenizerConfig(tokenizer="word"), watcher=seen.watcher)
    assert seen.notes == [f"reading {path}", "training the word tokenizer", f"encoding {path}"]
    assert seen.phases == {
        f"reading {path} (MiB)": (1, 1),
        "training the word tokenizer": (180, 180),
        f"encoding {path}": (180, 180),
    }
    again = Seen()
    load_corpora(data, TokenizerConfig(tokenizer="word"), watcher=again.watcher)
    assert again.notes == [f"reading {path}"]  # the rest is in the cache


def test_texts_in_memory_have_phases_too(tmp_path: Path) -> None:
    seen = Seen()
    load_corpora(
        config(tmp_path),
        TokenizerConfig(tokenizer="word"),
        texts=SENTENCES,
        valid_texts=SENTENCES[:5],
        watcher=seen.watcher,
    )
    assert seen.notes == ["training the word tokenizer", "encoding texts", "encoding valid texts"]
    assert seen.phases["encoding valid texts"] == (5, 5)
    assert seen.phases["reading texts"] == (180, 180)


@pytest.mark.parametrize("encoder_tokenizer", [None, "bpe"])
def test_a_file_is_read_once_for_all_corpora(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder_tokenizer: str | None
) -> None:
    """Once for each tokenizer to train, and once for training, validation and both tokenizers.

    Before, the first row is read, to tell what is recognized also where all is cached.
    """
    path, readings = tmp_path / "a.txt", []
    path.write_text("\n".join(SENTENCES))
    rows_of = collection.rows_of

    def counted(*arguments: Any) -> Iterator[Any]:
        for n, row in enumerate(rows_of(*arguments)):
            if n == 1:
                readings.append(arguments)
            yield row

    monkeypatch.setattr(collection, "rows_of", counted)
    asked = TokenizerConfig(tokenizer="word", encoder_tokenizer=encoder_tokenizer)
    corpora = load_corpora(config(tmp_path, train=(str(path),)), asked)
    assert len(readings) == (2 if encoder_tokenizer is None else 3)
    assert len(corpora.train) + len(corpora.valid) == len(SENTENCES)
    assert len(corpora.source.train) == len(corpora.train)


@pytest.mark.parametrize("kind", ["bpe", "word", "unigram"])
def test_a_small_corpus_trains_the_tokenizer_on_all_its_training_texts(
    tmp_path: Path, kind: str
) -> None:
    data = config(tmp_path, valid_fraction=0.2)
    tokenizer = load_corpora(data, TokenizerConfig(tokenizer=kind), texts=SENTENCES).tokenizer
    mine = [text for text in SENTENCES if hash_fraction(text) >= 0.2]
    assert tokenizer.fingerprint == Tokenizer.train(mine, kind=kind).fingerprint


def test_a_large_corpus_trains_it_on_a_sample_of_its_training_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(map(len, SENTENCES))
    monkeypatch.setitem(prepare._TOKENIZER_BYTES, "bpe", size // 4)
    seen, taken = Seen(), []
    train = Tokenizer.train

    def watched(texts: Any, **options: Any) -> Tokenizer:
        taken.extend(texts)
        return train(taken, **options)

    monkeypatch.setattr(Tokenizer, "train", watched)
    data = config(tmp_path, valid_fraction=0.2)
    load_corpora(data, TokenizerConfig(), texts=SENTENCES, watcher=seen.watcher)
    assert 20 < len(taken) < 60  # a quarter of four fifths of 180
    assert all(hash_fraction(text) >= 0.2 for text in taken)
    assert "training the bpe tokenizer on 25% of the sentences" in seen.notes


def test_a_sample_gives_as_good_a_vocabulary() -> None:
    texts = [json.loads(line)["text"] for line in EVERYDAY.read_text().splitlines()]
    held_out, train = texts[:2000], texts[2000:]
    sample = [text for text in train if hash_fraction(text) < 0.25]
    whole, part = (Tokenizer.train(some, kind="bpe") for some in (train, sample))
    tokens, more = (sum(map(len, t.encode(held_out))) for t in (whole, part))
    assert more < 1.01 * tokens
