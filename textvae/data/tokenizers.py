"""Tokenizers: text <-> token ids, trained here or loaded from any `tokenizer.json`.

`bpe` and `unigram` work on bytes: no text has unknown tokens, and decoding restores any text
exactly. They put a space before each text (and decoding removes it), so a word is the same token at
the start of a sentence as inside. `word` splits on white space, for tokenized corpora.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers

from textvae.data.vocabulary import Vocabulary
from textvae.errors import ConfigError, DataError, NotFoundError, shown
from textvae.files import untrusted_tokenizer as foreign
from textvae.files.atomic import replacing
from textvae.files.untrusted import parse_json, read_text, reason

PAD, BOS, EOS, UNK = SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")  # with ids 0, 1, 2, 3
KINDS = ("bpe", "word", "unigram")
DEFAULT_VOCAB_SIZES = {"bpe": 4_000, "word": 20_000, "unigram": 4_000}

# Common names of each role in existing tokenizers; the first one present is used.
_KNOWN_NAMES = {
    PAD: (PAD, "[PAD]", "<|pad|>", "<|padding|>"),
    BOS: (BOS, "<s>", "[CLS]", "[BOS]", "<|begin_of_text|>", "<|startoftext|>"),
    EOS: (EOS, "</s>", "[SEP]", "[EOS]", "<|end_of_text|>", "<|endoftext|>", "<|im_end|>"),
}
_PIECE_CHARACTERS = 4 << 20  # encoded at once
_MISSING_BYTE_STEP = 1e-4  # between the scores that UnigramTrainer gives to missing bytes


class Tokenizer:
    """A tokenizer: text <-> token ids, with the special tokens of a sentence model.

    A text never yields special tokens: `<eos>` in a sentence is five ordinary characters. The one
    exception is `<unk>` at word level, which is read as the unknown token.

    >>> tokenizer = Tokenizer.train(["the soup was cold ."], kind="bpe", vocab_size=300)
    >>> tokenizer.decode(tokenizer.encode(["  any <eos> text"]))
    ['  any <eos> text']
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        backend.no_padding()
        backend.no_truncation()
        backend.encode_special_tokens = True  # not stored in tokenizer.json, so set at each load
        self._backend = backend
        state = json.loads(backend.to_str())
        self.kind = _kind_of(state)
        roles = _add_roles(backend, state)
        self.pad_id, self.bos_id, self.eos_id = roles[PAD], roles[BOS], roles[EOS]
        self.unk_id = _unknown_id(backend, state)
        if self.unk_id in roles.values():  # an unknown word would end the sentence
            self.unk_id = None
        # Not the number of tokens: the ids of a foreign tokenizer may have gaps.
        self.vocab_size = 1 + max(backend.get_vocab().values())
        self._reserved = frozenset(roles.values())
        # The text of the unknown token, if encoding that text gives the unknown token, else None.
        self._unk_text = None if self.unk_id is None else backend.id_to_token(self.unk_id)
        if self._unk_text is not None and self.encode([self._unk_text]) != [[self.unk_id]]:
            self._unk_text = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._backend,)  # a pickled backend forgets what __init__ sets

    @classmethod
    def train(cls, texts: Iterable[str], *, kind: str, vocab_size: int | None = None) -> Tokenizer:
        """A tokenizer of the given kind, trained on texts; equal texts give equal tokenizers.

        Raises:
            ConfigError: the kind is unknown, or the vocabulary is too small for it.
        """
        if kind not in KINDS:
            raise ConfigError(f"tokenizer {kind!r}: expected {', '.join(KINDS)}")
        vocab_size = vocab_size or DEFAULT_VOCAB_SIZES[kind]
        least = len(SPECIALS) + 1 if kind == "word" else len(_bytes_alphabet()) + len(SPECIALS) - 1
        if vocab_size < least:
            raise ConfigError(f"vocab_size {vocab_size}: a {kind} tokenizer needs at least {least}")
        return cls(_TRAINERS[kind](texts, vocab_size))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, without special tokens.

        Raises:
            DataError: a foreign tokenizer reads part of a text as a special token, or cannot
                encode a text.
        """
        ids: list[list[int]] = []
        with _as_data_error("the tokenizer cannot encode these texts"):
            for some in _in_pieces(texts):
                encodings = self._backend.encode_batch_fast(some, add_special_tokens=False)
                ids += (self._without_reserved(encoding.ids) for encoding in encodings)
        return ids

    def _without_reserved(self, ids: list[int]) -> list[int]:
        """`ids` with a literal `<pad>`, `<bos>` or `<eos>` replaced by the unknown token."""
        if self._reserved.isdisjoint(ids):
            return ids
        if self.unk_id is None:
            token = self._backend.id_to_token(next(i for i in ids if i in self._reserved))
            raise DataError(
                f"the tokenizer reads {token!r} in a text as its own special token; "
                "remove it from the text"
            )
        return [self.unk_id if token in self._reserved else token for token in ids]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each sequence up to its first end token; ids without a token are skipped.

        The exact inverse of `encode` for `bpe` and `unigram`; `word` joins with single spaces.
        """
        kept = [self._before_end(sequence) for sequence in ids]
        with _as_data_error("the tokenizer cannot decode these tokens"):
            return self._backend.decode_batch(kept, skip_special_tokens=False)

    def _before_end(self, ids: Sequence[int]) -> list[int]:
        kept: list[int] = []
        for token in map(int, ids):
            if token == self.eos_id:
                break
            if 0 <= token < self.vocab_size and token not in self._reserved:
                kept.append(token)
        return kept

    def surroundings(self) -> tuple[list[int], list[int]]:
        """The special tokens that its own template puts before and after a text.

        >>> Tokenizer.train(["a b"], kind="word").surroundings()
        ([], [])
        """
        alone = self._backend.encode("a", add_special_tokens=False).ids
        whole = self._backend.encode("a", add_special_tokens=True).ids
        for start in range(len(whole) - len(alone) + 1):
            if whole[start : start + len(alone)] == alone:
                return whole[:start], whole[start + len(alone) :]
        return [], []

    def token_id(self, token: str) -> int | None:
        """The id of a token; None if the vocabulary lacks the token."""
        return self._backend.token_to_id(token)

    @property
    def ordinary_ids(self) -> list[int]:
        """The ids of ordinary tokens: all except special tokens and the unknown token."""
        added = self._backend.get_added_tokens_decoder()
        special = {place for place, token in added.items() if token.special} | self._reserved
        return [p for p in range(self.vocab_size) if p not in special and p != self.unk_id]

    def unknown_count(self, texts: Sequence[str]) -> int:
        """The number of unknown tokens in encoded texts, not counting a literal `<unk>`."""
        if self.unk_id is None:
            return 0
        made = sum(ids.count(self.unk_id) for ids in self.encode(texts))
        if self._unk_text is not None:
            made -= sum(text.split().count(self._unk_text) for text in texts)
        return max(made, 0)

    def save(self, path: Path) -> None:
        """Write `tokenizer.json`, which `transformers` can read too."""
        with replacing(path) as file:
            file.write(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The contents of `tokenizer.json`."""
        content: str = self._backend.to_str(pretty=True)
        return content.encode()

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """The tokenizer of a `tokenizer.json`, ours or foreign.

        Raises:
            NotFoundError: the file does not exist.
            DataError: this version of tokenizers cannot read the file, or the file could take
                unbounded time or memory; see `untrusted_tokenizer`.
        """
        try:
            content = read_text(Path(path), foreign.MOST_BYTES)
        except FileNotFoundError:
            raise NotFoundError(f"{path}: no such tokenizer file") from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as tokenizer.json: {error}") from None
        try:
            foreign.check(parse_json(content))
        except ValueError as error:
            raise DataError(
                f"{path}: not a tokenizer.json that textvae can load: {error}"
            ) from None
        with _as_data_error(f"{path}: not a tokenizer.json that textvae can load"):
            backend = tokenizers.Tokenizer.from_str(content)
            _check_added(backend)
            return cls(backend)

    @property
    def vocabulary(self) -> Vocabulary:
        """What a network needs to know of it."""
        return Vocabulary(self.vocab_size, self.pad_id, self.bos_id, self.eos_id)

    @property
    def fingerprint(self) -> str:
        """A hex digest of everything that affects encoding."""
        return hashlib.blake2b(self._backend.to_str().encode(), digest_size=16).hexdigest()


def _in_pieces(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in slices of bounded size: encoding needs 140 bytes for each character."""
    first = characters = 0
    for place, text in enumerate(texts):
        if characters and characters + len(text) > _PIECE_CHARACTERS:
            yield texts[first:place]
            first, characters = place, 0
        characters += len(text)
    yield texts[first:]


@contextmanager
def _as_data_error(what: str) -> Iterator[None]:
    """A block in which the unspecific errors of tokenizers become DataError."""
    try:
        yield
    except BaseException as error:
        # A panic of its Rust code is not an Exception, and has no public class.
        foreign_error = isinstance(error, Exception) or type(error).__name__ == "PanicException"
        if isinstance(error, DataError | MemoryError) or not foreign_error:
            raise
        raise DataError(f"{what}: {reason(error)}") from None


def _check_added(backend: tokenizers.Tokenizer) -> None:
    """Raise ValueError if the normalizer makes an added token empty.

    An empty token would match between any two bytes, where the library fails or never terminates.
    """
    if backend.normalizer is None:
        return
    for token in backend.get_added_tokens_decoder().values():
        if token.normalized and not backend.normalizer.normalize_str(token.content):
            raise ValueError(f"the normalizer makes the added token {shown(token.content)} empty")


def _special(content: str) -> AddedToken:
    return AddedToken(content, special=True, normalized=False)


def _byte_level(model: models.Model) -> tokenizers.Tokenizer:
    """An untrained byte-level tokenizer; a word includes the space before it."""
    backend = tokenizers.Tokenizer(model)
    backend.normalizer = normalizers.Prepend(" ")
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    return backend


def _word_level(vocabulary: dict[str, int]) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens([_special(token) for token in SPECIALS])
    return backend


def _bytes_alphabet() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _train_bpe(texts: Iterable[str], vocab_size: int) -> tokenizers.Tokenizer:
    backend = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[_special(token) for token in SPECIALS[:3]],
        initial_alphabet=_bytes_alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return backend


def _train_word(texts: Iterable[str], vocab_size: int) -> tokenizers.Tokenizer:
    counts = Counter(word for text in texts for word in text.split())
    for token in SPECIALS:
        del counts[token]
    words = sorted(counts, key=lambda word: (-counts[word], word))[: vocab_size - len(SPECIALS)]
    return _word_level({token: place for place, token in enumerate([*SPECIALS, *words])})


def _train_unigram(texts: Iterable[str], vocab_size: int) -> tokenizers.Tokenizer:
    backend = _byte_level(models.Unigram())
    specials = [_special(token) for token in SPECIALS[:3]]
    alphabet = _bytes_alphabet()
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size,
        special_tokens=specials,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    pieces = json.loads(backend.to_str())["model"]["vocab"]
    # Trained on no text, the bytes have no score.
    pieces = [(piece, score or 0.0) for piece, score in pieces if piece not in SPECIALS]
    # The trainer iterates over hash maps, so the last digits, the order, and the scores of bytes
    # that the texts lack vary from run to run. Here, those bytes share the lowest score.
    lowest = min(score for _, score in pieces)
    nearly_lowest = lowest + _MISSING_BYTE_STEP * (len(alphabet) + 1)
    scores = {
        piece: round(lowest if len(piece) == 1 and score < nearly_lowest else score, 4)
        for piece, score in pieces
    }
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    vocabulary = [(token, 0.0) for token in SPECIALS[:3]] + ordered
    backend = _byte_level(models.Unigram(vocabulary))
    backend.add_special_tokens(specials)
    return backend


_TRAINERS = {"bpe": _train_bpe, "word": _train_word, "unigram": _train_unigram}


def _kind_of(state: dict[str, Any]) -> str:
    """The kind of the tokenizer in `state` (a tokenizer.json); "custom" if not one of ours."""
    patterns = {
        "bpe": _byte_level(models.BPE()),
        "unigram": _byte_level(models.Unigram()),
        "word": _word_level({token: place for place, token in enumerate(SPECIALS)}),
    }
    for kind, backend in patterns.items():
        pattern = json.loads(backend.to_str())
        specials = SPECIALS if kind == "word" else SPECIALS[:3]
        if (
            state["model"]["type"] == pattern["model"]["type"]
            and all(
                state[part] == pattern[part]
                for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder")
            )
            and tuple(token["content"] for token in state["added_tokens"]) == specials
        ):
            return kind
    return "custom"


def _add_roles(backend: tokenizers.Tokenizer, state: dict[str, Any]) -> dict[str, int]:
    """The ids of padding, start and end; a role without a special token gets a new one."""
    there = {token["content"] for token in state["added_tokens"] if token["special"]}
    chosen = {
        role: next((name for name in names if name in there), role)
        for role, names in _KNOWN_NAMES.items()
    }
    backend.add_special_tokens([_special(name) for name in chosen.values() if name not in there])
    ids = {token.content: place for place, token in backend.get_added_tokens_decoder().items()}
    return {role: ids[name] for role, name in chosen.items()}


def _unknown_id(backend: tokenizers.Tokenizer, state: dict[str, Any]) -> int | None:
    name: str | None = state["model"].get("unk_token")
    place: int | None = state["model"].get("unk_id")
    return place if name is None else backend.token_to_id(name)
