"""An interpolated Kneser-Ney n-gram model on data/everyday: the yardstick before neural ones.

    python scripts/studies/five_gram.py            order 5
    python scripts/studies/five_gram.py --order 3

Prints a JSON line: the mean negative log-likelihood of the test sentences in nats, and its
mean distance from the truth (`gap`), each with its standard error.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "data" / "everyday"
BEGIN, END = "<s>", "</s>"
Context = tuple[str, ...]


class KneserNey:
    """p(word | last n-1 words), interpolated over all orders down to the uniform distribution.

    Kneser & Ney 1995; Chen & Goodman 1999, section 4.1.6: the highest order has counts, the
    lower ones count the different words seen before; one discount an order, n1 / (n1 + 2 n2).
    """

    def __init__(self, sentences: Iterable[Sequence[str]], order: int) -> None:
        self.order = order
        counts: list[Counter[Context]] = [Counter() for _ in range(order)]
        self.vocabulary = {END}
        for sentence in sentences:
            self.vocabulary.update(sentence)
            words = (*[BEGIN] * (order - 1), *sentence, END)
            for last in range(order - 1, len(words)):
                counts[-1][words[last - order + 1 : last + 1]] += 1
        for n in range(order - 1, 0, -1):  # different words to the left of each n-gram
            counts[n - 1].update(gram[1:] for gram in counts[n])
        self._counts = counts
        self._discounts = [discount(counter.values()) for counter in counts]
        self._totals: list[Counter[Context]] = [Counter() for _ in range(order)]
        self._kinds: list[Counter[Context]] = [Counter() for _ in range(order)]
        for n, counter in enumerate(counts):
            for gram, count in counter.items():
                self._totals[n][gram[:-1]] += count
                self._kinds[n][gram[:-1]] += 1

    def probability(self, context: Context, word: str) -> float:
        """p(word | context), the context of at most n-1 words."""
        p = 1.0 / len(self.vocabulary)
        for n in range(len(context) + 1):
            known = context[len(context) - n :]
            total = self._totals[n][known]
            if total == 0:
                break
            left = max(self._counts[n][(*known, word)] - self._discounts[n], 0.0)
            p = (left + self._discounts[n] * self._kinds[n][known] * p) / total
        return p

    def nll(self, sentence: Sequence[str]) -> float:
        """-log p(sentence and its end) in nats."""
        words = (*[BEGIN] * (self.order - 1), *sentence, END)
        first = self.order - 1
        return -sum(
            math.log(self.probability(words[i - first : i], words[i]))
            for i in range(first, len(words))
        )


def discount(counts: Iterable[int]) -> float:
    """n1 / (n1 + 2 n2), where n1 n-grams occur once and n2 twice."""
    occurrences = defaultdict(int, Counter(counts))
    n1, n2 = occurrences[1], occurrences[2]
    return n1 / (n1 + 2 * n2) if n1 else 0.5


def main(arguments: list[str]) -> None:
    """Fit on train, print the figures of test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--order", type=int, default=5)
    options = parser.parse_args(arguments)
    model = KneserNey((row["text"].split() for row in rows("train")), options.order)
    test = rows("test")
    nll = [model.nll(row["text"].split()) for row in test]
    gap = [value + row["log_prob"] for value, row in zip(nll, test, strict=True)]
    figures = {"order": options.order, "n_sentences": len(test)}
    for name, values in (("nll", nll), ("gap", gap)):
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
        figures |= {name: mean, f"{name}_se": math.sqrt(variance / len(values))}
    print(json.dumps(figures))


def rows(part: str) -> list[dict[str, object]]:
    """The rows of one file of data/everyday."""
    with open(DATA / f"{part}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main(sys.argv[1:])
