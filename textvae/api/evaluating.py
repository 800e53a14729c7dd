"""The figures of one model on held-out sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textvae.api.classifying import require_head
from textvae.api.compressing import compression_of
from textvae.api.protocol import TextModel
from textvae.api.scorers import (
    check_encoder,
    check_judged,
    check_scorer,
    negated,
    quality_of,
    scorer_trainer,
)
from textvae.api.stored_priors import GivenPrior, checked_prior
from textvae.arguments import seed_of, whole_number
from textvae.data.input_rows import (
    Sentences,
    name_of,
    prepared_rows,
    read_stdin_once,
    require_text,
)
from textvae.errors import UsageError, flag, option, worded
from textvae.latent.prior_file import FittedPrior
from textvae.number_format import counted
from textvae.progress import Say, Watcher
from textvae.progress.bars import shows_progress


@dataclass(frozen=True)
class Evaluation:
    """The figures of a model on sentences.

    Args:
        figures: under the JSON keys of `textvae evaluate`, in their order; a figure that is not
            defined for the model is absent.
        sentences: the figures of each sentence, where asked for.
        why_no_likelihood: the reason why `nll_iw` and its like are absent; None where they are not.
    """

    figures: dict[str, Any]
    sentences: list[dict[str, Any]] | None = None
    why_no_likelihood: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report that `textvae evaluate --json` prints."""
        report = dict(self.figures)
        return report if self.sentences is None else report | {"sentences": self.sentences}

    @classmethod
    def from_report(cls, report: dict[str, Any], why_no_likelihood: str | None) -> Evaluation:
        """The evaluation that a report of `textvae.evaluation` describes."""
        figures = {key: value for key, value in report.items() if key != "sentences"}
        return cls(figures, report.get("sentences"), why_no_likelihood)

    def warn(self, warn: Say, name: str = "") -> None:
        """Warn of an estimate that has not converged, truncated sentences, and unknown labels."""
        of = f"{name}: " if name else ""
        if self.figures.get("converged") is False:
            warn(f"{of}nll_iw has not converged; use more {flag('samples')}")
        if n := self.figures.get("n_truncated"):
            were = "sentence was" if n == 1 else "sentences were"
            warn(f"{of}{n:,} {were} too long and truncated")
        if n := self.figures.get("n_unknown_labels"):
            errors = "it counts as an error" if n == 1 else "each counts as an error"
            do = "does" if n == 1 else "do"
            warn(f"{of}{counted(n, 'label')} {do} not occur in the model's training; {errors}")


def check_counts(**numbers: int | None) -> None:
    """Raise UsageError for a number that is neither None nor a whole number of 1 or more."""
    for name, number in numbers.items():
        if number is not None:
            whole_number(name, number, least=1, example=100)


