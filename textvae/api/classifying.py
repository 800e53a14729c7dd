"""Labels of sentences, predicted by a classifier of a model's vectors or by its head on labels."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.api.encoding import fingerprint_of, require_latent, warn_of_cut
from textvae.api.protocol import TextModel
from textvae.data import input_rows
from textvae.data.input_rows import Sentences, name_of
from textvae.data.rows import Row
from textvae.errors import DataError, UsageError, worded
from textvae.files.home import home_path
from textvae.models.label_head import LabelHead
from textvae.models.sentence import Layer
from textvae.progress import Watcher

if TYPE_CHECKING:
    from textvae.classification.classifier import SentenceClassifier


@dataclass(frozen=True)
class Prediction:
    """The most probable label of a sentence, and the probability of each label."""

    index: int
    text: str
    label: str
    probability: float
    probabilities: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The prediction as `textvae classify --json` prints it."""
        return dict(vars(self))


def label_probabilities(vae: TextModel, texts: Iterable[str]) -> NDArray[np.float32]:
    """p(label given sentence) by the head on labels, (N, C), in the order of `vae.labels`.

    Of the posterior mean, or of the autoencoder's code. The head belongs to a model that was
    trained with `label_weight`.

    Raises:
        UsageError: the model has no head on labels.
    """
    classifier = label_classifier(vae)
    return classifier.probabilities(vae.encode(texts)).astype(np.float32)


def label_classifier(vae: TextModel, *, name: str | None = None) -> SentenceClassifier:
    """The head on labels as a classifier of the latent's vectors, for `classify` or `save`.

    Raises:
        UsageError: the model has no head on labels.
    """
    from textvae.classification.classifier import SentenceClassifier

    head = require_head(vae, name)
    return SentenceClassifier(
        classes=head.classes,
        weights=head.linear.weight.detach().double().cpu().numpy(),
        bias=head.linear.bias.detach().double().cpu().numpy(),
        mean=np.zeros(vae.latent_size),
        scale=np.ones(vae.latent_size),
        layer="latent",
        normalize=False,
        fingerprint=fingerprint_of(vae),
    )


def require_head(vae: TextModel, name: str | None = None) -> LabelHead:
    """The head on labels of a model that was trained with labels.

    Raises:
        UsageError: the model has none, or no latent.
    """
    require_latent(vae, "predict labels", name)
    head = vae.model.label_head
    if head is None:
        raise UsageError(
            f"{name or vae.folder or 'this model'} was trained without labels; train a model with "
            f"{worded('--set objective.label_weight=1', 'label_weight=1')}, or fit a classifier of "
            f"its vectors with {worded('textvae probe', 'probe')}"
        )
    return head


def classify(
    vae: TextModel,
    sentences: Sentences,
    classifier: SentenceClassifier | str | Path | None = None,
    *,
    name: str | None = None,
    text_column: str | None = None,
    watcher: Watcher | None = None,
) -> list[Prediction]:
    """The most probable label of each sentence, and the probability of each label.

    >>> vae.classify(["the soup was cold ."], "sentiment.safetensors")  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences.
        classifier: from `probe`, or its file; None: the head on labels, of a model that was
            trained with `label_weight`.

    Raises:
        UsageError: a language model; no classifier, and the model has no head on labels.
        DataError: the classifier belongs to another model.
        NotFoundError, ModelFormatError: its file is missing or damaged.
    """
    return list(
        iter_classify(
            vae, sentences, classifier, name=name, text_column=text_column, watcher=watcher
        )
    )


def iter_classify(
    vae: TextModel,
    sentences: Sentences,
    classifier: SentenceClassifier | str | Path | None = None,
    *,
    name: str | None = None,
    text_column: str | None = None,
    watcher: Watcher | None = None,
) -> Iterator[Prediction]:
    """The predictions of `classify`, one by one, in bounded memory.

    Classifier and source are checked at the call, not with the first prediction.
    """
    require_latent(vae, "classify", name)
    if classifier is None:
        linear = label_classifier(vae, name=name)
    else:
        linear = checked_classifier(vae, classifier, name)
    watcher = watcher or Watcher()
    rows = input_rows.prepared_rows(
        sentences, vae.config.data, text_column=text_column, remarks=watcher.remarks
    )
    rows = input_rows.warn_if_empty(rows, name_of(sentences), watcher.warn)
    chunks = input_rows.in_chunks(rows)
    return _predictions(vae, linear, chunks, watcher)


def _predictions(
    vae: TextModel,
    linear: SentenceClassifier,
    chunks: Iterator[tuple[int, list[Row]]],
    watcher: Watcher,
) -> Iterator[Prediction]:
    n_cut = 0
    for start, chunk in chunks:
        texts = [row.text for row in chunk]
        found = vae.embed(
            texts,
            layer=linear.layer,
            normalize=linear.normalize,
            dimensions=linear.weights.shape[1],
        )
        n_cut += found.cut
        probabilities = linear.probabilities(found.vectors).tolist()
        for index, (text, row) in enumerate(zip(texts, probabilities, strict=True), start):
            best = max(range(len(row)), key=row.__getitem__)
            by_label = dict(zip(linear.classes, row, strict=True))
            yield Prediction(index, text, linear.classes[best], row[best], by_label)
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)


def checked_classifier(
    vae: TextModel, classifier: SentenceClassifier | str | Path, name: str | None = None
) -> SentenceClassifier:
    """The classifier, read from its file if a name is given.

    Raises:
        NotFoundError, ModelFormatError: as `read_classifier`.
        DataError: it belongs to another model.
    """
    from textvae.classification.classifier import read_classifier

    path = "this classifier"
    if isinstance(classifier, str | Path):
        path, place = str(classifier), home_path(classifier)
        sizes = {layer: vae.vector_size(layer) for layer in get_args(Layer)}
        classifier = read_classifier(place, vector_size=sizes)
    if classifier.fingerprint != fingerprint_of(vae):
        model = name or str(vae.folder or "MODEL")
        how = worded(
            f"textvae probe {shlex.quote(model)} TRAIN --folds 10 --save FILE",
            "vae.probe(TRAIN, folds=10).fit_classifier()",
        )
        raise DataError(
            f"{path} belongs to another model than {model}; train one for {model} with {how}"
        )
    return classifier
