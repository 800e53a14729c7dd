"""The model of a caller, who names a folder or a hub id, or hands over the object."""

from __future__ import annotations

from pathlib import Path

from textvae.api import TextVAE

Source = TextVAE | str | Path


def loaded(source: Source, device: str) -> TextVAE:
    """The model of `source`: a TextVAE as it is, else what the name stands for, on `device`.

    Raises:
        NotFoundError: there is no such folder, and no such model on the hub.
        ModelFormatError: it is damaged or no textvae model.
    """
    if isinstance(source, TextVAE):
        return source
    return TextVAE.from_pretrained(source, device=device)
