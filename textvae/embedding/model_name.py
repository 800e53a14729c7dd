"""The sentence-transformers model card of our encoder; imports sentence-transformers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sentence_transformers.sentence_transformer.model_card import SentenceTransformerModelCardData

from textvae.api.encoding import fingerprint_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class CardNamedByContent(SentenceTransformerModelCardData):  # type: ignore[misc]  # optional
    """A model card whose name is always the current `name_of`, unless a name is set.

    MTEB caches results by name. Without a name that follows the weights, it would confuse the
    results of two models, or of one model before and after training.
    """

    @property
    def model_name(self) -> str | None:
        """The name of the encoder; None before the card belongs to an encoder."""
        given: str | None = vars(self).get("_given_name")
        return given if given or self.model is None else name_of(self.model)

    @model_name.setter
    def model_name(self, name: str | None) -> None:
        self._given_name = name


def name_of(encoder: SentenceTransformer) -> str:
    """A name that two of our encoders share only if they give equal vectors and scores."""
    first, *others = encoder
    vae = first.vae
    settings = (
        fingerprint_of(vae),
        first.layer,
        first.max_seq_length,
        sorted(encoder.prompts.items()),
        encoder.default_prompt_name,
        encoder.truncate_dim,
        encoder.similarity_fn_name,
    )
    digest = hashlib.sha256(repr(settings).encode())
    for module in others:
        digest.update(repr(module).encode())
        for name, value in sorted(module.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return f"textvae/{vae.kind}-{first.layer}-{digest.hexdigest()[:12]}"
