"""What labelled variations bring to a small training set, beside easy ways to enlarge the set.

    python scripts/studies/augmentation.py trec6 MODEL --corpora DIR --copies 3 --table trec6.json

Draws 10, 20 and 50 labelled sentences of each class from `DIR/NAME/train.tsv.xz` (or
`train.jsonl`), enlarges the set in each way, trains a classifier on it and tests on `test.tsv.xz`.
MODEL was trained on the texts of the training file without their labels.

The ways: nothing; each sentence again (duplicates); each sentence with a tenth of the words deleted
or as many pairs of words swapped (noise; Wei & Zou 2019); `textvae augment` by samples and by
interpolation, and samples unfiltered. The classifiers: a linear SVM on TF-IDF of words and pairs of
words; logistic regression on the vectors of MODEL. The vocabulary, the weights and the scale of the
vectors come from all training texts. The C of the logistic regression is chosen on the labelled
sentences alone, once for all ways; that of the SVM is 1. Draws of more labels hold those of fewer.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance

from textvae import TextVAE
from textvae.api import Row
from textvae.classification.linear import fit
from textvae.classification.probes import moments
from textvae.data.opening import open_rows
from textvae.data.writing import WORD
from textvae.files.atomic import replacing
from textvae.progress import Watcher, silent

WITHOUT = "without"
CHANGED = 0.1  # share of the words that noise deletes or swaps
Way = Callable[[Sequence[Row], int], list[Row]]  # (labelled sentences, seed) -> what is added


def main() -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="trec6, sst2, clinc150 or everyday")
    parser.add_argument("model", help="trained on the texts of the training file")
    parser.add_argument("--corpora", required=True, type=Path, metavar="DIR")
    parser.add_argument("--labels", type=int, nargs="+", default=[10, 20, 50], metavar="N")
    parser.add_argument("--draws", type=int, default=5, metavar="N")
    parser.add_argument("--copies", type=int, default=3, metavar="N")
    parser.add_argument("--scale", type=float, metavar="S", help="of the samples")
    parser.add_argument("--label-column", metavar="COLUMN")
    parser.add_argument("--left-out", metavar="LABEL", help="a class that is none, such as oos")
    parser.add_argument("--ways", nargs="+", metavar="WAY", help="some of the ways")
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    options = parser.parse_args()
    made = provenance("accuracy with labelled variations of the training sentences")
    vae = TextVAE.from_pretrained(options.model, device="cpu")
    train, test = (rows_of(options, part) for part in ("train", "test"))
    features = [Words(train, test), Vectors(vae, train, test)]
    made |= {"corpus": options.name, "copies": options.copies, "n_test": len(test)}
    runs: list[dict[str, Any]] = []
    for draw in range(options.draws):
        runs += measured(vae, train, features, options, draw)
        results = list(summaries(runs))
        if options.table:  # after each draw, so that an interrupted study has figures
            record = {**made, "n_draws": draw + 1, "model": vae.metrics, "results": results}
            with replacing(options.table) as stream:
                stream.write(json.dumps(record | {"runs": runs}, indent=1).encode() + b"\n")
    print(table(results))


def rows_of(options: argparse.Namespace, part: str) -> list[Row]:
    """The labelled sentences of `train` or `test`."""
    names = [options.corpora / options.name / f"{part}{end}" for end in (".tsv.xz", ".jsonl")]
    path = next((name for name in names if name.exists()), names[0])
    rows = open_rows([str(path)], label_column=options.label_column)
    return [row for row in rows if row.label != options.left_out]


def measured(
    vae: TextVAE,
    train: Sequence[Row],
    features: Sequence[Any],
    options: argparse.Namespace,
    draw: int,
) -> Iterator[dict[str, Any]]:
    """The accuracy of each run of a draw: a number of labels, features and a way."""
    ways = {
        name: way
        for name, way in ways_of(vae, options.copies, options.scale).items()
        if options.ways is None or name in (WITHOUT, *options.ways)
    }
    orders = by_class(train, draw)
    for n in options.labels:
        rows = [train[place] for order in orders for place in order[:n]]
        strengths = [one.strength(rows) for one in features]
        for name, way in ways.items():
            started = time.perf_counter()
            added = way(rows, draw)
            seconds = time.perf_counter() - started
            for one, strength in zip(features, strengths, strict=True):
                run = {"draw": draw, "labels": n, "features": one.name, "way": name,
                       "n_added": len(added), "seconds": round(seconds, 2),
                       "accuracy": one.accuracy([*rows, *added], strength)}  # fmt: skip
                print(json.dumps(run), file=sys.stderr, flush=True)
                yield run


def by_class(rows: Sequence[Row], draw: int) -> list[np.ndarray]:
    """The rows of each class in random order."""
    random, labels = np.random.default_rng(draw), np.array([row.label for row in rows])
    return [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]


# the ways to enlarge a set


def ways_of(vae: TextVAE, copies: int, scale: float | None) -> dict[str, Way]:
    """Each way by its name."""

    def augmented(**settings: Any) -> Way:
        quiet = Watcher(warn=silent)  # classes alike in name

        def way(rows: Sequence[Row], seed: int) -> list[Row]:
            found = vae.augment(rows, copies, seed=seed, watcher=quiet, **settings)
            return [Row(one.text, one.label) for one in found]

        return way

    return {
        WITHOUT: lambda rows, seed: [],
        "duplicates": lambda rows, seed: list(rows) * copies,
        "noise": lambda rows, seed: noisy(rows, copies, seed),
        "sample": augmented(scale=scale),
        "sample, unfiltered": augmented(scale=scale, filtered=False),
        "interpolate": augmented(how="interpolate"),
    }


def noisy(rows: Sequence[Row], copies: int, seed: int) -> list[Row]:
    """Copies of the rows with a tenth of the words deleted, or as many pairs swapped."""
    random, found = np.random.default_rng(seed), []
    for copy in range(copies):
        for row in rows:
            words = row.text.split()
            n = max(1, round(CHANGED * len(words)))
            if copy % 2 == 0 and len(words) > n:
                gone = set(random.choice(len(words), n, replace=False).tolist())
                words = [word for place, word in enumerate(words) if place not in gone]
            elif len(words) > 1:
                for _ in range(n):
                    a, b = random.choice(len(words), 2, replace=False)
                    words[a], words[b] = words[b], words[a]
            found.append(Row(" ".join(words), row.label))
    return found


# the classifiers


class Words:
    """A linear SVM on TF-IDF."""

    name = "TF-IDF"

    def __init__(self, train: Sequence[Row], test: Sequence[Row]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD)
        self._vectorizer.fit([row.text for row in train])
        self._test = self._vectorizer.transform([row.text for row in test])
        self._truth = np.array([row.label for row in test])

    def strength(self, rows: Sequence[Row]) -> float:
        return 1.0

    def accuracy(self, rows: Sequence[Row], strength: float) -> float:
        from sklearn.svm import LinearSVC

        known = self._vectorizer.transform([row.text for row in rows])
        used = np.unique(known.indices)  # all other weights would be zero
        machine = LinearSVC(C=strength, random_state=0)
        machine.fit(known[:, used], [row.label for row in rows])
        return float((machine.predict(self._test[:, used]) == self._truth).mean())


class Vectors:
    """Logistic regression on the standardised vectors of the model."""

    name = "vectors"

    def __init__(self, vae: TextVAE, train: Sequence[Row], test: Sequence[Row]) -> None:
        self._vae = vae
        self._mean, self._scale = moments(vae.encode([row.text for row in train]))
        self._classes = np.unique([row.label for row in [*train, *test]])
        self._test, self._truth = self._seen(test), self._codes(test)

    def strength(self, rows: Sequence[Row]) -> float:
        chosen = fit(self._seen(rows), self._codes(rows)).strength
        return 1.0 if chosen is None else chosen

    def accuracy(self, rows: Sequence[Row], strength: float) -> float:
        linear = fit(self._seen(rows), self._codes(rows), strength=strength)
        return float((linear.predict(self._test) == self._truth).mean())

    def _seen(self, rows: Sequence[Row]) -> np.ndarray:
        return (self._vae.encode([row.text for row in rows]) - self._mean) / self._scale

    def _codes(self, rows: Sequence[Row]) -> np.ndarray:
        return np.searchsorted(self._classes, [row.label for row in rows])


# the table


def summaries(runs: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Mean, standard error, and the paired difference from the same draws without variations."""
    key = ("features", "labels", "way")
    for features, n, way in dict.fromkeys(tuple(run[name] for name in key) for run in runs):
        own = {run["draw"]: run for run in runs if tuple(run[k] for k in key) == (features, n, way)}
        plain = {run["draw"]: run["accuracy"] for run in runs
                 if tuple(run[k] for k in key) == (features, n, WITHOUT)}  # fmt: skip
        values = np.array([run["accuracy"] for run in own.values()])
        gain = np.array([run["accuracy"] - plain[draw] for draw, run in own.items()])
        yield {"features": features, "labels": n, "way": way, "accuracy": float(values.mean()),
               "accuracy_se": error(values), "gain": float(gain.mean()), "gain_se": error(gain),
               "n_added": float(np.mean([run["n_added"] for run in own.values()])),
               "seconds": float(np.mean([run["seconds"] for run in own.values()]))}  # fmt: skip


def error(values: np.ndarray) -> float:
    """The standard error of the mean; 0 for one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def table(results: Sequence[dict[str, Any]]) -> str:
    """A Markdown table in %: a row for each way, a column for features and number of labels."""
    columns = list(dict.fromkeys((one["features"], one["labels"]) for one in results))
    rows = []
    for way in dict.fromkeys(one["way"] for one in results):
        cells = [one for one in results if one["way"] == way]
        found = {(one["features"], one["labels"]): one for one in cells}
        rows.append([way, *(shown(found[column], way) for column in columns)])
    return markdown(["", *(f"{name}, {n}" for name, n in columns)], rows)


def shown(one: dict[str, Any], way: str) -> str:
    """The accuracy without variations; for a way, what it adds."""
    key = "accuracy" if way == WITHOUT else "gain"
    sign = "" if way == WITHOUT else "+"
    return f"{100 * one[key]:{sign}.1f} ± {100 * one[f'{key}_se']:.1f}"


if __name__ == "__main__":
    main()
