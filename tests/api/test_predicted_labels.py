"""The head on labels after training: its accuracy in `evaluate`, its predictions by `classify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import ONE_LINE_ERROR
from small_runs import CONSTANT, TEXTS, TINY

from textvae.api import Row, TextVAE, Watcher, compare
from textvae.errors import UsageError

CLASSES = ("cat", "dog", "other")


def who(place: int) -> str | None:
    """Three classes that the words give away; every fifth sentence has none."""
    text = TEXTS[place]
    animal = "cat" if text.startswith("the cat") else "dog" if text.startswith("a dog") else "other"
    return None if place % 5 == 4 else animal


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sentences and their classes, in a column that is not called `label`."""
    path = tmp_path_factory.mktemp("labelled") / "who.jsonl"
    rows = [{"text": text, "who": who(place)} for place, text in enumerate(TEXTS)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["vae", "ae"])
def trained(request: pytest.FixtureRequest, table: Path) -> TextVAE:
    dropouts = {name: 0.0 for name in TINY if name.endswith("_dropout")}
    sizes = {"max_steps": 100, "eval_steps": 100, "log_steps": 100, "learning_rate": 0.01}
    settings = TINY | CONSTANT | sizes | dropouts
    if request.param == "ae":
        settings |= {"model": "ae"}
    out = table.parent / request.param
    settings |= {"label_weight": 20.0, "label_column": "who", "cache_dir": str(table.parent / "c")}
    return TextVAE.train(table, valid=table, out=out, progress=False, **settings)


def watched() -> tuple[list[str], list[str], Watcher]:
    notes: list[str] = []
    warnings: list[str] = []
    return notes, warnings, Watcher(notes.append, warnings.append)


def test_the_accuracy_is_the_share_of_labels_found_in_the_column_of_the_training(
    trained: TextVAE, table: Path
) -> None:
    found = trained.evaluate(table, samples=1, per_sentence=True)
    best = trained.label_probabilities(TEXTS).argmax(1)
    right = [
        trained.labels[best[place]] == who(place)
        for place in range(len(TEXTS))
        if who(place) is not None
    ]
    assert np.mean(right) > 0.5
    figures = found.figures
    assert figures["label_accuracy"] == pytest.approx(np.mean(right))
    error = np.std(right, ddof=1) / len(right) ** 0.5
    assert figures["label_accuracy_se"] == pytest.approx(error)
    assert (figures["n_labelled"], "n_unknown_labels" in figures) == (len(right), False)
    assert figures["label_accuracy"] == pytest.approx(trained.metrics["label_accuracy"], abs=1e-6)
    rows = found.sentences or []
    assert [row["label"] for row in rows] == [who(place) for place in range(len(TEXTS))]
    assert [row["predicted_label"] for row in rows] == [trained.labels[place] for place in best]


def test_a_label_that_the_head_does_not_know_is_an_error_and_told(trained: TextVAE) -> None:
    best = trained.label_probabilities(TEXTS[:3]).argmax(1)
    rows = [Row(text, trained.labels[place]) for text, place in zip(TEXTS[:3], best, strict=True)]
    _, warnings, watcher = watched()
    figures = trained.evaluate([*rows, Row(TEXTS[3], "bird")], samples=1, watcher=watcher).figures
    assert figures["label_accuracy"] == 0.75
    assert (figures["n_labelled"], figures["n_unknown_labels"]) == (4, 1)
    assert any("1 label does not occur in the model's training" in told for told in warnings)


def test_a_file_without_labels_has_no_accuracy_and_says_so(
    trained: TextVAE, tmp_path: Path
) -> None:
    for name, content in (
        ("a.txt", TEXTS[0]),
        ("a.csv", f"text\n{TEXTS[0]}"),
        ("b.tsv", "text\na"),
    ):
        file = tmp_path / name
        file.write_text(content + "\n", encoding="utf-8")
        notes, _, watcher = watched()
        figures = trained.evaluate(file, samples=1, watcher=watcher).figures
        assert not {"label_accuracy", "n_labelled"} & figures.keys()
        assert any("no sentence has a label, so no label_accuracy" in told for told in notes)


def test_classify_by_the_head_gives_its_probabilities(
    trained: TextVAE, table: Path, tmp_path: Path, textvae: Any
) -> None:
    """In Python, by the command, and by the file of the same head as a classifier."""
    expected = trained.label_probabilities(TEXTS)
    found = trained.classify(TEXTS)
    for place, one in enumerate(found):
        assert (one.index, one.text, tuple(one.probabilities)) == (place, TEXTS[place], CLASSES)
        np.testing.assert_allclose(list(one.probabilities.values()), expected[place], atol=1e-6)
        assert one.label == CLASSES[expected[place].argmax()]
    ran = textvae("classify", trained.folder, table, "--head", "--json", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert [row["label"] for row in ran.rows] == [one.label for one in found]
    assert ran.rows[0].keys() == {"index", "text", "label", "probability", "probabilities"}
    trained.label_classifier().save(tmp_path / "head.safetensors")
    saved = textvae("classify", trained.folder, tmp_path / "head.safetensors", table, "--json")
    for row, same in zip(saved.rows, ran.rows, strict=True):
        assert row["probabilities"] == pytest.approx(same["probabilities"], abs=1e-6)
    piped = textvae("classify", trained.folder, "--head", stdin=TEXTS[0] + "\n")
    assert piped.out == f"{found[0].label}\t{found[0].probability:.4f}\t{TEXTS[0]}\n"


def test_a_comparison_has_the_accuracy_of_the_models_with_a_head(
    trained: TextVAE, table: Path, tiny_vae: Path, textvae: Any
) -> None:
    alone = trained.evaluate(table, samples=1, limit=30).figures["label_accuracy"]
    without = TextVAE.from_pretrained(tiny_vae)
    plain, own = compare([without, trained], table, samples=1, limit=30, truncate=True).models
    assert "label_accuracy" not in plain.figures
    assert own.figures["label_accuracy"] == pytest.approx(alone)
    ran = textvae("compare", trained.folder, "--on", table, "--samples", 1, "--limit", 30)
    assert "label_accuracy" in ran.out


def test_models_without_a_head_and_contradictions_are_refused(
    trained: TextVAE, table: Path, tiny_vae: Path, tiny_lm: Path, textvae: Any
) -> None:
    head = trained.folder
    for code, reason, arguments in (
        (2, "was trained without labels", ("classify", tiny_vae, table, "--head")),
        (2, "is a language model", ("classify", tiny_lm, table, "--head")),
        (2, "--head takes no classifier", ("classify", head, "c.safetensors", table, "--head")),
        (2, "add --head", ("classify", head)),
        (2, "was trained without labels", ("evaluate", tiny_vae, table, "--label-column", "who")),
        (2, "is a language model", ("evaluate", tiny_lm, table, "--label-column", "who")),
        (2, "without labels", ("compare", tiny_vae, "--on", table, "--label-column", "who")),
        (3, "no column 'star'", ("evaluate", head, table, "--label-column", "star")),
    ):
        ran = textvae(*arguments, stdin="")
        assert (ran.code, ran.out) == (code, ""), (arguments, ran.err)
        assert ONE_LINE_ERROR.search(ran.err)
        assert reason in ran.err
    with pytest.raises(UsageError, match=r"trained without labels.*label_weight=1"):
        TextVAE.from_pretrained(tiny_vae).classify(TEXTS)
