"""Our vectors in sentence-transformers, MTEB and BERTopic: their code, the same numbers."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import paired_cosine_distances

from textvae import TextVAE
from textvae.embedding import sentence_transformer
from textvae.errors import DataError, UsageError

TEXTS = ["the dog likes rain .", "", "the cook sees us !", "a tall man paints the soup ."]
PAIRS = [
    ("the dog likes rain .", "the dog likes rain .", 5.0),
    ("the dog likes rain .", "the dog likes us !", 3.0),
    ("our neighbor finds rain .", "my sister finds rain .", 3.5),
    ("a tall man paints the soup .", "the cook sees us !", 0.5),
    ("the cook sees us !", "the cook sees her brother .", 4.0),
    ("my sister follows the red door .", "the dog likes rain .", 0.0),
]


@pytest.fixture(scope="module")
def vae(tiny_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(tiny_vae, device="cpu")


@pytest.fixture(scope="module")
def encoder(vae: TextVAE) -> Any:
    pytest.importorskip("sentence_transformers")
    return sentence_transformer(vae)


def cosines_of_pairs(vae: TextVAE) -> np.ndarray:
    first, second, _ = zip(*PAIRS, strict=True)
    return 1 - paired_cosine_distances(vae.encode(first), vae.encode(second))


def scores_of_pairs() -> list[float]:
    return [score for *_, score in PAIRS]


# encode


@pytest.mark.parametrize("layer", ["latent", "encoder"])
@pytest.mark.parametrize("normalize", [False, True])
def test_encode_is_encode(layer: Any, normalize: bool, vae: TextVAE) -> None:
    pytest.importorskip("sentence_transformers")
    theirs = sentence_transformer(vae, layer=layer, normalize=normalize)
    ours = vae.encode(TEXTS, layer=layer, normalize=normalize)
    np.testing.assert_allclose(theirs.encode(TEXTS), ours, atol=1e-6)
    np.testing.assert_allclose(theirs.encode(TEXTS, batch_size=1), ours, atol=1e-6)
    np.testing.assert_allclose(theirs.encode(TEXTS[0]), ours[0], atol=1e-6)
    assert theirs.get_embedding_dimension() == ours.shape[1]


def test_each_option_of_encode_means_what_it_says(encoder: Any, vae: TextVAE) -> None:
    from sentence_transformers import quantize_embeddings

    ours = vae.encode(TEXTS)
    tensor = encoder.encode(TEXTS, convert_to_tensor=True, show_progress_bar=False)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), ours, atol=1e-6)
    unit = encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(unit, vae.encode(TEXTS, normalize=True), atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS, truncate_dim=3), ours[:, :3], atol=1e-6)
    np.testing.assert_array_equal(
        encoder.encode(TEXTS, precision="ubinary"), np.packbits(ours > 0, axis=1)
    )
    np.testing.assert_array_equal(
        encoder.encode(TEXTS, precision="int8"), quantize_embeddings(ours, precision="int8")
    )
    assert len(encoder.encode([])) == 0


def test_a_prompt_stands_before_the_text(vae: TextVAE) -> None:
    pytest.importorskip("sentence_transformers")
    encoder = sentence_transformer(vae, prompts={"ask": "my sister sees "})
    expected = vae.encode(["my sister sees " + text for text in TEXTS])
    for how in ({"prompt": "my sister sees "}, {"prompt_name": "ask"}):
        np.testing.assert_allclose(encoder.encode(TEXTS, **how), expected, atol=1e-6)


def test_longer_texts_are_cut(encoder: Any, vae: TextVAE) -> None:
    long = " ".join(["the dog likes rain"] * 10)
    np.testing.assert_allclose(encoder.encode([long]), vae.encode([long]), atol=1e-6)
    short = pickle.loads(pickle.dumps(encoder))
    short.max_seq_length = 4  # the end token included
    np.testing.assert_allclose(short.encode([long]), vae.encode(["the dog likes"]), atol=1e-6)


def test_what_is_no_text_is_refused(encoder: Any) -> None:
    with pytest.raises(DataError, match="not a string"):
        encoder.encode([("the dog", "the cook")])


# a module among theirs


def test_a_saved_model_is_read_by_both(vae: TextVAE, tmp_path: Path) -> None:
    theirs = pytest.importorskip("sentence_transformers")
    encoder = sentence_transformer(vae, layer="encoder", normalize=True)
    encoder.save(str(tmp_path), create_model_card=False)
    again = theirs.SentenceTransformer(str(tmp_path), trust_remote_code=True, device="cpu")
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    np.testing.assert_array_equal(
        TextVAE.from_pretrained(tmp_path, device="cpu").encode(TEXTS), vae.encode(TEXTS)
    )
    assert {path.suffix for path in tmp_path.rglob("*.*")} == {".json", ".safetensors", ".toml"}


def test_a_worker_process_gets_the_same_model(encoder: Any) -> None:
    copy = pickle.loads(pickle.dumps(encoder))  # as a pool of theirs sends it
    np.testing.assert_array_equal(copy.encode(TEXTS), encoder.encode(TEXTS))


def test_what_their_trainers_learn_is_what_is_saved(tiny_vae: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.losses import CosineSimilarityLoss

    encoder = sentence_transformer(tiny_vae, device="cpu")
    before = encoder.encode(TEXTS)
    first, second, scores = zip(*PAIRS, strict=True)
    loss = CosineSimilarityLoss(encoder)
    optimizer = torch.optim.SGD(encoder.parameters(), lr=1.0)
    losses = []
    for _ in range(3):
        features = [encoder.preprocess(list(first)), encoder.preprocess(list(second))]
        value = loss(features, torch.tensor(scores) / 5)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < losses[0]
    encoder.save(str(tmp_path), create_model_card=False)
    after = TextVAE.from_pretrained(tmp_path, device="cpu").encode(TEXTS)
    np.testing.assert_allclose(after, encoder.encode(TEXTS), atol=1e-6)
    assert np.abs(after - before).max() > 1e-3


def test_the_name_follows_weights_and_settings(tiny_vae: Path) -> None:
    """MTEB keeps results by name: one name, one set of vectors."""
    pytest.importorskip("sentence_transformers")
    encoder = sentence_transformer(tiny_vae, device="cpu")
    name = encoder.model_card_data.model_name
    assert name.startswith("textvae/vae-latent-")
    assert sentence_transformer(tiny_vae, device="cpu").model_card_data.model_name == name
    others = [
        sentence_transformer(tiny_vae, layer="encoder"),
        sentence_transformer(tiny_vae, normalize=True),
        sentence_transformer(tiny_vae, prompts={"query": "the "}),
        sentence_transformer(tiny_vae, similarity_fn_name="dot"),
        sentence_transformer(tiny_vae, truncate_dim=2),
    ]
    names = {name, *(other.model_card_data.model_name for other in others)}
    assert len(names) == 6
    encoder.max_seq_length = 3
    names.add(encoder.model_card_data.model_name)
    assert len(names) == 7
    encoder.max_seq_length = TextVAE.from_pretrained(tiny_vae).max_tokens
    assert encoder.model_card_data.model_name == name
    before = encoder.encode(TEXTS)
    with torch.no_grad():  # as a training of theirs does
        for parameter in encoder.parameters():
            parameter += 0.01
    assert np.abs(encoder.encode(TEXTS) - before).max() > 1e-4
    names.add(encoder.model_card_data.model_name)
    assert len(names) == 8
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy.model_card_data.model_name == encoder.model_card_data.model_name
    encoder.model_card_data.model_name = "mine/own"
    assert encoder.model_card_data.model_name == "mine/own"


# who takes it


def test_their_evaluator_scores_the_cosines_of_our_vectors(encoder: Any, vae: TextVAE) -> None:
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

    first, second, scores = zip(*PAIRS, strict=True)
    evaluator = EmbeddingSimilarityEvaluator(list(first), list(second), list(scores))
    by_hand = spearmanr(cosines_of_pairs(vae), scores).statistic
    assert evaluator(encoder)["spearman_cosine"] == pytest.approx(by_hand, abs=1e-6)


def test_mteb_scores_the_cosines_of_our_vectors(
    vae: TextVAE, tiny_ae: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sentence_transformers")
    mteb = pytest.importorskip("mteb")
    from datasets import Dataset
    from mteb.abstasks import AbsTaskSTS

    class InventedPairs(AbsTaskSTS):
        metadata = mteb.TaskMetadata(
            name="InventedPairs",
            description="Pairs of sentences with scores of our own.",
            dataset={"path": "textvae/invented", "revision": "1"},
            type="STS",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="cosine_spearman",
        )

        def load_data(self, **_: Any) -> None:
            names = ("sentence1", "sentence2", "score")
            rows = [dict(zip(names, pair, strict=True)) for pair in PAIRS]
            self.dataset = {"test": Dataset.from_list(rows)}
            self.data_loaded = True

    cache = mteb.ResultCache(tmp_path)
    for own in (vae, TextVAE.from_pretrained(tiny_ae)):  # each its results, from one cache
        encoder = sentence_transformer(own)
        result = mteb.evaluate(encoder, InventedPairs(), cache=cache, show_progress_bar=False)
        by_hand = spearmanr(cosines_of_pairs(own), scores_of_pairs()).statistic
        assert result.task_results[0].get_score() == pytest.approx(by_hand, abs=1e-6)


def test_bertopic_groups_our_vectors(encoder: Any, vae: TextVAE) -> None:
    bertopic = pytest.importorskip("bertopic")
    everyday = Path(__file__).parents[2] / "data" / "everyday" / "test.jsonl"
    with everyday.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for _, line in zip(range(200), lines, strict=False)]
    narrow, groups = PCA(3, random_state=0), KMeans(5, n_init=1, random_state=0)
    model = bertopic.BERTopic(
        embedding_model=encoder,
        umap_model=PCA(3, random_state=0),  # of no need of theirs to compile for seconds
        hdbscan_model=KMeans(5, n_init=1, random_state=0),
    )
    topics, _ = model.fit_transform(texts)
    by_hand = groups.fit_predict(narrow.fit_transform(vae.encode(texts)))
    assert adjusted_rand_score(topics, by_hand) == 1.0


# without them


def test_without_the_package_the_error_says_what_to_install(
    tiny_vae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UsageError, match=r"pip install 'textvae\[interop\]'"):
        sentence_transformer(tiny_vae)


def test_a_language_model_is_refused_in_one_line(tiny_lm: Path) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(UsageError, match="language model"):
        sentence_transformer(tiny_lm)


def test_what_is_no_list_of_sentences_is_refused_by_name(encoder: Any) -> None:
    frame = pd.DataFrame({"text": TEXTS})
    np.testing.assert_array_equal(encoder.encode(list(frame["text"])), encoder.encode(TEXTS))
    for given, way in (
        (frame, r'df\["text"\]'),
        (frame["text"], "a Series for one sentence; give list"),
        (iter(TEXTS), r"list_iterator for one sentence; give list"),
        ({"text": TEXTS}, r'\["text"\]'),
    ):
        with pytest.raises(UsageError, match=way):
            encoder.encode(given)
    for given in ([None], b"us !"):
        with pytest.raises(DataError, match=r"texts\[0\]"):
            encoder.encode(given)
