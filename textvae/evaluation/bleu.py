"""BLEU of reconstructions and Self-BLEU of samples, computed by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sacrebleu.metrics.bleu import BLEU
from torch import Tensor

from textvae.data.writing import Writing

SACREBLEU_TOKENIZE: dict[Writing, str] = {"tokenized": "none", "plain": "13a", "unspaced": "char"}
SELF_BLEU_SAMPLES, SELF_BLEU_OTHERS = 500, 100


def bleu(
    hypotheses: Sequence[str], references: Sequence[str], writing: Writing
) -> tuple[float, str]:
    """Corpus BLEU-4, 0 to 100, and sacrebleu's signature. Papineni 2002; Post 2018."""
    metric = BLEU(tokenize=SACREBLEU_TOKENIZE[writing], force=True)  # force: no hints on stderr
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return score, str(metric.get_signature())


def self_bleu(
    samples: Sequence[str],
    writing: Writing,
    *,
    hypotheses: int = SELF_BLEU_SAMPLES,
    others: int = SELF_BLEU_OTHERS,
) -> Tensor:
    """BLEU-4 of each of the first `hypotheses` samples against the next `others` samples, (M,).

    0 to 100; the mean is Self-BLEU (Zhu 2018, section 3.2). With fewer samples, all are used.

    Raises:
        ValueError: there are fewer than two samples.
    """
    if len(samples) < 2:
        raise ValueError("self_bleu needs at least two samples")
    metric = BLEU(tokenize=SACREBLEU_TOKENIZE[writing], effective_order=True, force=True)
    around = [*samples, *samples]
    others = min(others, len(samples) - 1)
    scores = [
        metric.sentence_score(samples[i], around[i + 1 : i + 1 + others]).score
        for i in range(min(hypotheses, len(samples)))
    ]
    return torch.tensor(scores, dtype=torch.float64)
