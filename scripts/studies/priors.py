"""Priors fitted after training beside the model's own: likelihood, and quality of the samples.

    python scripts/studies/priors.py MODEL [MODEL ...] --scorer LM --table FILE.json

    python scripts/studies/priors.py MODEL --kinds spline --add --scorer LM --table FILE.json

The models must be trained on data/everyday. `--kinds` chooses the priors, `--add` keeps the other
rows of the table. For each model and each prior:

- `log_density_gain`: the fall of the KL of held-out training sentences, in nats;
- `kl`, `nll_elbo` and `nll_iw` of test sentences, where the prior has a density;
- `grammatical`: the share of samples that the grammar can derive, and `different` ones;
- `self_bleu`: BLEU of samples against each other (lower: more varied);
- `ppl_forward`: the perplexity of samples under the language model `--scorer` (lower: more usual);
- `ppl_reverse`: the perplexity of the test sentences under an interpolated 5-gram model of
  `--reverse` samples (lower: the samples cover more of the language).

The last row has the same figures of real sentences. Sentences are decoded by the most likely
tokens, with no rule on repetition.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from commands import markdown, provenance
from five_gram import KneserNey
from grammatical import DATA, grammar_functions, share, texts

from textvae import TextVAE
from textvae.api import FittedPrior
from textvae.api.scorers import negated
from textvae.evaluation.bleu import self_bleu
from textvae.evaluation.perplexity import scored_perplexity
from textvae.files.atomic import replacing
from textvae.latent.prior_file import PRIOR_KINDS

COLUMNS = ("log_density_gain", "kl", "nll_elbo", "nll_iw", "grammatical", "different")
COLUMNS += ("self_bleu", "ppl_forward", "ppl_reverse")
EXAMPLES = 20


def main(arguments: list[str]) -> None:
    """Judge all priors of the models, write the table after each row, and print it."""
    options = parsed(arguments)
    made = provenance("priors fitted after training, on data/everyday")
    judge = Judge(TextVAE.from_pretrained(options.scorer, device="cpu"), options)
    rows, of_row = [], {}
    if options.add:  # the new rows name their own commit and command
        of_row = {key: made[key] for key in ("commit", "command")}
        made = json.loads(options.table.read_text(encoding="utf-8"))
        rows = made.pop("results")
    for row in judge.rows():
        rows.append(row | of_row)
        print(row["model"], row["prior"], flush=True, file=sys.stderr)
        if options.table is not None:
            with replacing(options.table) as stream:
                stream.write(json.dumps({**made, "results": rows}, indent=1).encode() + b"\n")
    cells = [
        [row["model"], row["prior"], *(shown(row.get(key)) for key in COLUMNS)] for row in rows
    ]
    print(markdown(["model", "prior", *COLUMNS], cells))


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--scorer", required=True, metavar="LM")
    parser.add_argument("--samples", type=int, default=500, metavar="N")
    parser.add_argument("--fit", type=int, default=10_000, metavar="N", help="training sentences")
    parser.add_argument("--reverse", type=int, default=2000, metavar="N")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="test sentences")
    parser.add_argument("--importance", type=int, default=30, metavar="K", help="of a sentence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=["own", *PRIOR_KINDS, "real"], metavar="KIND")
    parser.add_argument("--add", action="store_true", help="to the rows in --table")
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    if options.add and options.table is None:
        parser.error("--add needs --table FILE.json")
    return options


class Judge:
    """The figures of models with each prior.

    Args:
        scorer: a language model of the training text.
        options: those of the command line.
    """

    def __init__(self, scorer: TextVAE, options: argparse.Namespace) -> None:
        self.options = options
        self.scorer = negated(scorer)
        self.is_sentence, _ = grammar_functions()
        self.test = texts("test")

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each model and prior, and one for real sentences."""
        for place in self.options.models:
            vae, name = TextVAE.from_pretrained(place, device="cpu"), {"model": place.name}
            if self.chosen("own"):
                yield name | {"prior": "own"} | self.figures(vae, None)
            for kind in filter(self.chosen, PRIOR_KINDS):
                start = time.process_time()
                found = vae.fit_prior(
                    kind, DATA / "train.jsonl", limit=self.options.fit, seed=self.options.seed
                )
                spent = {"cpu_seconds_of_fit": time.process_time() - start}
                row = name | {"prior": str(found)} | found.to_dict() | {"prior": str(found)}
                yield row | spent | self.figures(vae, found)
        if self.chosen("real"):
            yield {"model": "real", "prior": "-"} | self.of_texts(texts("train"))

    def chosen(self, kind: str) -> bool:
        """True if the options ask for this prior, or name none."""
        return self.options.kinds is None or kind in self.options.kinds

    def figures(self, vae: TextVAE, prior: FittedPrior | None) -> dict[str, Any]:
        """The likelihood and the quality of samples with a prior; None: the model's own."""
        found: dict[str, Any] = {}
        if vae.model.has_density and (prior is None or prior.prior.has_density):
            report = vae.evaluate(
                DATA / "test.jsonl",
                samples=self.options.importance,
                limit=self.options.limit,
                prior=False if prior is None else prior,
            ).figures
            keys = ("rec", "kl", "nll_elbo", "nll_iw")
            found |= {key: report[key] for name in keys for key in (name, f"{name}_se")}
            found["converged"] = report["converged"]
        n = max(self.options.samples, self.options.reverse)
        given = False if prior is None else prior
        return found | self.of_texts(
            vae.generate(n, seed=self.options.seed, prior=given, no_repeat_ngram=0)
        )

    def of_texts(self, drawn: Sequence[str]) -> dict[str, Any]:
        """The quality of sentences."""
        few = drawn[: self.options.samples]
        varied = self_bleu(few, "tokenized")
        forward, error = scored_perplexity(self.scorer, few, "tokenized")
        reverse = KneserNey((text.split() for text in drawn[: self.options.reverse]), 5)
        words = sum(len(text.split()) + 1 for text in self.test)
        nats = sum(reverse.nll(text.split()) for text in self.test)
        return {
            "grammatical": share(map(self.is_sentence, few)),
            "different": len(set(few)) / len(few),
            "self_bleu": float(varied.mean()),
            "ppl_forward": forward,
            "ppl_forward_se": error,
            "ppl_reverse": math.exp(nats / words),
            "examples": few[:EXAMPLES],
        }


def shown(value: float | str | None) -> str:
    """A name, or a figure with three digits that matter; a dash where there is none."""
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:.2f}" if value >= 2 else f"{value:.3f}"


if __name__ == "__main__":
    main(sys.argv[1:])
