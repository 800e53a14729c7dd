"""Each sentence's posterior improved by gradient steps: what the encoder leaves unused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from textvae.evaluation.figures import Figures
from textvae.evaluation.likelihood import Chunk, Likelihood, restoring, rows_a_call
from textvae.gaussian import DiagonalGaussian
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress
from textvae.randomness.purposes import Purpose
from textvae.randomness.streams import SentenceNoise

SAMPLES = 32  # of each posterior; of half as many the steps learn some by heart
_GRAPH = 4  # memory of a decoder call with its gradient, in calls without
_GROWTH = 1.5  # of the step size after a step that was kept; after another it is halved


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
    """Posteriors (N, Z) after `steps` gradient steps on each one's ELBO, the model fixed.

    Semi-amortized inference, Kim 2018, section 3, at evaluation only: from the encoder's
    (mean, log-variance) along the natural gradient (Amari 1998), which for a Gaussian is
    (variance * d/d mean, 2 * d/d log-variance), no dimension further than one standard
    deviation or one unit of log-variance. The ELBO is that of `samples` fixed draws a sentence;
    a step that does not raise it is taken back and the sentence's step size halved. So a result
    depends on (seed, place of the sentence) alone, and no step lowers that estimate.

    Refined posteriors are any diagonal Gaussians, also where training binds the encoder's.
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
    """The posteriors (B, Z) of a chunk on their way up, each with its own step size."""

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
        """One step of each sentence, kept where it raises the bound."""
        q, (by_mean, by_log_variance) = self.q, self._gradient
        # The mean goes variance * gradient, so stddev * gradient standard deviations.
        candidate = DiagonalGaussian(
            q.mean + self._rate * q.stddev * (q.stddev * by_mean).clamp(-1, 1),
            q.log_variance + self._rate * (2 * by_log_variance).clamp(-1, 1),
        )
        bound, gradient = self._evaluated(candidate)
        better = (bound > self._bound)[:, None]  # not where it is nan
        self.q = DiagonalGaussian(
            torch.where(better, candidate.mean, q.mean),
            torch.where(better, candidate.log_variance, q.log_variance),
        )
        self._bound = torch.where(better[:, 0], bound, self._bound)
        self._gradient = torch.where(better, gradient, self._gradient)
        self._rate = torch.where(better, (_GROWTH * self._rate).clamp(max=1), self._rate / 2)

    def _evaluated(self, q: DiagonalGaussian) -> tuple[Tensor, Tensor]:
        """The ELBO by the fixed noise, (B,), and its gradients by mean and log-variance (2, B, Z).

        Some samples at a time, so that one call's graph is held at once.
        """
        parameters = [q.mean.clone().requires_grad_(), q.log_variance.clone().requires_grad_()]
        q = DiagonalGaussian(*parameters)
        prior = self._model.prior
        assert prior is not None  # of every model with a posterior
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
    """Noise (S, B, Z), each draw beside its mirror image, of mean 0 and variance 1 exactly.

    What few draws have by chance in either would be followed as if it were the sentence's;
    an odd number of samples is rounded up. Antithetic variates, Hammersley & Morton 1956.
    """
    half = SentenceNoise(seed, places, Purpose.REFINEMENT).draw(-(-samples // 2), size)
    half = half / half.square().mean(0).sqrt()
    return torch.cat([half, -half])


@contextmanager
def _for_gradients_of_latents(model: SentenceModel) -> Iterator[None]:
    """Evaluation mode with gradients, none for the weights; all is restored afterwards."""
    was_training = model.training
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):  # cuDNN goes backwards in training mode only;
            module.train()  # all that this changes is a dropout of its own, which none has
    for weight in learnt:
        weight.requires_grad_(False)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for weight in learnt:
            weight.requires_grad_(True)
        model.train(was_training)


def refined_figures(steps: int, found: Likelihood, before: Tensor) -> Figures:
    """The bound at refined posteriors, and how far the encoder's stays behind it.

    Taken with the noise of the unrefined figures, which is not the noise of the steps: so the
    estimate is fair, and a sentence's `amortization_gap` may come out below 0.

    - `rec_refined`, `kl_refined`, `nll_elbo_refined`: at refined posteriors.
    - `amortization_gap`: nll_elbo - nll_elbo_refined, paired; the part of the distance between
      the bound and -log p(x) that better inference would close with the same family of
      posteriors (Cremer 2018, section 3.1), from below: the steps may not have arrived.
    - `nll_iw_refined`: the importance-weighted estimate with refined posteriors as proposals;
      another estimate of the same number as `nll_iw`, lower where refinement helped it converge.

    Args:
        before: rec + kl of each sentence, with the encoder's posterior.
    """
    figures, after = Figures(), found.rec + found.kl
    figures.value("refine_steps", steps)
    figures.mean("rec_refined", found.rec, column=True)
    figures.mean("kl_refined", found.kl, column=True)
    figures.mean("nll_elbo_refined", after, column=True)
    figures.mean("amortization_gap", before - after, column=True)
    figures.mean("nll_iw_refined", found.nll, column=True)
    return figures
