"""`textvae evaluate`: a model's likelihood, information and text quality, measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.files import check_folder, replacing
from textvae.cli.output import Output, human, to_json
from textvae.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from textvae.api import TextVAE
    from textvae.config import Config
    from textvae.evaluation.samples import Quality
    from textvae.evaluation.text_quality import Scorer

EXAMPLES = (
    "textvae evaluate runs/mine test.txt",
    "textvae evaluate runs/mine test.txt --quality 1000 --scorer runs/lm --json",
    "textvae evaluate runs/mine test.txt --limit 500 --interpolations 200 --refine 10",
)


def evaluate(
    model: options.Model,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Test sentences; `-`: stdin.")],
    samples: Annotated[
        int, typer.Option("--samples", min=1, metavar="K", help="Importance samples a sentence.")
    ] = 100,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="A fixed subset, by a hash of the text."),
    ] = None,
    truncate: Annotated[
        bool,
        typer.Option("--truncate", help="Cut sentences that are too long, instead of refusing."),
    ] = False,
    per_sentence: Annotated[
        bool, typer.Option("--per-sentence", help="Print the figures of each sentence.")
    ] = False,
    quality: Annotated[
        int | None,
        typer.Option("--quality", min=1, metavar="N", help="Judge N samples from the prior too."),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            "--scorer",
            metavar="LM_DIR",
            help="An lm of the training set, for --quality and --interpolations.",
        ),
    ] = None,
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
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the report as JSON here.")
    ] = None,
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
    if scorer is not None and quality is None and interpolations is None:
        raise UsageError(
            "--scorer judges samples or paths: say how many by --quality N or --interpolations N"
        )
    if out is not None:
        check_folder(out)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.cli.progress import progress_bars
    from textvae.cli.sentences import read_rows
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
            read_rows(vae, file, output, text_column=text_column),
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
    if out is not None:
        with replacing(out) as stream:
            stream.write(to_json(report).encode() + b"\n")
    reason = why_no_likelihood(vae.kind, vae.config.objective)
    if reason is not None:
        output.note(reason)
    print_report(report, output)


def print_report(report: dict[str, Any], output: Output) -> None:
    """Print the report; for people, the figures of the sentences are lines below the table."""
    if report.get("converged") is False:
        output.warn("nll_iw has not converged: take more --samples")
    if report.get("n_truncated"):
        output.warn(f"{report['n_truncated']:,} sentences were too long and were cut")
    if output.as_json or "sentences" not in report:
        output.report(report)
        return
    output.report({key: value for key, value in report.items() if key != "sentences"})
    for sentence in report["sentences"]:
        nats = sentence.get("nll_iw", sentence.get("rec"))
        output.row(sentence, f"{sentence['index']}  {human(nats)}  {sentence['text']}")


def load_scorer(name: str, device: str) -> TextVAE:
    """The language model that judges samples and paths.

    Raises:
        UsageError: it is none.
    """
    from textvae.api import TextVAE

    lm = TextVAE.from_pretrained(name, device=device)
    if lm.kind != "lm":
        raise UsageError(f"--scorer {name} is a {lm.kind}; train one with --model lm")
    return lm


def quality_of(vae: TextVAE, samples: int, lm: TextVAE | None, output: Output) -> Quality:
    """What judging `samples` samples needs: the training texts and, for perplexities, an lm."""
    from textvae.api import TextVAE
    from textvae.evaluation.samples import Quality

    texts = training_texts(vae, output)
    if lm is None:
        return Quality(samples, training_texts=texts)

    def train_scorer(sentences: Sequence[str]) -> Scorer:
        output.note(
            f"training a language model on {len(sentences):,} sentences, as {lm.folder} was"
        )
        return negated(TextVAE.train(sentences, config=like(lm)))

    return Quality(
        samples,
        training_texts=texts,
        scorer=negated(lm),
        train_scorer=train_scorer,
        real_texts=texts,
    )


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
    """-log p(x) of texts under `lm`, in nats."""
    return lambda texts: -lm.log_likelihood(texts)
