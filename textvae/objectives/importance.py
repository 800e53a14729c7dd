"""The importance-weighted bound as a training loss."""

from __future__ import annotations

import math

from torch import Tensor


def importance_weighted_nll(
    rec: Tensor, log_prior: Tensor, log_posterior: Tensor, weight: float | Tensor
) -> Tensor:
    """-log (1/K) sum_k w_k of each sentence, in nats, shape (B,), from K samples (K, B).

    log w_k = log p(x|z_k) + weight * (log p(z_k) - log q(z_k|x)); Burda 2016, eq. 8, at weight 1.
    A smaller weight tempers the ratio of the densities, so that the usual KL schedules apply. The
    result is a bound on -log p(x) only at weight 1, and the one-sample bound at K = 1.

    Args:
        rec: -log p(x|z_k).
        log_prior: log p(z_k).
        log_posterior: log q(z_k|x).
        weight: the weight of the KL.
    """
    log_weights = -rec + weight * (log_prior - log_posterior)
    return math.log(len(rec)) - log_weights.logsumexp(0)
