"""Tokenizers and encoded corpora from the user's data, each made once and then cached."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textvae.config import DataConfig, TokenizerConfig
from textvae.data.cache import advising, cache_folder, fingerprint
from textvae.data.columns import Choice
from textvae.data.compression import read_chunks
from textvae.data.corpus import EncodedCorpus, check_free_disk, write_corpus
from textvae.data.doubts import wrongly_converted
from textvae.data.readers import clean_rows, rows_of, rows_of_texts
from textvae.data.rows import Row, hash_fraction
from textvae.data.sources import STDIN, Source, find_sources
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
from textvae.progress import Remarks, Say, silent

_FORMAT = 2  # of cached files; increase it when the same input would give another result
_TOKENIZER_BYTES = 256 << 20  # most text to train a tokenizer on, approximate
_COMPRESSED = 5  # size of text / size of its compressed file, approximate
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


@dataclass(frozen=True)
class Collection:
    """Rows that can be read repeatedly, and a digest that changes with them."""

    name: str  # for error messages
    rows: Callable[[], Iterator[Row]]
    digest: str
    text_bytes: int  # approximate

    def where(self, keep: Callable[[str], bool], rule: str) -> Collection:
        """The rows whose text `keep` accepts; `rule` identifies `keep` in the digest."""
        rows = self.rows
        return replace(
            self,
            rows=lambda: (row for row in rows() if keep(row.text)),
            digest=fingerprint(self.digest, rule),
        )


def load_corpora(
    data: DataConfig,
    tokenizer: TokenizerConfig,
    *,
    texts: Iterable[str] | None = None,
    valid_texts: Iterable[str] | None = None,
    own_tokenizer: Tokenizer | None = None,
    own_encoder_tokenizer: Tokenizer | None = None,
    say: Say = silent,
    warn: Say = silent,
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
    remarks = Remarks(say, warn)
    with ExitStack() as stack:
        train = _collection(stack, data, data.train, texts, "texts", say, remarks)
        if valid_texts is not None or data.valid:
            valid = _collection(stack, data, data.valid, valid_texts, "valid texts", say, remarks)
        else:
            train, valid = _split(train, data.valid_fraction)
        folder = cache_folder(data.cache_dir)
        stack.enter_context(advising(folder))
        written = own_tokenizer or _tokenizer(folder, train, tokenizer, say)
        read = written
        if tokenizer.encoder_tokenizer is not None:
            asked = TokenizerConfig(
                tokenizer=tokenizer.encoder_tokenizer, vocab_size=tokenizer.encoder_vocab_size
            )
            read = own_encoder_tokenizer or _tokenizer(folder, train, asked, say)

        def encoded(chosen: Tokenizer, beside: Tokenizer) -> TokenizedCorpora:
            other = None if beside is chosen else beside
            both = [_corpus(folder, part, chosen, other, data, say) for part in (train, valid)]
            return TokenizedCorpora(chosen, *both)

        corpora = Corpora(*encoded(written, read))
        if read.fingerprint != written.fingerprint:
            corpora = corpora._replace(of_encoder=encoded(read, written))
    if not len(corpora.train):
        held_out = len(corpora.valid) if valid.name == train.name else 0
        raise DataError(_nothing_left("training", corpora.train, train, held_out))
    if not len(corpora.valid):
        raise DataError(_nothing_left("validation", corpora.valid, valid))
    n_with_controls = Counter({train.name: corpora.train.n_with_controls})
    n_with_controls[valid.name] += corpora.valid.n_with_controls
    for name, n in n_with_controls.items():
        if n:
            remarks.warn(name, wrongly_converted(n))
    if "word" in (corpora.tokenizer.kind, corpora.source.tokenizer.kind):
        _warn_of_unspaced(train.name, corpora.train, remarks)
    return corpora


def _warn_of_unspaced(name: str, corpus: EncodedCorpus, remarks: Remarks) -> None:
    """Warn of texts that the word tokenizer does not split."""
    some = np.unique(np.linspace(0, len(corpus) - 1, min(len(corpus), _JUDGED), dtype=np.int64))
    if writing_of(corpus.texts(some)) == "unspaced":
        remarks.warn(
            name,
            "there are hardly any spaces between words, so the word tokenizer takes a whole "
            f"sentence for one word; try {option('tokenizer', 'bpe')} or unigram",
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


def _collection(
    stack: ExitStack,
    data: DataConfig,
    specs: Sequence[str],
    texts: Iterable[str] | None,
    name: str,
    say: Say,
    remarks: Remarks,
) -> Collection:
    options = [data.text_column, data.label_column, data.lowercase, data.normalization, _FORMAT]
    if texts is not None:
        kept = list(texts)  # a generator can be read only once
        return _hashed(name, lambda: rows_of_texts(kept, data, name=name), options)
    sources = [_rereadable(stack, source, say) for source in find_sources(specs)]
    name = ", ".join(STDIN if spec == "-" else spec for spec in specs)
    choice = Choice(data.text_column, data.label_column)

    def rows() -> Iterator[Row]:
        found = rows_of(sources, choice, remarks)
        return clean_rows(found, lowercase=data.lowercase, normalization=data.normalization)

    if any(source.format == "hf" for source in sources):
        return _hashed(name, rows, options)
    for source in sources:  # what is recognized is told even if the encoded corpus is cached
        next(rows_of([source], choice, remarks), None)
    digests = [(source.format, source.compression, _digest(source)) for source in sources]
    size = sum(_size(source) * (_COMPRESSED if source.compression else 1) for source in sources)
    return Collection(name, rows, fingerprint(digests, options), size)


def _rereadable(stack: ExitStack, source: Source, say: Say) -> Source:
    """`source`, copied to a temporary file if it can be read only once."""
    if source.format == "hf" or (source.path is not None and source.path.is_file()):
        return source
    say(f"reading {source.name}")  # may wait for another process
    spool = stack.enter_context(tempfile.NamedTemporaryFile(prefix="textvae-"))
    try:
        for chunk in read_chunks(source):
            spool.write(chunk)
        spool.flush()
    except OSError as error:
        raise DataError(
            f"{source.name}: cannot copy to {spool.name}: {error}; try another folder with TMPDIR"
        ) from None
    return replace(source, path=Path(spool.name), compression="")


def _size(source: Source) -> int:
    assert source.path is not None  # for the type checker: Hugging Face data sets never come here
    return source.path.stat().st_size


def _digest(source: Source) -> str:
    """A digest of the raw bytes of the file, which is much faster than reading rows."""
    digest = hashlib.blake2b(digest_size=16)
    for chunk in read_chunks(replace(source, compression="")):
        digest.update(chunk)
    return digest.hexdigest()


def _hashed(name: str, rows: Callable[[], Iterator[Row]], options: Sequence[object]) -> Collection:
    digest, size = hashlib.blake2b(digest_size=16), 0
    for row in rows():
        encoded = row.text.encode()
        size += len(encoded)
        digest.update(f"{len(encoded)} {row.label!r} {row.log_prob!r} ".encode())
        digest.update(encoded)
    return Collection(name, rows, fingerprint(digest.hexdigest(), options), size)


def _split(whole: Collection, fraction: float) -> tuple[Collection, Collection]:
    """(training, validation), split by a hash of each text, so duplicates stay together."""
    train = whole.where(lambda text: hash_fraction(text) >= fraction, f"train {fraction}")
    valid = whole.where(lambda text: hash_fraction(text) < fraction, f"valid {fraction}")
    return train, replace(valid, text_bytes=int(whole.text_bytes * fraction))


def _tokenizer(folder: Path, train: Collection, config: TokenizerConfig, say: Say) -> Tokenizer:
    if config.tokenizer not in KINDS:
        if config.vocab_size is not None:
            raise ConfigError(
                f"vocab_size {config.vocab_size} does not apply to the existing tokenizer "
                f"{config.tokenizer}; leave vocab_size out"
            )
        return _existing_tokenizer(home_path(config.tokenizer))
    key = fingerprint("tokenizer", train.digest, config.tokenizer, config.vocab_size)
    path = folder / "tokenizers" / f"{key}.json"
    if path.exists():
        try:
            return Tokenizer.load(path)
        except DataError as error:  # a crash interrupted the write
            say(f"{error}; training it again")
    say(f"training the {config.tokenizer} tokenizer")
    # To limit memory, a large corpus is sampled: a share of the distinct texts.
    share = min(1.0, _TOKENIZER_BYTES / max(train.text_bytes, 1))
    texts = (
        row.text
        for row in train.rows()
        if share == 1.0 or hash_fraction(row.text, purpose="tokenizer") < share
    )
    trained = Tokenizer.train(texts, kind=config.tokenizer, vocab_size=config.vocab_size)
    trained.save(path)
    return Tokenizer.load(path)


def _existing_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a file or a model folder."""
    if os.path.isdir(path):
        path = path / TOKENIZER_FILE
    if not os.path.exists(path):
        raise NotFoundError(
            f"tokenizer {path}: not found; name a file, a model folder or one of {', '.join(KINDS)}"
        )
    return Tokenizer.load(path)


def _corpus(
    folder: Path,
    collection: Collection,
    tokenizer: Tokenizer,
    beside: Tokenizer | None,
    data: DataConfig,
    say: Say,
) -> EncodedCorpus:
    """The encoded sentences of a collection, without those too long for `beside`, if given."""
    other = None if data.overlong == "cut" else beside
    with_other = [] if other is None else [other.fingerprint]
    key = fingerprint(
        "corpus",
        collection.digest,
        tokenizer.fingerprint,
        data.max_tokens,
        data.overlong,
        *with_other,
    )
    path = folder / "corpora" / f"{key}.arrow"
    if path.exists():
        try:
            return EncodedCorpus(path, tokenizer)
        except DataError as error:
            say(f"{error}; encoding it again")
    check_free_disk(path.parent, _DISK_PER_BYTE * collection.text_bytes)
    say(f"encoding {collection.name}")
    write_corpus(
        path,
        collection.rows(),
        tokenizer,
        max_tokens=data.max_tokens,
        overlong=data.overlong,
        beside=other,
    )
    return EncodedCorpus(path, tokenizer)
