"""Training with labels: the head learns them, resumes, and is saved; odd labels are told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import (
    CONSTANT,
    TEXTS,
    Heard,
    StopAt,
    all_tensors,
    records,
    tiny_config,
)

from textvae import TextVAE
from textvae.api import Row
from textvae.config import Config
from textvae.errors import DataError, InterruptedRun, ModelFormatError
from textvae.training.train import train_model

OPTIONS = {"label_weight": 1.0, "nested": (2,)}


def table(path: Path, labels: list[str], texts: list[str] = TEXTS) -> Path:
    rows = [f"{label}\t{text}" for label, text in zip(labels, texts, strict=True)]
    path.write_text("\n".join(["label\ttext", *rows]) + "\n", encoding="utf-8")
    return path


def who(text: str) -> str:
    """Three classes that the words give away."""
    return "cat" if text.startswith("the cat") else "dog" if text.startswith("a dog") else "other"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """The sentences; every fifth has no label."""
    labels = ["" if n % 5 == 4 else who(text) for n, text in enumerate(TEXTS)]
    return table(tmp_path / "train.tsv", labels)


def config_of(file: Path, valid: Path | None = None, **options: Any) -> Config:
    sources = {"train": (str(file),), "valid": () if valid is None else (str(valid),)}
    return tiny_config(**sources, cache_dir=str(file.parent / "cache"), **OPTIONS | options)


def test_labels_stay_with_their_sentences_when_a_batch_is_divided(
    labelled: Path, tmp_path: Path
) -> None:
    for name, parts in (("whole", 1), ("parts", 3)):
        config = config_of(labelled, log_steps=1, max_steps=4, accumulate=parts)
        train_model(config, tmp_path / name)
    whole, parts_ = records(tmp_path / "whole"), records(tmp_path / "parts")
    for expected, found in zip(whole, parts_, strict=True):
        for key in expected.keys() & {"loss", "rec", "label"}:
            assert found[key] == pytest.approx(expected[key], rel=1e-4), key


def test_a_run_with_labels_resumes_bit_for_bit(labelled: Path, tmp_path: Path) -> None:
    config, whole, torn = config_of(labelled, log_steps=1), tmp_path / "whole", tmp_path / "torn"
    train_model(config, whole)
    with pytest.raises(InterruptedRun):
        train_model(config, torn, reporter=StopAt(11))
    train_model(config, torn, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)
    lines = records(whole)
    assert all(("label" in line) == (line["event"] == "train") for line in lines)


def test_the_head_learns_and_is_loaded_with_the_model(tmp_path: Path) -> None:
    train = table(tmp_path / "train.tsv", [who(text) for text in TEXTS])
    sizes = {"max_steps": 120, "eval_steps": 60, "hidden_size": 24, "label_weight": 20.0}
    settings = {**CONSTANT, **sizes, "learning_rate": 0.01, "word_dropout": 0.0, "nested": ()}
    out = tmp_path / "out"
    train_model(config_of(train, train, **settings), out)
    vae = TextVAE.from_pretrained(out)
    assert vae.labels == ("cat", "dog", "other")
    found = vae.label_probabilities(TEXTS)
    assert found.shape == (len(TEXTS), 3)
    predicted = [vae.labels[place] for place in found.argmax(1)]
    accuracy = sum(a == who(text) for a, text in zip(predicted, TEXTS, strict=True)) / len(TEXTS)
    assert accuracy == pytest.approx(vae.metrics["label_accuracy"], abs=1e-6)
    assert accuracy > 0.9
    z = torch.from_numpy(vae.encode(TEXTS))
    head = vae.model.label_head
    assert head is not None
    expected = torch.softmax(z @ head.linear.weight.T + head.linear.bias, -1)
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=0)
    assert "Labels: cat, dog, other." in (out / "README.md").read_text(encoding="utf-8")
    vae.save_pretrained(tmp_path / "copy")
    assert TextVAE.from_pretrained(tmp_path / "copy").labels == vae.labels


def test_rows_in_memory_train_as_their_file_does(labelled: Path, tmp_path: Path) -> None:
    rows = [Row(text, None if n % 5 == 4 else who(text)) for n, text in enumerate(TEXTS)]
    train_model(config_of(labelled), tmp_path / "file")
    train_model(tiny_config(**OPTIONS), tmp_path / "memory", texts=rows)
    assert all_tensors(tmp_path / "memory") == all_tensors(tmp_path / "file")


def test_a_resumed_run_keeps_its_classes_when_the_text_changes(
    labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    train_model(config_of(labelled), out)
    table(labelled, ["new" if n % 3 else who(text) for n, text in enumerate(TEXTS)])
    heard = Heard()
    train_model(config_of(labelled, max_steps=22), out, resume=True, reporter=heard)
    assert TextVAE.from_pretrained(out).labels == ("cat", "dog", "other")


@pytest.mark.parametrize(
    ("labels", "warning"),
    [
        (["same"] * len(TEXTS), "column 'label': every label is 'same'"),
        ([f"{n / 7:.3f}" for n in range(len(TEXTS))], "distinct fractional numbers in"),
        (["A" if n % 2 else "a" for n in range(len(TEXTS))], "count as different classes"),
        (["nan" if n % 2 else "a" for n in range(len(TEXTS))], "'nan' .* like any other label"),
    ],
)
def test_labels_that_are_hardly_classes_are_told(
    labels: list[str], warning: str, tmp_path: Path
) -> None:
    heard = Heard()
    config = config_of(table(tmp_path / "train.tsv", labels), max_steps=1)
    train_model(config, tmp_path / "out", reporter=heard)
    assert any(re.search(warning, told) for told in heard.warnings)


def test_validation_labels_without_a_training_sentence_are_told_and_count_as_errors(
    labelled: Path, tmp_path: Path
) -> None:
    heard = Heard()
    valid = table(tmp_path / "valid.tsv", ["bird"] * len(TEXTS))
    train_model(config_of(labelled, valid, max_steps=1), tmp_path / "out", reporter=heard)
    assert any("100 validation labels do not occur in training" in told for told in heard.warnings)
    assert records(tmp_path / "out")[-1]["label_accuracy"] == 0


def test_labels_only_in_validation_are_an_error(labelled: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="no training sentence has a label in column 'label'"):
        train_model(config_of(plain, labelled), tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_folder_whose_labels_do_not_fit_its_weights_is_refused(
    labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    train_model(config_of(labelled, max_steps=1), out)
    path = out / "config.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    for labels in ([], ["a", "b"], ["a", "a", "b"], ["a", 2, "b"]):
        path.write_text(json.dumps(description | {"labels": labels}), encoding="utf-8")
        with pytest.raises(ModelFormatError):
            TextVAE.from_pretrained(out)
