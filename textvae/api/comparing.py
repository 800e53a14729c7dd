"""Several models on the same sentences, with their paired differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.api.classifying import require_head
from textvae.api.evaluating import Evaluation, check_counts
from textvae.api.loading import load_all
from textvae.api.model import TextVAE
from textvae.api.scorers import (
    check_encoder,
    check_judged,
    check_scorer,
    quality_of,
    scorer_trainer,
)
from textvae.arguments import seed_of
from textvae.data.input_rows import Sentences, name_of, prepared, require_text, rows_from
from textvae.errors import UsageError, worded
from textvae.progress import Say, Watcher
from textvae.progress.bars import shows_progress

if TYPE_CHECKING:
    from textvae.evaluation.comparison import Candidate


@dataclass(frozen=True)
class Difference:
    """How a model differs from the first, sentence by sentence.

    Args:
        model: its name.
        minus: the name of the first model.
        n_sentences: sentences that both models read as the same text.
        figures: `nll_iw`, `nll_elbo` and `rec` where both have them: the mean over these sentences
            less that of the first model, in nats, each with the standard error `KEY_se`.
    """

    model: str
    minus: str
    n_sentences: int
    figures: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The difference as `textvae compare --json` prints it."""
        head = {"model": self.model, "minus": self.minus, "n_sentences": self.n_sentences}
        return head | self.figures


@dataclass(frozen=True)
class Comparison:
    """Evaluations of several models, and the differences of all but the first from the first."""

    models: tuple[Evaluation, ...]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report that `textvae compare --json` prints."""
        return {
            "models": [one.to_dict() for one in self.models],
            "differences": [one.to_dict() for one in self.differences],
        }

    @classmethod
    def from_report(cls, report: dict[str, Any]) -> Comparison:
        """The comparison that a report of `textvae.evaluation` describes."""
        models = tuple(Evaluation.from_report(one, None) for one in report["models"])
        head = ("model", "minus", "n_sentences")
        differences = tuple(
            Difference(
                one["model"],
                one["minus"],
                one["n_sentences"],
                {key: value for key, value in one.items() if key not in head},
            )
            for one in report["differences"]
        )
        return cls(models, differences)

    def warn(self, warn: Say) -> None:
        """Warn of figures that cannot be compared as they stand."""
        for one in self.models:
            one.warn(warn, one.figures["model"])
        total = self.models[0].figures["n_sentences"]
        for difference in self.differences:
            if difference.n_sentences < total:
                warn(
                    f"{difference.model} reads {difference.n_sentences:,} of {total:,} sentences "
                    f"as the same text as {difference.minus}; only these are compared"
                )
        rates = {one.figures.get("unk_rate") for one in self.models if "nll_iw" in one.figures}
        if len(rates) > 1:
            warn(
                "the models do not read the same words as unknown, and an unknown word costs less "
                "than the word itself: nll_iw is not comparable; see unk_rate"
                f"{worded(' in --json', '')}"
            )


@shows_progress
def compare(
    models: Iterable[str | Path | TextVAE] | str | Path | TextVAE,
    on: Sentences,
    *,
    samples: int = 100,
    limit: int | None = None,
    truncate: bool = False,
    quality: int | None = None,
    scorer: str | Path | TextVAE | None = None,
    divergence_encoder: str | Path | TextVAE | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    seed: int | None = 0,
    device: str = "auto",
    watcher: Watcher | None = None,
) -> Comparison:
    """The evaluations of several models on the same held-out sentences, and their differences.

    >>> found = compare(["runs/lm", "runs/vae"], "test.txt")  # doctest: +SKIP
    >>> found.differences[0].figures["nll_iw"]  # doctest: +SKIP

    Args:
        models: folders, Hugging Face ids, or models.
        on: test sentences; a file, glob, `-`, `hf:` name, or sentences.
        samples, limit, truncate, quality, text_column, seed: as in `TextVAE.evaluate`.
        label_column: column of the label, for models with a head on labels; None: as in the
            training of the first of these models, where the file has this column.
        scorer: a language model of the training set that judges the samples of `quality`.
        divergence_encoder: a model whose vectors compare the samples of each model with real
            sentences; None: these figures are left out, because each model has other vectors.
        device: for the models that are loaded.

    Raises:
        UsageError: no model, one model twice, or a scorer without `quality`.
        DataError: sentences beyond a model's limit, unless `truncate`; no sentence with a text.
    """
    seed = seed_of(seed)
    check_counts(samples=samples, limit=limit, quality=quality)
    check_judged(scorer, {"quality": quality})
    check_judged(divergence_encoder, {"quality": quality}, judge="divergence_encoder")
    models = [models] if isinstance(models, str | Path | TextVAE) else list(models)
    if not models:
        raise UsageError("no model to compare: name one or more")
    loaded = load_all(models, device)
    from textvae.evaluation.comparison import Candidate
    from textvae.evaluation.comparison import compare as measure

    watcher = watcher or Watcher()
    lm = train_scorer = None
    if scorer is not None:
        lm = _loaded(scorer, device, check_scorer)
        train_scorer = scorer_trainer(lm, TextVAE.train, watcher.note)
    encoder = None
    if divergence_encoder is not None:
        encoder = _loaded(divergence_encoder, device, check_encoder)
    column = text_column or next(iter(loaded.values())).config.data.text_column
    with_head = [vae for vae in loaded.values() if vae.labels]
    if label_column is not None and not with_head:
        require_head(next(iter(loaded.values())))
    rows = rows_from(
        on,
        text_column=column,
        label_column=label_column or (with_head[0].config.data.label_column if with_head else None),
        needs_label=label_column is not None,
        remarks=watcher.remarks,
    )
    lines = list(require_text(rows, name_of(on)))

    def candidates() -> Iterator[Candidate]:
        for number, (name, vae) in enumerate(loaded.items(), 1):
            watcher.note(f"{name}: model {number} of {len(loaded)}")
            judged = None
            if quality is not None:
                judged = quality_of(vae, quality, lm, train_scorer, watcher.warn, encoder=encoder)
            rows = list(prepared(iter(lines), vae.config.data))
            yield Candidate(name, vae.model, vae.tokenizer, rows, judged, vae.encoder_tokenizer)

    report = measure(
        candidates(),
        samples=samples,
        seed=seed,
        limit=limit,
        truncate=truncate,
        progress=watcher.progress,
    )
    comparison = Comparison.from_report(report)
    comparison.warn(watcher.warn)
    return comparison


def _loaded(
    model: str | Path | TextVAE, device: str, check: Callable[[TextVAE, object], None]
) -> TextVAE:
    """The model, after a check that gets the model and its name."""
    if isinstance(model, TextVAE):
        check(model, None)
        return model
    loaded = TextVAE.from_pretrained(model, device=device)
    check(loaded, model)
    return loaded
