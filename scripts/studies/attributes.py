"""Tense and sentiment changed by vector arithmetic, as in Shen 2020.

Adds the direction between two sets of sentences to the vectors of test sentences, at several
strengths, in both directions, and judges the sentences that come out:

- accuracy: the share that a classifier takes for the other class. The classifier is logistic
  regression on TF-IDF of words and word pairs; its training texts are neither test sentences nor
  sentences of the direction.
- bleu: corpus BLEU-4 with the sources as references.
- ppl: perplexity per word under a language model of the training corpus.

Beside them stand the sources, copied, and their reconstructions (strength 0).

    python scripts/studies/attributes.py --corpora DIR --out runs/attributes --minutes 10 \\
        --table scripts/results/attributes.json

`--corpora` holds yelp_short/ and daae_yelp/; without it only data/everyday is used. Models that
stand in `--out` are not trained again; the changed sentences are written there too.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance, textvae

from textvae import TextVAE
from textvae.api import Row
from textvae.api.scorers import negated
from textvae.classification.linear import fit
from textvae.classification.probes import one_split, same_text, tfidf
from textvae.data.opening import hash_fraction, open_rows
from textvae.data.writing import writing_of
from textvae.evaluation.bleu import bleu
from textvae.evaluation.perplexity import Scorer, scored_perplexity

EVERYDAY = Path(__file__).resolve().parents[2] / "data" / "everyday"
STRENGTHS = (1.0, 1.5, 2.0, 3.0)
METHODS = ("mean", "linear")
MOST_TRAINING_TEXTS = 40_000  # of a classifier
# The recipe on one core: narrower and with smaller batches than published, for more steps.
SMALLER = ("--hidden-size", 256, "--embedding-size", 128, "--batch-size", 64)
MODELS: dict[str, tuple[object, ...]] = {
    "default": (),
    "shen2020-daae": ("--recipe", "shen2020-daae", *SMALLER, "--learning-rate", 0.001),
    # The same objective with the network of the default, which learns faster.
    "denoising-adversarial": (
        *("--model", "ae", "--set", "objective.adversarial_weight=10"),
        *("--set", "objective.noise_drop=0.3"),
    ),
    "lm": ("--model", "lm"),
}


@dataclass(frozen=True)
class Task:
    """Two classes of sentences, and what is done with each part of them.

    Args:
        start, end: sentences of both classes, that give the direction.
        test: labelled sentences to change.
        training: labelled sentences for the classifier.
    """

    name: str
    corpus: str
    classes: tuple[str, str]
    start: list[str]
    end: list[str]
    test: list[Row]
    training: list[Row]


def main(arguments: list[str]) -> None:
    """Train, change, judge, and print the tables."""
    options = parsed(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    made = provenance(__doc__.splitlines()[0])
    corpora = {"everyday": (EVERYDAY / "train.jsonl", EVERYDAY / "valid.jsonl")}
    tasks = list(everyday_tasks(options.limit))
    if options.corpora is not None:
        short = options.corpora / "yelp_short"
        corpora["yelp"] = (short / "train.tsv.xz", short / "valid.tsv.xz")
        tasks += yelp_tasks(options.corpora, options.limit)
    results = []
    for corpus, files in corpora.items():
        folders = {name: options.out / corpus / name for name in MODELS}
        for name, folder in folders.items():
            train(files, folder, MODELS[name], options.minutes)
        models = {name: TextVAE.from_pretrained(folder) for name, folder in folders.items()}
        scorer = negated(models.pop("lm"))
        for task in (task for task in tasks if task.corpus == corpus):
            changed = options.out / f"{task.name.replace(' ', '-')}.jsonl"
            results.append(measured(task, models, scorer, changed))
            print(table(results[-1]), flush=True)
    if options.table:
        trained = {
            f"{corpus}/{name}": course(options.out / corpus / name)
            for corpus in corpora
            for name in MODELS
        }
        report = {**made, "models": trained, "tasks": results}
        options.table.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=Path, metavar="DIR")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="models go here")
    parser.add_argument("--minutes", default="10", metavar="M", help="of each training")
    parser.add_argument("--limit", type=int, default=500, metavar="N", help="tests of a class")
    parser.add_argument("--table", type=Path, metavar="FILE.json", help="figures go here")
    return parser.parse_args(arguments)


def train(files: tuple[Path, Path], folder: Path, settings: Sequence[object], minutes: str) -> None:
    """Train a model, unless it is there."""
    if not (folder / "README.md").is_file():  # the card is written last
        folder.parent.mkdir(parents=True, exist_ok=True)
        log = folder.with_suffix(".log")
        out = ("--out", folder, "--overwrite", "--max-minutes", minutes, "--threads", 1)
        textvae("train", files[0], "--valid", files[1], *out, *settings, log=log)


def course(folder: Path) -> dict[str, Any]:
    """How long a model was trained, and the validation figures of the saved weights."""
    vae = TextVAE.from_pretrained(folder)
    keys = ("step", "epoch", "rec", "kl", "nll_elbo", "z_gain")
    limits = {key: getattr(vae.config.training, key) for key in ("max_minutes", "max_steps")}
    return limits | {key: vae.metrics[key] for key in keys if key in vae.metrics}


# the tasks


def everyday_tasks(limit: int) -> Iterator[Task]:
    """Tense and sentiment of data/everyday."""
    both = {"tense": ("past", "present"), "sentiment": ("negative", "positive")}
    for column, classes in both.items():
        train, valid, test = (
            rows(EVERYDAY / f"{part}.jsonl", column, classes) for part in ("train", "valid", "test")
        )
        yield task_of(f"everyday {column}", "everyday", classes, train, test, valid, limit)


def yelp_tasks(corpora: Path, limit: int) -> Iterator[Task]:
    """Tense and sentiment of short Yelp sentences, with the sets of Shen 2020.

    The valid part of tense is cut in two: for the direction, and for the classifier.
    """
    sets, tense, feeling = corpora / "daae_yelp", ("past", "present"), ("neg", "pos")
    valid = rows(sets / "tense_valid.tsv.xz", "label", tense)
    halves = [[row for row in valid if (hash_fraction(row.text) < 0.5) == half] for half in (1, 0)]
    test = rows(sets / "tense_test.tsv.xz", "label", tense)
    yield task_of("yelp tense", "yelp", tense, halves[0], test, halves[1], limit)
    few, many = (rows(sets / f"sentiment_{n}.tsv.xz", "label", feeling) for n in (100, 1000))
    names = dict(zip("01", feeling, strict=True))
    labelled = [
        Row(row.text, names[str(row.label)])
        for row in rows(corpora / "yelp_short" / "train.tsv.xz", "label", tuple(names))
    ]
    yield task_of("yelp sentiment", "yelp", feeling, few, many, labelled, limit)


def rows(path: Path, column: str, classes: tuple[str, ...]) -> list[Row]:
    """The rows of these classes."""
    return [row for row in open_rows([str(path)], label_column=column) if row.label in classes]


def task_of(
    name: str,
    corpus: str,
    classes: tuple[str, str],
    direction: Sequence[Row],
    test: Sequence[Row],
    training: Sequence[Row],
    limit: int,
) -> Task:
    """The task of these parts; what is tested or gives the direction trains no classifier."""
    start, end = ([row.text for row in direction if row.label == label] for label in classes)
    by_hash = sorted(test, key=lambda row: hash_fraction(row.text))
    tested = [
        row for label in classes for row in [own for own in by_hash if own.label == label][:limit]
    ]
    known = {same_text(text) for text in [*start, *end, *(row.text for row in test)]}
    free = [row for row in training if same_text(row.text) not in known]
    free = sorted(free, key=lambda row: hash_fraction(row.text))[:MOST_TRAINING_TEXTS]
    return Task(name, corpus, classes, start, end, tested, free)


# the figures


def measured(
    task: Task, models: Mapping[str, TextVAE], scorer: Scorer, changed: Path
) -> dict[str, Any]:
    """The figures of each model, method and strength, and of copied sources.

    The sentences themselves are written into the file `changed`.
    """
    sources = [row.text for row in task.test]
    outputs, separations = changes(task, models)
    with open(changed, "w", encoding="utf-8") as stream:
        for (name, method, strength), texts in outputs.items():
            for source, text in zip(sources, texts, strict=True):
                row = {"model": name, "method": method, "strength": strength}
                stream.write(json.dumps({**row, "text": source, "shifted": text}) + "\n")
    right, real = judged(task, outputs)
    writing = writing_of(sources)
    found = []
    for (name, method, strength), texts in outputs.items():
        share = float(right[name, method, strength].mean())
        found.append(
            {
                "model": name,
                "method": method,
                "strength": strength,
                "accuracy": share,
                "accuracy_se": math.sqrt(share * (1 - share) / len(texts)),
                "bleu": bleu(texts, sources, writing)[0],
                "ppl": scored_perplexity(scorer, texts, writing)[0],
            }
        )
    return {
        "task": task.name,
        "n_direction": [len(task.start), len(task.end)],
        "n_test": len(sources),
        "n_classifier": len(task.training),
        "classifier_accuracy": real,
        "separation": separations,
        "results": found,
    }


def changes(
    task: Task, models: Mapping[str, TextVAE]
) -> tuple[dict[tuple[str, str, float], list[str]], dict[str, float]]:
    """The sentences by model, method and strength; the separation of each direction."""
    sources = [row.text for row in task.test]
    signs = [1 if row.label == task.classes[0] else -1 for row in task.test]
    outputs: dict[tuple[str, str, float], list[str]] = {("copy", "", 0.0): sources}
    separations = {}
    for name, vae in models.items():
        z = vae.encode(sources)
        outputs[name, "", 0.0] = vae.decode(z)
        for method in METHODS:
            direction = vae.direction(task.start, task.end, method=method)
            separations[f"{name}, {method}"] = direction.separation
            for strength in STRENGTHS:
                steps = np.outer(signs, strength * direction.vector)
                outputs[name, method, strength] = vae.decode(z + steps)
    return outputs, separations


def judged(
    task: Task, outputs: Mapping[tuple[str, str, float], list[str]]
) -> tuple[dict[tuple[str, str, float], np.ndarray], float]:
    """True where an output is taken for the other class; the classifier's accuracy on sources."""
    codes = {label: code for code, label in enumerate(task.classes)}
    sources = [row.text for row in task.test]
    changed = [text for texts in outputs.values() for text in texts]
    texts = [*(row.text for row in task.training), *sources, *changed]
    train, test = tfidf(texts)(one_split(len(task.training), len(texts) - len(task.training)))
    classifier = fit(train, np.array([codes[str(row.label)] for row in task.training]))
    truth = np.array([codes[str(row.label)] for row in task.test])
    predicted = classifier.predict(test).reshape(-1, len(sources))
    right = {key: row == 1 - truth for key, row in zip(outputs, predicted[1:], strict=True)}
    return right, float((predicted[0] == truth).mean())


def table(result: Mapping[str, Any]) -> str:
    """The figures of a task as Markdown."""
    heading = [result["task"], "method", "strength", "accuracy", "bleu", "ppl"]
    lines = [
        [
            found["model"],
            found["method"],
            f"{found['strength']:g}" if found["model"] != "copy" else "",
            f"{found['accuracy']:.1%} ± {found['accuracy_se']:.1%}",
            f"{found['bleu']:.1f}",
            f"{found['ppl']:.1f}",
        ]
        for found in result["results"]
    ]
    facts = f"classifier: {result['classifier_accuracy']:.1%}; {result['separation']}"
    return f"{markdown(heading, lines)}\n\n{facts}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
