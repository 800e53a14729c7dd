"""The encoder as a sentence-transformers input module; imports sentence-transformers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from sentence_transformers.base.modules import InputModule
from torch import Tensor

from textvae.api import TextVAE
from textvae.data.batches import Tokens, collate
from textvae.data.texts import kind_of, texts_of
from textvae.errors import NotFoundError, UsageError
from textvae.models.device import exact_float32
from textvae.models.sentence import Layer


class SentenceVectors(InputModule):  # type: ignore[misc]  # the package is optional
    """A module from texts to `sentence_embedding`, the vectors of `TextVAE.encode`, (B, D).

    The vectors have gradients, so the trainers and losses of sentence-transformers work.

    Args:
        vae: the model, which moves to a device with this module.
        layer: `latent` or `encoder`.

    Raises:
        UsageError: the model is a language model, or the layer is unknown.
    """

    save_in_root = True
    config_file_name = "sentence_vectors.json"  # config.json belongs to the model
    config_keys = ["layer"]  # noqa: RUF012  # as in the parent class

    def __init__(self, vae: TextVAE, layer: Layer = "latent") -> None:
        super().__init__()
        self.vae = vae
        self.model = vae.model
        self.layer = layer
        self.size = vae.vector_size(layer)
        self.max_seq_length = vae.max_tokens_read  # with the end token; longer texts are truncated
        self.tokenizer = vae.encoder_tokenizer

    def get_embedding_dimension(self) -> int:
        """The dimension D of the vectors."""
        return self.size

    def preprocess(
        self, inputs: Sequence[str], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """The token ids and the mask of each text, both (B, T).

        Raises:
            UsageError: a container that sentence-transformers took for one sentence.
            DataError: a text is not a string.
        """
        for item in inputs:
            if isinstance(item, Iterable) and not isinstance(item, str | bytes | list | tuple):
                texts_of(item)  # a table is refused by its name
                raise UsageError(
                    f"sentence-transformers takes {kind_of(item)} for one sentence; give list(...)"
                )
        texts = [prompt + text for text in inputs] if prompt else list(inputs)
        limit = min(self.max_seq_length, self.vae.max_tokens_read) - 1
        ids = [sentence[:limit] for sentence in self.vae.token_ids(texts)]
        read = self.vae.encoder_tokenizer
        tokens = collate(ids, read.eos_id, read.pad_id)
        return {"input_ids": tokens.ids, "attention_mask": tokens.mask.long()}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """The features with `sentence_embedding` (B, D) added."""
        tokens = Tokens(features["input_ids"], features["attention_mask"].sum(1))
        encode = self.model.code if self.layer == "latent" else self.model.pooled
        trains = torch.is_grad_enabled()
        with nullcontext() if trains else exact_float32(self.model.device):
            return features | {"sentence_embedding": encode(tokens)}

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Write the model folder, and the layer in a file of its own."""
        self.vae.save_pretrained(output_path)
        self.save_config(output_path)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> SentenceVectors:
        """The module that `save` wrote, from a folder or from the hub."""
        place: dict[str, Any] = {
            "subfolder": subfolder,
            "token": token,
            "cache_folder": cache_folder,
            "revision": revision,
            "local_files_only": local_files_only,
        }
        folder = cls.load_dir_path(model_name_or_path, **place)
        if folder is None:
            raise NotFoundError(f"{model_name_or_path}: no such folder or hub repository")
        config = cls.load_config(model_name_or_path, **place)
        return cls(TextVAE.from_pretrained(folder, device="cpu"), **config)