@shows_progress
def evaluate(
    vae: TextModel,
    sentences: Sentences,
    *,
    name: str | None = None,
    samples: int = 100,
    limit: int | None = None,
    truncate: bool = False,
    per_sentence: bool = False,
    quality: int | None = None,
    decoding: Mapping[str, Any] | None = None,
    scorer: TextModel | None = None,
    divergence_encoder: TextModel | None = None,
    interpolations: int | None = None,
    refine: int | None = None,
    compression: bool = False,
    fit: Sentences | None = None,
    prior: GivenPrior = False,
    text_column: str | None = None,
    label_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> Evaluation:
    """The figures of a model on held-out sentences, as `textvae evaluate` prints them.

    >>> vae.evaluate("test.txt").figures["nll_iw"]  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences.
        name: stands under `model`; None: the folder.
        samples: K, importance samples a sentence.
        limit: evaluate a fixed subset of so many, by a hash of the text.
        truncate: truncate sentences beyond the model's limit, instead of raising.
        per_sentence: give the figures of each sentence too.
        quality: judge so many samples from the prior too.
        decoding: how these samples are decoded, e.g. `{"temperature": 1}`; None: as `generate`
            does without options.
        scorer: a language model of the training set, to judge samples and paths.
        divergence_encoder: the model whose vectors compare samples with real sentences; None: this
            model, if it has a latent.
        interpolations: judge the paths between so many random pairs of the sentences too.
        refine: improve each posterior by so many gradient steps too.
        compression: compare the bits of quantized latents with what is decoded, and the bound of
            the model with general compressors: the figures `rate_distortion` and `lossless`.
        fit: the text that `compression` fits codes and a dictionary to; None: the training text.
        prior: evaluate with this prior of `fit_prior` in place of the model's own; True: with the
            one in the model's folder.
        text_column: column of the text; None: as in training.
        label_column: column of the label, for a model with a head on labels; None: as in training,
            where the file has this column.
        seed: None takes a fresh one.
        watcher: receives notes, warnings and progress.

    Raises:
        UsageError: figures that the model cannot have; a scorer that is no language model, or
            has nothing to judge; a divergence encoder that is a language model; a label column for
            a model without a head on labels.
        DataError: no sentence with a text, or sentences beyond the limit unless `truncate`.
    """
    seed = seed_of(seed)
    check_counts(
        samples=samples,
        limit=limit,
        quality=quality,
        interpolations=interpolations,
        refine=refine or None,
    )
    check_judged(scorer, {"quality": quality, "interpolations": interpolations})
    check_judged(divergence_encoder, {"quality": quality}, judge="divergence_encoder")
    if decoding and quality is None:
        names = ", ".join(sorted(decoding))
        needed = worded("--quality N", "quality=N")
        raise UsageError(f"{names}: there are no samples to decode; add {needed}")
    if scorer is not None:
        check_scorer(scorer)
    if divergence_encoder is not None:
        check_encoder(divergence_encoder)
    if label_column is not None:
        require_head(vae, name)
    read_stdin_once(sentences, fit)
    if fit is not None and not compression:
        raise UsageError(f"{flag('fit')} has nothing to fit; add {option('compression', True)}")
    fitted = None if prior is False else _fitted(vae, prior, quality, name)
    # Here and not above: sacrebleu, which not every user of a model needs.
    from textvae.evaluation.byte_coders import has_zstandard
    from textvae.evaluation.interpolations import Interpolations
    from textvae.evaluation.report import evaluate as measure
    from textvae.evaluation.why_no_likelihood import why_no_likelihood

    watcher = watcher or Watcher()
    judged = paths = None
    if quality is not None:
        trainer = None
        if scorer is not None:
            trainer = scorer_trainer(scorer, type(scorer).train, watcher.note)
        settings = vae.decoding(**(decoding or {}))
        own = None if vae.model.encoder is None else vae
        judged = quality_of(
            vae,
            quality,
            scorer,
            trainer,
            watcher.warn,
            decoding=settings,
            encoder=divergence_encoder or own,
        )
    if interpolations is not None:
        paths = Interpolations(interpolations, scorer=None if scorer is None else negated(scorer))
    codes = None
    if compression:
        codes = compression_of(vae, fit, watcher, text_column=text_column, seed=seed)
        if not has_zstandard():
            watcher.note("sizes by zstd are left out; `pip install 'textvae[zstd]'` adds them")
    has_head = vae.model.label_head is not None
    rows = prepared_rows(
        sentences,
        vae.config.data,
        text_column=text_column,
        label_column=label_column or (vae.config.data.label_column if has_head else None),
        needs_label=label_column is not None,
        remarks=watcher.remarks,
    )
    report = measure(
        vae.model if fitted is None else vae.model.with_prior(fitted.prior),
        vae.tokenizer,
        require_text(rows, name_of(sentences)),
        name=str(vae.folder or "") if name is None else name,
        samples=samples,
        seed=seed,
        limit=limit,
        truncate=truncate,
        refine_steps=refine or 0,
        interpolations=paths,
        quality=judged,
        compression=codes,
        per_sentence=per_sentence,
        encoder_tokenizer=vae.encoder_tokenizer,
        progress=watcher.progress,
    )
    if fitted is not None:
        report = {"model": report["model"], "prior": str(fitted), **report}
    reason = why_no_likelihood(vae.model, vae.config.objective)
    evaluation = Evaluation.from_report(report, reason)
    if reason is not None:
        watcher.note(reason)
    if has_head and "label_accuracy" not in report:
        watcher.note(f"{name_of(sentences)}: no sentence has a label, so no label_accuracy")
    evaluation.warn(watcher.warn)
    return evaluation


def _fitted(
    vae: TextModel, prior: GivenPrior, quality: int | None, name: str | None
) -> FittedPrior:
    """The fitted prior to evaluate with.

    Raises:
        UsageError: the prior has no density, or changes no figure.
    """
    found = checked_prior(vae, prior, name)
    if vae.model.has_density and not found.prior.has_density:
        raise UsageError(
            f"{flag('prior')}: a {found.kind} prior has no density, so kl, nll_elbo and nll_iw are "
            "undefined; evaluate with a gaussian, a mixture or a spline"
        )
    if not vae.model.has_density and quality is None:
        needed = worded("--quality N", "quality=N")
        raise UsageError(
            f"{flag('prior')}: only the samples of an autoencoder depend on its prior; add {needed}"
        )
    return found
