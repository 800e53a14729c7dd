"""Tokenizers and encoded corpora from the user's data, each made once and then cached."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textvae.config import DataConfig, TokenizerConfig
from textvae.data.cache import advising, cache_folder, fingerprint
from textvae.data.collection import ALL, Collection, collect, collect_texts
from textvae.data.corpus import EncodedCorpus, check_free_disk, corpus_writer
from textvae.data.doubts import wrongly_converted
from textvae.data.rows import Row, hash_fraction
from textvae.data.tokenizers import KINDS, Tokenizer
from textvae.data.writing import writing_of
from textvae.errors import (
    ConfigError,
    DataError,
    NotFoundError,
    UsageError,
    flag,
    option,
    worded,
)
from textvae.files.home import home_path
from textvae.files.names import TOKENIZER_FILE
from textvae.progress import Remarks, Watcher

# Most text to train a tokenizer on, approximate. A BPE vocabulary of 32 MiB encodes held-out text
# as well as one of 100 MB (1,000 tokens become 1,001). The Unigram trainer takes three times as
# long, and more text makes its tokens shorter. Counting words is fast; rare words need much text.
_TOKENIZER_BYTES = {"bpe": 32 << 20, "unigram": 16 << 20, "word": 256 << 20}
_DISK_PER_BYTE = 3  # size of an encoded corpus / size of its text, approximate
_JUDGED = 1000  # sentences by which the writing is recognized


class TokenizedCorpora(NamedTuple):
    """The training and validation sentences as tokens of one tokenizer."""

    tokenizer: Tokenizer
    train: EncodedCorpus
    valid: EncodedCorpus


class Corpora(NamedTuple):
    """The tokenizers and corpora for training."""

    tokenizer: Tokenizer  # the decoder's tokenizer
    train: EncodedCorpus
    valid: EncodedCorpus
    of_encoder: TokenizedCorpora | None = None  # for an encoder with its own tokenizer

    @property
    def source(self) -> TokenizedCorpora:
        """The encoder's tokenizer and corpora; the decoder's if they share a tokenizer."""
        return self.of_encoder or TokenizedCorpora(self.tokenizer, self.train, self.valid)

    @property
    def fingerprint(self) -> str:
        """A digest of the sentences and their tokens."""
        sides = [self.train, self.valid]
        if self.of_encoder is not None:
            sides += [self.of_encoder.train, self.of_encoder.valid]
        return "-".join(corpus.fingerprint for corpus in sides)

    @property
    def tokenizer_fingerprint(self) -> str:
        """A digest of the tokenizers."""
        own = self.tokenizer.fingerprint
        if self.of_encoder is None:
            return own
        return f"{own}-{self.of_encoder.tokenizer.fingerprint}"


def load_corpora(
    data: DataConfig,
    tokenizer: TokenizerConfig,
    *,
    texts: Iterable[str | Row] | None = None,
    valid_texts: Iterable[str | Row] | None = None,
    own_tokenizer: Tokenizer | None = None,
    own_encoder_tokenizer: Tokenizer | None = None,
    watcher: Watcher | None = None,
) -> Corpora:
    """The tokenizer and the training and validation corpora that a configuration describes.

    Texts in memory replace `data.train` and `data.valid`. Without validation texts, a share of the
    training texts is held out by a hash of each text, so duplicates stay together. The tokenizer
    is `own_tokenizer` (of a resumed run); otherwise it is trained on the training texts only.
    Results for the same content and the same options come from the cache.

    Raises:
        NotFoundError, DataError: the errors of `open_rows`; no sentence is left; the disk has no
            room for the encoded corpora.
    """
    if texts is None and not data.train:
        raise UsageError("no training data; name a file, a glob, `-` or hf:NAME")
    if isinstance(texts, str) or isinstance(valid_texts, str):
        raise UsageError(
            "expected a list of texts, got one string; to name files, set config.data.train"
        )
    watcher = watcher or Watcher()
    with ExitStack() as stack:
        train = _collected(stack, data, data.train, texts, "texts", watcher)
        if valid_texts is not None or data.valid:
            valid = _collected(stack, data, data.valid, valid_texts, "valid texts", watcher)
        else:
            train, valid = train.split(data.valid_fraction)
        folder = cache_folder(data.cache_dir)
        stack.enter_context(advising(folder))
        written = own_tokenizer or _tokenizer(folder, train, tokenizer, watcher)
        read = written
        if tokenizer.encoder_tokenizer is not None:
            asked = TokenizerConfig(
                tokenizer=tokenizer.encoder_tokenizer, vocab_size=tokenizer.encoder_vocab_size
            )
            read = own_encoder_tokenizer or _tokenizer(
                folder, train, asked, watcher, prefix="encoder_"
            )
        pairs = [(written, None if read is written else read)]
        if read.fingerprint != written.fingerprint:
            pairs.append((read, written))
        parts = [
            _Part(folder, collection, chosen, beside, data)
            for chosen, beside in pairs
            for collection in (train, valid)
        ]
        _write({part.path: part for part in parts if not part.is_cached(watcher)}, watcher)
        encoded = [EncodedCorpus(part.path, part.tokenizer) for part in parts]
        corpora = Corpora(written, encoded[0], encoded[1])
        if len(encoded) > 2:
            corpora = corpora._replace(of_encoder=TokenizedCorpora(read, encoded[2], encoded[3]))
    if not len(corpora.train):
        held_out = len(corpora.valid) if valid.name == train.name else 0
        raise DataError(_nothing_left("training", corpora.train, train, held_out))
    if not len(corpora.valid):
        raise DataError(_nothing_left("validation", corpora.valid, valid))
    n_with_controls = Counter({train.name: corpora.train.n_with_controls})
    if valid.digest != train.digest:  # the same texts, given twice, are counted once
        n_with_controls[valid.name] += corpora.valid.n_with_controls
    for name, n in n_with_controls.items():
        if n:
            watcher.remarks.warn(name, wrongly_converted(n))
    for field, own in (("encoder_tokenizer", corpora.source), ("tokenizer", corpora)):
        if own.tokenizer.kind == "word" and (field == "tokenizer" or corpora.of_encoder):
            _warn_of_unspaced(train.name, corpora.train, field, watcher.remarks)
    return corpora


def _warn_of_unspaced(name: str, corpus: EncodedCorpus, field: str, remarks: Remarks) -> None:
    """Warn of texts that the word tokenizer of `field` does not split."""
    some = np.unique(np.linspace(0, len(corpus) - 1, min(len(corpus), _JUDGED), dtype=np.int64))
    if writing_of(corpus.texts(some)) == "unspaced":
        key = worded(f"--set tokenizer.{field}=bpe", f"{field}='bpe'")
        asked = option(field, "bpe") if field == "tokenizer" else key
        remarks.warn(
            name,
            "there are hardly any spaces between words, so the word tokenizer takes a whole "
            f"sentence for one word; try {asked} or unigram",
        )


def _nothing_left(
    part: str, corpus: EncodedCorpus, collection: Collection, held_out: int = 0
) -> str:
    message = (
        f"{collection.name}: no {part} sentences are left ({corpus.n_blank} blank, "
        f"{corpus.n_dropped} too long{f', {held_out} held out' if held_out else ''})"
    )
    if corpus.n_dropped:
        cut = worded("data.overlong=cut", "overlong='cut'")
        return f"{message}; increase {flag('max_tokens')} or set {cut}"
    if part == "validation":
        share = worded("data.valid_fraction with --set", "valid_fraction")
        return f"{message}; name a file with {option('valid')}, or increase {share}"
    if held_out:
        return f"{message}; name a validation file with {option('valid')}"
    return f"{message}; expected one sentence per line"


def _collected(
    stack: ExitStack,
    data: DataConfig,
    specs: Sequence[str],
    texts: Iterable[str | Row] | None,
    name: str,
    watcher: Watcher,
) -> Collection:
    if texts is not None:
        return collect_texts(texts, data, name, watcher)
    return collect(stack, specs, data, watcher)


def _tokenizer(
    folder: Path,
    train: Collection,
    config: TokenizerConfig,
    watcher: Watcher,
    *,
    prefix: str = "",
) -> Tokenizer:
    """The tokenizer that `config` describes; messages name its fields with `prefix`."""
    if config.tokenizer not in KINDS:
        if config.vocab_size is not None:
            raise ConfigError(
                f"{prefix}vocab_size {config.vocab_size} does not apply to the existing tokenizer "
                f"{config.tokenizer}; leave {prefix}vocab_size out"
            )
        return _existing_tokenizer(home_path(config.tokenizer), f"{prefix}tokenizer")
    part = min(1.0, _TOKENIZER_BYTES[config.tokenizer] / max(train.text_bytes, 1))
    sampled = [] if part == 1.0 else [part]
    key = fingerprint("tokenizer", train.digest, config.tokenizer, config.vocab_size, *sampled)
    path = folder / "tokenizers" / f"{key}.json"
    if path.exists():
        try:
            return Tokenizer.load(path)
        except DataError as error:  # a crash interrupted the write
            watcher.note(f"{error}; training it again")
    sample = "" if part == 1.0 else f" on {part:.0%} of the sentences"
    watcher.note(f"training the {config.tokenizer} tokenizer{sample}")
    chosen = replace(train, share=train.share.first(part))
    texts = (row.text for row in chosen.rows(watcher, f"training the {config.tokenizer} tokenizer"))
    try:
        trained = Tokenizer.train(texts, kind=config.tokenizer, vocab_size=config.vocab_size)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None
    trained.save(path)
    return Tokenizer.load(path)


def _existing_tokenizer(path: Path, field: str) -> Tokenizer:
    """The tokenizer in a file or a model folder."""
    if os.path.isdir(path):
        path = path / TOKENIZER_FILE
    if not os.path.exists(path):
        raise NotFoundError(
            f"{field} {path}: not found; name a file, a model folder or one of {', '.join(KINDS)}"
        )
    return Tokenizer.load(path)


class _Part:
    """Part of the data as tokens of one tokenizer, in a file of the cache.

    Sentences too long for `beside`, if given, count as too long here.
    """

    def __init__(
        self,
        folder: Path,
        collection: Collection,
        tokenizer: Tokenizer,
        beside: Tokenizer | None,
        data: DataConfig,
    ) -> None:
        self.collection, self.tokenizer = collection, tokenizer
        self.beside = None if data.overlong == "cut" else beside
        self.data = data
        with_other = [] if self.beside is None else [self.beside.fingerprint]
        key = fingerprint(
            "corpus",
            collection.digest,
            tokenizer.fingerprint,
            data.max_tokens,
            data.overlong,
            *with_other,
        )
        self.path = folder / "corpora" / f"{key}.arrow"

    def is_cached(self, watcher: Watcher) -> bool:
        """True if the cache has the file, and it is not damaged."""
        if not self.path.exists():
            return False
        try:
            EncodedCorpus(self.path, self.tokenizer)
        except DataError as error:
            watcher.note(f"{error}; encoding it again")
            return False
        return True

    def writer(self) -> AbstractContextManager[Callable[[Row], None]]:
        """A function that takes the rows; the file appears when the block ends."""
        return corpus_writer(
            self.path,
            self.tokenizer,
            max_tokens=self.data.max_tokens,
            overlong=self.data.overlong,
            beside=self.beside,
        )


def _write(missing: Mapping[Path, _Part], watcher: Watcher) -> None:
    """Encode the parts into their files; a source that several parts share is read once."""
    parts = list(missing.values())
    if parts:
        needed = sum(_DISK_PER_BYTE * part.collection.text_bytes for part in parts)
        check_free_disk(parts[0].path.parent, needed)
    for whole in dict.fromkeys(part.collection.all_rows for part in parts):
        mine = [part for part in parts if part.collection.all_rows is whole]
        source = replace(mine[0].collection, share=ALL)
        watcher.note(f"encoding {source.name}")
        with ExitStack() as stack:
            takers = [(part.collection.share, stack.enter_context(part.writer())) for part in mine]
            is_split = any(not share.is_all for share, _ in takers)
            for row in source.rows(watcher, f"encoding {source.name}"):
                place = hash_fraction(row.text) if is_split else 0.0
                for share, take in takers:
                    if share.start <= place < share.end:
                        take(row)
