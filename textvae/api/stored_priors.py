"""Fitted priors kept in the folder of their model, and the prior that a call names."""

from __future__ import annotations

import shlex
from pathlib import Path

from textvae.api.encoding import fingerprint_of, require_latent
from textvae.api.protocol import TextModel
from textvae.errors import DataError, NotFoundError, UsageError, shown, worded
from textvae.files.names import PRIOR_FILE
from textvae.latent.prior_file import FittedPrior
from textvae.saving.folder import own_file

GivenPrior = FittedPrior | str | Path | bool  # True: that in the model's folder


def store_prior(vae: TextModel, prior: FittedPrior) -> Path:
    """Write a fitted prior into the model's folder, in place of an earlier one; its file.

    Raises:
        UsageError: the model has no folder.
        DataError: the prior belongs to another model.
    """
    folder = _folder(vae)
    path = folder / PRIOR_FILE
    checked_prior(vae, prior).save(path, follow=False)
    return path


def remove_prior(vae: TextModel) -> bool:
    """Delete the fitted prior from the model's folder; False if there was none."""
    path = _folder(vae) / PRIOR_FILE
    found = path.is_file() or path.is_symlink()
    path.unlink(missing_ok=True)
    return found


def stored_prior(vae: TextModel, name: str | None = None) -> FittedPrior | None:
    """The fitted prior in the model's folder; None if there is none.

    Raises:
        ModelFormatError: the file is damaged, or a link that leads out of the folder.
        DataError: the prior belongs to other weights than those in the folder.
    """
    if vae.folder is None or not own_file(vae.folder, PRIOR_FILE).is_file():
        return None
    return checked_prior(vae, vae.folder / PRIOR_FILE, name)


def checked_prior(vae: TextModel, prior: GivenPrior, name: str | None = None) -> FittedPrior:
    """The fitted prior itself, from its file, or (True) from the model's folder.

    Raises:
        NotFoundError: no such file; or the model has no fitted prior.
        ModelFormatError: the file is damaged.
        DataError: the prior belongs to another model.
        UsageError: a language model, or something else than a fitted prior.
    """
    require_latent(vae, "use a fitted prior", name)
    model = name or str(vae.folder or "MODEL")
    fit = worded(
        f"textvae prior {shlex.quote(model)} --fit mixture",
        "vae.store_prior(vae.fit_prior('mixture'))",
    )
    if prior is True:
        found = stored_prior(vae, name)
        if found is None:
            raise NotFoundError(f"{model} has no fitted prior; fit one with {fit}")
        return found
    path = "this prior"
    if isinstance(prior, str | Path):
        path, prior = str(prior), FittedPrior.load(prior)
    if not isinstance(prior, FittedPrior):
        raise UsageError(f"prior is {shown(prior)}; expected True, a FittedPrior or its file")
    if prior.fingerprint != fingerprint_of(vae) or prior.prior.latent_size != vae.latent_size:
        raise DataError(f"{path} was fitted to other weights than {model}; fit it again with {fit}")
    return prior


def _folder(vae: TextModel) -> Path:
    if vae.folder is None:
        raise UsageError("this model has no folder; save the prior itself with prior.save(path)")
    return vae.folder
