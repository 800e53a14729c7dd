"""Static word vectors: a table with a vector for each token, averaged over a sentence."""

from __future__ import annotations

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from textvae.data.batches import Tokens
from textvae.data.tokenizers import Tokenizer
from textvae.errors import ModelFormatError
from textvae.files.untrusted import reason
from textvae.models.pretrained.modules import modules_of
from textvae.models.pretrained.opening import read_settings, stored_numbers
from textvae.models.pretrained.reference import Reference

MODEL_TYPES = ("model2vec",)
TABLES = ("embeddings", "embedding.weight")  # of model2vec, and of sentence-transformers


class StaticTable(nn.Module):
    """Vectors of tokens, and how they become the vector of a sentence.

    Args:
        vectors: (V, D), float32.
        skipped: the unknown token, which model2vec leaves out; -1 for none.
        has_unit_length: scale the vector of a sentence to the length 1.
    """

    def __init__(self, vectors: Tensor, *, skipped: int, has_unit_length: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(vectors)
        self.skipped, self.has_unit_length = skipped, has_unit_length

    @property
    def width(self) -> int:
        """D."""
        return self.embedding.embedding_dim

    def average(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The mean vector of the tokens of each sentence, (B, D); zero without a token."""
        known = mask & (ids != self.skipped) & (ids < self.embedding.num_embeddings)  # (B, T)
        vectors = self.embedding(ids.masked_fill(~known, 0)) * known[..., None]  # (B, T, D)
        return vectors.sum(1) / known.sum(1, keepdim=True).clamp(min=1)  # type: ignore[no-any-return]

    def forward(self, source: Tokens) -> Tensor:
        """The vector of each sentence, (B, D), as its model defines it."""
        steps = torch.arange(source.ids.size(1), device=source.ids.device)
        average = self.average(source.ids, steps < source.lengths[:, None] - 1)
        return nn.functional.normalize(average, dim=-1) if self.has_unit_length else average


def is_static(reference: Reference) -> bool:
    """True if a pretrained model is a table of static vectors."""
    return read_settings(reference).get("model_type") in MODEL_TYPES


def load_table(reference: Reference) -> StaticTable:
    """The table of a model2vec or sentence-transformers folder.

    Raises:
        ModelFormatError: the weights hold no table, or tables of tokens that are not in rows.
    """
    settings = read_settings(reference)
    tokenizer = Tokenizer.load(reference.tokenizer)
    paths = reference.weight_files()
    stored_numbers(paths)
    try:
        with safe_open(paths[0], framework="pt") as file:
            names = set(file.keys())
            name = next((table for table in TABLES if table in names), None)
            if name is None or names - set(TABLES):
                raise ValueError(
                    f"expected one tensor, {' or '.join(TABLES)}, found {', '.join(sorted(names))}"
                )
            vectors = file.get_tensor(name).float()
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelFormatError(f"{paths[0]}: no static vectors: {reason(error)}") from None
    if vectors.dim() != 2 or not len(vectors) or not bool(vectors.isfinite().all()):
        raise ModelFormatError(f"{paths[0]}: {name} is no table of finite vectors")
    modules = [kind for kind, _ in modules_of(reference)]
    if any(kind != "Normalize" for kind in modules):
        raise ModelFormatError(f"{reference.folder}: static vectors with modules {modules}")
    drops = name == "embeddings" and tokenizer.unk_id is not None
    return StaticTable(
        vectors,
        skipped=tokenizer.unk_id if drops and tokenizer.unk_id is not None else -1,
        has_unit_length=bool(settings.get("normalize")) or "Normalize" in modules,
    )
