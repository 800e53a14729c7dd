"""How well `textvae score` finds the out-of-scope questions of CLINC150, beside simple baselines.

Trains a vae, an lm and an ae for equal minutes on the questions in scope, without their labels.
Then ranks the test questions by each figure of each model. The baselines are the cosine distance to
the nearest training question by TF-IDF, and one less the highest probability of linear classifiers
of the 150 intents, which are the only rows that use labels.

    python scripts/studies/out_of_scope.py --corpora DIR --minutes 3 --out runs/out-of-scope \\
        --table scripts/results/out-of-scope.json

`--corpora` holds clinc150/ (train.tsv.xz, valid.tsv.xz, test.tsv.xz). Models that stand in `--out`
are not trained again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance, textvae

from textvae import TextVAE
from textvae.data.opening import Row, open_rows

KINDS = ("vae", "lm", "ae")
OUT_OF_SCOPE = "oos"
QUANTILE = 0.95
Values = NDArray[np.floating]


def main() -> None:
    """Train, score, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", required=True, type=Path, metavar="DIR")
    parser.add_argument("--minutes", required=True, metavar="M", help="of each training")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="models go here")
    parser.add_argument("--table", type=Path, metavar="FILE.json", help="figures go here")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parts = {
        part: list(open_rows([str(options.corpora / "clinc150" / f"{part}.tsv.xz")]))
        for part in ("train", "valid", "test")
    }
    in_scope = {part: [row for row in rows if belongs(row)] for part, rows in parts.items()}
    for part in ("train", "valid"):
        text = "".join(f"{row.text}\n" for row in in_scope[part])
        (options.out / f"{part}.txt").write_text(text, encoding="utf-8")
    for kind in KINDS:
        train(kind, options.out, options.minutes)
    test, known = parts["test"], in_scope["valid"]
    outside = np.array([not belongs(row) for row in test])
    rows = []
    for name, of_test, of_known in measured(options.out, in_scope["train"], known, test):
        rows.append({"measure": name, **figures(of_test, of_known, outside)})
        print(json.dumps(rows[-1]), file=sys.stderr)
    print(table(rows))
    if options.table:
        what = (
            "finding the 1,000 out-of-scope among the 5,500 test questions of CLINC150; flagged: "
            f"share above the {QUANTILE} quantile of the in-scope validation questions"
        )
        kept = {**provenance(what), "n_test": len(test), "rows": rows}
        options.table.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def belongs(row: Row) -> bool:
    """True for a question in scope."""
    return row.label != OUT_OF_SCOPE


def train(kind: str, out: Path, minutes: str) -> None:
    """Train a model of `kind`, unless it is there."""
    folder = out / kind
    if not (folder / "README.md").is_file():  # the card is written last
        textvae("train", out / "train.txt", "--valid", out / "valid.txt", "--out", folder,
                "--overwrite", "--model", kind, "--recipe", "small", "--max-minutes", minutes,
                "--threads", "1", log=folder.with_suffix(".log"))  # fmt: skip


def measured(
    out: Path, train: list[Row], known: list[Row], test: list[Row]
) -> Iterator[tuple[str, Values, Values]]:
    """(name, value of each test question, value of each validation question in scope)."""
    texts = [row.text for row in train]
    models = {kind: TextVAE.from_pretrained(out / kind, device="cpu") for kind in KINDS}
    for kind, model in models.items():
        reference = None if kind == "lm" else texts
        of_test = model.score(test, reference=reference).sentences
        of_known = model.score(known, reference=reference).sentences
        for name in ("nll_iw", "nll_per_word", "nll_per_byte", "distance"):
            if getattr(of_test[0], name) is not None:
                yield (
                    f"{kind}, {name}",
                    *(
                        np.array([getattr(one, name) for one in found])
                        for found in (of_test, of_known)
                    ),
                )
    for kind in ("vae", "ae"):
        yield f"{kind}, nearest", *(to_nearest(models[kind], texts, rows) for rows in (test, known))
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts)
    features = [words.transform([row.text for row in rows]) for rows in (train, test, known)]
    yield (
        "TF-IDF, nearest",
        *(1 - (part @ features[0].T).max(1).toarray().ravel() for part in features[1:]),
    )
    yield "TF-IDF, classifier", *unsure(features, train)
    for kind in ("vae", "ae"):
        vectors = [models[kind].encode([r.text for r in rows]) for rows in (train, test, known)]
        scale = StandardScaler().fit(vectors[0])
        yield f"{kind}, classifier", *unsure([scale.transform(part) for part in vectors], train)


def to_nearest(model: TextVAE, texts: list[str], rows: list[Row]) -> Values:
    """One less the cosine similarity to the nearest training question, (N,)."""
    return np.array([1 - near[0].score for near in model.neighbors(texts, rows, k=1).found])


def unsure(features: list, train: list[Row]) -> Iterator[Values]:
    """One less the highest probability of a classifier of the intents, for each later part."""
    classifier = LogisticRegression(C=10, max_iter=300)
    classifier.fit(features[0], [row.label for row in train])
    return (1 - classifier.predict_proba(part).max(1) for part in features[1:])


def figures(of_test: Values, of_known: Values, outside: NDArray[np.bool_]) -> dict[str, float]:
    """AUROC and AUPR, out-of-scope being positive, and the shares above the threshold."""
    above = of_test > np.quantile(of_known, QUANTILE, method="higher")
    return {
        "auroc": float(roc_auc_score(outside, of_test)),
        "aupr": float(average_precision_score(outside, of_test)),
        "flagged_out": float(above[outside].mean()),
        "flagged_in": float(above[~outside].mean()),
    }


def table(rows: list[dict]) -> str:
    """The figures as Markdown."""
    heading = ["measure", "AUROC", "AUPR", "flagged, out of scope", "flagged, in scope"]
    cells = [
        [row["measure"], *(f"{value:.3f}" for value in list(row.values())[1:])] for row in rows
    ]
    return markdown(heading, cells)


if __name__ == "__main__":
    main()
