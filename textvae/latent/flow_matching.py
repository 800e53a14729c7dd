"""Flow matching: training the velocity field of a flow prior on samples of posteriors."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from textvae.gaussian import DiagonalGaussian
from textvae.latent.flow_training import start_at_gaussian, train_flow, white_samples
from textvae.models.flow_prior import FlowPrior
from textvae.progress import Progress, no_progress
from textvae.randomness.purposes import FLOW
from textvae.randomness.seeds import derived_seed

WIDTH, LAYERS = 128, 3
TRAINING_STEPS = 2_000
BATCH = 256
LEARNING_RATE = 3e-3
CHECKS = 10  # comparisons with the held-out posteriors
HELD_OUT = 2_000  # samples of the held-out posteriors in a comparison


def fit_flow(
    q: DiagonalGaussian,
    held_out: DiagonalGaussian,
    *,
    steps: int = TRAINING_STEPS,
    width: int = WIDTH,
    layers: int = LAYERS,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> FlowPrior:
    """The flow from noise to samples of posteriors (N, Z), trained by flow matching.

    Each step draws new samples of the posteriors. The weights are an average over the last steps,
    taken where the loss on the held-out posteriors is lowest.

    Args:
        held_out: posteriors of other sentences.
    """
    random = torch.Generator().manual_seed(derived_seed(seed, FLOW))  # on the CPU on every device
    prior = FlowPrior(q.mean.size(1), width, layers)
    start_at_gaussian(prior, q, random)
    prior.to(device)
    train_flow(
        prior,
        matching_loss,
        batches(prior, q, BATCH, random),
        next(batches(prior, held_out, HELD_OUT, random)),
        steps=steps,
        checks=CHECKS,
        learning_rate=LEARNING_RATE,
        name="flow",
        progress=progress,
    )
    return prior.requires_grad_(False).cpu()


def matching_loss(prior: FlowPrior, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    """Mean of |velocity(x_t, t) - (x_1 - x_0)|^2 / Z at x_t = (1 - t) x_0 + t x_1.

    Lipman 2023, eq. 23, with a smallest standard deviation of 0.
    """
    x_t = (1 - t) * x_0 + t * x_1
    return (prior.velocity(x_t, t) - (x_1 - x_0)).square().mean()


def batches(
    prior: FlowPrior, q: DiagonalGaussian, size: int, random: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Noise x_0 (B, Z), whitened samples x_1 (B, Z) of random posteriors, and times t (B, 1).

    The times of a batch are spread evenly, each in its own interval of length 1 / B.
    """
    device, (N, Z) = prior.mean.device, q.mean.shape
    q = DiagonalGaussian(q.mean.float().cpu(), q.log_variance.float().cpu())
    while True:
        rows = torch.randint(N, (size,), generator=random)
        noise = torch.randn(2, size, Z, generator=random)
        t = (torch.rand(1, generator=random) + torch.arange(size) / size) % 1
        white = white_samples(prior, q, rows, noise[1])
        yield noise[0].to(device), white, t[:, None].to(device)
