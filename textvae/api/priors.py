"""Priors fitted after training: a better distribution of latents than that of the training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from textvae.api.encoding import fingerprint_of, require_latent, warn_of_cut
from textvae.api.protocol import TextModel
from textvae.api.scorers import training_rows
from textvae.arguments import seed_of, whole_number
from textvae.data.batches import cut_to_limit
from textvae.data.input_rows import CHUNK, Sentences, name_of, prepared_rows, with_text
from textvae.data.rows import Row, hash_fraction
from textvae.errors import DataError, UsageError, flag, option, shown
from textvae.evaluation.sentences import lowest_hashed_rows, lowest_hashes
from textvae.gaussian import DiagonalGaussian
from textvae.latent import flow_matching, spline_fitting
from textvae.latent.prior_file import PRIOR_KINDS, FittedPrior, PriorKind, fits_in_a_file
from textvae.latent.prior_fitting import fit_gaussian, fit_mixture, told_apart
from textvae.models.device import exact_float32
from textvae.models.prior import Prior
from textvae.models.spline_prior import spline_transform
from textvae.number_format import counted, human
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress
from textvae.randomness.streams import SampleStreams

HELD_OUT = 0.1  # share of the sentences that judge the fit
LIMIT = 50_000  # sentences, more than a prior needs
LEAST_SENTENCES = 100
FEWEST_HELD_OUT = 5  # different sentences
MOST_COMPONENTS = 1_024  # memory grows with components times samples
JUDGED = 2_000  # samples that are compared with as many held-out posteriors
DRAWS = 8  # of each held-out posterior, for the gain in log density
POINT = -torch.inf  # log-variance of a code
SIZES: dict[PriorKind, dict[str, int]] = {  # beside the size of the latent
    "mixture": {"components": 1},
    "flow": {"width": flow_matching.WIDTH, "layers": flow_matching.LAYERS},
    "spline": {
        "width": spline_fitting.WIDTH,
        "layers": spline_fitting.LAYERS,
        "bins": spline_fitting.BINS,
    },
}


@shows_progress
def fit_prior(
    vae: TextModel,
    kind: PriorKind,
    sentences: Sentences | None = None,
    *,
    components: int | None = None,
    steps: int | None = None,
    limit: int = LIMIT,
    name: str | None = None,
    text_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> FittedPrior:
    """A prior fitted to the aggregate posterior of sentences; the model stays as it is.

    - `gaussian`: a Gaussian with full covariance, in closed form.
    - `mixture`: a mixture of such Gaussians, by EM on samples of the posteriors.
    - `flow`: flow matching (Lipman 2023), which gives samples but no density.
    - `spline`: a neural spline flow (Durkan 2019), which has a density, by maximum likelihood on
      samples of the posteriors, until the density of the held-out ones no longer rises. Needs the
      package zuko: `pip install 'textvae[flows]'`.

    A tenth of the sentences, by a hash of the text, is held out. `figures` of the result has:

    - `log_density_gain` with its standard error: mean of log p(z) under the fitted prior minus that
      under the model's own prior, in nats, over samples z of the held-out posteriors. The KL of
      these posteriors to the prior falls by as much. Absent for a flow.
    - `told_apart`: the share of samples of the fitted prior and of the held-out posteriors that a
      nearest-neighbor classifier tells apart; 0.5 is the best. `told_apart_own` is the same for the
      model's own prior. See `textvae.latent.prior_fitting.told_apart`. Sentences with the same
      tokens count once: their codes in an ae are equal, and so each would be the nearest neighbor
      of the other, whatever the prior.

    >>> vae.generate(5, prior=vae.fit_prior("mixture"))  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences; None: the training text.
        components: of a mixture; None: the number with the highest held-out density.
        steps: of the training of a flow, or the most steps of a spline; None: 2,000.
        limit: fit to at most so many sentences, chosen by a hash of the text.
        seed: None takes a fresh one.

    Raises:
        UsageError: a language model, an unknown kind, an option of another kind, more than 1,024
            components or than fit into a file, or a spline without zuko.
        NotFoundError: the training text is not there.
        DataError: fewer than 100 sentences.
    """
    require_latent(vae, "fit a prior", name)
    _check_options(kind, components, steps)
    _check_size(vae.latent_size, kind, components)
    if kind == "spline":
        spline_transform()  # before the sentences are encoded
    limit = whole_number("limit", limit, least=LEAST_SENTENCES, example=LIMIT)
    seed, watcher = seed_of(seed), watcher or Watcher()
    source = "the training text" if sentences is None else name_of(sentences)
    if sentences is None:
        rows = training_rows(vae.config.data)
    else:
        rows = prepared_rows(
            sentences, vae.config.data, text_column=text_column, remarks=watcher.remarks
        )
    texts = _chosen(with_text(rows, source, watcher.warn), limit, source)
    q = _posteriors(vae, texts, watcher)
    apart = _held_out(texts)
    sets = q[~apart], q[apart]
    judged = _judged(vae, [text for text, own in zip(texts, apart, strict=True) if own])
    prior = _fitted(vae, kind, sets, components, steps, seed, watcher)
    figures = _figures(vae, prior, sets[1], judged, seed)
    _warn_if_worse(figures, kind, watcher)
    return FittedPrior(
        kind=kind,
        prior=prior.eval(),
        n_sentences=len(sets[0].mean),
        n_held_out=len(sets[1].mean),
        seed=seed,
        figures=figures,
        fingerprint=fingerprint_of(vae),
    )


def _fitted(
    vae: TextModel,
    kind: PriorKind,
    sets: tuple[DiagonalGaussian, DiagonalGaussian],
    components: int | None,
    steps: int | None,
    seed: int,
    watcher: Watcher,
) -> Prior:
    """The prior of posteriors that are fitted to, and of others that judge."""
    progress, device = watcher.progress, vae.model.device
    if kind == "gaussian":
        return fit_gaussian(sets[0])
    if kind == "mixture":
        most = _most_components(vae.latent_size)
        found = fit_mixture(*sets, components=components, most=most, seed=seed, progress=progress)
        return found.prior
    if kind == "flow":
        steps = steps or flow_matching.TRAINING_STEPS
        return flow_matching.fit_flow(
            *sets, steps=steps, seed=seed, device=device, progress=progress
        )
    steps = steps or spline_fitting.TRAINING_STEPS
    return spline_fitting.fit_spline(
        *sets, steps=steps, seed=seed, device=device, progress=progress
    )


def _check_size(latent_size: int, kind: PriorKind, components: int | None) -> None:
    """Raise UsageError if the file of the prior would be larger than one that can be read."""
    sizes = {"latent_size": latent_size, **SIZES.get(kind, {})}
    if not fits_in_a_file(kind, **sizes):
        raise UsageError(
            f"a {kind} of {latent_size:,} dimensions does not fit into a file of a prior; use a "
            "model with a smaller latent_size"
        )
    if components is not None and components > (most := _most_components(latent_size)):
        raise UsageError(
            f"{option('components', components)}: {most:,} of {latent_size:,} dimensions fit into "
            "a file; use fewer"
        )


def _most_components(latent_size: int) -> int:
    """The largest number of components of a mixture that fits into a file."""
    numbers = range(1, MOST_COMPONENTS + 1)
    return sum(fits_in_a_file("mixture", latent_size=latent_size, components=n) for n in numbers)


def _check_options(kind: PriorKind, components: int | None, steps: int | None) -> None:
    if kind not in PRIOR_KINDS:
        raise UsageError(f"prior {shown(kind)} is unknown; choose from {', '.join(PRIOR_KINDS)}")
    for option_name, value, of in (
        ("components", components, ("mixture",)),
        ("steps", steps, ("flow", "spline")),
    ):
        if value is not None:
            whole_number(option_name, value, least=1, example=8)
            if option_name == "components" and value > MOST_COMPONENTS:
                raise UsageError(
                    f"{option(option_name, value)}: expected {MOST_COMPONENTS:,} at most"
                )
            if kind not in of:
                raise UsageError(
                    f"{option(option_name, value)} is for a {' or a '.join(of)}, not for a prior "
                    f"of the kind {kind}; leave {flag(option_name)} out"
                )


def _chosen(rows: Iterator[Row], limit: int, source: str) -> list[str]:
    """At most `limit` texts.

    Raises:
        DataError: too few for a fit.
    """
    kept, _ = lowest_hashed_rows(rows, limit)
    different = len({row.text for _, row in kept})
    if different < LEAST_SENTENCES:
        raise DataError(
            f"{source}: {counted(different, 'different sentence')} with text; a prior needs "
            f"{LEAST_SENTENCES} or more"
        )
    return [row.text for _, row in kept]


def _held_out(texts: Sequence[str]) -> Tensor:
    """True for the texts that judge the fit, (N,): a tenth by a hash, equal texts alike.

    Few texts can have no hash in this tenth; the lowest hashes are taken then.
    """
    hashes = [hash_fraction(text, purpose="prior") for text in texts]
    below = max(HELD_OUT, sorted(set(hashes))[FEWEST_HELD_OUT])
    return torch.tensor([own < below for own in hashes])


def _judged(vae: TextModel, texts: Sequence[str], most: int = JUDGED) -> list[int]:
    """The places of at most so many texts, of those that the encoder reads as different tokens.

    A hash of the text chooses: the first ones of a sorted file would be of one kind.
    """
    ids, _ = cut_to_limit(vae.encoder_tokenizer.encode(texts), vae.max_tokens_read)
    first: dict[tuple[int, ...], int] = {}
    for place, own in enumerate(ids):
        first.setdefault(tuple(own), place)
    places = list(first.values())
    return [places[i] for i in lowest_hashes([texts[place] for place in places], most)]


def _posteriors(vae: TextModel, texts: Sequence[str], watcher: Watcher) -> DiagonalGaussian:
    """q(z|x) of the texts, (N, Z), on the CPU; the code of an autoencoder has variance 0."""
    parts, n_cut = [], 0
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        found = vae.embed(chunk, with_variance=vae.model.has_density)
        n_cut += found.cut
        mean = torch.from_numpy(found.vectors)
        log_variance = torch.full_like(mean, POINT)
        if found.variances is not None:
            log_variance = torch.from_numpy(found.variances).log()
        parts.append(DiagonalGaussian(mean, log_variance))
        watcher.progress("encoding", min(start + len(chunk), len(texts)), len(texts))
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)
    return DiagonalGaussian.cat(parts)


# how good a fit is


def _figures(
    vae: TextModel,
    prior: Prior,
    held_out: DiagonalGaussian,
    judged: Sequence[int],
    seed: int,
) -> dict[str, float]:
    """The figures of `fit_prior`; `judged`: the places of posteriors of different sentences."""
    own = vae.model.prior
    assert own is not None  # a model with a latent has one
    figures: dict[str, float] = {}
    with torch.no_grad(), exact_float32(vae.model.device):
        if prior.has_density:
            gain = _gain(prior, own, held_out, seed)
            figures["log_density_gain"] = gain.mean().item()
            figures["log_density_gain_se"] = gain.std().item() / len(gain) ** 0.5
        N = len(judged)
        streams = SampleStreams(seed, np.arange(N))
        real = held_out[torch.tensor(judged)].sample(streams.normal(vae.latent_size))
        for name, one in (("told_apart", prior), ("told_apart_own", own)):
            # Not the noise of the first samples that a user draws with this seed, nor that of z.
            noise = SampleStreams(seed, np.arange(N, 2 * N)).normal(one.noise_size)
            figures[name] = told_apart(one.sample(noise), real)
    return figures


def _warn_if_worse(figures: dict[str, float], kind: PriorKind, watcher: Watcher) -> None:
    """Warn where the model's own prior has the higher density, beyond two standard errors."""
    loss = -figures.get("log_density_gain", 0.0)
    if loss > 2 * figures.get("log_density_gain_se", 0.0):
        fewer = f"fewer {flag('components')}" if kind == "mixture" else "another kind"
        watcher.warn(
            f"the model's own prior is better: the density of held-out posteriors is {human(loss)} "
            f"nats lower under the fitted one; try {fewer}, or use no fitted prior"
        )


def _gain(prior: Prior, own: Prior, q: DiagonalGaussian, seed: int) -> Tensor:
    """log p(z) minus log p(z) under the model's own prior, mean over z of each posterior, (N,)."""
    N, Z = q.mean.shape
    gains = []
    for draw in range(DRAWS):
        noise = SampleStreams(seed, np.arange(draw * N, (draw + 1) * N)).normal(Z)
        z = q.sample(noise).double()
        gains.append(prior.log_prob(z) - own.log_prob(z))
    return torch.stack(gains).mean(0)
