"""SentenceEmbedder: the vectors of TextVAE inside scikit-learn."""

from __future__ import annotations

import itertools
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from random_models import WORDS, random_word_model, word_tokenizer
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from textvae import TextVAE
from textvae.config import Config
from textvae.embedding import SentenceEmbedder
from textvae.errors import DataError, NotFoundError, UsageError

TEXTS = ["the dog likes rain .", "", "the cook sees us !", "a tall man paints the soup ."]
CHOICES = list(itertools.product(["latent", "encoder"], [False, True]))


def words_vae() -> TextVAE:
    """A VAE of random weights, in no folder."""
    return TextVAE(random_word_model(max_tokens=16), word_tokenizer(), Config())


# scikit-learn's own checks, which speak in matrices of numbers


class NumbersAsWords(SentenceEmbedder):
    """Reads each row of a matrix as a sentence, a number as a word, so that the checks apply."""

    def fit(self, X: Any, y: Any = None) -> SentenceEmbedder:  # noqa: N803
        return super().fit(as_words(X), y)

    def transform(self, X: Any) -> Any:  # noqa: N803
        return super().transform(as_words(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = False, True
        return tags


def as_words(given: Any) -> Any:
    rows = np.asarray(given)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or not np.isfinite(rows).all():
        return given
    return [" ".join(WORDS[int(abs(x) * 100) % len(WORDS)] for x in row) for row in rows]


NUMBERS = "the input is text, so there is no check of numbers"
ONE_DIMENSION = "a list of sentences has one dimension, and is welcome"
NO_FEATURES = "sentences have no number of features, as for CountVectorizer"
EXPECTED_FAILURES = {
    "check_estimators_overwrite_params": "joblib's hash of a tensor is not that of its values",
    "check_complex_data": NUMBERS,
    "check_dtype_object": NUMBERS,
    "check_estimators_nan_inf": NUMBERS,
    "check_estimator_sparse_tag": NUMBERS,
    "check_estimator_sparse_array": NUMBERS,
    "check_estimator_sparse_matrix": NUMBERS,
    "check_estimators_empty_data_messages": "with a model given, no sentences are fine",
    "check_fit1d": ONE_DIMENSION,
    "check_fit2d_predict1d": ONE_DIMENSION,
    "check_n_features_in": NO_FEATURES,
    "check_n_features_in_after_fitting": NO_FEATURES,
}


@parametrize_with_checks(
    [NumbersAsWords(words_vae())],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
    xfail_strict=True,
)
def test_the_checks_of_scikit_learn(estimator: SentenceEmbedder, check: Any) -> None:
    check(estimator)


# vectors


@pytest.mark.parametrize(("layer", "normalize"), CHOICES)
def test_transform_is_encode(layer: Any, normalize: bool, tiny_vae: Path) -> None:
    expected = TextVAE.from_pretrained(tiny_vae).encode(TEXTS, layer=layer, normalize=normalize)
    embedder = SentenceEmbedder(tiny_vae, layer=layer, normalize=normalize)
    np.testing.assert_array_equal(embedder.transform(TEXTS), expected)  # fit has nothing to add
    np.testing.assert_array_equal(embedder.fit(TEXTS).transform(TEXTS), expected)
    assert len(embedder.get_feature_names_out()) == expected.shape[1]


@pytest.mark.parametrize(
    "given",
    [
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object)[:, None],
        [[text] for text in TEXTS],
        pd.Series(TEXTS, index=[3, 1, 2, 0]),
        pd.DataFrame({"text": TEXTS}),
        pd.DataFrame({"text": pd.Series(TEXTS, dtype="category")}),
    ],
    ids=lambda given: f"{type(given).__name__}-{np.ndim(given)}",
)
def test_sentences_come_in_any_container(given: Sequence[str]) -> None:
    embedder = SentenceEmbedder(words_vae())
    expected = embedder.fit_transform(TEXTS)
    np.testing.assert_array_equal(embedder.fit(given).transform(given), expected)


def test_inverse_transform_reconstructs(tiny_vae: Path) -> None:
    embedder = SentenceEmbedder(tiny_vae).fit(TEXTS)
    vectors = embedder.transform(TEXTS)
    assert embedder.inverse_transform(vectors) == TextVAE.from_pretrained(tiny_vae).reconstruct(
        TEXTS
    )
    assert embedder.inverse_transform(vectors[:0]) == []
    with pytest.raises(ValueError, match="NaN"):
        embedder.inverse_transform(vectors * np.nan)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"layer": "encoder"}, "layer='encoder'"), ({"normalize": True}, "normalize=True")],
)
def test_what_is_no_latent_is_not_decoded(options: dict[str, Any], named: str) -> None:
    embedder = SentenceEmbedder(words_vae(), **options)
    with pytest.raises(UsageError, match=named):
        embedder.inverse_transform(embedder.fit_transform(TEXTS))


# inside scikit-learn


def test_a_clone_is_unfitted_and_shares_the_model() -> None:
    vae = words_vae()
    embedder = SentenceEmbedder(vae, layer="encoder", normalize=True, batch_size=7).fit(TEXTS)
    copy = clone(embedder)
    assert copy.get_params() == embedder.get_params()
    assert copy.model is vae
    assert "TextVAE(vae, latent_size=2)" in repr(copy)  # not the address that it has today
    assert not hasattr(copy, "model_")


