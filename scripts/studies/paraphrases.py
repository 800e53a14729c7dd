"""What variations of a sentence keep of the sentence, by how they are ranked.

    python scripts/studies/paraphrases.py MODEL --train train.jsonl --test test.jsonl \\
        --factors topic,tense --table scripts/results/paraphrases.json

Varies the first sentences of `--test`. A factor is kept if a classifier of TF-IDF, trained on the
labels of `--train`, gives the variation the label of the sentence. `overlap` is the Jaccard
similarity of the sets of words. Compares the best variations by each rank with those as drawn,
which `generate --near` would print but for the sentence itself and the repetitions.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance

from textvae import TextVAE
from textvae.api import Paraphrase
from textvae.classification.linear import fit
from textvae.data.writing import WORD
from textvae.files.atomic import replacing

BEST = (1, 5)  # variations of a sentence
STRENGTH = 10.0  # C of the classifiers
RANKS: dict[str, Callable[[Paraphrase], float]] = {
    "similarity": lambda one: one.similarity,
    "likelihood": lambda one: one.log_likelihood,
}


def main() -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--train", required=True, type=Path, metavar="FILE.jsonl")
    parser.add_argument("--test", required=True, type=Path, metavar="FILE.jsonl")
    parser.add_argument("--factors", default="topic,tense", metavar="COLUMN,COLUMN")
    parser.add_argument("--sentences", type=int, default=100, metavar="N")
    parser.add_argument("--scales", type=float, nargs="+", default=[0.5, 1.0], metavar="S")
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    options = parser.parse_args()
    made = provenance("what the variations of sentences keep, by rank")
    vae = TextVAE.from_pretrained(options.model, device="cpu")
    train, test = (records(path) for path in (options.train, options.test))
    factors = options.factors.split(",")
    kept = {factor: classifier(train, factor) for factor in factors}
    rows = []
    for scale in options.scales:
        texts = [record["text"] for record in test[: options.sentences]]
        found = vae.paraphrase(texts, 100, scale=scale)
        rows += figures(found, test, kept, scale)
    print(markdown(list(rows[0]), [[shown(value) for value in row.values()] for row in rows]))
    if options.table:
        record = {**made, "n_sentences": options.sentences, "model": vae.metrics, "results": rows}
        with replacing(options.table) as stream:
            stream.write(json.dumps(record, indent=1).encode() + b"\n")


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a .jsonl file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def classifier(
    train: Sequence[dict[str, Any]], factor: str
) -> Callable[[Sequence[str]], np.ndarray]:
    """Predicts the labels of a factor."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD)
    known = vectorizer.fit_transform([record["text"] for record in train])
    classes, codes = np.unique([record[factor] for record in train], return_inverse=True)
    linear = fit(known, codes, strength=STRENGTH)
    return lambda texts: classes[linear.predict(vectorizer.transform(texts))]


def figures(
    found: Sequence[Paraphrase],
    test: Sequence[dict[str, Any]],
    kept: dict[str, Callable[[Sequence[str]], np.ndarray]],
    scale: float,
) -> list[dict[str, Any]]:
    """A row for each rank and number of variations, and one for all of them, unranked."""
    values: dict[str, np.ndarray] = {}
    for factor, predict in kept.items():
        truth = np.array([test[one.index][factor] for one in found])
        values[factor] = predict([one.paraphrase for one in found]) == truth
    values["overlap"] = np.array([overlap(one.text, one.paraphrase) for one in found])
    of = np.array([one.index for one in found])
    rows = [{"rank": "as drawn", "scale": scale, "best": "all", **means(values, of, of >= 0)}]
    for name, score in RANKS.items():
        scores = np.array([score(one) for one in found])
        place = np.empty(len(found), dtype=int)  # of each among those of its sentence
        for index in np.unique(of):
            own = np.flatnonzero(of == index)
            place[own[np.argsort(-scores[own], kind="stable")]] = np.arange(len(own))
        rows += [
            {"rank": name, "scale": scale, "best": best, **means(values, of, place < best)}
            for best in BEST
        ]
    return rows


def means(values: dict[str, np.ndarray], of: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    """Means over the sentences of their means, with standard errors, and variations a sentence."""
    sentences = np.unique(of)
    row = {"variations": float(chosen.sum() / len(sentences))}
    for name, figure in values.items():
        own = np.array([figure[chosen & (of == index)].mean() for index in sentences])
        row |= {name: float(own.mean()), f"{name}_se": float(own.std(ddof=1) / len(own) ** 0.5)}
    return row


def overlap(a: str, b: str) -> float:
    """The Jaccard similarity of the sets of words."""
    one, other = set(a.split()), set(b.split())
    return len(one & other) / len(one | other)


def shown(value: object) -> str:
    """A cell of the table."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
