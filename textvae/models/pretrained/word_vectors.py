"""Word vectors in the formats of GloVe and word2vec -> a folder with a table and a tokenizer."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import tokenizers
from safetensors.numpy import save_file
from tokenizers import models, normalizers, pre_tokenizers

from textvae.data.cache import advising, cache_folder, fingerprint
from textvae.data.tokenizers import SPECIALS, Tokenizer
from textvae.errors import DataError
from textvae.files.names import CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE

MOST_WORDS = 1_000_000
WIDEST = 4_096  # numbers in a vector
LONGEST_WORD = 1_024  # bytes


def table_folder(path: Path) -> Path:
    """The folder of a file of word vectors, in the cache; converted at the first use.

    Raises:
        DataError: the file is in none of the formats.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    cache = cache_folder()
    place = cache / "tables" / fingerprint("table", digest)
    if not (place / CONFIG_FILE).is_file():  # written last
        with advising(cache):
            _convert(path, place)
    return place


def _convert(path: Path, place: Path) -> None:
    """Write the table, beside and then renamed, so that no reader sees half of a folder."""
    words, vectors = read_vectors(path)
    with tempfile.TemporaryDirectory(dir=place.parent) as beside:
        write_table(Path(beside), words, vectors)
        place.mkdir(exist_ok=True)
        for name in (WEIGHTS_FILE, TOKENIZER_FILE, CONFIG_FILE):
            (Path(beside) / name).replace(place / name)


def write_table(folder: Path, words: list[str], vectors: np.ndarray) -> None:
    """A model2vec folder: the vectors (N, D) of words, zeros for special tokens, a tokenizer.

    Words are lower-cased where all words of the table are. A text is split into words and
    punctuation.
    """
    vocabulary = {token: place for place, token in enumerate([*SPECIALS, *words])}
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIALS[-1]))
    if all(word == word.lower() for word in words):
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [tokenizers.AddedToken(t, special=True, normalized=False) for t in SPECIALS]
    backend.add_special_tokens(special)
    Tokenizer(backend).save(folder / TOKENIZER_FILE)
    table = np.zeros((len(vocabulary), vectors.shape[1]), np.float32)
    table[len(SPECIALS) :] = vectors
    save_file({"embeddings": table}, folder / WEIGHTS_FILE)
    settings = {"model_type": "model2vec", "normalize": False}
    (folder / CONFIG_FILE).write_text(json.dumps(settings), encoding="utf-8")


def read_vectors(path: Path) -> tuple[list[str], np.ndarray]:
    """Words and their vectors (N, D), each word once, without the names of special tokens.

    Raises:
        DataError: the file is in none of the formats, or has too many words.
    """
    with path.open("rb") as file:
        pairs = _binary(file, path) if path.suffix == ".bin" else _lines(file, path)
        found: dict[str, np.ndarray] = {}
        for word, vector in pairs:
            if word in SPECIALS or word in found:
                continue
            found[word] = vector
            if len(found) > MOST_WORDS:
                raise DataError(
                    f"{path}: more than {MOST_WORDS:,} words; keep the most frequent ones, for "
                    f"example with `head -n {MOST_WORDS}`"
                )
    if not found:
        raise DataError(f"{path}: no word vectors")
    return list(found), np.stack(list(found.values()))


def _lines(file: IO[bytes], path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """`word number number ...` a line; a first line `N D`, as of word2vec, is skipped."""
    width = 0
    limit = LONGEST_WORD + 32 * WIDEST
    number = 0
    while line := file.readline(limit):
        number += 1
        parts = line.rstrip().split(b" ")
        if number == 1 and len(parts) == 2:
            continue
        width = width or len(parts) - 1
        try:
            if not 1 <= width <= WIDEST or len(parts) <= width:
                raise ValueError(f"expected a word and {width} numbers")
            # Some words of GloVe contain spaces.
            vector = np.array(parts[-width:], dtype=np.float32)
            word = b" ".join(parts[:-width]).decode()
            if not np.isfinite(vector).all():
                raise ValueError("a number is not finite")
        except ValueError as error:
            raise DataError(f"{path}:{number}: not a word vector: {error}") from None
        yield word, vector


def _binary(file: IO[bytes], path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The binary format of word2vec: `N D`, then each word, a space and D numbers."""
    try:
        count, width = map(int, file.readline(64).split())
        if not 1 <= width <= WIDEST or count < 1:
            raise ValueError(f"{count} words of {width} numbers")
    except ValueError as error:
        raise DataError(f"{path}: not in the binary format of word2vec: {error}") from None
    for number in range(1, count + 1):
        word = bytearray()
        while (byte := file.read(1)) not in (b" ", b"") and len(word) < LONGEST_WORD:
            word += byte
        content = file.read(4 * width)
        vector = np.frombuffer(content, "<f4") if len(content) == 4 * width else np.empty(0)
        if byte != b" " or not len(vector) or not np.isfinite(vector).all():
            raise DataError(f"{path}: word {number:,} of {count:,} is damaged")
        yield word.lstrip(b"\n").decode(errors="replace"), vector
