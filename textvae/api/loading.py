"""Several models by their names, and models that must have a latent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from textvae.api.encoding import require_latent
from textvae.api.model import TextVAE
from textvae.errors import UsageError
from textvae.files.home import home_path


def load_all(models: Sequence[str | Path | TextVAE], device: str = "auto") -> dict[str, TextVAE]:
    """The models by their names, in their order.

    Raises:
        UsageError: two names mean one model.
        NotFoundError, ModelFormatError: as `TextVAE.from_pretrained`.
    """
    names = [_name_of(model, place) for place, model in enumerate(models, 1)]
    check_distinct(names)
    return {
        name: model if isinstance(model, TextVAE) else TextVAE.from_pretrained(model, device=device)
        for name, model in zip(names, models, strict=True)
    }


def load_encoders(names: Sequence[str], device: str, what: str) -> dict[str, TextVAE]:
    """The models by their names, each with a latent to do `what` by.

    Raises:
        UsageError: two names mean one model, or one is a language model.
    """
    check_distinct(names)
    return {name: load_encoder(name, device, what) for name in names}


def load_encoder(name: str, device: str, what: str) -> TextVAE:
    """The model, with a latent to do `what` by.

    Raises:
        UsageError: it is a language model.
    """
    vae = TextVAE.from_pretrained(name, device=device)
    require_latent(vae, what, name)
    return vae


def check_distinct(names: Sequence[str]) -> None:
    """Raise UsageError where two names mean one model."""
    seen: dict[str, str] = {}
    for name in names:
        folder = home_path(name)
        place = os.path.realpath(folder) if os.path.isdir(folder) else name
        if place in seen:
            same = "" if seen[place] == name else f", as {seen[place]}"
            raise UsageError(f"{name} is named twice{same}; name each model once")
        seen[place] = name


def _name_of(model: str | Path | TextVAE, place: int) -> str:
    if isinstance(model, TextVAE):
        return str(model.folder or f"model {place}")
    return str(model)
