"""Linear classifiers on frozen vectors: what they are, and that the test has no part in them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from blobs import blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as reference_log_loss

from textvae.classification import linear, probes
from textvae.classification.probes import Split
from textvae.errors import DataError, UsageError

# the classifier


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_fit_is_the_logistic_regression_of_its_strength(classes: int, sparse: bool) -> None:
    from scipy.sparse import csr_matrix

    vectors, labels = blobs(60, spread=6)
    vectors, labels = vectors[labels < classes], labels[labels < classes]
    features = csr_matrix(vectors) if sparse else vectors
    fitted = linear.fit(features, labels)
    reference = LogisticRegression(C=fitted.strength, max_iter=1000).fit(vectors, labels)
    found = np.exp(fitted.log_probabilities(features))
    np.testing.assert_allclose(found, reference.predict_proba(vectors), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_array_equal(fitted.predict(features), reference.predict(vectors))
    given = linear.fit(features, labels, strength=0.01)
    reference = LogisticRegression(C=0.01).fit(vectors, labels)
    found = np.exp(given.log_probabilities(features))
    np.testing.assert_allclose(found, reference.predict_proba(vectors), atol=1e-6)


def test_the_strength_is_that_of_the_least_loss_on_held_out_folds() -> None:
    vectors, labels = blobs(60, spread=9)
    fold_of = linear.stratified_folds(labels, 5, 3)
    losses = []
    for strength in linear.STRENGTHS:
        loss = 0.0
        for fold in range(5):
            inside, out = fold_of != fold, fold_of == fold
            model = LogisticRegression(C=strength, max_iter=1000).fit(
                vectors[inside], labels[inside]
            )
            p = model.predict_proba(vectors[out])
            loss += reference_log_loss(labels[out], p, labels=[0, 1, 2], normalize=False)
        losses.append(loss)
    expected = linear.STRENGTHS[int(np.argmin(losses))]
    assert linear.STRENGTHS[0] < expected < linear.STRENGTHS[-1]
    assert linear.chosen_strength(vectors, labels, seed=3) == expected


def test_many_labels_are_judged_by_one_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of the folds: other labels there than the rest have change the strength."""
    monkeypatch.setattr(linear, "MANY_LABELS", 50)
    vectors, labels = blobs(60)
    assert linear.chosen_strength(vectors, labels) > 0.1
    wrong = labels.copy()
    held_out = linear.stratified_folds(labels, linear.FOLDS, 0) == 0
    wrong[held_out] = (labels[held_out] + 1) % 3
    monkeypatch.setattr(linear, "stratified_folds", lambda *_: np.where(held_out, 0, 1))
    assert linear.chosen_strength(vectors, wrong) == linear.STRENGTHS[0]


def test_the_loss_of_a_class_that_was_not_seen_is_that_of_the_least_probability() -> None:
    seen = linear.Linear(np.array([0, 2]), np.zeros((2, 1)), np.zeros(2))
    features = np.ones((4, 1))
    loss = linear.log_loss(seen, features, np.array([0, 2, 1, 3]))
    assert loss == pytest.approx(2 * np.log(2) - 2 * linear.LEAST_LOG_PROBABILITY)


# draws and folds


@pytest.mark.parametrize("seed", range(3))
def test_each_beginning_of_a_draw_has_the_classes_in_their_shares(seed: int) -> None:
    labels = np.random.default_rng(9).permutation(np.repeat([0, 1, 2], [60, 30, 6]))
    order = linear.stratified_order(labels, seed)
    assert sorted(order) == list(range(96))
    share = np.bincount(labels) / 96
    for n in range(1, 97):
        counts = np.bincount(labels[order[:n]], minlength=3)
        assert (np.abs(counts - n * share) <= 1 + 3 * share).all()


