"""The size of sentences after general compression: gzip, xz and zstd.

The sentences are a file with a newline after each.
"""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Sequence
from typing import Any

from textvae.evaluation.sentences import lowest_hashes

DICTIONARY_BYTES = 112_640  # the default of `zstd --train`
DICTIONARY_SENTENCES = 50_000  # of the training text, by a hash
_ZSTD_LEVEL = 19
_XZ_PRESET = 9 | lzma.PRESET_EXTREME

Coder = Callable[[bytes], int]  # the compressed size in bytes


def compressed_bits(texts: Sequence[str], training: Sequence[str]) -> dict[str, int | None]:
    """The size of the texts in bits by the name of the compressor; None without zstandard.

    - `gzip`, `xz`, `zstd`: the texts as one file, at levels 9, 9e and 19.
    - `xz_after_training`: by how many bits `xz` grows when the texts follow the training text. The
      training text is compressed twice, alone and with the texts after it: the state of liblzma can
      neither be copied nor start from a dictionary in Python's `lzma`, and a flush in the middle
      would change the size.
    - `zstd_dictionary`: the texts as one file, with a dictionary trained on the training text.
    - `zstd_each`: each text on its own with that dictionary, so that each can be read alone.
    """
    content, before = file_of(texts), file_of(training)
    sizes: dict[str, int | None] = {"gzip": gzip_size(content), "xz": xz_size(content)}
    sizes["xz_after_training"] = xz_size(before + content) - xz_size(before)
    names = ("zstd", "zstd_dictionary", "zstd_each")
    coders = zstd_coders(training)
    if coders is None:
        return _bits(sizes | dict.fromkeys(names))
    plain, with_dictionary = coders
    sizes["zstd"] = plain(content)
    if with_dictionary is not None:
        sizes["zstd_dictionary"] = with_dictionary(content)
        sizes["zstd_each"] = sum(with_dictionary(file_of([text])) for text in texts)
    return _bits(dict.fromkeys([*sizes, *names]) | sizes)


def file_of(texts: Sequence[str]) -> bytes:
    """The texts in UTF-8, with a newline after each."""
    return "".join(f"{text}\n" for text in texts).encode()


def gzip_size(content: bytes) -> int:
    """The size in bytes after gzip at level 9."""
    return len(gzip.compress(content, 9, mtime=0))


def xz_size(content: bytes) -> int:
    """The size in bytes after xz at level 9e, whose window of 64 MiB holds most training texts."""
    return len(lzma.compress(content, preset=_XZ_PRESET))


def has_zstandard() -> bool:
    """True if the package zstandard is installed."""
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return False
    return True


def zstd_coders(training: Sequence[str]) -> tuple[Coder, Coder | None] | None:
    """zstd, and zstd with a dictionary of the training text; None without zstandard.

    Without a dictionary if the training text is too small for one.
    """
    if not has_zstandard():
        return None
    import zstandard

    # Without what a text of a few bytes does not need: magic number, size and dictionary number.
    settings = zstandard.ZstdCompressionParameters.from_level(
        _ZSTD_LEVEL,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_dict_id=False,
    )

    def coder(dictionary: zstandard.ZstdCompressionDict | None) -> Coder:
        compressor = zstandard.ZstdCompressor(compression_params=settings, dict_data=dictionary)
        return lambda content: len(compressor.compress(content))

    samples: list[Any] = [
        file_of([training[i]]) for i in lowest_hashes(training, DICTIONARY_SENTENCES)
    ]
    try:
        dictionary = zstandard.train_dictionary(DICTIONARY_BYTES, samples)
    except zstandard.ZstdError:
        return coder(None), None
    return coder(None), coder(dictionary)


def _bits(sizes: dict[str, int | None]) -> dict[str, int | None]:
    return {name: None if size is None else 8 * size for name, size in sizes.items()}
