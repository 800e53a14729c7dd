"""Where the model of a pickled estimator comes from, and that it is still the same model."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from textvae.api import TextVAE
from textvae.api.encoding import fingerprint_of
from textvae.embedding.loading import Source, loaded
from textvae.errors import DataError, InterruptedRun, NotFoundError
from textvae.files.home import home_path
from textvae.saving.identity import folder_digests


@dataclass(frozen=True)
class Origin:
    """The place of a model, and the model that was there.

    Args:
        name: an absolute path, or the id of a hub repository.
        fingerprint: of `textvae.saving.identity`; None: unknown.
    """

    name: str
    fingerprint: str | None

    def load(self, device: str) -> TextVAE:
        """The model of this place.

        Raises:
            NotFoundError: there is no model any more.
            DataError: it is another model.
        """
        try:
            vae = loaded(self.name, device)
        except NotFoundError as error:
            raise NotFoundError(
                f"{error}; the pickle of this SentenceEmbedder names its model by this place: put "
                "the model back, or fit anew"
            ) from None
        if self.fingerprint not in (None, fingerprint_of(vae)):
            raise DataError(
                f"{self.name} holds another model than the one that this SentenceEmbedder was "
                f"fitted with (fingerprint {fingerprint_of(vae)}, expected {self.fingerprint}); "
                "put that model back, or fit anew; SentenceEmbedder(TextVAE.from_pretrained(...)) "
                "keeps the model in the pickle"
            )
        return vae


def origin_of(source: Source | None, vae: TextVAE) -> Origin | None:
    """The origin of a model that was loaded by its name; None for any other."""
    if not isinstance(source, str | Path):
        return None
    return Origin(full_name(source), fingerprint_of(vae))


def full_name(source: str | Path) -> str:
    """The absolute path of a folder; a name that is no folder here, such as a hub id, as it is."""
    path = home_path(source)
    if os.path.isdir(path) or isinstance(source, Path):
        return os.path.abspath(path)
    return str(source)


def content_of(name: str) -> list[str] | None:
    """Digests of the files of a model folder; None where there is none.

    A pipeline with `memory` names its cached vectors by the pickle of an estimator, so the pickle
    has to change with the model.
    """
    with suppress(OSError):
        return folder_digests(Path(name))
    return None


def stop_of(error: InterruptedRun) -> BaseException:
    """KeyboardInterrupt for Ctrl-C, SystemExit for other signals, with the message of `error`."""
    if error.exit_code == 128 + signal.SIGINT:
        return KeyboardInterrupt(str(error))
    stop = SystemExit(error.exit_code)
    stop.add_note(str(error))
    return stop
