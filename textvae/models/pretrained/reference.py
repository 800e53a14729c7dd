"""REF -> a local folder of a pretrained model: its files, their digest, its revision.

Only configuration, tokenizer and safetensors files are read or downloaded: no code, no pickle.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from textvae.config.references import OWN_NETWORKS, is_hub_id
from textvae.errors import ModelFormatError, NotFoundError
from textvae.files.home import home_path
from textvae.files.names import CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from textvae.files.untrusted import inside, parse_json, read_text, reason, shown_name

MODULES_FILE = "modules.json"  # of sentence-transformers: pooling and normalization
INDEX_FILE = "model.safetensors.index.json"  # of weights in several files
DOWNLOADED = (
    CONFIG_FILE, TOKENIZER_FILE, MODULES_FILE, INDEX_FILE, "*.safetensors", "*/config.json",
)  # fmt: skip
WORD_VECTORS = (".txt", ".vec", ".bin")  # files of GloVe and word2vec
MODULE_FOLDER = "[0-9]_*"
MOST_MODULES = 8  # folders of modules.json


@dataclass(frozen=True)
class Reference:
    """A pretrained model on this machine.

    Args:
        ref: the name by which it was asked for: a hub id, or a local folder.
        folder: its files.
        revision: the commit of the hub; None for a local folder.
    """

    ref: str
    folder: Path
    revision: str | None = None

    @property
    def tokenizer(self) -> Path:
        """Its tokenizer.json."""
        return self.folder / TOKENIZER_FILE

    def file(self, name: str) -> Path:
        """The path of one of its files.

        Raises:
            ModelFormatError: the file is a link that leads out of the folder.
        """
        return _own(self.folder, name)

    def weight_files(self) -> list[Path]:
        """Its safetensors files, at the top of the folder, by name."""
        return [_own(self.folder, path.name) for path in sorted(self.folder.glob("*.safetensors"))]

    def files(self) -> list[Path]:
        """All files that its results depend on, by name."""
        named = (self.file(name) for name in (CONFIG_FILE, TOKENIZER_FILE, MODULES_FILE))
        found = [path for path in named if path.is_file()]
        weights = self.weight_files()
        in_parts = len(weights) > 1 or not self.file(WEIGHTS_FILE).is_file()
        if in_parts and (index := self.file(INDEX_FILE)).is_file():
            found.append(index)
        found += weights
        for folder in sorted(path for path in self.folder.glob(MODULE_FOLDER) if path.is_dir()):
            for name in (CONFIG_FILE, "model.safetensors"):
                if (path := _own(folder, name)).is_file():
                    found.append(path)
        return found

    @cached_property
    def digest(self) -> str:
        """A hex digest of the contents of all its files."""
        total = hashlib.sha256()
        for path in self.files():
            with path.open("rb") as file:
                one = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{path.relative_to(self.folder).as_posix()} {one}\n".encode())
        return total.hexdigest()


def find_reference(ref: str, *, revision: str | None = None) -> Reference:
    """The pretrained model `ref`, from a local folder or from the hub (downloaded if needed).

    Args:
        ref: a local folder, a file of word vectors, or a hub id with `@REVISION` or without.
        revision: the commit to take from the hub, instead of the one that `ref` names.

    Raises:
        NotFoundError: there is no such folder, and the hub gives no such model.
        ModelFormatError: the folder lacks a file, or has only pickled weights.
    """
    folder = home_path(ref)
    commit = None
    if os.path.isfile(folder) and folder.suffix in WORD_VECTORS:
        from textvae.models.pretrained.word_vectors import table_folder

        folder = table_folder(folder)
    elif not os.path.isdir(folder):
        folder = _downloaded(ref, revision)
        commit = folder.name if folder.parent.name == "snapshots" else None
    found = Reference(ref, folder, commit)
    check_files(found)
    return found


def check_files(reference: Reference) -> None:
    """Raise ModelFormatError if a file that every pretrained model needs is missing."""
    folder = reference.folder
    for name, what in ((CONFIG_FILE, "the configuration"), (TOKENIZER_FILE, "the tokenizer")):
        if not reference.file(name).is_file():
            raise ModelFormatError(
                f"{folder}: no {name}, {what} of a pretrained model; name a folder that has "
                f"{CONFIG_FILE}, {TOKENIZER_FILE} and *.safetensors"
            )
    if not reference.weight_files():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        beside = (
            f"; {pickled[0]} is a pickle, which textvae never opens: convert the weights with "
            "save_pretrained of transformers"
            if pickled
            else ""
        )
        raise ModelFormatError(f"{folder}: no weights in *.safetensors{beside}")
    _check_index(reference)


def _check_index(reference: Reference) -> None:
    """Raise ModelFormatError if the index names weights that are not at the top of the folder.

    transformers would read them, but they are not in the digest and not in a copy of the folder.
    """
    index = reference.file(INDEX_FILE)
    if reference.file(WEIGHTS_FILE).is_file() or not index.is_file():
        return
    try:
        named = set(parse_json(read_text(index))["weight_map"].values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelFormatError(f"{index}: not an index of weights: {reason(error)}") from None
    strange = named - {path.name for path in reference.weight_files()}
    if strange:
        raise ModelFormatError(
            f"{index}: names {shown_name(sorted(map(str, strange))[0])}, which is no safetensors "
            "file in the folder itself; restore the files of the model"
        )


def _downloaded(ref: str, revision: str | None) -> Path:
    """The local copy of a hub repository."""
    kinds = f"a network of textvae ({', '.join(OWN_NETWORKS)})"
    if not is_hub_id(ref):
        raise NotFoundError(f"{ref}: no such folder; name a local folder, a hub id or {kinds}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, asked = ref.partition("@")
    wanted = revision or asked or None
    try:
        return Path(snapshot_download(name, revision=wanted, allow_patterns=list(DOWNLOADED)))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        at = f" at revision {wanted}" if wanted else ""
        raise NotFoundError(
            f"{name}{at}: no such folder, and the hub gave no such model ({reason(error)}); "
            f"connect to the hub once to download it, or name a local folder or {kinds}"
        ) from None


def _own(folder: Path, name: str) -> Path:
    try:
        return inside(folder, name)
    except ValueError as error:
        raise ModelFormatError(f"{folder}: {error}") from None
