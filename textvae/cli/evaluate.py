"""`textvae evaluate`: a model's likelihood, information and text quality, measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.output import Output, to_json
from textvae.errors import NotFoundError, UsageError
from textvae.files.atomic import replacing
from textvae.files.destination import check_folder
from textvae.wording import human

if TYPE_CHECKING:
    from textvae.api import TextVAE
    from textvae.config import Config
    from textvae.evaluation.perplexity import Scorer
    from textvae.evaluation.samples import Quality

EXAMPLES = (
    "textvae evaluate runs/mine test.txt",
    "textvae evaluate runs/mine test.txt --quality 1000 --scorer runs/lm --json",
    "textvae evaluate runs/mine test.txt --limit 500 --interpolations 200 --refine 10",
)


def evaluate(
    model: options.Model,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Test sentences; `-`: stdin.")],
    samples: options.ImportanceSamples = 100,
    limit: options.Limit = None,
    truncate: options.Truncate = False,
    per_sentence: Annotated[
        bool, typer.Option("--per-sentence", help="Print the figures of each sentence.")
    ] = False,
    quality: options.QualitySamples = None,
    scorer: options.ScorerModel = None,
    interpolations: Annotated[
        int | None,
        typer.Option(
            "--interpolations",
            min=1,
            metavar="N",
            help="Judge the paths between N random pairs of the sentences too.",
        ),
    ] = None,
    refine: Annotated[
        int | None,
        typer.Option(
            "--refine",
            min=1,
            metavar="STEPS",
            help="Improve each posterior by gradient steps too, to see the amortization gap.",
        ),
    ] = None,
    out: options.ReportFile = None,
    text_column: options.TextColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure a model on held-out sentences.

    Nats per sentence unless a name says otherwise; a standard error stands beside each sampled
    figure.
    """
    by_scorer = {"--quality": quality, "--interpolations": interpolations}
    check_arguments(by_scorer, scorer, out, file)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.cli.progress import progress_bars
    from textvae.cli.sentences import read_rows, with_text
    from textvae.evaluation.absence import why_no_likelihood
    from textvae.evaluation.paths import Interpolations
    from textvae.evaluation.report import evaluate as measure
    from textvae.models.device import reuse_freed_memory

    reuse_freed_memory()
    vae = TextVAE.from_pretrained(model, device=device)
    lm = None if scorer is None else load_scorer(scorer, device)
    judged = None if quality is None else quality_of(vae, quality, lm, output)
    paths = None
    if interpolations is not None:
        paths = Interpolations(interpolations, scorer=None if lm is None else negated(lm))
    with progress_bars(output) as progress:
        report = measure(
            vae.model,
            vae.tokenizer,
            with_text(read_rows(vae, file, output, text_column=text_column), file),
            name=model,
            samples=samples,
            seed=seed,
            limit=limit,
            truncate=truncate,
            refine_steps=refine or 0,
            interpolations=paths,
            quality=judged,
            per_sentence=per_sentence,
            progress=progress,
        )
    reason = why_no_likelihood(vae.kind, vae.config.objective)
    if reason is not None:
        output.note(reason)
    with whatever_happens() as afterwards:
        if out is not None:
            afterwards(write_json, out, report)
        print_report(report, output)


def check_arguments(
    judged: Mapping[str, int | None], scorer: str | None, out: Path | None, file: str
) -> None:
    """Raise now what would else be noticed after all the work; `judged` is what a scorer judges."""
    if scorer is not None and all(number is None for number in judged.values()):
        options = " or ".join(f"{option} N" for option in judged)
        raise UsageError(f"--scorer judges what the model writes: say how much by {options}")
    if out is not None:
        check_folder(out, file)


