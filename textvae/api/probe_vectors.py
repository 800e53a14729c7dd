"""The kinds of vectors that a probe compares: layers of models, and baselines of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.api.encoding import encode_all
from textvae.api.protocol import TextModel
from textvae.errors import UsageError, shown
from textvae.models.sentence import Layer
from textvae.progress import Watcher

if TYPE_CHECKING:
    from textvae.classification.probes import Representation
    from textvae.classification.task import Task

ProbeLayer: TypeAlias = Layer | Literal["both"]  # both: latent and encoder side by side
PROBE_LAYERS: tuple[ProbeLayer, ...] = (*get_args(Layer), "both")
LayerVectors: TypeAlias = "Mapping[ProbeLayer, NDArray[np.float32]]"  # (N, D) in each layer
MAJORITY, TFIDF, WORDS = "majority class", "TF-IDF", "word average"
Kind: TypeAlias = tuple[str, ProbeLayer | None, bool | None]  # vectors, layer, normalize


def checked_layers(layer: ProbeLayer | Sequence[ProbeLayer]) -> tuple[ProbeLayer, ...]:
    """The layers, each once, in their order.

    Raises:
        UsageError: an unknown layer, or none.
    """
    layers = (layer,) if isinstance(layer, str) else tuple(dict.fromkeys(layer))
    unknown = next((one for one in layers if one not in PROBE_LAYERS), None)
    if unknown is not None or not layers:
        raise UsageError(f"layer {shown(unknown)} is unknown; try {', '.join(PROBE_LAYERS)}")
    return layers


def vectors_of(
    model: TextModel,
    name: str,
    texts: Sequence[str],
    layers: Sequence[ProbeLayer],
    normalize: bool,
    dimensions: int | None,
    watcher: Watcher,
) -> dict[ProbeLayer, NDArray[np.float32]]:
    """The vectors of all texts in each layer, (N, D).

    Args:
        normalize, dimensions: as in `TextVAE.encode`; of each layer before both are put together.
    """
    read: list[Layer] = [one for one in get_args(Layer) if one in layers or "both" in layers]
    found: dict[ProbeLayer, NDArray[np.float32]] = {
        one: encode_all(
            model,
            texts,
            watcher,
            layer=one,
            normalize=normalize,
            dimensions=dimensions,
            phase=name if len(read) == 1 else f"{name}, {one}",
        )
        for one in read
    }
    if "both" in layers:
        found["both"] = np.concatenate([found[one] for one in get_args(Layer)], axis=1)
    return found


def kinds_of_vectors(
    models: Sequence[str], layers: Sequence[ProbeLayer], normalize: bool
) -> dict[str, Kind]:
    """The kinds of vectors by their names in the table: the baselines, then the models."""
    kinds: list[Kind] = [(name, None, None) for name in (MAJORITY, TFIDF, WORDS)]
    kinds += [(name, layer, normalize) for name in models for layer in layers]
    return {row_name(*kind): kind for kind in kinds}


def row_name(vectors: str, layer: ProbeLayer | None, normalize: bool | None) -> str:
    """The name of a row: the vectors, their layer, and their length where it is fixed."""
    of = "latent and encoder" if layer == "both" else layer
    return f"{vectors}{f', {of}' if of else ''}{', length 1' if normalize else ''}"


def representations(
    kinds: Mapping[str, Kind],
    task: Task,
    words: NDArray[np.float32],
    vectors: Mapping[str, LayerVectors],
) -> dict[str, Representation]:
    """The features of each kind of vectors."""
    from textvae.classification import probes

    baselines = {
        MAJORITY: probes.majority,
        TFIDF: probes.tfidf(task.texts),
        WORDS: probes.standardised(words),
    }
    return {
        row: baselines[row] if layer is None else probes.standardised(vectors[name][layer])
        for row, (name, layer, _) in kinds.items()
    }
