"""Changes to logits before a token is chosen, and the check that they are finite."""

from __future__ import annotations

import torch
from torch import Tensor

from textvae.decoding.settings import Sampling
from textvae.errors import ModelFormatError


def require_finite(values: Tensor) -> None:
    """Raise ModelFormatError if a sum of probabilities, or a score, is not finite.

    Choosing a token by such values would give nonsense, or an index out of bounds.
    """
    if not bool(values.isfinite().all()):
        raise ModelFormatError(
            "the model's probabilities are not finite: its weights or the given latent vectors are "
            "damaged or far too large; check the vectors, or train the model again"
        )


def penalize_repetition(logits: Tensor, produced: Tensor, penalty: float) -> Tensor:
    """Logits (N, V) that make the tokens in `produced` (N, t) less likely. Keskar 2019, sec. 4.1.

    Positive logits are divided by the penalty, once however often a token occurred. Negative logits
    are multiplied, because division would make their tokens more likely.
    """
    if penalty == 1.0 or produced.shape[1] == 0:
        return logits
    seen = logits.gather(1, produced)
    return logits.scatter(1, produced, torch.where(seen > 0, seen / penalty, seen * penalty))


def forbid_repeated_ngrams(logits: Tensor, produced: Tensor, n: int) -> Tensor:
    """Logits (N, V) that give probability 0 to tokens that end an n-gram a second time.

    A token is excluded if `produced` (N, t) already has it after the same n - 1 tokens as those at
    its end (Paulus 2018, sec. 2.5, there with trigrams). The end token is never among `produced`.
    n = 0 is off; n = 1 lets each token occur once.
    """
    length = produced.shape[1]
    if n == 0 or length < n:
        return logits
    before = produced.unfold(1, n, 1)[:, :, :-1]  # (N, t - n + 1, n - 1): all but each last token
    again = (before == produced[:, None, length - n + 1 :]).all(dim=2)
    if not bool(again.any()):
        return logits
    most = torch.full(again.shape, torch.inf, dtype=logits.dtype, device=logits.device)
    most.masked_fill_(again, -torch.inf)
    return logits.scatter_reduce(1, produced[:, n - 1 :], most, "amin")


def allowed(logits: Tensor, produced: Tensor, settings: Sampling, eos: int) -> Tensor:
    """Logits (N, V) that give probability 0 to what `settings` exclude after `produced` (N, t).

    `logits` may be changed in place, because a copy takes longer than the choice of a token. Where
    the rule on n-grams would leave no token before `min_tokens`, a token may repeat one.
    """
    early = produced.shape[1] < settings.min_tokens
    free = forbid_(logits, eos) if early else logits
    kept = forbid_repeated_ngrams(free, produced, settings.no_repeat_ngram)
    if early and kept is not free:
        kept = torch.where(kept.isfinite().any(1, keepdim=True), kept, free)
    return kept


def forbid_(logits: Tensor, token: int) -> Tensor:
    """The same logits (N, V), changed in place to give `token` probability 0."""
    logits[:, token] = -torch.inf
    return logits
