"""What is evaluated: a model, the sentences, and the settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from textvae.data.rows import Row
from textvae.data.tokenizers import Tokenizer
from textvae.data.writing import Writing, writing_of
from textvae.decoding.generation import Sampling, decode_batches
from textvae.evaluation.likelihood import Chunk, chunks_by_length
from textvae.evaluation.sentences import Sentences, prepare
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress


@dataclass(frozen=True)
class Subject:
    """A model, its evaluated sentences, and the settings."""

    model: SentenceModel
    tokenizer: Tokenizer
    sentences: Sentences
    chunks: Sequence[Chunk]
    writing: Writing
    seed: int
    progress: Progress | None

    def decoded(self, z: Tensor, phase: str) -> list[str]:
        """The greedy sentence of each vector (N, Z)."""
        ids: list[list[int]] = []
        for output in decode_batches(self.model, z.float(), Sampling("greedy")):
            ids.append(output)
            if self.progress is not None:
                self.progress(phase, len(ids), len(z))
        return self.tokenizer.decode(ids)


def prepared_subject(
    model: SentenceModel,
    tokenizer: Tokenizer,
    rows: Iterable[Row],
    *,
    seed: int = 0,
    limit: int | None = None,
    truncate: bool = False,
    encoder_tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
) -> Subject:
    """The sentences of rows, chosen, truncated and in batches, with their model.

    The arguments are those of `evaluate`.

    Raises:
        DataError: there are only blank lines, or sentences above the model's limit.
    """
    sentences = prepare(
        rows,
        tokenizer,
        model.decoder.max_tokens,
        limit=limit,
        truncate=truncate,
        encoder_tokenizer=encoder_tokenizer if model.encoder is not None else None,
        encoder_max_tokens=None if model.encoder is None else model.encoder.max_tokens,
    )
    chunks = chunks_by_length(sentences.ids, model, source_ids=sentences.source_ids)
    writing = writing_of(sentences.texts)
    return Subject(model, tokenizer, sentences, chunks, writing, seed, progress)
