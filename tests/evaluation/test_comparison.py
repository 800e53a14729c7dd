"""Models compared: sentence by sentence, on one subset, and only where they read the same text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from random_models import random_word_model, word_tokenizer

from textvae.data.rows import Row
from textvae.errors import DataError, UsageError
from textvae.evaluation.comparison import Candidate, compare
from textvae.evaluation.report import evaluate

TOKENIZER = word_tokenizer()
TEXTS = ["the cat sees the dog .", "soup .", "", "the dog", "cat cat cat", "dog sees soup .", "the"]


def candidate(
    name: str, kind: str = "vae", texts: Sequence[str] = TEXTS, **sizes: int
) -> Candidate:
    """A random model, its weights by the name."""
    model = random_word_model(kind, seed=sum(map(ord, name)), **sizes)
    return Candidate(name, model, TOKENIZER, [Row(text) for text in texts])


def columns(one: Candidate, key: str, **settings: int) -> np.ndarray:
    """The figure of each sentence, as a report on its own has it."""
    report = evaluate(one.model, TOKENIZER, one.rows, per_sentence=True, **settings)
    return np.array([sentence[key] for sentence in report["sentences"]])


def test_differences_are_means_of_pairs_with_the_error_of_pairs() -> None:
    a, b, c = candidate("a"), candidate("b"), candidate("c")
    found = compare([a, b, c], samples=4, seed=3)
    assert [(d["model"], d["minus"]) for d in found["differences"]] == [("b", "a"), ("c", "a")]
    for other, difference in zip((b, c), found["differences"], strict=True):
        assert difference["n_sentences"] == 6
        for key in ("nll_iw", "nll_elbo", "rec"):
            own, first = (columns(one, key, samples=4, seed=3) for one in (other, a))
            apart = own - first
            assert difference[key] == pytest.approx(apart.sum() / 6, rel=1e-9)
            spread = math.sqrt(sum((apart - apart.mean()) ** 2) / 5)
            assert difference[f"{key}_se"] == pytest.approx(spread / math.sqrt(6), rel=1e-9)


def test_a_model_differs_from_itself_by_nothing_and_the_sign_turns_with_the_order() -> None:
    a, b = candidate("a"), candidate("b", latent_size=3)
    same = compare([a, a], samples=3)["differences"][0]
    assert [same[key] for key in ("nll_iw", "nll_iw_se", "rec", "rec_se")] == [0, 0, 0, 0]
    (forth,), (back,) = (compare(pair, samples=3)["differences"] for pair in ([a, b], [b, a]))
    assert forth["nll_iw"] == -back["nll_iw"] != 0
    assert forth["nll_iw_se"] == back["nll_iw_se"]


def test_reports_are_those_of_evaluate_on_the_same_subset() -> None:
    a, b = candidate("a"), candidate("b", "lm")
    for limit in (None, 3):
        found = compare(iter([a, b]), samples=2, seed=1, limit=limit)
        assert found["models"] == [
            evaluate(one.model, TOKENIZER, one.rows, name=one.name, samples=2, seed=1, limit=limit)
            for one in (a, b)
        ]
        assert all(report["n_blank"] == 1 for report in found["models"])


def test_only_what_both_define_is_compared() -> None:
    vae, lm, ae = candidate("vae"), candidate("lm", "lm"), candidate("ae", "ae")
    found = compare([vae, lm, ae], samples=2)
    keys = [[key for key in d if not key.endswith("_se")][3:] for d in found["differences"]]
    assert keys == [["nll_iw"], ["rec"]]
    assert list(compare([lm, ae], samples=2)["differences"][0]) == ["model", "minus", "n_sentences"]


def test_a_pair_has_one_text() -> None:
    """What one model cuts, or prepares otherwise, is another sentence with nats of its own."""
    a, short = candidate("a"), candidate("short", max_tokens=4)
    with pytest.raises(DataError, match="truncate=True"):
        compare([a, short], samples=2)
    found = compare([a, short], samples=2, truncate=True)
    assert found["models"][1]["n_truncated"] == 2
    fits = [i for i, text in enumerate(t for t in TEXTS if t) if len(text.split()) < 4]
    apart = (columns(short, "rec", samples=2, truncate=True) - columns(a, "rec", samples=2))[fits]
    assert found["differences"][0]["n_sentences"] == len(fits) == 4
    assert found["differences"][0]["rec"] == pytest.approx(apart.mean())
    # Cut alike, they are alike again.
    both = compare([short, short], samples=2, truncate=True)["differences"][0]
    assert both["n_sentences"] == 6

    upper = [text.upper() if text.startswith("the") else text for text in TEXTS]
    other = candidate("b", texts=upper)
    for limit, n in ((None, 3), (6, 3)):
        assert compare([a, other], samples=1, limit=limit)["differences"][0]["n_sentences"] == n
    nothing = compare([a, candidate("b", texts=[t.upper() for t in TEXTS])], samples=1)
    assert nothing["differences"] == [{"model": "b", "minus": "a", "n_sentences": 0}]


def test_the_subset_is_that_of_the_first_model_even_where_texts_differ() -> None:
    upper = candidate("b", texts=[text.upper() for text in TEXTS])
    seen: list[list[int]] = []
    for first, second in ((candidate("a"), upper), (upper, candidate("a"))):
        found = compare([first, second], samples=1, limit=3)
        own = evaluate(first.model, TOKENIZER, first.rows, samples=1, limit=3, name=first.name)
        assert found["models"][0] == own
        seen.append([report["n_sentences"] for report in found["models"]])
    assert seen == [[3, 3], [3, 3]]


def test_one_sentence_has_a_difference_and_no_error() -> None:
    a, b = candidate("a", texts=["soup ."]), candidate("b", texts=["soup ."])
    difference = compare([a, b], samples=2)["differences"][0]
    assert difference["nll_iw"] == columns(b, "nll_iw", samples=2) - columns(a, "nll_iw", samples=2)
    assert "nll_iw_se" not in difference


def test_progress_says_which_model() -> None:
    phases: list[str] = []
    compare(
        [candidate("a"), candidate("b", "lm")],
        samples=1,
        progress=lambda phase, done, total: phases.append(phase),
    )
    assert list(dict.fromkeys(phases)) == [
        "a: likelihood", "a: z_gain", "a: reconstruction", "b: likelihood",
    ]  # fmt: skip


def test_a_comparison_without_samples_or_sentences_is_refused() -> None:
    with pytest.raises(UsageError, match="samples=0"):
        compare([candidate("a")], samples=0)
    with pytest.raises(UsageError, match="subset of 0"):
        compare([candidate("a")], limit=0)
    with pytest.raises(DataError, match="no sentence"):
        compare([candidate("a", texts=["", " "])])
