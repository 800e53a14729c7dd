"""A prior that was fitted after training, and its file beside the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from textvae.errors import ModelFormatError, shown, worded
from textvae.files import described_tensors
from textvae.files.atomic import replacing
from textvae.files.described_tensors import FileKind, Shape
from textvae.files.home import home_path
from textvae.models.flow_prior import FlowPrior
from textvae.models.mixture_prior import MixturePrior
from textvae.models.prior import CodeGaussian, Prior
from textvae.models.spline_prior import SplinePrior

PriorKind = Literal["gaussian", "mixture", "flow", "spline"]
PRIOR_KINDS: tuple[PriorKind, ...] = get_args(PriorKind)

KIND = FileKind(
    format="textvae-prior",
    version=1,
    noun="fitted prior",
    origin="prior of textvae prior",
    example="prior.safetensors",
)
MOST = 1 << 16  # limit for each size in a file, but for these
MOST_OF = {"layers": 64, "bins": 256}  # what a sample costs beyond its share of the file
MOST_FIGURES = 100


@dataclass(frozen=True)
class Form:
    """How a kind of prior is built, and what its file holds.

    Args:
        sizes: the names of its sizes, which are attributes of the prior; the first of them is Z.
        build: the prior of these sizes.
        shapes: the shapes of its tensors, by name, for these sizes.
    """

    sizes: tuple[str, ...]
    build: Callable[..., Prior]
    shapes: Callable[..., Mapping[str, Shape]]


def _gaussian_shapes(latent_size: int) -> dict[str, Shape]:
    return {"mean": (latent_size,), "factor": (latent_size, latent_size)}


FORMS: dict[PriorKind, Form] = {
    "gaussian": Form(("latent_size",), CodeGaussian, _gaussian_shapes),
    "mixture": Form(("latent_size", "components"), MixturePrior, MixturePrior.shapes),
    "flow": Form(("latent_size", "width", "layers"), FlowPrior, FlowPrior.shapes),
    "spline": Form(("latent_size", "width", "layers", "bins"), SplinePrior, SplinePrior.shapes),
}


@dataclass(frozen=True, eq=False)
class FittedPrior:
    """A distribution of latents that was fitted to the posteriors of sentences.

    Args:
        kind: `gaussian`, `mixture`, `flow` or `spline`.
        prior: the distribution.
        n_sentences: how many sentences it was fitted to.
        n_held_out: how many other sentences it was judged by.
        seed: of the fit.
        figures: how good the fit is, by name; see `TextVAE.fit_prior`.
        fingerprint: of the model whose posteriors these are.
    """

    kind: PriorKind
    prior: Prior
    n_sentences: int
    n_held_out: int
    seed: int
    figures: dict[str, float]
    fingerprint: str

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the prior, by name."""
        return {name: getattr(self.prior, name) for name in FORMS[self.kind].sizes}

    def to_dict(self) -> dict[str, Any]:
        """The prior as `textvae prior --json` prints it, but for the model."""
        sizes = {name: size for name, size in self.sizes.items() if name != "latent_size"}
        facts = {"n_sentences": self.n_sentences, "n_held_out": self.n_held_out, "seed": self.seed}
        return {"prior": self.kind, **sizes, **facts, **self.figures}

    def __str__(self) -> str:
        components = self.sizes.get("components")
        return self.kind if components is None else f"{self.kind} of {components:,}"

    def save(self, path: str | Path, *, follow: bool = True) -> None:
        """Write the file that `load` reads, completely or not at all.

        Args:
            follow: write through a symbolic link, instead of replacing the link.

        Raises:
            DataError, ModelFormatError: `load` would refuse the file; nothing is written.
        """
        content = self.to_bytes()
        with replacing(home_path(path), follow=follow) as file:
            file.write(content)

    def to_bytes(self) -> bytes:
        """The content of the file: safetensors, with everything else as JSON in its metadata."""
        facts = {name: value for name, value in vars(self).items() if name != "prior"}
        facts["sizes"] = self.sizes
        _form("this prior", facts)
        _check_facts("this prior", facts)
        _check_distribution("this prior", self.kind, self.prior)
        tensors = self.prior.state_dict().items()
        arrays = {name: tensor.cpu().numpy() for name, tensor in tensors}
        return described_tensors.content(KIND, facts, arrays)

    @classmethod
    def load(cls, path: str | Path) -> FittedPrior:
        """The prior in a file.

        Raises:
            NotFoundError: no such file.
            ModelFormatError: the file is damaged, or not a fitted prior.
            UsageError: a spline, and the package zuko is not installed.
        """
        place = home_path(path)

        def check(described: dict[str, Any], shapes: dict[str, Shape]) -> dict[str, Shape]:
            kind, sizes = _form(place, described)
            _check_facts(place, described)
            return dict(FORMS[kind].shapes(**sizes))

        writes = worded("textvae prior --fit", "vae.fit_prior(...).save(path)")
        described, tensors = described_tensors.read(place, KIND, check, writes=writes)
        kind, sizes = _form(place, described)
        prior = FORMS[kind].build(**sizes).requires_grad_(False)
        for name, tensor in prior.state_dict().items():
            tensor.copy_(tensor.new_tensor(tensors[name]))
        _check_distribution(place, kind, prior)
        names = ("n_sentences", "n_held_out", "seed", "figures", "fingerprint")
        return cls(kind, prior.eval(), **{name: described[name] for name in names})


