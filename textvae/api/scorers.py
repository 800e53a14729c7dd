"""Language models that score the samples and paths of another model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from textvae.api.protocol import TextModel
from textvae.config import Config, DataConfig
from textvae.data.opening import hash_fraction, open_rows
from textvae.data.rows import Row
from textvae.decoding.settings import Sampling
from textvae.errors import NotFoundError, UsageError, flag, option, worded
from textvae.evaluation.perplexity import Scorer
from textvae.files.names import TOKENIZER_FILE
from textvae.progress import Say

if TYPE_CHECKING:
    from textvae.evaluation.samples import Quality

Trainer = Callable[..., TextModel]  # of texts, with config=..., as `TextVAE.train`


def check_judged(
    scorer: object, judged: Mapping[str, int | None], *, judge: str = "scorer"
) -> None:
    """Raise UsageError where a scorer has nothing to judge; `judged` has numbers by option.

    Args:
        judge: the option that names the scorer.
    """
    if scorer is not None and all(number is None for number in judged.values()):
        options = " or ".join(worded(f"--{name} N", f"{name}=N") for name in judged)
        raise UsageError(f"{flag(judge)} has nothing to judge; add {options}")


def check_scorer(lm: TextModel, name: object = None) -> None:
    """Raise UsageError where the scorer is not a language model."""
    if lm.model.posterior is not None:
        name = name or lm.folder or "given"
        raise UsageError(
            f"{worded('--scorer', 'the scorer')} {name} is of the kind {lm.kind}; train one with "
            f"{option('model', 'lm')}"
        )


def check_encoder(encoder: TextModel, name: object = None) -> None:
    """Raise UsageError where a model has no vectors to compare samples and sentences by."""
    if encoder.model.encoder is None:
        name = name or encoder.folder or "given"
        raise UsageError(
            f"{worded('--divergence-encoder', 'the divergence encoder')} {name} is a language "
            "model, which has no vectors; use a vae or an ae"
        )


def quality_of(
    vae: TextModel,
    samples: int,
    lm: TextModel | None,
    train_scorer: Callable[[Sequence[str]], Scorer] | None,
    warn: Say,
    *,
    decoding: Sampling | None = None,
    encoder: TextModel | None = None,
) -> Quality:
    """The settings for judging `samples` samples: training texts and, with an lm, its scores.

    Args:
        train_scorer: that of `scorer_trainer`, which several models can share.
        decoding: how samples are decoded; None: by the model's default.
        encoder: makes the vectors for `divergence_area`; None: the figure is left out.
    """
    from textvae.evaluation.samples import Quality, SentenceEncoder  # and sacrebleu with them

    texts = training_texts(vae.config.data, warn)
    vectors = None
    if encoder is not None:
        vectors = SentenceEncoder(str(encoder.folder or "given"), encoder.encode)
    if lm is None:
        return Quality(samples, decoding, training_texts=texts, encoder=vectors)
    return Quality(
        samples,
        decoding,
        training_texts=texts,
        scorer=negated(lm),
        train_scorer=train_scorer,
        real_texts=texts,
        encoder=vectors,
    )


def scorer_trainer(
    lm: TextModel, train: Trainer, note: Say
) -> Callable[[Sequence[str]], Scorer] | None:
    """A function that trains language models as `lm` was; it keeps the last two.

    Models with one training set are compared with the same real sentences again and again. None,
    with a note, for a pretrained language model: it knew the language before it read a sample.
    """
    if lm.model.decoder.reference is not None:
        note(
            "ppl_reverse is left out: the scorer is a pretrained language model, whose perplexity "
            "says little about the samples that it is trained on"
        )
        return None

    @lru_cache(maxsize=2)  # the samples of a model, and the real sentences
    def trained(sentences: tuple[str, ...]) -> Scorer:
        like_what = "" if lm.folder is None else f", as {lm.folder} was"
        note(f"training a language model on {len(sentences):,} sentences{like_what}")
        return negated(train(sentences, config=configuration_like(lm)))

    return lambda sentences: trained(tuple(sentences))


def negated(lm: TextModel) -> Scorer:
    """-log p(x) of texts under `lm`, in nats; a text beyond its limit is scored truncated.

    A text that a model wrote may have more tokens when it is read again, or for another tokenizer.
    """
    return lambda texts: -lm.log_likelihood(texts, truncate=True)


def training_texts(data: DataConfig, warn: Say) -> list[str] | None:
    """The texts that a model was trained on; None, with a warning, if they are not there."""
    try:
        return read_training_texts(data)
    except NotFoundError as error:
        warn(f"{error}; figures that need the training text are left out")
        return None


def read_training_texts(data: DataConfig) -> list[str]:
    """The texts that a model was trained on.

    Raises:
        NotFoundError: they are not there.
    """
    return [row.text for row in training_rows(data)]


def training_rows(data: DataConfig) -> Iterator[Row]:
    """The rows that a model was trained on, without those that were held out for validation.

    Raises:
        NotFoundError: the text is not there, or the model does not say which it was.
    """
    if not data.train or "-" in data.train:
        raise NotFoundError("the model does not say which file it was trained on")
    rows = open_rows(
        data.train,
        text_column=data.text_column,
        lowercase=data.lowercase,
        normalization=data.normalization,
    )
    held_out = 0.0 if data.valid else data.valid_fraction
    return (row for row in rows if hash_fraction(row.text) >= held_out)


def configuration_like(lm: TextModel) -> Config:
    """The configuration of a training as `lm`'s, with its tokenizer, on texts in memory."""
    data = lm.config.data.model_copy(update={"train": (), "valid": ()})
    tokenizer: Any = lm.config.tokenizer
    if lm.folder is not None:
        tokenizer = tokenizer.model_copy(
            update={"tokenizer": str(lm.folder / TOKENIZER_FILE), "vocab_size": None}
        )
    return lm.config.model_copy(update={"data": data, "tokenizer": tokenizer})
