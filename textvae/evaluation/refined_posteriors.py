"""Posteriors improved by gradient steps on each sentence: the amortization gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from textvae.evaluation.likelihood import Chunk, Likelihood, restoring, rows_a_call
from textvae.evaluation.measurements import Figures
from textvae.gaussian import DiagonalGaussian
from textvae.models.device import exact_float32
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress
from textvae.randomness.purposes import Purpose
from textvae.randomness.streams import SentenceNoise

SAMPLES = 32  # per posterior; with half as many the steps overfit the noise
_GRAPH = 4  # memory of a decoder call with gradient / without
_GROWTH = 1.5  # of the step size after an accepted step; a rejected step halves it


def refine(
    model: SentenceModel,
    chunks: Sequence[Chunk],
    q: DiagonalGaussian,
    *,
    steps: int,
    seed: int,
    samples: int = SAMPLES,
    progress: Progress | None = None,
) -> DiagonalGaussian:
    """Posteriors (N, Z) after `steps` gradient steps on the ELBO of each sentence; model fixed.

    Semi-amortized inference (Kim 2018, section 3) at evaluation only. The steps start at the
    encoder's (mean, log-variance) and follow the natural gradient (Amari 1998), which is
    (variance * d/d mean, 2 * d/d log-variance) for a Gaussian. A step moves each dimension by at
    most one standard deviation and one unit of log-variance.

    The ELBO is estimated from `samples` fixed draws per sentence. A step that does not increase
    this estimate is rejected, and the sentence's step size is halved. So the estimate never
    decreases, and a result depends only on the seed and the index of the sentence.

    A refined posterior can be any diagonal Gaussian, even if training constrains the encoder's.
    """
    parts, done, total = [], 0, steps * sum(len(chunk.places) for chunk in chunks)
    with _for_gradients_of_latents(model):
        for chunk in chunks:
            climb = _Climb(model, chunk, q[chunk.places], seed, samples)
            for _ in range(steps):
                climb.step()
                done += len(chunk.places)
                if progress is not None:
                    progress("refinement", done, total)
            parts.append(climb.q)
    return DiagonalGaussian.cat(parts)[restoring(chunks)]


class _Climb:
    """Gradient ascent for the posteriors (B, Z) of a chunk, each with its own step size."""

    def __init__(
        self, model: SentenceModel, chunk: Chunk, q: DiagonalGaussian, seed: int, samples: int
    ) -> None:
        self._model = model
        self._tokens = chunk.target.to(model.device)
        B, T = chunk.target.ids.size()
        self._noise = balanced_noise(seed, chunk.places, samples, q.mean.size(1))
        self._at_once = max(1, rows_a_call(model, T) // (_GRAPH * B))  # samples
        self._rate = torch.ones(B, 1, dtype=torch.float64)
        self.q = q
        self._bound, self._gradient = self._evaluated(q)

    def step(self) -> None:
        """One step for each sentence, accepted if it increases the bound."""
        q, (by_mean, by_log_variance) = self.q, self._gradient
        # The mean moves by variance * gradient, which is stddev * gradient in standard deviations.
        candidate = DiagonalGaussian(
            q.mean + self._rate * q.stddev * (q.stddev * by_mean).clamp(-1, 1),
            q.log_variance + self._rate * (2 * by_log_variance).clamp(-1, 1),
        )
        bound, gradient = self._evaluated(candidate)
        better = (bound > self._bound)[:, None]  # False for nan
        self.q = DiagonalGaussian(
            torch.where(better, candidate.mean, q.mean),
            torch.where(better, candidate.log_variance, q.log_variance),
        )
        self._bound = torch.where(better[:, 0], bound, self._bound)
        self._gradient = torch.where(better, gradient, self._gradient)
        self._rate = torch.where(better, (_GROWTH * self._rate).clamp(max=1), self._rate / 2)

    def _evaluated(self, q: DiagonalGaussian) -> tuple[Tensor, Tensor]:
        """The ELBO (B,) from the fixed noise, and its gradient for mean and log-variance (2, B, Z).

        The samples are split, so that only the graph of one decoder call is in memory.
        """
        parameters = [q.mean.clone().requires_grad_(), q.log_variance.clone().requires_grad_()]
        q = DiagonalGaussian(*parameters)
        prior = self._model.prior
        assert prior is not None  # every model with a posterior has one
        bound, gradient = torch.zeros_like(q.mean[:, 0]), torch.zeros(2, *q.mean.size()).to(q.mean)
        exact = prior.exact_kl(q)
        if exact is not None:
            bound = -exact.detach()
            gradient = -torch.stack(torch.autograd.grad(exact.sum(), parameters))
        S = len(self._noise)
        for noise in self._noise.split(self._at_once):
            z = q.sample(noise)
            latents = z.float().to(self._model.device)
            part = self._model.decoder.log_likelihood(self._tokens, latents).cpu().double().sum(0)
            if exact is None:
                part = part - len(noise) * prior.kl(q, z)
            part = part / S
            bound += part.detach()
            gradient += torch.stack(torch.autograd.grad(part.sum(), parameters))
        return bound, gradient


def balanced_noise(seed: int, places: Tensor, samples: int, size: int) -> Tensor:
    """Noise (S, B, Z) in pairs of opposite sign, with mean 0 and variance 1 exactly.

    With few draws, the steps would follow a random mean or variance of the noise. An odd number of
    samples is rounded up. Antithetic variates: Hammersley & Morton 1956.
    """
    half = SentenceNoise(seed, places, Purpose.REFINEMENT).draw(-(-samples // 2), size)
    half = half / half.square().mean(0).sqrt()
    return torch.cat([half, -half])


@contextmanager
def _for_gradients_of_latents(model: SentenceModel) -> Iterator[None]:
    """A block in evaluation mode with gradients, except for weights; restored at the end."""
    was_training = model.training
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):  # cuDNN has gradients in training mode only;
            module.train()  # the mode changes only the module's own dropout, which is 0
    for weight in learnt:
        weight.requires_grad_(False)
    try:
        with torch.inference_mode(False), torch.enable_grad(), exact_float32(model.device):
            yield
    finally:
        for weight in learnt:
            weight.requires_grad_(True)
        model.train(was_training)


def refined_figures(steps: int, found: Likelihood, before: Tensor) -> Figures:
    """The bound at refined posteriors, and its distance to the bound at the encoder's posteriors.

    Both bounds use the same noise, which is not the noise of the steps. So the estimate is
    unbiased, and the `amortization_gap` of a sentence can be negative.

    - `rec_refined`, `kl_refined`, `nll_elbo_refined`: at refined posteriors.
    - `amortization_gap`: nll_elbo - nll_elbo_refined, paired. The part of the distance between the
      bound and -log p(x) that better inference could close with the same family of posteriors
      (Cremer 2018, section 3.1). A lower estimate, because the steps may not have converged.
    - `nll_iw_refined`: the importance-weighted estimate with refined posteriors as proposals. It
      estimates the same number as `nll_iw`, and is lower if refinement improved convergence.

    Args:
        before: rec + kl of each sentence at the encoder's posterior.
    """
    figures, after = Figures(), found.rec + found.kl
    figures.value("refine_steps", steps)
    figures.mean("rec_refined", found.rec, column=True)
    figures.mean("kl_refined", found.kl, column=True)
    figures.mean("nll_elbo_refined", after, column=True)
    figures.mean("amortization_gap", before - after, column=True)
    figures.mean("nll_iw_refined", found.nll, column=True)
    return figures
