"""Beam search: the most probable sentence that a few hypotheses at a time can find."""

from __future__ import annotations

import torch
from torch import Tensor

from textvae.decoding.penalties import forbid, penalize_repetition, require_finite
from textvae.decoding.settings import Sampling
from textvae.decoding.top_k import largest
from textvae.models.decoder import Decoder


def beam_search(
    decoder: Decoder, z: Tensor | None, n: int, settings: Sampling, limit: int
) -> list[list[int]]:
    """Token ids of the best sentence found for each row of z, without the end token.

    The score of a sentence is log p(x | z) / length^length_penalty, end token counted in both
    (Wu 2016, eq. 14, in its plain form). At each step the continuations of the `beams`
    hypotheses are ranked: those among the first `beams` that end are finished, and the first
    `beams` that do not end live on. After `limit - 1` tokens each hypothesis ends with its
    log p(end). A search stops when no live hypothesis can beat the best finished one, so with
    one beam and no length penalty it is greedy decoding, and with beams for all continuations it
    is exact. Equal scores: the shorter sentence, then the lower ids.

    `min_tokens` restricts which sentences compete and leaves their scores as they are;
    `repetition_penalty` changes the distribution and so the scores.
    """
    K = settings.beams
    device, eos = decoder.device, decoder.vocabulary.eos_id
    every_beam = torch.arange(n, device=device).repeat_interleave(K)
    state = decoder.start(z, n).rows(every_beam)  # n * K
    tokens = torch.full((n * K,), decoder.vocabulary.bos_id, device=device)
    scores = torch.full((n, K), -torch.inf, dtype=torch.float64, device=device)
    scores[:, 0] = 0.0  # one hypothesis at first: the empty one
    produced = tokens.new_empty(n, K, 0)
    rows = torch.arange(n, device=device)  # place of each sentence still searched
    best = torch.full((n, limit), eos, device=device)
    best_scores = torch.full((n,), -torch.inf, dtype=torch.float64, device=device)

    for t in range(limit):
        logits, state = decoder.step(tokens, state)  # (B * K, V)
        logits = penalize_repetition(logits, produced.flatten(0, 1), settings.repetition_penalty)
        normalizer = logits.logsumexp(1, keepdim=True)
        require_finite(normalizer)
        if t < settings.min_tokens:
            logits = forbid(logits, eos)
        if t < limit - 1:
            # Of each hypothesis K + 1 tokens: K go on even where one is the end.
            top, ids = largest(logits, min(K + 1, logits.shape[1]))
        else:
            top, ids = logits[:, eos : eos + 1], torch.full_like(tokens[:, None], eos)
        totals, parents, ids = _ranked(scores, top - normalizer, ids)  # (B, K * M), best first

        ended = ids == eos
        ended[:, K:] = False
        found = (totals / (t + 1) ** settings.length_penalty).masked_fill(~ended, -torch.inf)
        score, place = found.max(1)  # of equals the first
        better = (score > best_scores[rows]).nonzero().squeeze(1)
        best_scores[rows[better]] = score[better]
        best[rows[better], :t] = produced[better, parents[better, place[better]]]
        if t == limit - 1:
            break

        alive = (ids == eos).int().sort(dim=1, stable=True).indices[:, :K]  # the first K that go on
        scores, parents, ids = (part.gather(1, alive) for part in (totals, parents, ids))
        # Log-probabilities only fall, and no length divides them by more than the limit does.
        bound = scores[:, 0] / limit**settings.length_penalty
        searching = (bound > best_scores[rows]).nonzero().squeeze(1)
        if len(searching) == 0:
            break
        rows, scores, parents, ids = (part[searching] for part in (rows, scores, parents, ids))
        produced = torch.cat([produced[searching[:, None], parents], ids[:, :, None]], 2)
        tokens = ids.flatten()
        chosen = (searching[:, None] * K + parents).flatten()
        state = state.rows(chosen)
    return [row[: row.index(eos)] for row in best.tolist()]


def _ranked(scores: Tensor, log_probs: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, hypotheses and tokens of all continuations, each (B, K * M), best first.

    From the scores (B, K) of the hypotheses, and M tokens of each by log_probs and ids
    (B * K, M). Of equals the earlier hypothesis comes first, then the lower id.
    """
    B, K = scores.size()
    M = ids.shape[1]
    totals = (scores.view(B * K, 1) + log_probs).view(B, K * M)
    totals, order = totals.sort(dim=1, descending=True, stable=True)
    return totals, order // M, ids.view(B, K * M).gather(1, order)
