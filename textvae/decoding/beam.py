"""Beam search: a search for the most probable sentence with a few hypotheses at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from textvae.decoding.penalties import allowed, penalize_repetition, require_finite
from textvae.decoding.settings import Sampling
from textvae.decoding.top_k import largest
from textvae.models.decoder import Decoder
from textvae.models.device import double_device


def beam_search(
    decoder: Decoder, z: Tensor | None, n: int, settings: Sampling, limit: int
) -> list[list[int]]:
    """The token ids of the best sentence for each row of z, without the end token.

    The score of a sentence is log p(x | z) / length^length_penalty; both count the end token (a
    simple form of Wu 2016, eq. 14). At each step all continuations of the `beams` hypotheses are
    ranked. Those among the first `beams` that end are finished; the first `beams` that do not end
    continue. After `limit - 1` tokens each hypothesis ends with its log p(end).

    The search stops when no live hypothesis can beat the best finished one. With one beam and no
    length penalty this is greedy decoding; with enough beams for all continuations it is exact.
    Ties go to the shorter sentence, then to the lower ids.

    `min_tokens` and `no_repeat_ngram` exclude sentences and do not change scores.
    `repetition_penalty` changes the distribution and therefore the scores.
    """
    K = settings.beams
    eos = decoder.vocabulary.eos_id
    device = double_device(decoder.device)  # of the scores and all that follows from them
    every_beam = torch.arange(n, device=decoder.device).repeat_interleave(K)
    state = decoder.start(z, n).rows(every_beam)  # n * K
    tokens = torch.full((n * K,), decoder.vocabulary.bos_id, device=device)
    scores = torch.full((n, K), -torch.inf, dtype=torch.float64, device=device)
    scores[:, 0] = 0.0  # at the start only the empty hypothesis
    produced = tokens.new_empty(n, K, 0)
    rows = torch.arange(n, device=device)  # index of each sentence whose search goes on
    best = torch.full((n, limit), eos, device=device)
    best_scores = torch.full((n,), -torch.inf, dtype=torch.float64, device=device)

    for t in range(limit):
        logits, state = decoder.step(tokens.to(decoder.device), state)  # (B * K, V)
        logits = logits.to(device)
        earlier = produced.flatten(0, 1)  # (B * K, t)
        logits = penalize_repetition(logits, earlier, settings.repetition_penalty)
        normalizer = logits.logsumexp(1, keepdim=True)
        require_finite(normalizer)
        logits = allowed(logits, earlier, settings, eos)
        if t < limit - 1:
            # K + 1 tokens per hypothesis, so that K remain if one is the end token.
            top, ids = largest(logits, min(K + 1, logits.shape[1]))
        else:
            top, ids = logits[:, eos : eos + 1], torch.full_like(tokens[:, None], eos)
        totals, parents, ids = _ranked(scores, top - normalizer, ids)  # (B, K * M), best first

        ended = ids == eos
        ended[:, K:] = False
        found = (totals / (t + 1) ** settings.length_penalty).masked_fill(~ended, -torch.inf)
        score, place = found.max(1)  # ties: the first
        better = (score > best_scores[rows]).nonzero().squeeze(1)
        best_scores[rows[better]] = score[better]
        best[rows[better], :t] = produced[better, parents[better, place[better]]]
        if t == limit - 1:
            break

        alive = (ids == eos).int().sort(dim=1, stable=True).indices[:, :K]  # K that do not end
        scores, parents, ids = (part.gather(1, alive) for part in (totals, parents, ids))
        # An upper bound: log-probabilities only decrease, and the length is at most `limit`.
        bound = scores[:, 0] / limit**settings.length_penalty
        searching = (bound > best_scores[rows]).nonzero().squeeze(1)
        if len(searching) == 0:
            break
        rows, scores, parents, ids = (part[searching] for part in (rows, scores, parents, ids))
        produced = torch.cat([produced[searching[:, None], parents], ids[:, :, None]], 2)
        tokens = ids.flatten()
        chosen = (searching[:, None] * K + parents).flatten()
        state = state.rows(chosen.to(decoder.device))
    return [row[: row.index(eos)] for row in best.tolist()]


def _ranked(scores: Tensor, log_probs: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, hypotheses and tokens of all continuations, each (B, K * M), best first.

    Ties go to the earlier hypothesis, then to the lower id.

    Args:
        scores: the scores of the hypotheses, (B, K).
        log_probs, ids: M next tokens of each hypothesis, (B * K, M).
    """
    B, K = scores.size()
    M = ids.shape[1]
    totals = (scores.view(B * K, 1) + log_probs).view(B, K * M)
    totals, order = totals.sort(dim=1, descending=True, stable=True)
    return totals, order // M, ids.view(B, K * M).gather(1, order)
