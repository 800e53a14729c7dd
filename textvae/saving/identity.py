"""The fingerprint of a model: a digest of everything that its vectors depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from textvae.config import DataConfig
from textvae.data.tokenizers import Tokenizer
from textvae.files.names import (
    CONFIG_FILE,
    ENCODER_TOKENIZER_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
)
from textvae.models.decoder import Decoder
from textvae.models.encoder import Encoder
from textvae.models.sentence import SentenceModel
from textvae.saving.backbones import references_of


def fingerprint(model: SentenceModel, encoder_tokenizer: Tokenizer, data: DataConfig) -> str:
    """A digest of architecture, encoder weights, tokenizer and text preparation; 32 hex digits.

    Models with the same fingerprint give a sentence the same vector, wherever they are stored. The
    digest does not depend on the format version of the folder.
    """
    reader = model.encoder if model.encoder is not None else model.decoder
    described = {
        "architecture": _architecture(model),
        "lowercase": data.lowercase,
        "normalization": data.normalization,
        "max_tokens": reader.max_tokens,
        "tokenizer": encoder_tokenizer.fingerprint,
    }
    digest = hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16)
    if model.encoder is not None and model.posterior is not None:
        _add_tensors(digest, {**_own_tensors(model.encoder), **model.posterior.state_dict()})
    return digest.hexdigest()


def writer_fingerprint(model: SentenceModel, tokenizer: Tokenizer) -> str:
    """A digest of the decoder's architecture, weights and tokenizer; 32 hex digits.

    Models with the same fingerprint give a text the same probability.
    """
    described = {
        "architecture": _architecture(model),
        "max_tokens": model.decoder.max_tokens,
        "tokenizer": tokenizer.fingerprint,
    }
    digest = hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16)
    _add_tensors(digest, _own_tensors(model.decoder))
    return digest.hexdigest()


def _architecture(model: SentenceModel) -> dict[str, Any]:
    # Without defaults, so that a setting added later does not change the digest. Shared embeddings
    # are among the tensors.
    found = model.config.model_dump(mode="json", exclude_defaults=True, exclude={"tie_embeddings"})
    # A pretrained model is what its files hold, wherever they are stored.
    return found | {part: reference.digest for part, reference in references_of(model).items()}


def _own_tensors(part: Encoder | Decoder) -> dict[str, Tensor]:
    """The tensors of a part that the digest of its pretrained model does not cover."""
    return part.state_dict() if part.reference is None else part.saved()


def _add_tensors(digest: hashlib.blake2b, tensors: Mapping[str, Tensor]) -> None:
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())


def folder_digests(folder: Path) -> list[str]:
    """A digest of each file of a model folder that determines what the model computes.

    Raises:
        OSError: a file is missing or cannot be read.
    """
    digests = []
    for name in (CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE, ENCODER_TOKENIZER_FILE):
        if name == ENCODER_TOKENIZER_FILE and not (folder / name).is_file():
            continue
        with (folder / name).open("rb") as file:
            digests.append(hashlib.file_digest(file, "blake2b").hexdigest())
    return digests
