"""Tokenizers give texts back, keep special tokens out of them, and are the same each time."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers

from textvae.data.tokenizers import KINDS, SPECIALS, Tokenizer
from textvae.errors import ConfigError, DataError, NotFoundError

TEXTS = [
    "the soup was cold .",
    "the dog ate the soup , and the cat ate the fish .",
    "天气很好，我们去公园。",
    "كان الحساء باردا .",
    "def f(x):\n\treturn  x  # two  spaces",
    "so good 😀 👩‍👩‍👧 !",
    "a literal <pad> and <bos> and <eos> and <unk> , <eos> <pad>",
] * 5


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def exact(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train(TEXTS, kind=request.param, vocab_size=400)


@pytest.fixture(scope="module")
def word() -> Tokenizer:
    return Tokenizer.train(["the cat <unk> sat", "the cat", "the"], kind="word", vocab_size=6)


@settings(max_examples=200)
@given(text=st.text(st.characters(codec="utf-8")))
@example(text="")
@example(text=" ")
@example(text="  two leading, trailing  ")
@example(text="\ttab\x00nul\r\nline\u2028\ufeff\u00a0")
@example(text="▁Ġ<eos><pad> <unk>")
def test_byte_tokenizers_give_any_text_back(exact: Tokenizer, text: str) -> None:
    [ids] = exact.encode([text])
    assert exact.decode([ids]) == [text]
    assert exact.decode([[exact.bos_id, *ids, exact.eos_id, 5, exact.pad_id]]) == [text]
    assert not {exact.pad_id, exact.bos_id, exact.eos_id} & set(ids)
    assert exact.unknown_count([text]) == 0
    assert exact.unk_id is None


def test_training_texts_come_back(exact: Tokenizer) -> None:
    assert exact.decode(exact.encode(TEXTS)) == TEXTS


def test_a_word_is_the_same_token_at_the_start_and_inside(exact: Tokenizer) -> None:
    [[first, *_], inside] = exact.encode(["the soup", "ate the soup"])
    assert first in inside


def test_special_tokens_have_fixed_ids(exact: Tokenizer, word: Tokenizer) -> None:
    assert (exact.pad_id, exact.bos_id, exact.eos_id) == (0, 1, 2)
    assert (word.pad_id, word.bos_id, word.eos_id, word.unk_id) == (0, 1, 2, 3)


def test_word_level_reads_only_the_unknown_token_out_of_a_text(word: Tokenizer) -> None:
    the, cat, unk = 4, 5, 3
    assert word.encode(["the  cat <unk>"]) == [[the, cat, unk]]
    assert word.encode(["<pad> <bos> the <eos>", "a<unk>b"]) == [[unk, unk, the, unk], [unk]]
    assert word.unknown_count(["the <unk> cat"]) == 0
    assert word.unknown_count(["the <unk> dog", "<eos>"]) == 2
    assert word.decode([[the, unk, cat]]) == ["the <unk> cat"]


def test_decode_never_raises_and_stops_at_the_first_end(exact: Tokenizer) -> None:
    garbage = [[-1, 10**9, exact.vocab_size], list(range(3, exact.vocab_size)), [], [2, 30]]
    first, _, *empty = exact.decode(garbage)
    assert [first, *empty] == ["", "", ""]


@pytest.mark.parametrize("kind", ["bpe", "word", "unigram"])
def test_training_is_the_same_in_every_process(kind: str) -> None:
    """Hash maps are seeded anew in each process: nothing may depend on their order."""
    code = (
        "from textvae.data.tokenizers import Tokenizer;"
        "texts = [f'{a}n {b}t {a * b}ing' for a in range(40) for b in range(40)];"
        f"print(Tokenizer.train(texts, kind={kind!r}, vocab_size=500).fingerprint)"
    )
    run = [sys.executable, "-c", code]
    assert len({subprocess.run(run, capture_output=True, check=True).stdout for _ in range(2)}) == 1


@pytest.mark.parametrize("kind", ["bpe", "word", "unigram"])
def test_saved_tokenizers_load_here_and_in_transformers(tmp_path: Path, kind: str) -> None:
    trained = Tokenizer.train(TEXTS, kind=kind, vocab_size=400)
    path = tmp_path / "tokenizer.json"
    trained.save(path)
    loaded = Tokenizer.load(path)
    assert (loaded.kind, loaded.fingerprint) == (kind, trained.fingerprint)
    texts = [*TEXTS[:6], "new <eos> text"]
    assert loaded.encode(texts) == trained.encode(texts)
    fast = pytest.importorskip("transformers").PreTrainedTokenizerFast(tokenizer_file=str(path))
    plain = [*TEXTS[:6], "", "  x "]
    assert [fast(text, add_special_tokens=False).input_ids for text in plain] == loaded.encode(
        plain
    )
    if kind != "word":
        for text, ids in zip(plain, loaded.encode(plain), strict=True):
            assert fast.decode(ids, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_takes_special_tokens_for_text_too(exact: Tokenizer, copied: Any) -> None:
    texts = ["a <eos> of <pad> text <bos>"]
    assert copied(exact).encode(texts) == exact.encode(texts)
    assert exact.decode(copied(exact).encode(texts)) == texts


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_any_length_make_a_tokenizer_that_loads(tmp_path: Path, kind: str) -> None:
    """An address, a line of dashes, or a picture in base 64 becomes a token of its own."""
    texts = ["the soup was cold .", "A" * 5000, "A" * 5000]
    tokenizer = Tokenizer.train(texts, kind=kind, vocab_size=400)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.encode(texts) == tokenizer.encode(texts)


def test_a_tokenizer_from_elsewhere_gets_the_roles_it_lacks(tmp_path: Path) -> None:
    vocabulary = {"[UNK]": 0, "[SEP]": 1, "cat": 2, "[PAD]": 3}
    foreign = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    foreign.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    foreign.add_special_tokens(["[SEP]"])
    foreign.enable_truncation(2)
    foreign.enable_padding(length=8)
    foreign.save(str(tmp_path / "tokenizer.json"))
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert (loaded.kind, loaded.unk_id, loaded.eos_id) == ("custom", 0, 1)
    assert len({loaded.pad_id, loaded.bos_id, loaded.eos_id, loaded.unk_id}) == 4
    assert loaded.vocab_size > max(loaded.pad_id, loaded.bos_id)
    assert loaded.encode(["cat cat cat", "cat [SEP]"]) == [[2, 2, 2], [2, 0]]
    loaded.save(tmp_path / "again.json")
    again = Tokenizer.load(tmp_path / "again.json")
    assert (again.pad_id, again.bos_id) == (loaded.pad_id, loaded.bos_id)
    assert again.fingerprint == loaded.fingerprint


def test_what_cannot_be_loaded_or_trained_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such tokenizer file"):
        Tokenizer.load(tmp_path / "none.json")
    for content in ("{", json.dumps({"model": {"type": "Other"}})):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(DataError, match=r"bad\.json: not a tokenizer\.json"):
            Tokenizer.load(tmp_path / "bad.json")
    with pytest.raises(ConfigError, match="at least 259"):
        Tokenizer.train(TEXTS, kind="bpe", vocab_size=100)
    with pytest.raises(ConfigError, match="expected bpe, word, unigram"):
        Tokenizer.train(TEXTS, kind="bep", vocab_size=1000)


def test_vocabulary_is_never_larger_than_asked(exact: Tokenizer, word: Tokenizer) -> None:
    assert exact.vocab_size <= 400
    assert word.vocab_size == 6
    assert len(SPECIALS) == 4
