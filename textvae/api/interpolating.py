"""The way from one sentence to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from textvae.api.encoding import require_latent
from textvae.api.protocol import TextModel
from textvae.arguments import seed_of, whole_number
from textvae.data.texts import one_text
from textvae.decoding.walk import Spacing, decode_walks, n_points
from textvae.latent.interpolation import Method, interpolate


@dataclass(frozen=True)
class PathSentence:
    """A sentence on the way.

    Args:
        t: its place on the path in the latent, from 0 to 1.
    """

    t: float
    text: str


def path(
    vae: TextModel,
    a: str,
    b: str,
    steps: int = 7,
    *,
    method: Method = "slerp",
    spacing: Spacing = "text",
    seed: int | None = 0,
    **decoding: Any,
) -> list[PathSentence]:
    """`steps` sentences on the way from a to b, and where they are; see `interpolate`."""
    require_latent(vae, "interpolate")
    steps, seed = whole_number("steps", steps, least=2, example=7), seed_of(seed)
    start, end = torch.from_numpy(vae.encode([one_text(a, "a"), one_text(b, "b")]))
    points = interpolate(start, end, n_points(steps, spacing), method=method)
    (walk,) = decode_walks(vae.model, points[None], steps, vae.decoding(**decoding), seed=seed)
    texts = vae.tokenizer.decode([point.ids for point in walk])
    return [PathSentence(point.t, text) for point, text in zip(walk, texts, strict=True)]


def interpolate_texts(
    vae: TextModel,
    a: str,
    b: str,
    steps: int = 7,
    *,
    method: Method = "slerp",
    spacing: Spacing = "text",
    seed: int | None = 0,
    **decoding: Any,
) -> list[str]:
    """`steps` sentences on the way from one sentence to another.

    The first and the last are what the vectors of `a` and `b` decode to.

    >>> vae.interpolate("the soup was cold .", "we took the train .", steps=5)  # doctest: +SKIP

    Args:
        method: the path between the vectors.
        spacing: `text` decodes many points of the path and takes those whose sentences change
            evenly, see `decoding.walk`; `latent` takes points at equal distances on the path.
        seed: None takes a fresh one.
        decoding: fields of `Sampling`; the most probable words unless they say otherwise.

    Raises:
        UsageError: a language model, or an option out of range.
    """
    found = path(vae, a, b, steps, method=method, spacing=spacing, seed=seed, **decoding)
    return [sentence.text for sentence in found]
