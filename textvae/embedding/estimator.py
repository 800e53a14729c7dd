"""SentenceEmbedder: a sentence VAE as a step of a scikit-learn pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from textvae.api import LAYERS, TextVAE
from textvae.arguments import batch_size as checked_batch_size
from textvae.data.texts import kind_of, texts_of
from textvae.embedding.loading import Source, loaded
from textvae.embedding.origin import Origin, content_of, full_name, origin_of, stop_of
from textvae.errors import InterruptedRun, UsageError
from textvae.models.sentence import Layer


class SentenceEmbedder(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]  # scikit-learn has no types
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """A scikit-learn transformer: sentences -> the vectors of `TextVAE.encode`, and back.

    The input is a list, a Series, an array, or one column of a data frame or array. With a model,
    `fit` only checks the input; `transform` also works without `fit`, but then loads a model folder
    at each call. Without a model, `fit` trains a vae on its input. To train on unlabelled sentences
    too, call `TextVAE.train` first.

    Pickles and joblib workers store a folder or hub id as a name, a folder by its absolute path,
    and load the model from there again. A fitted estimator also stores the model's fingerprint, so
    another model in that place is an error. A `TextVAE` is pickled whole.

    Args:
        model: a `TextVAE`, its folder, or the id of a Hugging Face hub repository; if None, `fit`
            trains a model.
        layer: `latent` for posterior means, D = Z; `encoder` for the state before the bottleneck.
        normalize: scale each vector to length 1.
        batch_size: number of sentences per batch.
        device: device of a model that is loaded or trained here: auto, cpu, cuda, cuda:1, mps.
        recipe: recipe of the training; `small` takes a minute.
        max_minutes: time limit of the training. Ctrl-C during the training saves the run, then
            raises KeyboardInterrupt, which also stops a cross-validation.
        settings: further configuration fields of the training, see `textvae config show`.

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> classifier = make_pipeline(SentenceEmbedder("runs/everyday"), LogisticRegression())
    >>> classifier.fit(texts, labels).predict(["the soup was cold ."])  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Source | None = None,
        *,
        layer: Layer = "latent",
        normalize: bool = False,
        batch_size: int = 256,
        device: str = "auto",
        recipe: str | None = "small",
        max_minutes: float | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.layer = layer
        self.normalize = normalize
        self.batch_size = batch_size
        self.device = device
        self.recipe = recipe
        self.max_minutes = max_minutes
        self.settings = settings

    def fit(self, X: Any, y: Any = None) -> SentenceEmbedder:  # noqa: N803
        """This estimator, after checking the sentences and loading or training the model.

        Raises:
            UsageError: the model is a language model, the layer is unknown, or `X` has more than
                one column.
            DataError: a row is not a string.
            NotFoundError, ModelFormatError: as in `TextVAE.from_pretrained`.
            KeyboardInterrupt: Ctrl-C stopped the training, after a save.
            SystemExit: another signal did.
        """
        texts = sentences(X)
        if self.layer not in LAYERS:  # before minutes of training
            raise UsageError(f"unknown layer {self.layer!r}; try {' or '.join(LAYERS)}")
        checked_batch_size(self.batch_size)
        vae = self._trained(texts) if self.model is None else loaded(self.model, self.device)
        vae.vector_size(self.layer)  # a language model has no vectors
        self.model_ = vae
        self.origin_ = origin_of(self.model, vae)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """The vector of each sentence, (N, D).

        Raises:
            NotFittedError: there is no model, and `fit` was not called.
            UsageError, DataError: as in `fit`.
        """
        texts = sentences(X)
        return self._fitted().encode(
            texts, layer=self.layer, normalize=self.normalize, batch_size=self.batch_size
        )

    def inverse_transform(self, X: Any) -> list[str]:  # noqa: N803
        """A sentence for each vector (N, Z), decoded greedily.

        Raises:
            UsageError: the estimator gives vectors of the encoder, or normalized ones.
        """
        if self.layer != "latent" or self.normalize:
            chosen = "normalize=True" if self.normalize else f"layer={self.layer!r}"
            raise UsageError(
                f"vectors with {chosen} cannot be decoded; use layer='latent' and normalize=False"
            )
        vectors = check_array(X, dtype=np.float32, ensure_min_samples=0, input_name="X")
        return self._fitted().decode(vectors)

    @property
    def _n_features_out(self) -> int:
        # For get_feature_names_out: sentenceembedder0, sentenceembedder1, ...
        return self._fitted().vector_size(self.layer)

    def _fitted(self) -> TextVAE:
        if hasattr(self, "model_"):
            return self.model_
        if self.model is None:
            check_is_fitted(self)
        return loaded(self.model, self.device)  # type: ignore[arg-type]  # checked above

    def _trained(self, texts: list[str]) -> TextVAE:
        options = {"max_minutes": self.max_minutes, "device": self.device, **(self.settings or {})}
        try:
            return TextVAE.train(texts, recipe=self.recipe, **options)
        except InterruptedRun as error:
            # scikit-learn would count an Exception as one failed fit, and go on with the next.
            raise stop_of(error) from error

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False  # of numbers; one column of strings is accepted
        tags.transformer_tags.preserves_dtype = []  # always float32
        tags.requires_fit = self.model is None
        tags.non_deterministic = self.model is None  # timed training depends on the machine
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__()}  # a copy: super's can be the estimator's own dict
        if isinstance(self.model, str | Path):
            state["model"] = full_name(self.model)
            if "model_" not in state:
                state["content"] = content_of(state["model"])
        if vars(self).get("origin_") is not None:
            state["model_"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = {name: value for name, value in state.items() if name != "content"}
        super().__setstate__(state)
        if vars(self).get("model_", ...) is None:
            # Pickles of 0.1.0 have no origin, and so no fingerprint.
            origin = vars(self).get("origin_") or Origin(str(self.model), None)
            self.model_ = origin.load(self.device)


def sentences(given: Any) -> list[str]:
    """The sentences of a list, Series, iterator or array (N,), or of one column (N, 1).

    Raises:
        UsageError: the input is a single string, has several columns, or has no rows to iterate.
        DataError: a row is not a string.
    """
    return texts_of(_column(given), "X")


def _column(given: Any) -> Any:
    """The one column of a frame or an array (N, 1); anything else as it is."""
    if hasattr(given, "column_names"):  # a table of pyarrow or datasets, to be refused by its name
        return given
    names = getattr(given, "columns", None)
    if names is not None and not callable(names) and hasattr(given, "shape"):
        if len(names) != 1:
            raise UsageError(
                f"{kind_of(given)} of shape {tuple(given.shape)}; expected one column of "
                "sentences; in a ColumnTransformer, select the column by its name"
            )
        return given[names[0]]
    if isinstance(given, list) and given and all(isinstance(row, list) for row in given):
        given = np.asarray(given, dtype=object)
    shape: tuple[int, ...] = getattr(given, "shape", ())
    return given[:, 0] if len(shape) == 2 and shape[1] == 1 else given
