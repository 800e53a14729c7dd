"""The first posterior of vectors that are known before training: their principal components.

A posterior with random weights gives the vectors of a sentence encoder, whose length is 1, means
far below the noise of z. The decoder then learns to do without z before the means have grown.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EVEN_SHARE = 0.2  # of the nats that all dimensions share evenly, so that none starts without a mean
RANK_TOLERANCE = 1e-6  # variance of a component, of that of the first, that still counts
BISECTIONS = 100


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class PrincipalCode:
    """A linear Gaussian code: q(z|v) = N(weight v + bias, diag(exp(log_variance))).

    Attributes:
        weight: (K, H), a row for each component, those of most variance first.
        bias: (K,).
        log_variance: (K,).
    """

    weight: Tensor
    bias: Tensor
    log_variance: Tensor


def principal_code(vectors: Tensor, size: int, nats: float) -> PrincipalCode:
    """The code of `nats` for the vectors (N, H), along their first principal components.

    Component i with variance l_i gets a mean of variance s_i^2 = 1 - t / l_i and a posterior of
    variance t / l_i, so that z has the variance 1 of the prior: the Gaussian code of least squared
    error at its rate, by reverse water-filling (Cover & Thomas 2006, theorem 10.3.3). The water
    level t is such that the mean KL to N(0, I) over the vectors is `nats`. A fifth of the nats is
    shared evenly: a component below the water still has a small mean, which a classifier reads.

    Args:
        vectors: (N, H).
        size: Z; K is Z, or less where the vectors span fewer dimensions.
        nats: the KL of a sentence, in nats.
    """
    known = vectors.detach().double().cpu()
    centre = known.mean(0)
    centred = known - centre
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(known))  # ascending
    variances, directions = variances.flip(0), directions.flip(1).T  # (H,), (H, H)
    spanned = int((variances > RANK_TOLERANCE * variances[0]).sum())
    variances, directions = variances[: min(size, spanned)], directions[: min(size, spanned)]
    left = _variances_left(variances, nats)  # of the posterior, (K,)
    weight = directions * ((1 - left) / variances).sqrt()[:, None]
    return PrincipalCode(weight.float(), -(weight @ centre).float(), left.log().float())


def _variances_left(variances: Tensor, nats: float) -> Tensor:
    """The variance of z around the mean of each component, (K,), for a KL of `nats` in total."""
    if not len(variances):
        return variances
    most = torch.tensor(-2 * EVEN_SHARE * nats / len(variances)).exp().double()
    # At the first level each component has more than `nats`, at the second its even share.
    low, high = variances[-1].log() - 2 * nats, variances[0].log()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        left = (middle.exp() / variances).minimum(most)
        low, high = (middle, high) if -left.log().sum() / 2 > nats else (low, middle)
    return (high.exp() / variances).minimum(most)
