"""What the fits of flows share: the start at a Gaussian, samples of posteriors, training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from textvae.gaussian import DiagonalGaussian
from textvae.latent.prior_fitting import fit_gaussian
from textvae.models.flow_prior import FlowPrior
from textvae.models.spline_prior import SplinePrior
from textvae.progress import Progress

AVERAGED = 0.05  # the weights are averaged over about this share of the steps

Flow = FlowPrior | SplinePrior
Batch = tuple[Tensor, ...]
Loss = Callable[..., Tensor]  # of a flow and a batch


def start_at_gaussian(prior: Flow, q: DiagonalGaussian, random: torch.Generator) -> None:
    """Make the flow the Gaussian of the posteriors (N, Z), with random weights inside."""
    gaussian = fit_gaussian(q)
    prior.mean.copy_(gaussian.mean)
    prior.factor.copy_(gaussian.factor)
    prior.initialize(random)


def white_samples(prior: Flow, q: DiagonalGaussian, rows: Tensor, noise: Tensor) -> Tensor:
    """factor^-1 (z - mean) of a sample z of each of these posteriors, (B, Z).

    Args:
        q: posteriors (N, Z) on the CPU, in float32.
        rows: (B,) on the CPU.
        noise: (B, Z) on the CPU.
    """
    z = q[rows].sample(noise).to(prior.mean)
    return torch.linalg.solve_triangular(prior.factor, (z - prior.mean).T, upper=False).T


def train_flow(
    prior: Flow,
    loss: Loss,
    batches: Iterator[Batch],
    held_out: Batch,
    *,
    steps: int,
    checks: int,
    patience: int | None = None,
    learning_rate: float,
    name: str,
    progress: Progress,
) -> None:
    """Train the parameters of a flow, in place, with a learning rate that falls as a cosine.

    The flow ends with an average of its weights over the last steps before one of the checks,
    that of the lowest loss on `held_out`; or with its first weights, where none was lower.

    Args:
        checks: comparisons on `held_out`, evenly spread.
        patience: stop after so many checks without a lower loss; None: never.
        name: of the work, for `progress`.
    """
    best, average, since = _weights(prior), _weights(prior), 0
    lowest = _loss_with(prior, loss, best, held_out)
    optimizer = torch.optim.AdamW(prior.parameters(), lr=learning_rate)
    for step, batch in zip(range(1, steps + 1), batches, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        mean = loss(prior, *batch)
        optimizer.zero_grad()
        mean.backward()
        optimizer.step()
        share = min(1.0, max(1 / step, 1 / (AVERAGED * steps)))
        for key, value in prior.named_parameters():
            average[key].lerp_(value.detach(), share)
        if step % max(steps // checks, 1) == 0 or step == steps:
            found = _loss_with(prior, loss, average, held_out)
            since += 1
            if found < lowest:
                lowest, since = found, 0
                best = {key: value.clone() for key, value in average.items()}
            progress(name, step, steps)
            if since == patience:
                progress(name, steps, steps)
                break
    prior.load_state_dict(best, strict=False)


def _weights(prior: Flow) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in prior.named_parameters()}


@torch.no_grad()
def _loss_with(prior: Flow, loss: Loss, weights: dict[str, Tensor], batch: Batch) -> float:
    """The loss with these weights in place of the prior's own."""
    own = _weights(prior)
    prior.load_state_dict(weights, strict=False)
    found = loss(prior, *batch).item()
    prior.load_state_dict(own, strict=False)
    return found
