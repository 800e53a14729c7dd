"""Every method that takes sentences: iterators are read once, and tables are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from textvae import TextVAE
from textvae.api import Row, compare
from textvae.embedding import SentenceEmbedder
from textvae.errors import DataError, NotFoundError, UsageError
from textvae.export import stream_vectors, write_vectors

TEXTS = ["the dog likes rain .", "us !", "the cook sees us !", "her brother paints rain ."]
FRAME = pd.DataFrame({"text": TEXTS, "label": list("abab")})
TINY = {"hidden_size": 8, "embedding_size": 8, "latent_size": 2, "max_steps": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def vae(tiny_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(tiny_vae)


@pytest.fixture(scope="module")
def classifier(vae: TextVAE) -> Any:
    rows = [Row(text, label) for text, label in zip(TEXTS * 3, "abab" * 3, strict=True)]
    return vae.probe(rows, folds=2).fit_classifier()


# name -> the result for what is given, as something that can be compared
METHODS: dict[str, Callable[[TextVAE, Any], Any]] = {
    "encode": lambda v, given: v.encode(given).tolist(),
    "embed": lambda v, given: v.embed(given, with_variance=True).variances.tolist(),
    "posterior": lambda v, given: v.posterior(given).mean.tolist(),
    "token_ids": lambda v, given: v.token_ids(given),
    "overlong": lambda v, given: v.overlong(given),
    "word_average": lambda v, given: v.word_average(given).tolist(),
    "reconstruct": lambda v, given: v.reconstruct(given),
    "reconstruct_sample": lambda v, given: v.reconstruct(given, sample=True),
    "log_likelihood": lambda v, given: v.log_likelihood(given, samples=2).tolist(),
    "evaluate": lambda v, given: v.evaluate(given, samples=2).figures,
    "compare": lambda v, given: compare([v], given, samples=2).models[0].figures,
    "cluster": lambda v, given: v.cluster(given, 2).to_dict(),
    "traverse": lambda v, given: v.traverse(units=1, steps=2, reference=given),
    "stream_vectors": lambda v, given: list(stream_vectors(v, given)),
    "transform": lambda v, given: SentenceEmbedder(v).transform(given).tolist(),
    "fit": lambda v, given: SentenceEmbedder(v).fit(given).model_.kind,
}
SOURCES: dict[str, Callable[[], Any]] = {
    "generator": lambda: (text for text in TEXTS),
    "Series": lambda: FRAME["text"],
    "filtered Series": lambda: pd.concat([pd.Series(["x"]), FRAME["text"]])[1:],
    "array": lambda: np.array(TEXTS),
    "objects": lambda: np.array(TEXTS, dtype=object),
    "arrow": lambda: pa.array(TEXTS),
    "chunked": lambda: pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("source", SOURCES)
def test_any_list_of_sentences_is_that_list(method: str, source: str, vae: TextVAE) -> None:
    call = METHODS[method]
    assert call(vae, SOURCES[source]()) == call(vae, TEXTS)


@pytest.mark.parametrize("method", METHODS)
def test_an_open_file_is_its_lines(method: str, vae: TextVAE, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    with path.open(encoding="utf-8") as file:
        assert METHODS[method](vae, file) == METHODS[method](vae, TEXTS)


@pytest.mark.parametrize("method", METHODS)
def test_tables_are_refused_by_name(method: str, vae: TextVAE) -> None:
    two = [FRAME, {"text": TEXTS}, FRAME.to_records(), pa.Table.from_pandas(FRAME)]
    for given in [*two, {"a", "b"}, b"us !", 7]:
        with pytest.raises(UsageError, match=f"{type(given).__name__}|not text"):
            METHODS[method](vae, given)
    if method not in ("fit", "transform"):  # which take one column, as scikit-learn gives it
        with pytest.raises(UsageError, match=r'df\["text"\]'):
            METHODS[method](vae, FRAME[["text"]])


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_sentence_is_named_by_its_place(method: str, vae: TextVAE) -> None:
    for missing in (None, float("nan")):
        with pytest.raises(DataError, match=r"\.iloc\[1\] is missing"):
            METHODS[method](vae, pd.Series(["us !", missing, "us ."]))
    with pytest.raises(DataError, match=r"\[1\] is b'us'"):
        METHODS[method](vae, ["us !", b"us"])


def test_classify_and_vector_files_take_and_refuse_the_same(
    vae: TextVAE, classifier: Any, tmp_path: Path
) -> None:
    expected = vae.classify(TEXTS, classifier)
    for source in SOURCES.values():
        assert vae.classify(source(), classifier) == expected
        assert write_vectors(vae, source(), tmp_path / "v.npy").rows == 4
        np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), vae.encode(TEXTS))
    for refused in (FRAME, {"text": TEXTS}):
        with pytest.raises(UsageError, match=r'\["text"\]'):
            vae.classify(refused, classifier)
        with pytest.raises(UsageError, match=r'\["text"\]'):
            write_vectors(vae, refused, tmp_path / "w.npy")
        with pytest.raises(UsageError, match=r'\["text"\]'):
            vae.probe(refused, folds=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v.npy"]


def test_one_string_is_a_sentence_only_where_it_cannot_be_misread(vae: TextVAE) -> None:
    assert len(vae.generate(2, near="us !")) == 2
    assert len(vae.interpolate("us !", "us .", 3)) == 3
    for wrong in (["us !"], None, 7, b"us !"):
        with pytest.raises(UsageError, match=r"^b is"):
            vae.interpolate("us !", wrong)
        if wrong is not None:
            with pytest.raises(UsageError, match="near is"):
                vae.generate(1, near=wrong)
    for method in ("encode", "reconstruct", "log_likelihood", "transform"):
        with pytest.raises(UsageError, match=r"\[text\]"):
            METHODS[method](vae, "us !")
    for method in ("evaluate", "cluster", "stream_vectors"):  # where a string names a file
        with pytest.raises(NotFoundError, match=r"no such file; to give a sentence.*\[text\]"):
            METHODS[method](vae, "the soup was cold .")


def test_one_iterator_cannot_be_both_sides(vae: TextVAE) -> None:
    texts = iter(TEXTS)
    with pytest.raises(UsageError, match="one iterator"):
        TextVAE.train(texts, valid=texts, **TINY)
    rows = iter([Row(text, "a") for text in TEXTS])
    with pytest.raises(UsageError, match="one iterator"):
        vae.probe(rows, rows)


# names of files


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentences: list[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("train.txt", "valid.txt"):
        (tmp_path / name).write_text("\n".join(sentences))
    return tmp_path


def test_a_list_of_names_is_taken_for_files_in_train(files: Path) -> None:
    place = str(files / "valid.txt")
    lists = (["valid.txt"], (Path("valid.txt"),), ["val*.txt"], pd.Series(["valid.txt"]))
    for valid in ("valid.txt", *lists, files.glob("valid.*")):
        trained = TextVAE.train("train.txt", valid=valid, **TINY)
        assert trained.config.data.valid in ((place,), (str(files / "val*.txt"),))
    trained = TextVAE.train(["train.txt", "valid.txt"], valid=FRAME["text"], **TINY)
    assert trained.config.data.train == (str(files / "train.txt"), place)


@pytest.mark.usefixtures("files")
def test_names_are_never_trained_on_as_sentences(sentences: list[str], vae: TextVAE) -> None:
    with pytest.raises(NotFoundError, match=r"validd\.txt: no such file"):
        TextVAE.train("train.txt", valid=["validd.txt"], **TINY)
    with pytest.raises(UsageError, match=r"train\.txt.* names a file"):
        TextVAE.train([*sentences, "train.txt"], **TINY)
    for call in (vae.evaluate, lambda given: vae.cluster(given, 1)):
        for names in (["train.txt"], ["traim.txt"], pd.Series(["train.txt"])):
            with pytest.raises(UsageError, match="names of files"):
                call(names)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("given", [FRAME, {"text": TEXTS}, FRAME[["text"]], {"a", "b"}])
def test_a_training_refuses_tables(given: Any) -> None:
    with pytest.raises(UsageError, match=r"^texts is"):
        TextVAE.train(given, **TINY)
    with pytest.raises(UsageError, match=r"^valid is"):
        TextVAE.train("train.txt", valid=given, **TINY)


def test_a_training_reads_an_iterator_and_a_column(sentences: list[str]) -> None:
    weights = [
        TextVAE.train(texts, valid=iter(TEXTS), **TINY).encode(TEXTS)
        for texts in (sentences, iter(sentences), pd.Series(sentences), pa.array(sentences))
    ]
    for other in weights[1:]:
        np.testing.assert_array_equal(other, weights[0])
    with pytest.raises(DataError, match=r"valid\.iloc\[1\] is missing"):
        TextVAE.train(sentences, valid=pd.Series(["us !", None]), **TINY)


def test_a_probe_of_sentences_without_labels_says_how_to_give_them(vae: TextVAE) -> None:
    with pytest.raises(UsageError, match=r"with labels: \[Row\(text, label\)"):
        vae.probe(FRAME, folds=2)
    with pytest.raises(DataError, match=r"no sentence has a label; give rows: \[Row"):
        vae.probe(FRAME["text"], folds=2)
