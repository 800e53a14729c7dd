"""A fitted prior's file: the prior comes back, and nothing else is let in."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from textvae.errors import ModelFormatError, NotFoundError, UsageError
from textvae.latent.prior_file import FORMS, FittedPrior, PriorKind, fits_in_a_file

SIZES: dict[PriorKind, dict[str, int]] = {
    "gaussian": {"latent_size": 3},
    "mixture": {"latent_size": 3, "components": 2},
    "flow": {"latent_size": 3, "width": 8, "layers": 2},
    "spline": {"latent_size": 3, "width": 8, "layers": 2, "bins": 4},
}
FACTS: dict[str, Any] = {
    "n_sentences": 90,
    "n_held_out": 10,
    "seed": 4,
    "figures": {"log_density_gain": 0.5},
    "fingerprint": "0123",
}


def fitted(kind: PriorKind) -> FittedPrior:
    """A prior with random numbers."""
    if kind == "spline":
        pytest.importorskip("zuko")
    random = torch.Generator().manual_seed(0)
    prior = FORMS[kind].build(**SIZES[kind]).requires_grad_(False)
    for name, tensor in prior.state_dict().items():
        tensor.copy_(torch.randn(tensor.shape, generator=random) * 0.3)
        if name in ("factor", "factors"):
            tensor.copy_(tensor.tril() + 2 * torch.eye(3))
        if name == "log_weights":
            tensor.copy_(tensor.log_softmax(0))
    return FittedPrior(kind, prior, **FACTS)


@pytest.mark.parametrize("kind", FORMS)
def test_a_file_gives_back_the_prior(tmp_path: Path, kind: PriorKind) -> None:
    one, path = fitted(kind), tmp_path / "prior.safetensors"
    assert one.sizes == SIZES[kind]
    one.save(path)
    found = FittedPrior.load(path)
    noise = torch.randn(50, one.prior.noise_size)
    torch.testing.assert_close(found.prior.sample(noise), one.prior.sample(noise), rtol=0, atol=0)
    assert found.to_dict() == one.to_dict()
    assert (found.fingerprint, str(found)) == ("0123", str(one))
    assert path.read_bytes() == found.to_bytes()
    with pytest.raises(NotFoundError):
        FittedPrior.load(tmp_path)


def test_a_spline_without_its_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prior.safetensors"
    fitted("spline").save(path)
    for name in ("zuko", "zuko.transforms"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"needs the package zuko.*textvae\[flows\]"):
        FittedPrior.load(path)


def test_a_prior_that_could_not_be_read_again_is_not_saved(tmp_path: Path) -> None:
    path, one = tmp_path / "prior.safetensors", fitted("mixture")
    wrong = [
        replace(one, seed=-1),
        replace(one, figures={"log_density_gain": math.nan}),
        replace(one, figures={f"figure {number}": 0.5 for number in range(101)}),
        replace(one, prior=FORMS["mixture"].build(latent_size=3, components=2)),  # weights 1 and 1
    ]
    for bad in wrong:
        with pytest.raises(ModelFormatError, match="this prior: "):
            bad.save(path)
    assert not path.exists()


def test_the_limit_of_a_file_is_that_of_reading() -> None:
    """2 ** 27 numbers of 8 bytes are 1 GiB; the description takes some."""
    assert fits_in_a_file("mixture", latent_size=512, components=500)
    assert not fits_in_a_file("mixture", latent_size=512, components=512)
    assert fits_in_a_file("gaussian", latent_size=11_000)
    assert not fits_in_a_file("gaussian", latent_size=11_600)
    assert not fits_in_a_file("flow", latent_size=1, width=70_000, layers=1)


DESCRIPTION = {"format": "textvae-prior", "format_version": 1, "kind": "mixture"} | FACTS
DESCRIPTION["sizes"] = {"latent_size": 1, "components": 2}
ARRAYS = {
    "log_weights": np.log([0.5, 0.5]),
    "means": np.zeros((2, 1)),
    "factors": np.ones((2, 1, 1)),
}


def file_of(description: object = None, **tensors: np.ndarray) -> bytes:
    """A prior's file with some things other than they should be."""
    arrays = ARRAYS | tensors
    content = b"".join(np.asarray(arrays[name]).tobytes() for name in sorted(arrays))
    digest = {"sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(DESCRIPTION | digest | (description or {}))  # type: ignore[operator]
    return save(arrays, metadata={"textvae": text})


def test_the_file_that_the_refused_ones_differ_from_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    path.write_bytes(file_of())
    assert FittedPrior.load(path).prior.log_prob(torch.zeros(1, 1)).item() == pytest.approx(
        -0.5 * np.log(2 * np.pi)
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a prior"),
        (file_of()[:-1], "not a prior"),
        (save(ARRAYS), "no description"),
        (file_of({"format": "textvae-direction"}), "its format is 'textvae-direction'"),
        (file_of({"format_version": 2}), "newer textvae"),
        (file_of({"kind": "vamp"}), "gaussian, mixture, flow, spline"),
        (file_of({"kind": ["mixture"]}), "gaussian, mixture, flow, spline"),
        (file_of({"sizes": {"latent_size": 1}}), "latent_size, components"),
        (file_of({"sizes": {"latent_size": 1, "components": True}}), "from 1 to"),
        (file_of({"sizes": {"latent_size": 1, "components": 1 << 40}}), "from 1 to"),
        (file_of({"sizes": {"latent_size": 2, "components": 2}}), "holds"),
        (
            file_of({"kind": "flow", "sizes": {"latent_size": 1, "width": 1, "layers": 65}}),
            "layers 65; expected a number from 1 to 64",
        ),
        (file_of({"n_sentences": -1}), "wrong type"),
        (file_of({"figures": {"gain": "1"}}), "wrong type"),
        (file_of({"figures": {"gain": float("nan")}}), "wrong type"),
        (file_of({"fingerprint": None}), "wrong type"),
        (file_of({"sha256": "0"}), "damaged"),
        (file_of(other=np.ones(3)), "holds"),
        (file_of(means=np.zeros((2, 1), dtype=np.float32)), "float64"),
        (file_of(means=np.full((2, 1), np.inf)), "finite"),
        (file_of(means=np.full((2, 1), 1e300)), "no mixture distribution"),
        (file_of(factors=-np.ones((2, 1, 1))), "no mixture distribution"),
        (file_of(log_weights=np.zeros(2)), "no mixture distribution"),
    ],
)
def test_what_is_no_prior_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "p.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=reason) as caught:
        FittedPrior.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
