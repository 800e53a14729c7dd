"""Fitting a spline prior by maximum likelihood on samples of posteriors."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from textvae.gaussian import DiagonalGaussian
from textvae.latent.flow_training import start_at_gaussian, train_flow, white_samples
from textvae.models.spline_prior import SplinePrior
from textvae.progress import Progress, no_progress
from textvae.randomness.purposes import SPLINE
from textvae.randomness.seeds import derived_seed

WIDTH, LAYERS, BINS = 128, 4, 8
TRAINING_STEPS = 2_000
BATCH = 256
LEARNING_RATE = 2e-3
CHECKS = 20  # of the density of the held-out posteriors
PATIENCE = 5  # checks without a higher density
HELD_OUT = 2_000  # samples of the held-out posteriors in a check


def fit_spline(
    q: DiagonalGaussian,
    held_out: DiagonalGaussian,
    *,
    steps: int = TRAINING_STEPS,
    width: int = WIDTH,
    layers: int = LAYERS,
    bins: int = BINS,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> SplinePrior:
    """The neural spline flow of most likelihood for samples of posteriors (N, Z). Durkan 2019.

    Each step draws new samples of the posteriors. The training ends after `steps`, or earlier, when
    the density of held-out posteriors no longer rises; the weights of the highest density are kept.
    The first of them are those of the Gaussian.

    Args:
        held_out: posteriors of other sentences.

    Raises:
        UsageError: the package zuko is not installed.
    """
    random = torch.Generator().manual_seed(derived_seed(seed, SPLINE))  # on the CPU on every device
    prior = SplinePrior(q.mean.size(1), width, layers, bins)
    start_at_gaussian(prior, q, random)
    prior.to(device)
    train_flow(
        prior,
        negative_log_density,
        batches(prior, q, BATCH, random),
        next(batches(prior, held_out, HELD_OUT, random)),
        steps=steps,
        checks=CHECKS,
        patience=PATIENCE,
        learning_rate=LEARNING_RATE,
        name="spline",
        progress=progress,
    )
    return prior.requires_grad_(False).cpu()


def negative_log_density(prior: SplinePrior, x: Tensor) -> Tensor:
    """Mean of -log p(x) over whitened samples x (B, Z), in nats."""
    return -prior.log_prob_of_white(x).mean()


def batches(
    prior: SplinePrior, q: DiagonalGaussian, size: int, random: torch.Generator
) -> Iterator[tuple[Tensor]]:
    """Whitened samples (B, Z) of random posteriors."""
    N, Z = q.mean.shape
    q = DiagonalGaussian(q.mean.float().cpu(), q.log_variance.float().cpu())
    while True:
        rows = torch.randint(N, (size,), generator=random)
        yield (white_samples(prior, q, rows, torch.randn(size, Z, generator=random)),)
