"""The pretrained models behind a saved model: what its folder says of them, or holds of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textvae.config.references import is_hub_id
from textvae.errors import ModelFormatError, NotFoundError
from textvae.files.names import BACKBONES_FOLDER
from textvae.files.untrusted import inside
from textvae.models.pretrained.reference import Reference, check_files, find_reference
from textvae.models.sentence import SentenceModel
from textvae.saving.manifest import BackboneFacts

PARTS = ("encoder", "decoder")


def references_of(model: SentenceModel) -> dict[str, Reference]:
    """The pretrained models that the encoder and the decoder of a model are built on."""
    parts = {"encoder": model.encoder, "decoder": model.decoder}
    return {
        name: part.reference
        for name, part in parts.items()
        if part is not None and part.reference is not None
    }


def described_backbone(model: SentenceModel, part: str) -> dict[str, Any]:
    """The entry in config.json for the pretrained model behind a part."""
    reference = references_of(model)[part]
    return {
        "ref": reference.ref,
        "revision": reference.revision,
        "digest": reference.digest,
        "training": getattr(model.config, f"{part}_training"),
    }


def backbone_facts(model: SentenceModel) -> dict[str, dict[str, Any]]:
    """What people want to know of the pretrained encoder and decoder of a model, by part."""
    facts = {}
    for part, reference in references_of(model).items():
        own = dict(model.parts())[part]
        weight = next(own.parameters())
        facts[part] = {
            **described_backbone(model, part),
            "parameters": sum(parameter.numel() for parameter in own.parameters()),
            "trained_parameters": sum(parameter.numel() for _, parameter in own.trained()),
            "dtype": str(weight.dtype).removeprefix("torch."),
            "folder": str(reference.folder),
        }
    return facts


def embed_backbones(folder: Path, references: Mapping[str, Reference]) -> None:
    """Copy the files of the pretrained models into `backbones/` of a model's folder.

    A copy that is there already stays; a copy of another model is replaced.
    """
    for part, reference in references.items():
        place = folder / BACKBONES_FOLDER / part
        if place.is_dir() and Reference(reference.ref, place).digest == reference.digest:
            continue
        if place.is_dir():
            shutil.rmtree(place)
        for path in reference.files():
            copy = place / path.relative_to(reference.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def remove_other_backbones(folder: Path, references: Mapping[str, Reference]) -> None:
    """Remove the copies in `backbones/` that do not belong to the model which is saved there."""
    for part in PARTS:
        place = folder / BACKBONES_FOLDER / part
        if not place.is_dir() or place.is_symlink():
            continue
        own = references.get(part)
        if own is None or Reference(own.ref, place).digest != own.digest:
            shutil.rmtree(place)


def find_backbones(folder: Path, facts: Mapping[str, BackboneFacts]) -> dict[str, Reference]:
    """The pretrained models that a saved model needs: its own copies, or those that it names.

    Raises:
        NotFoundError: there is neither; the message says which download is missing.
        ModelFormatError: the files are not those that the model was trained with.
    """
    found = {}
    for part, fact in facts.items():
        found[part] = reference = _find(folder, part, fact)
        if reference.digest != fact.digest:
            raise ModelFormatError(
                f"{folder}: the files in {reference.folder} are not those of {fact.ref} with which "
                "this model was trained (another digest); restore them, or name the model anew in "
                "a new training"
            )
    return found


def _find(folder: Path, part: str, fact: BackboneFacts) -> Reference:
    try:
        place = inside(inside(folder, BACKBONES_FOLDER), part)
    except ValueError as error:
        raise ModelFormatError(f"{folder}: {error}") from None
    if place.is_dir():
        own = Reference(fact.ref, place, fact.revision)
        check_files(own)
        return own
    try:
        return find_reference(fact.ref, revision=fact.revision)
    except NotFoundError as error:
        raise NotFoundError(
            f"{folder} needs the pretrained {part} {fact.ref}, of which it has no copy: {error}"
            if is_hub_id(fact.ref)
            else f"{folder} needs the pretrained {part} {fact.ref}, which is not there; put its "
            "files back (a model that is saved with embed_backbones has a copy of them)"
        ) from None
