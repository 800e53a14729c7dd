"""Judge ways to decode the samples of one model: how sentence-like they are, and how varied.

    python scripts/studies/decoding.py MODEL TEST --scorer LM --samples 1000 --table FILE.json

Each row is `textvae evaluate --quality` with other settings of decoding. `ppl_forward` is the
perplexity of the samples under a language model of the training text (lower: more usual sentences),
`ppl_reverse` that of the test sentences under a language model of 10,000 samples (lower: the
samples cover more of the language). For data/everyday, `grammatical` is the share of samples that
the grammar can derive.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from textvae import TextVAE

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance
from grammatical import DATA, grammar_functions, share

DECODINGS: dict[str, dict[str, Any]] = {
    "each word drawn": {"temperature": 1.0},
    "top-p 0.9": {"top_p": 0.9},
    "temperature 0.7": {"temperature": 0.7},
    "default": {},
    "greedy": {"greedy": True},
    "no repeated bigram": {"no_repeat_ngram": 2},
    "repetition penalty 1.2": {"repetition_penalty": 1.2, "no_repeat_ngram": 0},
    "beams 5": {"beams": 5},
}
KEYS = ("self_bleu", "distinct_2", "copied", "ppl_forward", "ppl_reverse")


def main() -> None:
    """Print a table with a row for each way of decoding, and a last one for real sentences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("test", help="held-out sentences")
    parser.add_argument("--scorer", help="folder of a language model of the training text")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--decodings", nargs="+", default=list(DECODINGS), metavar="NAME")
    parser.add_argument("--table", type=Path, metavar="FILE.json", help="write the figures here")
    options = parser.parse_args()
    made = provenance("ways to decode the samples of one model")
    vae = TextVAE.from_pretrained(options.model, device="cpu")
    lm = TextVAE.from_pretrained(options.scorer, device="cpu") if options.scorer else None
    reports = {
        name: judged(vae, options.test, DECODINGS[name], samples=options.samples, lm=lm)
        for name in options.decodings
    }
    print(table(reports))
    if options.table is not None:
        kept = {**made, "reports": reports}
        options.table.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def judged(
    vae: TextVAE, test: str, decoding: dict[str, Any], *, samples: int, lm: TextVAE | None
) -> dict[str, Any]:
    """The figures of samples that are decoded so."""
    found = vae.evaluate(
        test, samples=1, limit=samples, quality=samples, decoding=decoding, scorer=lm
    )
    figures = {
        key: value for key, value in found.figures.items() if key.startswith((*KEYS, "quality"))
    }
    if Path(test).resolve().parent == DATA.resolve():
        is_sentence, _ = grammar_functions()
        figures["grammatical"] = share(map(is_sentence, vae.generate(samples, **decoding)))
    figures["different"] = len(set(vae.generate(samples, **decoding))) / samples
    return figures


def table(reports: dict[str, dict[str, Any]]) -> str:
    """A Markdown table; the last row is real sentences, from the first report."""
    keys = [
        key
        for key in ("grammatical", "different", *KEYS)
        if any(key in r for r in reports.values())
    ]
    rows = [[name, *(shown(report.get(key)) for key in keys)] for name, report in reports.items()]
    first = next(iter(reports.values()))
    rows.append(["real sentences", *(shown(first.get(f"{key}_real")) for key in keys)])
    return markdown(["decoding", *keys], rows)


def shown(value: float | None) -> str:
    """A figure with two or three digits that matter; a dash where there is none."""
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
