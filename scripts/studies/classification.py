"""How well a linear classifier reads the labels of six text collections off frozen vectors.

Trains models on the union of all their training texts and of a further file, without labels and
without the texts of the two test files, however these are tokenized. Then probes them on each
collection: on its test file, or by ten folds where it has none. Of those without a test file all
texts, never their labels, are in the union, so also the texts of the folds that test.

    python scripts/studies/classification.py --corpora DIR --minutes 20 --out runs/classification \\
        --table scripts/results/classification.json --kinds vae ae -- --latent-size 64

`--corpora` holds trec6/, sst2/ (train.tsv.xz, test.tsv.xz), mr/, cr/, subj/, mpqa/ (all.tsv.xz) and
tatoeba_eng/ (train.txt.xz). What follows `--` goes to each training. Models that stand in `--out`
are not trained again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import commit, markdown, textvae

from textvae.data.opening import open_rows
from textvae.data.writing import letters

SPLIT = ("trec6", "sst2")
WHOLE = ("mr", "cr", "subj", "mpqa")
UNLABELLED = "tatoeba_eng/train.txt.xz"
FOLDS = 10


def main(arguments: list[str]) -> None:
    """Train, probe, and print the table."""
    options = parsed(arguments)
    trained_at = commit()
    options.out.mkdir(parents=True, exist_ok=True)
    union = options.out / "union.txt"
    counts = write_union(options.corpora, union)
    print(json.dumps(counts), file=sys.stderr)
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda kind: train(kind, union, options), options.kinds))
        reports = list(pool.map(lambda name: probe(name, options), (*SPLIT, *WHOLE)))
    print(table(reports))
    if options.table:
        kept = {
            "what": "accuracy of logistic regression on frozen vectors; models trained on the "
            "union of the texts without labels: without those of the two test files, with all of "
            "the collections that are tested by folds",
            "commit": trained_at,
            "command": "python scripts/studies/classification.py " + " ".join(arguments),
            "sentences": counts,
            "models": {kind: course(options.out / kind) for kind in options.kinds},
            "reports": reports,
        }
        options.table.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; what follows `--` becomes `extra`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", required=True, type=Path, metavar="DIR")
    parser.add_argument("--minutes", required=True, metavar="M", help="of each training")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="models go here")
    parser.add_argument("--table", type=Path, metavar="FILE.json", help="figures go here")
    parser.add_argument("--kinds", nargs="+", default=["vae", "ae"], metavar="KIND")
    parser.add_argument("--layer", default="latent")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="commands at a time")
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:cut])
    options.extra = arguments[cut + 1 :]
    return options


def write_union(corpora: Path, out: Path) -> dict[str, dict[str, int]]:
    """Write the training texts, each once; how many each file gave, and how many it lost.

    A text is left out that has the letters and digits of a test text, or of a text that an earlier
    file has given: the collections tokenize the same sentences differently.
    """
    tests = {letters(text) for name in SPLIT for text in texts(corpora / name / "test.tsv.xz")}
    files = [*(f"{name}/train.tsv.xz" for name in SPLIT), *(f"{name}/all.tsv.xz" for name in WHOLE)]
    seen: set[str] = set()
    counts = {}
    with open(out, "w", encoding="utf-8") as stream:
        for file in [*files, UNLABELLED]:
            n = tested = repeated = 0
            for text in texts(corpora / file):
                key = letters(text)
                if key in tests:
                    tested += 1
                elif key in seen:
                    repeated += 1
                else:
                    seen.add(key)
                    n += 1
                    stream.write(text + "\n")
            counts[file] = {"sentences": n, "test_texts": tested, "repeated": repeated}
    return counts


def texts(path: Path) -> list[str]:
    """The texts of a file, blank ones apart."""
    return [row.text for row in open_rows([str(path)]) if row.text.strip()]


def train(kind: str, union: Path, options: argparse.Namespace) -> None:
    """Train a model of `kind`, unless it is there."""
    folder = options.out / kind
    if not (folder / "README.md").is_file():  # the card is written last
        textvae("train", union, "--out", folder, "--overwrite", "--model", kind, "--max-minutes",
                options.minutes, "--threads", "1", *options.extra,
                log=folder.with_suffix(".log"))  # fmt: skip


def probe(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The report of `textvae probe` on a collection, of all models at once."""
    first, *others = (options.out / kind for kind in options.kinds)
    folder, report = options.corpora / name, options.out / f"{name}-{options.layer}.json"
    if name in SPLIT:
        task = [folder / "train.tsv.xz", folder / "test.tsv.xz", "--labels", "all"]
    else:
        task = [folder / "all.tsv.xz", "--folds", FOLDS]
    against = [word for other in others for word in ("--against", other)]
    textvae("probe", first, *task, *against, "--layer", options.layer, "--out", report,
            log=report.with_suffix(".log"))  # fmt: skip
    return {"collection": name, **json.loads(report.read_text(encoding="utf-8"))}


def course(folder: Path) -> dict[str, Any]:
    """Steps, epochs and the validation figures of a training."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    valid = [line for line in map(json.loads, lines) if line["event"] == "valid"]
    best = next(line for line in reversed(valid) if line["best"])
    return {"steps": valid[-1]["step"], "epochs": valid[-1]["epoch"], "best": best}


def table(reports: Sequence[dict[str, Any]]) -> str:
    """A Markdown table of accuracies in %: a row for each kind of vectors."""
    names = [result["vectors"] for result in reports[0]["results"]]
    rows = []
    for name in names:
        found = [one for report in reports for one in report["results"] if one["vectors"] == name]
        rows.append([Path(name).name, *(f"{100 * one['accuracy']:.1f}" for one in found)])
    return markdown(["vectors", *(report["collection"] for report in reports)], rows)


if __name__ == "__main__":
    main(sys.argv[1:])
