"""The fingerprint of a model: a digest of everything that its vectors depend on."""

from __future__ import annotations

import hashlib
import json
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
from textvae.models.encoder import Encoder
from textvae.models.sentence import SentenceModel
from textvae.saving.backbones import references_of


def fingerprint(model: SentenceModel, encoder_tokenizer: Tokenizer, data: DataConfig) -> str:
    """A digest of architecture, encoder weights, tokenizer and text preparation; 32 hex digits.

    Models with the same fingerprint give a sentence the same vector, wherever they are stored. The
    digest does not depend on the format version of the folder.
    """
    reader = model.encoder if model.encoder is not None else model.decoder
    references = references_of(model)
    described: dict[str, Any] = {
        # Without defaults, so that a setting added later does not change the digest. Shared
        # embeddings are among the tensors.
        "architecture": model.config.model_dump(
            mode="json", exclude_defaults=True, exclude={"tie_embeddings"}
        ),
        "lowercase": data.lowercase,
        "normalization": data.normalization,
        "max_tokens": reader.max_tokens,
        "tokenizer": encoder_tokenizer.fingerprint,
    }
    for part, reference in references.items():  # the same weights, wherever they are stored
        described["architecture"][part] = reference.digest
    digest = hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16)
    if model.encoder is not None and model.posterior is not None:
        tensors = {**_own_tensors(model.encoder), **model.posterior.state_dict()}
        for name, value in sorted(tensors.items()):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _own_tensors(encoder: Encoder) -> dict[str, Tensor]:
    """The tensors of an encoder that the digest of its pretrained model does not cover."""
    return encoder.state_dict() if encoder.reference is None else encoder.saved()


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
