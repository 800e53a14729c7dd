"""What sentence-transformers keeps about our encoder; importing it imports that package."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sentence_transformers.sentence_transformer.model_card import SentenceTransformerModelCardData

from textvae.saving.identity import fingerprint

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class CardNamedByContent(SentenceTransformerModelCardData):  # type: ignore[misc]  # optional
    """A model card with the name of `name_of`, at each reading, unless another is given to it.

    MTEB keeps results by name, and would take those of one nameless model for another's, or those
    from before a training for those from after it.
    """

    @property
    def model_name(self) -> str | None:
        """The name; None before the card belongs to an encoder."""
        given: str | None = vars(self).get("_given_name")
        return given if given or self.model is None else name_of(self.model)

    @model_name.setter
    def model_name(self, name: str | None) -> None:
        self._given_name = name


def name_of(encoder: SentenceTransformer) -> str:
    """A name that two encoders of ours share only if their vectors and scores are the same."""
    first, *others = encoder
    vae = first.vae
    settings = (
        fingerprint(vae.model, vae.encoder_tokenizer, vae.config.data),
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
