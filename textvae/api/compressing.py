"""Compression of sentences: bits of the quantized latent against what is decoded from the bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from textvae.api.encoding import encode_all, require_latent
from textvae.api.protocol import TextModel
from textvae.api.scorers import read_training_texts
from textvae.arguments import seed_of
from textvae.data.input_rows import (
    Sentences,
    name_of,
    prepared_rows,
    read_stdin_once,
    require_text,
    rows_from,
    warn_of_blank,
    with_text,
)
from textvae.data.rows import Row
from textvae.errors import DataError, NotFoundError, flag
from textvae.latent.codes import fitted_codes
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

if TYPE_CHECKING:
    from textvae.evaluation.compression import Compression, RatePoint

FITTED_SENTENCES = 10_000  # 39 for each of 256 centroids


@dataclass(frozen=True)
class RateDistortion:
    """The bits of N sentences by codes of the latent, and what is decoded from the bits.

    Args:
        model: its name.
        source: the file of the sentences.
        n_sentences: N, without blank lines.
        points: one for each code, by bits.
    """

    model: str
    source: str
    n_sentences: int
    points: tuple[RatePoint, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report of a model that `textvae plot rate-distortion --json` prints."""
        return {
            "model": self.model,
            "n_sentences": self.n_sentences,
            "rate_distortion": [point.to_dict() for point in self.points],
        }


@shows_progress
def rate_distortion(
    vae: TextModel,
    sentences: Sentences,
    *,
    fit: Sentences | None = None,
    name: str | None = None,
    limit: int | None = None,
    truncate: bool = False,
    text_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> RateDistortion:
    """The bits of a sentence's quantized latent against what is decoded from the bits.

    >>> vae.rate_distortion("test.txt").points[-1].code  # doctest: +SKIP
    'float32'

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences.
        fit: the text that the codes are fitted to; None: the training text of the model.
        limit, truncate, text_column: as in `TextVAE.evaluate`.
        seed: of product quantization and of the sample of the posterior.

    Raises:
        UsageError: a language model.
        NotFoundError: the training text is not there, and `fit` names no text.
        DataError: no sentence with a text, or sentences beyond the limit unless `truncate`.
    """
    require_latent(vae, "measure bits of a latent", name)
    from textvae.evaluation.compression import measured_rates  # and sacrebleu with it

    seed, watcher = seed_of(seed), watcher or Watcher()
    compression = compression_of(vae, fit, watcher, text_column=text_column, seed=seed)
    rows = prepared_rows(
        sentences, vae.config.data, text_column=text_column, remarks=watcher.remarks
    )
    points, n_sentences = measured_rates(
        vae.model,
        vae.tokenizer,
        require_text(rows, name_of(sentences)),
        compression.codes,
        seed=seed,
        limit=limit,
        truncate=truncate,
        encoder_tokenizer=vae.encoder_tokenizer,
        progress=watcher.progress,
    )
    model = str(vae.folder or "") if name is None else name
    return RateDistortion(model, name_of(sentences), n_sentences, tuple(points))


def rate_distortions(
    models: Mapping[str, TextModel],
    sentences: Sentences,
    *,
    fit: Sentences | None = None,
    limit: int | None = None,
    truncate: bool = False,
    text_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> list[RateDistortion]:
    """`rate_distortion` of several models, by their names, on the same sentences.

    The sentences and `fit` are read once, so each may be standard input or an iterator. The column
    of the text is that of the first model's training, where none is given.
    """
    watcher, data = watcher or Watcher(), next(iter(models.values())).config.data

    def rows(source: Sentences) -> list[Row]:
        column = text_column or data.text_column
        return list(rows_from(source, text_column=column, remarks=watcher.remarks))

    read_stdin_once(sentences, fit)
    lines = list(require_text(iter(rows(sentences)), name_of(sentences)))
    n_blank = sum(not row.text.strip() for row in lines)
    warn_of_blank(n_blank, name_of(sentences), watcher.warn)
    fitted = None
    if fit is not None:
        fitted = list(with_text(iter(rows(fit)), name_of(fit), watcher.warn))
    return [
        replace(
            rate_distortion(
                vae,
                lines,
                fit=fitted,
                name=name,
                limit=limit,
                truncate=truncate,
                seed=seed,
                watcher=watcher,
            ),
            source=name_of(sentences),
        )
        for name, vae in models.items()
    ]


def compression_of(
    vae: TextModel,
    fit: Sentences | None,
    watcher: Watcher,
    *,
    text_column: str | None = None,
    seed: int = 0,
) -> Compression:
    """The training text and the codes fitted to it; no codes for a language model.

    Args:
        fit: the text; None: the training text of the model.

    Raises:
        NotFoundError: the training text is not there.
        DataError: `fit` has no text.
    """
    from textvae.evaluation.compression import Compression
    from textvae.evaluation.sentences import lowest_hashes

    texts = _texts(vae, fit, watcher, text_column)
    if vae.model.encoder is None:
        return Compression((), texts)
    chosen = [texts[i] for i in lowest_hashes(texts, FITTED_SENTENCES)]
    vectors = encode_all(vae, chosen, watcher, phase="encoding the training text")
    return Compression(fitted_codes(vectors, seed=seed), texts)


def _texts(
    vae: TextModel, fit: Sentences | None, watcher: Watcher, text_column: str | None
) -> list[str]:
    data = vae.config.data
    if fit is None:
        try:
            texts = read_training_texts(data)
        except NotFoundError as error:
            raise NotFoundError(
                f"{error}; name a text to fit the codes to with {flag('fit')}"
            ) from None
    else:
        rows = prepared_rows(fit, data, text_column=text_column, remarks=watcher.remarks)
        texts = [row.text for row in with_text(rows, name_of(fit), watcher.warn)]
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise DataError(f"{name_of(fit or 'the training text')}: no text to fit the codes to")
    return texts
