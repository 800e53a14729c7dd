"""Encoding a corpus word by word gives what encoding it text by text gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.data import encoding
from textvae.data.encoding import TextEncoder
from textvae.data.tokenizers import KINDS, Tokenizer

SENTENCES = ["the cat's soup was cold .", "we don't know , 42 times", "<eos> is no <unk> token"]
# Blanks of all kinds, contractions, special tokens, and letters of one to four bytes.
PIECES = st.sampled_from(
    [" ", "  ", "\t", "\n", "\r", "\x0b", "\x1c", "\x1f", "\x85", "\xa0", "\u2003", "\u3000",
     "\u200b", "\ufeff", "'", "'s", "'ll", "don't", "the", "cat", "42", "²", "_", "—", ".", "é",
     "e\u0301", "你好", "🙂", "<eos>", "<pad>", "<unk>", "Ġ", "▁"]
)  # fmt: skip
TEXTS = st.lists(st.lists(PIECES, max_size=9).map("".join) | st.text(max_size=9), max_size=8)


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train(SENTENCES * 9, kind=request.param, vocab_size=290)


def ids_of(encoder: TextEncoder, texts: list[str]) -> list[list[int]]:
    ids, lengths, words = encoder.encode(texts)
    assert words.tolist() == [len(text.split()) for text in texts]
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths))[:-1]]


@settings(deadline=None, max_examples=200)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_words_have_the_same_tokens_alone_and_in_a_text(
    tokenizer: Tokenizer, groups: list[list[str]]
) -> None:
    encoder = TextEncoder(tokenizer)
    for texts in [*groups, *groups]:  # each group a second time, when its words are known
        assert ids_of(encoder, texts) == tokenizer.encode(texts)


def test_each_word_is_encoded_once(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encode = Tokenizer.encode
    monkeypatch.setattr(
        Tokenizer, "encode", lambda self, texts: asked.extend(texts) or encode(self, texts)
    )
    encoder = TextEncoder(tokenizer)
    for text in ("a b a", "b c", "c  a"):  # two blanks: encoded as a whole
        encoder.encode([text])
    assert asked == ["a", "b", "c", "c  a"]


@pytest.mark.parametrize("limit", ["_MOST_UNITS", "_MOST_CHARACTERS"])
def test_many_words_are_forgotten_again(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(encoding, limit, 10)
    encoder = TextEncoder(tokenizer)
    for first in range(0, 60, 3):
        texts = [f"word{first} word{n} the" for n in range(first, first + 3)]
        assert ids_of(encoder, texts) == tokenizer.encode(texts)
        assert len(encoder._places) < 10 + 5


def test_a_foreign_tokenizer_reads_whole_texts(tokenizer: Tokenizer) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers

    backend = Backend(models.WordLevel({"[UNK]": 0, "a b": 1, "a": 2, "b": 3}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    foreign = Tokenizer(backend)
    assert ids_of(TextEncoder(foreign), ["a b", "a", "a|b"]) == [[1], [2], [2, 3]]