def test_a_grid_search_picks_the_vectors_that_classify_best(
    tiny_vae: Path, sentences: list[str]
) -> None:
    texts = sentences[::2]
    labels = [text.split()[1] for text in texts]
    search = GridSearchCV(
        make_pipeline(SentenceEmbedder(tiny_vae), LogisticRegression()),
        {
            "sentenceembedder__layer": ["latent", "encoder"],
            "sentenceembedder__normalize": [False, True],
        },
        cv=3,
    ).fit(texts, labels)
    vae = TextVAE.from_pretrained(tiny_vae)
    by_hand = [
        cross_val_score(
            LogisticRegression(), vae.encode(texts, layer=layer, normalize=normalize), labels, cv=3
        ).mean()
        for layer, normalize in CHOICES
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], by_hand)
    assert len(set(by_hand)) > 1
    assert tuple(search.best_params_.values()) == CHOICES[int(np.argmax(by_hand))]


def test_a_column_of_a_frame_becomes_named_columns() -> None:
    vae = words_vae()
    frame = pd.DataFrame({"text": TEXTS, "stars": [1, 5, 2, 4]}, index=[9, 7, 5, 3])
    for column in ("text", ["text"]):  # a Series, a frame
        columns = ColumnTransformer(
            [("vector", SentenceEmbedder(vae), column), ("rest", "passthrough", ["stars"])]
        ).set_output(transform="pandas")
        out = columns.fit_transform(frame)
        assert list(out.columns) == [
            "vector__sentenceembedder0",
            "vector__sentenceembedder1",
            "rest__stars",
        ]
        assert list(out.index) == [9, 7, 5, 3]
        np.testing.assert_array_equal(out.iloc[:, :2], vae.encode(TEXTS))


def test_a_pipeline_leads_back_to_sentences() -> None:
    vae = words_vae()
    steps = Pipeline([("vector", SentenceEmbedder(vae))]).fit(TEXTS)
    assert steps.inverse_transform(steps.transform(TEXTS)) == vae.reconstruct(TEXTS)


# copies for later, and for other processes


def test_a_pickle_reads_the_folder_again(tiny_vae: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    TextVAE.from_pretrained(tiny_vae).save_pretrained(moved)
    embedder = SentenceEmbedder(str(moved), device="cpu").fit(TEXTS)
    expected = embedder.transform(TEXTS)
    joblib.dump(embedder, tmp_path / "embedder.joblib")
    assert (tmp_path / "embedder.joblib").stat().st_size < 1000  # a name, no weights
    np.testing.assert_array_equal(embedder.transform(TEXTS), expected)  # the original goes on
    loaded = joblib.load(tmp_path / "embedder.joblib")
    np.testing.assert_array_equal(loaded.transform(TEXTS), expected)
    moved.rename(tmp_path / "elsewhere")
    np.testing.assert_array_equal(loaded.transform(TEXTS), expected)  # it holds the model
    with pytest.raises(NotFoundError, match=re.escape(str(moved))):
        joblib.load(tmp_path / "embedder.joblib")


def test_a_pickle_holds_a_model_that_has_no_folder() -> None:
    embedder = SentenceEmbedder(words_vae()).fit(TEXTS)
    copy = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_array_equal(copy.transform(TEXTS), embedder.transform(TEXTS))


# without a model


def test_without_a_model_fit_trains_one_that_a_pickle_keeps(sentences: list[str]) -> None:
    settings = {"hidden_size": 8, "embedding_size": 8, "latent_size": 2, "max_steps": 5}
    settings |= {"tokenizer": "word", "max_tokens": 16}
    embedder = SentenceEmbedder(recipe=None, device="cpu", settings=settings)
    with pytest.raises(NotFittedError):
        embedder.transform(TEXTS)
    vectors = embedder.fit_transform(sentences)
    alone = TextVAE.train(sentences, device="cpu", **settings)
    np.testing.assert_array_equal(vectors, alone.encode(sentences))
    saved = pickle.dumps(embedder)
    del embedder  # and with it the folder of its run
    np.testing.assert_array_equal(pickle.loads(saved).transform(sentences), vectors)


# what is refused


@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        ("the dog", UsageError, "the string 'the dog'"),
        (pd.DataFrame({"a": TEXTS, "b": TEXTS}), UsageError, r"shape \(4, 2\)"),
        (pd.Series(["the dog", None]), DataError, r"X.iloc\[1\] is missing"),
        ([b"the dog"], DataError, r"X\[0\] is b'the dog'"),
        (pa.table({"a": TEXTS}), UsageError, r'table\["a"\]'),
        (7, UsageError, "X is an int"),
    ],
)
def test_what_is_no_column_of_sentences_is_refused(
    given: Any, error: type[Exception], named: str
) -> None:
    embedder = SentenceEmbedder(words_vae())
    for call in (embedder.fit, embedder.transform):
        with pytest.raises(error, match=named):
            call(given)


@pytest.mark.parametrize(
    ("options", "named"), [({"layer": "last"}, "layer 'last'"), ({"batch_size": 0}, "batch_size 0")]
)
def test_fit_checks_its_parameters(options: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        SentenceEmbedder(words_vae(), **options).fit(TEXTS)


def test_a_language_model_has_no_vectors(tiny_lm: Path) -> None:
    with pytest.raises(UsageError, match="language model"):
        SentenceEmbedder(tiny_lm).fit(TEXTS)
