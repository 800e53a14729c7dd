"""The names of encoders and decoders: networks of our own, or references to pretrained models."""

from __future__ import annotations

import os
import re

from textvae.config.spelling import suggestion
from textvae.files.home import expand_home

OWN_NETWORKS = ("gru", "lstm", "transformer")

_WORD = r"[A-Za-z0-9][\w.-]{0,95}"
# Hub ids of one word, such as gpt2 or bert-base-uncased, have a digit or a hyphen.
_HUB_ID = re.compile(rf"(?:{_WORD}/{_WORD}|(?=[A-Za-z]*[-\d]){_WORD})(?:@[\w./-]{{1,128}})?")


def is_own(name: str) -> bool:
    """True for a network of our own, False for a reference (REF) to a pretrained model.

    >>> is_own("gru"), is_own("sentence-transformers/all-MiniLM-L6-v2")
    (True, False)
    """
    return name in OWN_NETWORKS


def is_hub_id(name: str) -> bool:
    """True if a name has the form of a hub id, `owner/name` or `name`, with `@REVISION` or without.

    >>> is_hub_id("openai-community/gpt2@main"), is_hub_id("gpt2"), is_hub_id("rnn")
    (True, True, False)
    """
    return _HUB_ID.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raise ValueError if a name is neither a network of our own nor has the form of a REF.

    A path need not exist: the model may stand on another machine.
    """
    own = suggestion(name, OWN_NETWORKS)
    is_path = os.sep in name or name in ("~", ".", "..") or os.path.exists(expand_home(name))
    if is_own(name) or is_path or (is_hub_id(name) and not own):
        return
    raise ValueError(
        f"expected {', '.join(OWN_NETWORKS)}, a hub id such as owner/name, or an existing folder"
        f"{own}"
    )
