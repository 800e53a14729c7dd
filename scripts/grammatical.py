"""Judge models of data/everyday by its grammar, which tells for certain what is a sentence.

    python scripts/grammatical.py MODEL [MODEL ...] [--samples 500] [--pairs 200] [--json FILE]

For each model, with the default settings of each command:

- `samples_grammatical`: the share of samples of the prior that the grammar can derive;
- `samples_distinct`: the number of different ones among them;
- `samples_copied`: the share of samples that the training text holds;
- `reconstructions_grammatical`, `reconstructions_exact`: shares of the reconstructions of
  sentences of the test file;
- `keeps_topic`, `keeps_sentiment`, `keeps_tense`: shares of all reconstructions whose most
  probable attribute under the grammar is the most probable one of the sentence; an
  ungrammatical reconstruction keeps none;
- `path_grammatical`: the share of inner points of paths of seven between test sentences;
- `path_distinct`, `path_largest_step`: as in `textvae evaluate`.

The probability of the training text is known too, so the figures need no language model.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from make_everyday import attributes, everyday_grammar, log_prob

from textvae import TextVAE
from textvae.evaluation.interpolations import largest_step

DATA = Path(__file__).parents[1] / "data" / "everyday"
STEPS = 7
ATTRIBUTES = ("topic", "sentiment", "tense")


def main() -> None:
    """Print a table with a column for each model; with --json, write the figures too."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="folder of a model")
    parser.add_argument("--samples", type=int, default=500, help="samples and reconstructions")
    parser.add_argument("--pairs", type=int, default=200, help="paths")
    parser.add_argument("--seed", type=int, default=0, help="of the samples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    reports = {
        name: judge(
            TextVAE.from_pretrained(name, device="cpu"),
            samples=options.samples,
            pairs=options.pairs,
            seed=options.seed,
        )
        for name in options.models
    }
    print(table(reports))
    if options.json is not None:
        options.json.write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")


def judge(vae: TextVAE, *, samples: int, pairs: int, seed: int = 0) -> dict[str, float]:
    """The figures of a model; those of samples alone for a language model."""
    is_sentence, attributes_of = grammar_functions()
    drawn = vae.generate(samples, seed=seed)
    training = set(texts("train"))
    figures: dict[str, float] = {
        "samples_grammatical": share(map(is_sentence, drawn)),
        "samples_distinct": len(set(drawn)),
        "samples_copied": share(text in training for text in drawn),
    }
    if not vae.latent_size:
        return figures
    real = texts("test")
    given = real[:samples]
    back = vae.reconstruct(given)
    figures["reconstructions_grammatical"] = share(map(is_sentence, back))
    figures["reconstructions_exact"] = share(a == b for a, b in zip(given, back, strict=True))
    kept = [(attributes_of(a), attributes_of(b)) for a, b in zip(given, back, strict=True)]
    for k, name in enumerate(ATTRIBUTES):
        figures[f"keeps_{name}"] = share(
            a is not None and b is not None and a[k] == b[k] for a, b in kept
        )
    ends = [(a, b) for a, b in zip(real, reversed(real), strict=True) if a != b][:pairs]
    paths = [vae.interpolate(a, b, STEPS) for a, b in ends]
    figures["path_grammatical"] = share(is_sentence(text) for path in paths for text in path[1:-1])
    figures["path_distinct"] = mean([len(set(path)) / STEPS for path in paths])
    words = [[text.split() for text in path] for path in paths if path[0] != path[-1]]
    figures["path_largest_step"] = mean([largest_step(path) for path in words])
    return figures


def grammar_functions() -> tuple[
    Callable[[str], bool], Callable[[str], tuple[str, str, str] | None]
]:
    """Whether a text is a sentence of the grammar, and its most probable attributes."""
    grammar = everyday_grammar()

    @cache
    def is_sentence(text: str) -> bool:
        return math.isfinite(log_prob(grammar, text))

    return is_sentence, cache(lambda text: attributes(grammar, text))


def texts(split: str) -> list[str]:
    """The sentences of a file of data/everyday."""
    lines = (DATA / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def share(found: object) -> float:
    """The share of true values."""
    return mean([float(value) for value in found])  # type: ignore[attr-defined]


def mean(values: Sequence[float]) -> float:
    """The mean; NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def table(reports: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each figure, a column for each model; a dash where a model has no such figure."""
    names = [Path(name).name for name in reports]
    keys = list(dict.fromkeys(key for report in reports.values() for key in report))
    cells = [[shown(key, report.get(key)) for report in reports.values()] for key in keys]
    columns = zip(*cells, strict=True)
    widths = [max(map(len, (n, *column))) for n, column in zip(names, columns, strict=True)]
    first = max(map(len, keys))
    lines = [" ".join([" " * first, *(n.rjust(w) for n, w in zip(names, widths, strict=True))])]
    for key, row in zip(keys, cells, strict=True):
        lines.append(
            " ".join([key.ljust(first), *(c.rjust(w) for c, w in zip(row, widths, strict=True))])
        )
    return "\n".join(lines)


def shown(key: str, value: float | None) -> str:
    """A figure as the table shows it."""
    if value is None or math.isnan(value):
        return "-"
    if key == "samples_distinct":
        return str(int(value))
    return f"{value:.2f}" if key.startswith("path_") and "gram" not in key else f"{value:.1%}"


if __name__ == "__main__":
    main()
