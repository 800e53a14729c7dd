"""Reconstructions against what was read, and samples against real text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from sacrebleu.metrics.bleu import BLEU
from torch import Tensor

from textvae.evaluation.likelihood import Chunk, inference
from textvae.models.sentence import SentenceModel

Writing = Literal["tokenized", "plain", "unspaced"]
Scorer = Callable[[Sequence[str]], np.ndarray]  # texts -> -log p of each in nats, (N,)

SACREBLEU_TOKENIZE: dict[Writing, str] = {"tokenized": "none", "plain": "13a", "unspaced": "char"}
SELF_BLEU_SAMPLES, SELF_BLEU_OTHERS = 500, 100

# Han, kana, bopomofo, Thai, Lao, Burmese, Khmer: scripts that put no spaces between words.
_UNSPACED_SCRIPT = re.compile(
    "[\u2e80-\u2fdf\u3005-\u312f\u31a0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)
_MARK = re.compile(r"[.,!?;:]")


def writing_of(texts: Sequence[str]) -> Writing:
    """How the texts are written, which decides what a word is and how BLEU sees it.

    - `unspaced`: under 5 % of the characters inside the texts are white space, or under 20 %
      where most characters are of a script that puts no spaces between words.
    - `tokenized`: a closing mark (. , ! ? ; :) stands alone at least as often as it ends a
      word; so text without marks is tokenized.
    - `plain`: any other.
    """
    words = [word for text in texts for word in text.split()]
    visible = sum(map(len, words))
    spaces = sum(max(len(text.split()) - 1, 0) for text in texts)
    unspaced_script = sum(len(_UNSPACED_SCRIPT.findall(word)) for word in words)
    limit = 0.2 if 2 * unspaced_script > visible else 0.05
    if spaces < limit * (visible + spaces):
        return "unspaced"
    alone = sum(_MARK.fullmatch(word) is not None for word in words)
    attached = sum(len(word) > 1 and _MARK.match(word[-1]) is not None for word in words)
    return "tokenized" if alone >= attached else "plain"


def units(text: str, writing: Writing) -> list[str]:
    """White-space words of a text, or its characters where words are not spaced."""
    words = text.split()
    return list("".join(words)) if writing == "unspaced" else words


# reconstruction


def bleu(
    hypotheses: Sequence[str], references: Sequence[str], writing: Writing
) -> tuple[float, str]:
    """Corpus BLEU-4, 0 to 100, and sacrebleu's signature. Papineni 2002; Post 2018."""
    metric = BLEU(tokenize=SACREBLEU_TOKENIZE[writing], force=True)  # force: no advice on stderr
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return score, str(metric.get_signature())


def exact_match(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Share of the sentences that are the same but for white space."""
    same = sum(h.split() == r.split() for h, r in zip(hypotheses, references, strict=True))
    return same / len(references)


def token_accuracy(model: SentenceModel, chunks: Sequence[Chunk], z: Tensor) -> float:
    """Share of the tokens, the end included, most probable given those before and z (N, Z)."""
    correct, total = 0, 0
    with inference(model):
        for chunk in chunks:
            tokens = chunk.tokens.to(model.device)
            state = model.start(z[chunk.places].float().to(model.device), len(tokens))
            previous = torch.full_like(tokens.ids[:, 0], model.bos_id)
            for t in range(tokens.ids.size(1)):
                logits, state = model.step(previous, state)
                previous = tokens.ids[:, t]
                correct += int(((logits.argmax(1) == previous) & tokens.mask[:, t]).sum())
            total += int(tokens.lengths.sum())
    return correct / total


# samples


def self_bleu(
    samples: Sequence[str],
    writing: Writing,
    *,
    hypotheses: int = SELF_BLEU_SAMPLES,
    others: int = SELF_BLEU_OTHERS,
) -> Tensor:
    """BLEU-4 of each of the first `hypotheses` samples against the `others` next to it, (M,).

    0 to 100; the mean is Self-BLEU, Zhu 2018, section 3.2. Short of samples, it takes all.

    Raises:
        ValueError: fewer than two samples.
    """
    if len(samples) < 2:
        raise ValueError("self_bleu needs two samples or more")
    metric = BLEU(tokenize=SACREBLEU_TOKENIZE[writing], effective_order=True, force=True)
    around = [*samples, *samples]
    others = min(others, len(samples) - 1)
    scores = [
        metric.sentence_score(samples[i], around[i + 1 : i + 1 + others]).score
        for i in range(min(hypotheses, len(samples)))
    ]
    return torch.tensor(scores, dtype=torch.float64)


def distinct_2(samples: Sequence[str], writing: Writing) -> float | None:
    """Distinct bigrams / bigrams of all samples; None without any. Li 2016, section 5.

    It falls as samples are added: compare equal numbers of them.
    """
    bigrams = [
        pair for sample in samples for words in [units(sample, writing)] for pair in pairwise(words)
    ]
    return len(set(bigrams)) / len(bigrams) if bigrams else None


def found_in(texts: Sequence[str], others: Iterable[str]) -> Tensor:
    """Which texts stand word for word among the others, bool (N,); those are read once."""
    plain = [" ".join(text.split()) for text in texts]
    found = set(plain).intersection(" ".join(other.split()) for other in others)
    return torch.tensor([text in found for text in plain])


# perplexity


def perplexity(nll: Tensor, lengths: Tensor) -> tuple[float, float | None]:
    """exp(sum nll / sum lengths) and its standard error, None for one sentence.

    The error is that of a ratio of means by the delta method (Cochran 1977, eq. 6.13).

    Args:
        nll: -log p of each sentence in nats, (N,).
        lengths: words or characters of each, one end token included, (N,).
    """
    nll, lengths = nll.double(), lengths.double()
    rate = nll.sum() / lengths.sum()
    value = rate.exp().item()
    n = len(nll)
    if n < 2:
        return value, None
    residual = nll - rate * lengths
    rate_error = (residual.square().sum() / (n - 1) / n).sqrt() / lengths.mean()
    return value, value * rate_error.item()


def unit_lengths(texts: Sequence[str], writing: Writing) -> Tensor:
    """Words (or characters, see `units`) of each text and its end, (N,)."""
    return torch.tensor([len(units(text, writing)) + 1 for text in texts])


def scored_perplexity(
    scorer: Scorer, texts: Sequence[str], writing: Writing
) -> tuple[float, float | None]:
    """Perplexity of the texts under a scorer, a word, or a character of unspaced text."""
    nll = torch.as_tensor(np.asarray(scorer(texts), dtype=np.float64))
    return perplexity(nll, unit_lengths(texts, writing))