@contextmanager
def whatever_happens() -> Iterator[Callable[..., Any]]:
    """Takes functions to call at the end, each also where another or what goes before fails.

    So the work of hours is printed where the file cannot be written, and the reverse.
    """
    with ExitStack() as stack:
        yield stack.callback


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write a report into a file, whole or not at all."""
    with replacing(path) as stream:
        # A name that is not UTF-8 holds halves of surrogate pairs, which JSON writes as escapes.
        stream.write(to_json(report).encode(errors="backslashreplace") + b"\n")


def print_report(report: dict[str, Any], output: Output) -> None:
    """Print the report; for people, the figures of the sentences are lines below the table."""
    warn_of(report, output)
    if output.as_json or "sentences" not in report:
        output.report(report)
        return
    output.report({key: value for key, value in report.items() if key != "sentences"})
    for sentence in report["sentences"]:
        nats = sentence.get("nll_iw", sentence.get("rec"))
        output.row(sentence, f"{sentence['index']}  {human(nats)}  {sentence['text']}")


def warn_of(report: dict[str, Any], output: Output, name: str = "") -> None:
    """Say what in a report is not what one may take it for; `name` says of which model."""
    of = f"{name}: " if name else ""
    if report.get("converged") is False:
        output.warn(f"{of}nll_iw has not converged: take more --samples")
    if report.get("n_truncated"):
        output.warn(f"{of}{report['n_truncated']:,} sentences were too long and were cut")


def load_scorer(name: str, device: str) -> TextVAE:
    """The language model that judges samples and paths.

    Raises:
        UsageError: it is none.
    """
    from textvae.api import TextVAE

    lm = TextVAE.from_pretrained(name, device=device)
    if lm.kind != "lm":
        raise UsageError(f"--scorer {name} is of the kind {lm.kind}; train one with --model lm")
    return lm


def quality_of(
    vae: TextVAE,
    samples: int,
    lm: TextVAE | None,
    output: Output,
    train_scorer: Callable[[Sequence[str]], Scorer] | None = None,
) -> Quality:
    """What judging `samples` samples needs: the training texts and, for perplexities, an lm.

    `train_scorer` is that of `scorer_trainer`, where several models share one.
    """
    from textvae.evaluation.samples import Quality

    texts = training_texts(vae, output)
    if lm is None:
        return Quality(samples, training_texts=texts)
    return Quality(
        samples,
        training_texts=texts,
        scorer=negated(lm),
        train_scorer=train_scorer or scorer_trainer(lm, output),
        real_texts=texts,
    )


def scorer_trainer(lm: TextVAE, output: Output) -> Callable[[Sequence[str]], Scorer]:
    """Trains language models as `lm` was; one whose sentences came just before is kept.

    Models with one training set are compared with the same real sentences again and again.
    """
    from textvae.api import TextVAE

    @lru_cache(maxsize=2)  # the samples of a model, and the real sentences
    def trained(sentences: tuple[str, ...]) -> Scorer:
        like_what = "" if lm.folder is None else f", as {lm.folder} was"
        output.note(f"training a language model on {len(sentences):,} sentences{like_what}")
        return negated(TextVAE.train(sentences, config=like(lm)))

    return lambda sentences: trained(tuple(sentences))


def training_texts(vae: TextVAE, output: Output) -> list[str] | None:
    """The texts that the model was trained on; None where they cannot be read again."""
    from textvae.data.readers import hash_fraction, open_rows

    data = vae.config.data
    try:
        if not data.train or "-" in data.train:
            raise NotFoundError("the model does not say which file it was trained on")
        rows = open_rows(
            data.train,
            text_column=data.text_column,
            lowercase=data.lowercase,
            normalization=data.normalization,
            remarks=output.remarks,
        )
        held_out = 0.0 if data.valid else data.valid_fraction
        return [row.text for row in rows if hash_fraction(row.text) >= held_out]
    except NotFoundError as error:
        output.warn(f"{error}; figures that need the training text are left out")
        return None


def like(lm: TextVAE) -> Config:
    """The configuration of another training as `lm`'s, with its tokenizer, on texts in memory."""
    data = lm.config.data.model_copy(update={"train": (), "valid": ()})
    tokenizer = lm.config.tokenizer
    if lm.folder is not None:
        tokenizer = tokenizer.model_copy(
            update={"tokenizer": str(lm.folder / "tokenizer.json"), "vocab_size": None}
        )
    return lm.config.model_copy(update={"data": data, "tokenizer": tokenizer})


def negated(lm: TextVAE) -> Scorer:
    """-log p(x) of texts under `lm`, in nats; of what exceeds its limit, of the beginning.

    A text that a model wrote may have more tokens when it is read again, or for another tokenizer.
    """
    return lambda texts: -lm.log_likelihood(texts, truncate=True)
