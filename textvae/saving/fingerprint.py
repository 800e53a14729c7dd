"""What makes the vectors of a model what they are, as a short string."""

from __future__ import annotations

import hashlib
import json

from textvae.config import DataConfig
from textvae.data.tokenizers import Tokenizer
from textvae.models.sentence import SentenceModel


def fingerprint(model: SentenceModel, tokenizer: Tokenizer, data: DataConfig) -> str:
    """A digest of architecture, encoder weights, tokenizer and preparation of the text; 32 digits.

    Models of one fingerprint give a sentence the same vector, wherever they are stored.
    """
    described = {
        # Without defaults, so that a setting which a later version adds changes nothing here.
        "architecture": model.config.model_dump(mode="json", exclude_defaults=True),
        "lowercase": data.lowercase,
        "normalization": data.normalization,
        "max_tokens": model.max_tokens,
        "tokenizer": tokenizer.fingerprint,
    }
    digest = hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16)
    if model.encoder is not None:
        for name, value in sorted(model.encoder.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