def test_a_draw_depends_on_the_seed_alone() -> None:
    labels = blobs(30)[1]
    same, again, other = (linear.stratified_order(labels, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(same, again)
    assert (same != other).any()


def test_folds_part_the_rows_and_each_class_evenly() -> None:
    labels = np.repeat([0, 1, 2], [23, 11, 3])
    fold_of = linear.stratified_folds(labels, 5, 0)
    for rows in (fold_of, *(fold_of[labels == name] for name in range(3))):
        counts = np.bincount(rows, minlength=5)
        assert counts.max() - counts.min() <= 1
    splits = probes.cross_validation(labels, 5, 0)
    assert sorted(np.concatenate([split.test for split in splits])) == list(range(37))
    for split in splits:
        assert sorted([*split.train, *split.test]) == list(range(37))


@pytest.mark.parametrize("folds", [1, 7])
def test_folds_that_cannot_be_are_refused(folds: int) -> None:
    with pytest.raises(UsageError, match="2 to 6"):
        probes.cross_validation(np.zeros(6, dtype=int), folds, 0)


# the probe


def test_separable_vectors_are_read_without_an_error_and_the_majority_has_its_share() -> None:
    vectors, labels = blobs(120)
    features = {"blobs": probes.standardised(vectors), "majority": probes.majority}
    runs = probes.probe(features, labels, [probes.one_split(60, 60)], [12, None], [0, 1])
    for size in (12, None):
        assert {(run.accuracy, run.macro_f1) for run in runs["blobs", size]} == {(1.0, 1.0)}
        for run in runs["majority", size]:
            assert run.accuracy == 0.5
            assert run.macro_f1 == pytest.approx(2 * 0.5 / 1.5 / 3)  # precision 1/2, recall 1
    assert [run.seed for run in runs["blobs", 12]] == [0, 1]
    assert [(run.seed, run.n_labels) for run in runs["blobs", None]] == [(0, 60)]


def test_the_test_has_no_part_in_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other labels and other sentences to test on leave the strengths as they were."""
    monkeypatch.setattr(linear, "FOLDS", 2)
    vectors, labels = blobs(90, spread=6)
    texts = [f"word{label} {'x' * (i % 4)}" for i, label in enumerate(labels)]
    split = probes.one_split(60, 30)
    others, lies, words = vectors.copy(), labels.copy(), list(texts)
    lies[60:] = np.random.default_rng(1).permutation(lies[60:])
    others[60:] *= 100
    words[60:] = ["new words !"] * 30

    def strengths(vectors, texts, labels) -> list[float | None]:
        features = {"v": probes.standardised(vectors), "t": probes.tfidf(texts)}
        runs = probes.probe(features, labels, [split], [20, None], [0])
        return [run.strength for found in runs.values() for run in found]

    expected = strengths(vectors, texts, labels)
    assert strengths(vectors, texts, lies) == expected
    assert strengths(others, words, labels) == expected


def test_a_draw_without_a_class_is_tested_on_all_classes() -> None:
    vectors, labels = blobs(60)
    features = {"blobs": probes.standardised(vectors)}
    runs = probes.probe(features, labels, [probes.one_split(30, 30)], [1, 2], range(4))
    for run in itertools.chain(*runs.values()):
        assert run.accuracy in (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6)  # classes known, all of each


def test_without_a_word_tfidf_is_the_majority() -> None:
    _, labels = blobs(30)
    features = {"tfidf": probes.tfidf([""] * 30), "majority": probes.majority}
    runs = probes.probe(features, labels, probes.cross_validation(labels, 3, 0), [None], [0])
    assert runs["tfidf", None] == runs["majority", None]
    texts = [*[""] * 29, "word"]
    split = Split(np.array([0, 3, 29]), np.array([1, 2]))
    none_drawn = probes.probe({"tfidf": probes.tfidf(texts)}, labels, [split], [1, 2], range(3))
    assert {run.n_labels for run in itertools.chain(*none_drawn.values())} == {1, 2}


def test_each_fold_is_a_run_and_all_vectors_get_the_same_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linear, "FOLDS", 2)
    vectors, labels = blobs(60, spread=9)
    splits = probes.cross_validation(labels, 3, 0)
    features = {"a": probes.standardised(vectors), "b": probes.standardised(2 * vectors - 5)}
    done: list[tuple[str, int, int]] = []
    runs = probes.probe(features, labels, splits, [15, None], [0], lambda *p: done.append(p))
    assert [run.split for run in runs["a", 15]] == [0, 1, 2]
    assert runs["a", 15] == runs["b", 15]  # which are the same when standardised
    assert runs["a", None] == runs["b", None]
    assert done == [("probing", i, 12) for i in range(1, 13)]


def test_macro_f1_is_the_mean_over_the_classes_of_the_test() -> None:
    truth, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 2, 2])
    accuracy, macro_f1 = probes.scores(truth, predicted)
    assert (accuracy, macro_f1) == (0.5, pytest.approx((0.8 + 0) / 2))


def test_a_summary_has_the_mean_and_the_deviation_of_its_runs() -> None:
    runs = [probes.Run(0, seed, 5, accuracy, 0.5, 1.0) for seed, accuracy in enumerate((0.2, 0.6))]
    found = probes.summary(runs)
    assert found["accuracy"] == pytest.approx(0.4)
    assert found["accuracy_sd"] == pytest.approx(0.08**0.5)
    assert (found["macro_f1_sd"], found["n_runs"], found["n_labels"]) == (0, 2, 5)
    assert "accuracy_sd" not in probes.summary(runs[:1])


# the features


def test_vectors_are_standardised_by_the_training_texts() -> None:
    vectors = np.random.default_rng(0).normal(3, [1, 5, 0], size=(50, 3)).astype(np.float32)
    train, test = probes.standardised(vectors)(probes.one_split(40, 10))
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(0), [1, 1, 0], atol=1e-6)
    mean, scale = probes.moments(vectors[:40])
    np.testing.assert_allclose(test * scale + mean, vectors[40:], atol=1e-6)
    assert scale[2] == 1


def test_tfidf_knows_words_and_pairs_of_the_training_texts_alone() -> None:
    texts = ["Good soup !", "bad soup !", "good rain"]
    train, test = probes.tfidf(texts)(probes.one_split(2, 1))
    assert train.shape == (2, 7)  # good, soup, !, bad, good soup, soup !, bad soup
    assert test.nnz == 1  # good
    np.testing.assert_allclose(np.sqrt(train.multiply(train).sum(1)), 1)


def test_tfidf_of_text_without_spaces_is_of_characters() -> None:
    train, test = probes.tfidf(["我喜欢汤", "我不喜欢", "他喜欢我"])(probes.one_split(2, 1))
    assert test.nnz == 4  # 我 喜 欢 喜欢
    assert train.shape == (2, 10)  # 5 characters, 5 pairs


def test_columns_that_no_training_text_has_do_not_count() -> None:
    texts = ["good soup", "bad rain", "good day", "bad night", "a good night", "a bad soup"]
    train, test = probes.tfidf(texts)(probes.one_split(4, 2))
    labels = np.array([0, 1, 0])
    full = LogisticRegression(C=10.0, tol=1e-8).fit(train[:3], labels).predict_proba(test)
    few, those = probes.without_unused_columns(train[:3], test)
    assert few.shape[1] < train.shape[1]
    found = LogisticRegression(C=10.0, tol=1e-8).fit(few, labels).predict_proba(those)
    np.testing.assert_allclose(found, full, atol=1e-6)


# the rows


def test_duplicates_of_the_training_texts_are_found_and_left_out() -> None:
    texts = ["a", "b", "c", "b ", "d", "a", "a", "D"]
    split = probes.one_split(3, 5)
    assert probes.in_training(split, texts).tolist() == [True, False, True, True, False]
    kept = probes.without_duplicates(split, texts)
    assert [texts[row] for row in kept.test] == ["d", "D"]
    np.testing.assert_array_equal(kept.train, split.train)
    with pytest.raises(DataError, match="nothing is left"):
        probes.without_duplicates(probes.one_split(1, 1), ["a", "a"])


def test_sizes_beyond_the_smallest_training_part_are_left_out() -> None:
    splits = [Split(np.arange(n), np.arange(1)) for n in (10, 9)]
    assert probes.usable_sizes([5, 9, 10, None], splits) == ([5, 9, None], [10])


def test_codes_are_places_among_the_sorted_names() -> None:
    classes, codes = probes.codes_of(["no", "yes", "maybe", "no"])
    assert (classes, codes.tolist()) == (["maybe", "no", "yes"], [1, 2, 0, 1])
