"""Pickled estimators: the same model again, or an error; and interruption of their trainings."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline

from textvae import TextVAE
from textvae.embedding import SentenceEmbedder
from textvae.errors import DataError, InterruptedRun, NotFoundError
from textvae.training.reporting import LoggingReporter

TEXTS = ["the dog likes rain .", "us !", "the cook sees us !", "her brother paints rain ."]
LABELS = ["a", "b", "a", "b"]


@pytest.fixture
def folder(tmp_path: Path, tiny_vae: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a model in the current folder, to be named by a relative path."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_vae, tmp_path / "model")
    return tmp_path / "model"


def put_another_model(folder: Path) -> TextVAE:
    """Change the weights of the encoder in a folder."""
    vae = TextVAE.from_pretrained(folder, device="cpu")
    next(vae.model.encoder.parameters()).data.mul_(1.5)
    vae.save_pretrained(folder)
    return vae


def test_another_model_behind_the_same_name_is_an_error(folder: Path) -> None:
    pipeline = make_pipeline(SentenceEmbedder("model"), LogisticRegression()).fit(TEXTS, LABELS)
    joblib.dump(pipeline, "pipeline.joblib")
    joblib.load("pipeline.joblib")
    put_another_model(folder)
    with pytest.raises(DataError, match=f"{folder} holds another model.*fit anew"):
        joblib.load("pipeline.joblib")
    (folder / "config.json").unlink()
    with pytest.raises(NotFoundError):
        joblib.load("pipeline.joblib")


def test_a_model_that_was_saved_anew_is_the_same(folder: Path) -> None:
    embedder = SentenceEmbedder("model").fit(TEXTS)
    saved, before = pickle.dumps(embedder), embedder.transform(TEXTS)
    TextVAE.from_pretrained(folder).save_pretrained(folder)
    np.testing.assert_array_equal(pickle.loads(saved).transform(TEXTS), before)


def test_a_relative_folder_is_found_from_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = SentenceEmbedder("model").fit(TEXTS)
    saved = [pickle.dumps(fitted), pickle.dumps(SentenceEmbedder("model"))]
    assert fitted.model == "model"  # the original stays as it was
    (folder.parent / "elsewhere").mkdir()
    monkeypatch.chdir(folder.parent / "elsewhere")
    for one in saved:
        np.testing.assert_array_equal(
            pickle.loads(one).transform(TEXTS), TextVAE.from_pretrained(folder).encode(TEXTS)
        )
    shutil.rmtree(folder)
    with pytest.raises(NotFoundError, match=f"{folder}: no such folder; the pickle"):
        pickle.loads(saved[0])


def test_the_home_folder_is_stored_by_its_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    saved = pickle.dumps(SentenceEmbedder("~/model").fit(TEXTS))
    monkeypatch.setenv("HOME", "/nowhere")
    assert pickle.loads(saved).model == str(folder)


def test_pickles_without_a_fingerprint_still_load(folder: Path) -> None:
    fitted = SentenceEmbedder(str(folder)).fit(TEXTS)
    state = {name: value for name, value in vars(fitted).items() if name != "origin_"}
    old = SentenceEmbedder.__new__(SentenceEmbedder)
    old.__setstate__({**state, "model_": None})
    np.testing.assert_array_equal(old.transform(TEXTS), fitted.transform(TEXTS))
    assert pickle.loads(pickle.dumps(old)).transform(TEXTS).shape == (4, 4)


def test_a_pickle_keeps_the_model_that_was_fitted(folder: Path) -> None:
    shutil.copytree(folder, "other")
    put_another_model(Path("other"))
    fitted = SentenceEmbedder("model").fit(TEXTS)
    before = fitted.transform(TEXTS)
    fitted.set_params(model="other")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(TEXTS), before)
    again = clone(fitted).fit(TEXTS)
    assert not np.array_equal(again.transform(TEXTS), before)


def test_a_cached_step_is_computed_anew_for_another_model(folder: Path) -> None:
    def vectors() -> Any:
        steps = [("vector", SentenceEmbedder("model")), ("rest", "passthrough")]
        return Pipeline(steps, memory="cache").fit_transform(TEXTS)

    first = vectors()
    np.testing.assert_array_equal(vectors(), first)
    other = put_another_model(folder)
    np.testing.assert_array_equal(vectors(), other.encode(TEXTS))
    assert not np.array_equal(vectors(), first)


@pytest.mark.usefixtures("folder")
def test_workers_of_joblib_find_the_model() -> None:
    pipeline = make_pipeline(SentenceEmbedder("model"), LogisticRegression())
    here, there = (
        cross_val_score(pipeline, TEXTS, LABELS, cv=2, n_jobs=n, error_score="raise")
        for n in (1, 2)
    )
    np.testing.assert_array_equal(here, there)


# interruption


@pytest.mark.parametrize(
    ("number", "ends"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_ends_a_cross_validation(
    number: int, ends: type[BaseException], sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings = 0

    def log(self: LoggingReporter, record: dict[str, Any]) -> None:
        os.kill(os.getpid(), number)

    def start(self: LoggingReporter, info: dict[str, Any]) -> None:
        nonlocal trainings
        trainings += 1

    monkeypatch.setattr(LoggingReporter, "log", log)
    monkeypatch.setattr(LoggingReporter, "start", start)
    settings = {"hidden_size": 8, "embedding_size": 8, "latent_size": 2, "max_tokens": 16}
    settings |= {"log_steps": 2, "max_steps": 50, "device": "cpu"}
    embedder = SentenceEmbedder(recipe=None, settings=settings)
    pipeline = make_pipeline(embedder, LogisticRegression())
    with pytest.raises(ends) as caught:
        cross_val_score(pipeline, sentences, [text.split()[0] for text in sentences], cv=3)
    assert trainings == 1
    assert isinstance(caught.value.__cause__, InterruptedRun)
    said = [str(caught.value), *getattr(caught.value, "__notes__", [])]
    assert any("stopped at step 2; resume with: TextVAE.train" in line for line in said)
    assert ends is KeyboardInterrupt or caught.value.code == 143


def test_a_copied_model_knows_its_folder_from_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae = TextVAE.from_pretrained("model")
    saved = pickle.dumps(vae)
    monkeypatch.chdir("/")
    assert pickle.loads(saved).folder == folder
    assert pickle.loads(saved).metrics == TextVAE.from_pretrained(folder).metrics != {}
