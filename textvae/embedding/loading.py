"""A model given as an object, a folder or a hub id."""

from __future__ import annotations

from pathlib import Path

from textvae.api import TextVAE

Source = TextVAE | str | Path


def loaded(source: Source, device: str) -> TextVAE:
    """The model of `source`: a TextVAE unchanged, or the model of a folder or hub id on `device`.

    Raises:
        NotFoundError: no folder and no hub model has this name.
        ModelFormatError: the model is damaged, or is not a textvae model.
    """
    if isinstance(source, TextVAE):
        return source
    return TextVAE.from_pretrained(source, device=device)