def fits_in_a_file(kind: PriorKind, **sizes: int) -> bool:
    """True if the file of a prior of these sizes is not too large to be read."""
    numbers = sum(map(math.prod, FORMS[kind].shapes(**sizes).values()))
    small = all(size <= MOST_OF.get(name, MOST) for name, size in sizes.items())
    return small and numbers <= described_tensors.MOST_NUMBERS


def _form(path: Path | str, described: Mapping[str, Any]) -> tuple[PriorKind, dict[str, int]]:
    """The kind and the sizes of a prior.

    Raises:
        ModelFormatError: a value is missing or out of range.
    """
    kind, sizes = described.get("kind"), described.get("sizes")
    if not isinstance(kind, str) or kind not in FORMS:
        raise ModelFormatError(f"{path}: kind {shown(kind)}; expected {', '.join(PRIOR_KINDS)}")
    names = FORMS[kind].sizes
    if not isinstance(sizes, dict) or sizes.keys() != {*names}:
        raise ModelFormatError(f"{path}: sizes {shown(sizes)}; expected {', '.join(names)}")
    for name, size in sizes.items():
        most = MOST_OF.get(name, MOST)
        if not (type(size) is int and 0 < size <= most):
            raise ModelFormatError(
                f"{path}: {name} {shown(size)}; expected a number from 1 to {most:,}"
            )
    return kind, sizes


def _check_facts(path: Path | str, described: Mapping[str, Any]) -> None:
    """Raise ModelFormatError if a fact is missing or has the wrong type."""
    counts = [described.get(name) for name in ("n_sentences", "n_held_out", "seed")]
    figures = described.get("figures")
    if (
        not all(type(count) is int and count >= 0 for count in counts)
        or not isinstance(described.get("fingerprint"), str)
        or not isinstance(figures, dict)
        or len(figures) > MOST_FIGURES
        or not all(type(one) is float and math.isfinite(one) for one in figures.values())
    ):
        raise ModelFormatError(
            f"{path}: n_sentences, n_held_out, seed, figures or fingerprint is missing or has the "
            "wrong type"
        )


def _check_distribution(path: Path | str, kind: PriorKind, prior: Prior) -> None:
    """Raise ModelFormatError if the tensors of a prior are no distribution.

    The numbers fit into float32, all scales are positive, weights add up to 1, and the networks
    give numbers.
    """
    tensors = prior.state_dict()
    scales = [value for name, value in tensors.items() if name in ("factor", "factors")]
    weights = tensors.get("log_weights")
    if (
        not all(bool(value.isfinite().all()) for value in tensors.values())
        or any(bool((scale.diagonal(dim1=-2, dim2=-1) <= 0).any()) for scale in scales)
        or any(bool((scale.triu(1) != 0).any()) for scale in scales)
        or (weights is not None and abs(weights.double().logsumexp(0).item()) >= 1e-3)
        or not bool(prior.sample(torch.ones(1, prior.noise_size)).isfinite().all())
    ):
        raise ModelFormatError(f"{path}: its numbers are no {kind} distribution")
