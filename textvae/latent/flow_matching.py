"""Flow matching: training the velocity field of a flow prior on samples of posteriors."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from textvae.gaussian import DiagonalGaussian
from textvae.latent.prior_fitting import fit_gaussian
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
AVERAGED = 0.05  # the weights are averaged over about this share of the steps


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
    gaussian = fit_gaussian(q)
    prior.mean.copy_(gaussian.mean)
    prior.factor.copy_(gaussian.factor)
    prior.initialize(random)
    prior.to(device)
    test = next(batches(prior, held_out, HELD_OUT, random))
    best, average = (math.inf, _weights(prior)), _weights(prior)
    optimizer = torch.optim.AdamW(prior.parameters(), lr=LEARNING_RATE)
    for step, batch in zip(range(1, steps + 1), batches(prior, q, BATCH, random), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss = matching_loss(prior, *batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        share = min(1.0, max(1 / step, 1 / (AVERAGED * steps)))
        for name, value in prior.named_parameters():
            average[name].lerp_(value.detach(), share)
        if step % max(steps // CHECKS, 1) == 0 or step == steps:
            best = min(best, (_loss_of(prior, average, test), average), key=lambda pair: pair[0])
            average = {name: value.clone() for name, value in average.items()}
            progress("flow", step, steps)
    prior.load_state_dict(best[1], strict=False)
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
    means, stddevs = q.mean.float().cpu(), q.stddev.float().cpu()
    while True:
        rows = torch.randint(N, (size,), generator=random)
        noise = torch.randn(2, size, Z, generator=random)
        t = (torch.rand(1, generator=random) + torch.arange(size) / size) % 1
        z = (means[rows] + stddevs[rows] * noise[1]).to(device)
        white = torch.linalg.solve_triangular(prior.factor, (z - prior.mean).T, upper=False).T
        yield noise[0].to(device), white, t[:, None].to(device)


def _weights(prior: FlowPrior) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in prior.named_parameters()}


@torch.no_grad()
def _loss_of(
    prior: FlowPrior, weights: dict[str, Tensor], batch: tuple[Tensor, Tensor, Tensor]
) -> float:
    """The loss with these weights in place of the prior's own."""
    own = _weights(prior)
    prior.load_state_dict(weights, strict=False)
    loss = matching_loss(prior, *batch).item()
    prior.load_state_dict(own, strict=False)
    return loss
