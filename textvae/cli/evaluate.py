"""`textvae evaluate`: a model's likelihood, information and text quality, measured."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.cli.reports import whatever_happens, write_json
from textvae.files.destination import check_folder
from textvae.number_format import human, with_error

EXAMPLES = (
    "textvae evaluate runs/mine test.txt",
    "textvae evaluate runs/mine test.txt --quality 1000 --scorer runs/lm --json",
    "textvae evaluate runs/mine test.txt --limit 500 --interpolations 200 --refine 10",
    "textvae evaluate runs/mine test.txt --compression",
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
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    beams: options.Beams = None,
    greedy: options.Greedy = False,
    scorer: options.ScorerModel = None,
    divergence_encoder: options.DivergenceEncoder = None,
    interpolations: Annotated[
        int | None,
        typer.Option(
            "--interpolations",
            min=1,
            metavar="N",
            help="Judge the paths between N random pairs of sentences too.",
        ),
    ] = None,
    refine: Annotated[
        int | None,
        typer.Option(
            "--refine",
            min=1,
            metavar="STEPS",
            help="Refine each posterior by gradient steps too: the amortization gap.",
        ),
    ] = None,
    compression: Annotated[
        bool,
        typer.Option(
            "--compression",
            help="Compare bits of quantized latents with what is decoded, and with xz and zstd.",
        ),
    ] = False,
    fit: options.Fit = None,
    prior: options.FittedPrior = False,
    out: options.ReportFile = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelsOfHead = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure a model on held-out sentences.

    Figures are in nats per sentence unless the name says otherwise. Each sampled figure has a
    standard error. Without --truncate, sentences that are too long are an error.

    --quality judges samples as `generate` draws them; --temperature and the like change how. With
    --scorer, compare `ppl_forward` of the samples with `ppl_forward_real` of real sentences: the
    closer, the more the samples read like the training text. `divergence_area` compares the vectors
    of samples and real sentences: those of MODEL, or of --divergence-encoder. With --prior, the KL,
    the likelihood and the samples are those of the prior that `textvae prior` fitted. A model that
    was trained with labels has `label_accuracy` where the file has labels.
    """
    if out is not None:
        check_folder(out, file)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.api.scorers import check_encoder, check_judged, check_scorer
    from textvae.cli.progress import watching
    from textvae.models.device import reuse_freed_memory

    check_judged(scorer, {"quality": quality, "interpolations": interpolations})
    check_judged(divergence_encoder, {"quality": quality}, judge="divergence_encoder")
    asked = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "beams": beams}
    asked |= {"greedy": greedy or None}
    decoding = {name: value for name, value in asked.items() if value is not None}
    reuse_freed_memory()
    vae = TextVAE.from_pretrained(model, device=device)
    lm = None if scorer is None else TextVAE.from_pretrained(scorer, device=device)
    if lm is not None:
        check_scorer(lm, scorer)
    encoder = None
    if divergence_encoder is not None:
        encoder = TextVAE.from_pretrained(divergence_encoder, device=device)
        check_encoder(encoder, divergence_encoder)
    output.note_typing(file)
    with watching(output) as watcher:
        evaluation = vae.evaluate(
            file,
            name=model,
            samples=samples,
            limit=limit,
            truncate=truncate,
            per_sentence=per_sentence,
            quality=quality,
            decoding=decoding,
            scorer=lm,
            divergence_encoder=encoder,
            interpolations=interpolations,
            refine=refine,
            compression=compression,
            fit=fit,
            prior=prior,
            text_column=text_column,
            label_column=label_column,
            seed=seed,
            watcher=watcher,
        )
    report = evaluation.to_dict()
    with whatever_happens() as afterwards:
        if out is not None:
            afterwards(write_json, out, report)
        print_report(report, output)


def print_report(report: dict[str, Any], output: Output) -> None:
    """Print the report as JSON, or as tables with a line for each sentence below."""
    if output.as_json:
        output.report(report)
        return
    parts = ("rate_distortion", "lossless", "sentences")
    output.report({key: value for key, value in report.items() if key not in parts})
    for part, column in (("rate_distortion", "code"), ("lossless", "coder")):
        if part in report:
            output.text(f"\n{part}")
            output.table(rows_of(report[part], column))
    for sentence in report.get("sentences", ()):
        nats = sentence.get("nll_iw", sentence.get("rec"))
        output.row(sentence, f"{sentence['index']}  {human(nats)}  {sentence['text']}")


def rows_of(records: list[dict[str, Any]], first: str) -> list[list[str]]:
    """A heading and a row for each record, with `first` as the first column."""
    columns = [first, *(key for key in records[0] if key != first and not key.endswith("_se"))]
    return [columns, *([with_error(record, key) for key in columns] for record in records)]
