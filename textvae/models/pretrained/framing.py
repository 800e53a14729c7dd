"""The special tokens that a pretrained network expects around a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from textvae.data.batches import Tokens
from textvae.data.tokenizers import Tokenizer
from textvae.data.vocabulary import Vocabulary
from textvae.errors import ModelFormatError
from textvae.models.pretrained.reference import Reference

MOST_AROUND = 16  # special tokens on each side
_MASKS = ("[MASK]", "<mask>")


@dataclass(frozen=True)
class Frame:
    """Sentences of our tokenizer -> the input of a pretrained network.

    Ours end with an end token and have no other special token. A pretrained network reads what its
    own template puts around a sentence: [CLS] ... [SEP] for BERT, ... </s> for T5.

    Args:
        before, after: ids of special tokens.
        pad_id: padding of the network.
        blank_id: replaces a blank, which is a padding token inside a sentence.
        rows: ids at or above it have no embedding, because our tokenizer added their tokens.
        vocabulary: of our tokenizer.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    pad_id: int
    blank_id: int
    rows: int
    vocabulary: Vocabulary

    def __call__(self, source: Tokens) -> Tokens:
        """The sentences with their special tokens, (B, before + T - 1 + after)."""
        B, T = source.ids.size()
        words = source.lengths - 1  # without the end token
        content = source.ids[:, : max(T - 1, 0)]
        content = content.masked_fill(content == self.vocabulary.pad_id, self.blank_id)
        content = content.masked_fill(content >= self.rows, self.blank_id)
        before, after = len(self.before), len(self.after)
        ids = source.ids.new_full((B, before + content.size(1) + after), self.pad_id)
        for place, token in enumerate(self.before):
            ids[:, place] = token
        ids[:, before : before + content.size(1)] = content
        steps = torch.arange(ids.size(1), device=ids.device)
        ids = ids.masked_fill(steps >= (before + words)[:, None], self.pad_id)
        for place, token in enumerate(self.after):
            ids = torch.where(steps == (before + place + words)[:, None], token, ids)
        lengths = (words + before + after).clamp(min=1)  # a network needs one position
        return Tokens(ids, lengths)

    @property
    def added(self) -> int:
        """Special tokens around a sentence."""
        return len(self.before) + len(self.after)


def check_rows(reference: Reference, vocabulary: Vocabulary, rows: int) -> None:
    """Raise ModelFormatError if tokens have no embedding, except those that our tokenizer added."""
    added = {vocabulary.pad_id, vocabulary.bos_id, vocabulary.eos_id}
    unknown = vocabulary.size - rows - sum(token >= rows for token in added)
    if unknown > 0:
        raise ModelFormatError(
            f"{reference.folder}: the tokenizer has {unknown:,} tokens more than the network; the "
            "tokenizer is that of another model"
        )


def frame_of(reference: Reference, vocabulary: Vocabulary, rows: int, pad_id: int | None) -> Frame:
    """The frame of a pretrained network, from the template in its tokenizer.json.

    Args:
        rows: tokens that have an embedding.
        pad_id: padding in the configuration of the network, if it has one.

    Raises:
        ModelFormatError: the template names tokens that the network does not have.
    """
    check_rows(reference, vocabulary, rows)
    tokenizer = Tokenizer.load(reference.tokenizer)
    before, after = tokenizer.surroundings()
    if max([*before, *after], default=0) >= rows or max(len(before), len(after)) > MOST_AROUND:
        raise ModelFormatError(
            f"{reference.tokenizer}: its template names tokens that the network does not have; the "
            "tokenizer is that of another model"
        )
    if pad_id is None or not 0 <= pad_id < rows:
        pad_id = vocabulary.pad_id if vocabulary.pad_id < rows else 0
    masks = [found for name in _MASKS if (found := tokenizer.token_id(name)) is not None]
    unknown = [] if tokenizer.unk_id is None else [tokenizer.unk_id]
    blank = next((token for token in (*masks, *unknown) if token < rows), pad_id)
    return Frame(tuple(before), tuple(after), pad_id, blank, rows, vocabulary)
