"""Texts -> token ids in flat arrays, with each distinct word encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from textvae.data.tokenizers import KINDS, Tokenizer

_MOST_UNITS = 1 << 18  # remembered; a large corpus has about as many distinct words
_MOST_CHARACTERS = 8 << 20  # of the remembered units


class EncodedTexts(NamedTuple):
    """The tokens of N texts, one text after the other."""

    ids: np.ndarray  # (all tokens,) int32, without end tokens
    lengths: np.ndarray  # (N,) int64, tokens of each text
    words: np.ndarray  # (N,) int64, words of each text, split at white space


class TextEncoder:
    """Encodes texts exactly as `tokenizer.encode` does, several times faster.

    The tokenizers trained here never join characters of two words: if a text consists of words with
    single spaces between them, its tokens are the tokens of its words. So the tokens of each word
    are remembered. Any other text, and any text for a foreign tokenizer, is encoded as a whole.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._by_word = isinstance(tokenizer, Tokenizer) and tokenizer.kind in KINDS
        self._places: dict[str, int] = {}  # of each unit in the next two arrays
        self._starts, self._lengths, self._ids = _nothing()  # starts and lengths in the ids
        self._characters = 0

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """The token ids of `texts`.

        Raises:
            DataError: as in `Tokenizer.encode`.
        """
        units: list[str] = []  # one list: the garbage collector would visit a list for each text
        ends, n_words = [], []  # of each text, in the units
        for text in texts:
            words = text.split()
            n_words.append(len(words))
            if words and self._by_word and " ".join(words) == text:
                units += words
            else:
                units.append(text)
            ends.append(len(units))
        places = self._places_of(units)
        lengths = self._lengths[places]
        last_units = np.array(ends, np.int64) - 1
        return EncodedTexts(
            self._ids[spans(self._starts[places], lengths)],
            np.diff(np.cumsum(lengths)[last_units], prepend=0),
            np.array(n_words, np.int64),
        )

    def _places_of(self, units: list[str]) -> np.ndarray:
        """The place of each unit in the arrays; new units are encoded."""
        if len(self._places) > _MOST_UNITS or self._characters > _MOST_CHARACTERS:
            self._forget()
        places = self._known_places(units)
        missing = np.flatnonzero(places < 0).tolist()
        if missing:
            self._remember(list(dict.fromkeys(units[place] for place in missing)))
            places = self._known_places(units)
        return places

    def _known_places(self, units: list[str]) -> np.ndarray:
        return np.fromiter(map(self._places.get, units, repeat(-1)), np.int64, len(units))

    def _remember(self, new: list[str]) -> None:
        """Encode units and keep their tokens."""
        encoded = self._tokenizer.encode(new)
        lengths = np.fromiter(map(len, encoded), np.int64, len(new))
        ids = np.fromiter(chain.from_iterable(encoded), np.int32, int(lengths.sum()))
        self._starts = np.concatenate([self._starts, len(self._ids) + np.cumsum(lengths) - lengths])
        self._lengths = np.concatenate([self._lengths, lengths])
        self._ids = np.concatenate([self._ids, ids])
        self._places.update(zip(new, range(len(self._places), len(self._starts)), strict=True))
        self._characters += sum(map(len, new))

    def _forget(self) -> None:
        self._places.clear()
        self._starts, self._lengths, self._ids = _nothing()
        self._characters = 0


def _nothing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32)


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The indices of all spans, one after the other.

    >>> spans(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    before = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
